//! The servers from the perspective of clients: real TLS on free ports of the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod admin;
mod certificate_kinds;
mod certificates;
mod connections;
mod drain;
mod make_pair;
mod requests;
mod support;
