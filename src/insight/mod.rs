//! Owns further conclusions from what was measured: what a machine's noise means for the rules, where a metric
//! moved over sessions, why one variant is faster than another, and which one to deploy for which use. It measures nothing
//! itself.

mod calibrate;
mod explain;
mod history;
mod recommend;
mod replay;
mod roofline;
mod scale;
mod split;
mod starts;

pub use calibrate::{
    Advice, Alarms, Calibration, Detectable, Noise, Question, Share, calibrate, retargeted,
};
pub use explain::{Cause, Explanation, Why, explain};
pub use history::{Asked, Change, Point, Series, over_sessions};
pub use recommend::{Answer, Comparison, Open, Out, Ratio, Recommendation, recommend};
pub use replay::{Replay, replay};
pub use roofline::{By, Held, Limit, Roofline, Stage, bandwidth, beyond_caches};
pub use scale::{Predicted, Scaling};
pub use split::Split;
pub use starts::{Median, StartMemory, StartRow, Steps, start_rows};
