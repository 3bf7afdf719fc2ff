//! Owns further conclusions from what was measured: what a machine's noise means for the rules. It measures
//! nothing itself.

mod calibrate;
mod replay;

pub use calibrate::{
    Advice, Alarms, Calibration, Detectable, Noise, Question, Share, calibrate, retargeted,
};
pub use replay::{Replay, replay};
