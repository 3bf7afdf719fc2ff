//! Owns the process boundary: the child's loop, which executes requests and stamps each token, and
//! the supervisor, which spawns, sets deadlines, kills and explains a crash. It decides nothing.

mod ask;
mod child;
mod supervisor;

pub use ask::{ASK_RUNTIME, Answer, Tried, answer_for_runtime, ask_runtime, try_properties};
pub use child::{SUBCOMMAND, run_child};
pub use supervisor::{Interrupt, Launch, Loaded, Stop, Worker};
