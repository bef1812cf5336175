//! The server as peers see it: real TLS on ports of the loopback that the kernel chose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod admin;
mod by_hand;
mod certificates;
mod connections;
mod drain;
mod kinds_of_certificate;
mod requests;
mod support;
