//! HTTPS, the admin server, readiness and shutdown.
//!
//! The module serves any [`axum::Router`]. Every resource that a client can use is limited, and every task ends with the
//! [`accept::Server`] that spawned it.
//!
//! The caller decides the order of the shutdown: [`shutdown::Shutdown::run`] turns readiness off and then cancels
//! `stopping`; the server of the webhook stops then, and the admin server stops last, so that the shutdown can be
//! observed.

pub mod accept;
pub mod admin;
mod bodies;
mod connection;
pub mod harden;
pub mod https;
pub mod limits;
pub mod listen;
mod log_level;
mod peers;
pub mod readiness;
pub mod shutdown;
