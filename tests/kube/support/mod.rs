//! Servers, kubectl and cassgate for all tests.

pub(crate) mod api;
pub(crate) mod attack;
pub(crate) mod authority;
pub(crate) mod balancer;
pub(crate) mod deployment;
pub(crate) mod gate;
pub(crate) mod held_time;
pub(crate) mod hostile_json;
pub(crate) mod http;
pub(crate) mod kubectl;
pub(crate) mod load;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod pods;
pub(crate) mod process_guard;
pub(crate) mod proxy;
pub(crate) mod servers;
pub(crate) mod stage;
pub(crate) mod tls;
pub(crate) mod volume;

use std::{path::Path, thread, time::Duration};

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Stops every cassgate and every server.
///
/// # Errors
/// Any failure: a cassgate that did not exit with 0, or a Secret's value in a log.
pub(crate) fn stop_everything() -> Result<(), String> {
    let gates = gate::stop_shared();
    servers::stop();
    gates
}

/// Waits until `so` returns true.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came to this: {what}");
}
