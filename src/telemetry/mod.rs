//! Logs and metrics.

pub mod api_error;
pub mod log;
pub mod metrics;
