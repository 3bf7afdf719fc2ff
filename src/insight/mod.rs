//! Owns further conclusions from what was measured: what a machine's noise means for the rules, and
//! where a metric moved over sessions. It measures nothing itself.

mod calibrate;
mod history;
mod replay;
mod starts;

pub use calibrate::{
    Advice, Alarms, Calibration, Detectable, Noise, Question, Share, calibrate, retargeted,
};
pub use history::{Asked, Change, Point, Series, over_sessions};
pub use replay::{Replay, replay};
pub use starts::{Held, Median, StartRow, Steps, start_rows};
