//! Finds the broken hop between a user's `kubectl apply` and cassgate's answer.
//!
//! | hop | content |
//! |---|---|
//! | configuration | the two webhook configurations, their rules, and the namespace |
//! | ca | the `caBundle` with which the API server verifies the server's certificate |
//! | service | the Service through which the API server calls, and its endpoints |
//! | certificate | the certificate of the server |
//! | server | the answers |
//!
//! [`observe`] reads objects and creates a bad and a good `CassandraBackup` in dry runs, so nothing is stored. Only the
//! API server sees the path as a request takes it, and its words about a failed call name the hop. Everything after the
//! observation is pure.
//!
//! The bad object has a schedule in a time zone that does not exist. Schemas and the policies of the overlay
//! `static-policy` know no time zones, and no flag of `cassgate run` admits it: only cassgate's validating webhook denies
//! it. The good object refers to a cluster and a Secret that need not exist. In a dry run that is a warning, or, with
//! `--missing-references-on-dry-run=deny`, a denial by exactly two rules. It leaves out `concurrentConnections`, which the
//! mutating webhook sets and neither set of CRDs does.

mod ca;
mod calls;
mod certificate;
mod configuration;
mod fault;
mod observation;
mod observe;
pub mod report;
mod server;
mod service;
mod webhook;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use observation::Observation;
pub use observe::observe;

use calls::Calls;
use report::{Hop, HopName, Report, State};

/// Judges the hops. With `expect_ignore`, the validating webhook should have failurePolicy `Ignore` instead of `Fail`.
#[must_use]
pub fn judge(observation: &Observation, expect_ignore: bool, now: Timestamp) -> Report {
    let webhooks = observation.webhooks();
    let calls = Calls::read(observation, &webhooks);
    let configuration = configuration::judge(observation, &webhooks, &calls, expect_ignore);
    let is_configured = matches!(configuration, State::Ok(_));
    let states = [
        (HopName::Configuration, configuration),
        (HopName::Ca, ca::judge(&webhooks, &calls, now)),
        (HopName::Service, service::judge(observation, &webhooks, &calls)),
        (HopName::Certificate, certificate::judge(&calls)),
        (HopName::Server, server::judge(&calls, is_configured)),
    ];
    let hops = states
        .into_iter()
        .map(|(name, state)| Hop { name, state })
        .collect();
    Report::new(observation.namespace.clone(), hops)
}
