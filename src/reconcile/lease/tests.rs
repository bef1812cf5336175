//! Keepers on paused time, against a server in memory.

mod confirming;
mod frozen;
mod holding;
mod world;
