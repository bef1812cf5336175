//! Keepers on paused time, on a server that is a value.

mod confirming;
mod frozen;
mod holding;
mod world;
