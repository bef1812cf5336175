//! The rules of the lease, without a clock or a client. Pure.

mod boot_time;
mod decide;
mod options;
mod record;

pub use boot_time::BootTime;
pub use decide::{Observed, Step, decide};
pub use options::{LeaseOptions, LeaseOptionsError, Timing, identity};
pub use record::{Record, Stored};
