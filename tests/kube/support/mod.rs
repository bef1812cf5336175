//! Servers, kubectl, cassgate: what every test stands on.

pub(crate) mod api;
pub(crate) mod attack;
pub(crate) mod authority;
pub(crate) mod balancer;
pub(crate) mod deployment;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod kubectl;
pub(crate) mod leash;
pub(crate) mod load;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod pods;
pub(crate) mod proxy;
pub(crate) mod servers;
pub(crate) mod stage;
pub(crate) mod tls;
pub(crate) mod volume;

use std::{path::Path, thread, time::Duration};

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Stops every cassgate and every server.
///
/// # Errors
/// What went wrong on the way: a gate that did not end with 0, a Secret's value in a log.
pub(crate) fn stop_everything() -> Result<(), String> {
    let gates = gate::stop_shared();
    servers::stop();
    gates
}

/// Waits until something is so.
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
