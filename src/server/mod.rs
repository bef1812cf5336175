//! Certificates, HTTPS, the admin server, readiness and shutdown.
//!
//! Knows an [`axum::Router`], not what it answers. Everything that a peer can do here is bounded, and everything
//! that is spawned ends with the [`accept::Server`] that spawned it.
//!
//! The order of the end is the caller's: [`shutdown::Shutdown::conduct`] turns readiness off and then cancels
//! `stopping`; the webhook's server stops at that; the admin server stops last, so that the end can be watched.

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
