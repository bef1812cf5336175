//! Verdicts while the API server is slow, overloaded, failing, without history, or unreachable: none of them may be
//! wrong.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    gate::Gate,
    kubectl::Answer,
    objects::{backup, cluster, cluster_with, documents, secret},
    proxy::{Condition, Proxy},
    servers::Crds,
    stage::Stage,
    until,
};

/// Dry runs are judged like real requests, so that a test can repeat every request.
const FLAGS: [&str; 2] = ["--executor=none", "--missing-references-on-dry-run=deny"];

/// A namespace behind a cassgate that reaches the API server through a proxy.
struct Place {
    stage: Stage,
    proxy: Proxy,
    gate: Gate,
}

impl Place {
    fn new() -> Self {
        let stage = Stage::new(Crds::Ours);
        let proxy = Proxy::before(stage.servers);
        let gate = Gate::start_with_kubeconfig(&proxy.kubeconfig(), &FLAGS);
        gate.wait_until_ready();
        stage.register(&gate);
        stage.kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
        let place = Self { stage, proxy, gate };
        place.assert_correct();
        place
    }

    /// Returns kubectl's answer to a new backup with these extra lines in its spec.
    fn judged(&self, more: &str) -> Answer {
        let command = ["create", "--dry-run=server", "-f", "-"];
        self.stage.kubectl.run_with(&command, &backup("b1", more))
    }

    /// Asserts that every verdict is correct and that no reference is unknown.
    #[track_caller]
    fn assert_correct(&self) {
        self.judged("")
            .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
        self.judged("entities: k1,k2.t2")
            .refused_with(&["[cassgate entities-mixed]"]);
        self.judged("secret: nowhere")
            .refused_with(&["[cassgate secret-not-found]"]);
        self.judged("datacenter: dc9")
            .refused_with(&["[cassgate datacenter-unknown]"]);
        assert_eq!(self.gate.readyz().status, 200);
    }

    /// Asserts that local rules still apply, and that every reference is unknown for `reason` and denies nothing.
    #[track_caller]
    fn assert_unknown(&self, reason: &str) {
        let good = self.judged("");
        assert_eq!(good.code, 0, "{}", good.transcript());
        self.judged("entities: k1,k2.t2")
            .refused_with(&["[cassgate entities-mixed]"]);
        let unknown = self.judged("secret: nowhere");
        assert_eq!(unknown.code, 0, "{}", unknown.transcript());
        unknown.mentions(&[reason, "[cassgate secret-not-found]"]);
        // A denial would rest on the cache alone.
        let unknown = self.judged("datacenter: dc9");
        assert_eq!(unknown.code, 0, "{}", unknown.transcript());
        assert_eq!(self.gate.readyz().status, 200, "{:?}", self.gate.readyz());
    }

    /// Returns true if every cache is up to date.
    fn is_synced(&self) -> bool {
        let metrics = self.gate.get("/metrics").body;
        let mut synced = metrics
            .lines()
            .filter(|line| line.starts_with("cassgate_cache_synced{"));
        assert_eq!(synced.clone().count(), 4, "{metrics}");
        synced.all(|line| line.ends_with(" 1"))
    }

    /// Waits until every cache is up to date again and returns how long it took.
    fn recovery_time(&self) -> Duration {
        let begun = Instant::now();
        self.proxy.is(Condition::Healthy);
        until("the caches are up to date", || self.is_synced());
        let took = begun.elapsed();
        self.assert_correct();
        took
    }
}

pub(crate) fn a_slow_overloaded_or_failing_api_server_causes_unknown_references_and_no_denial() {
    let place = Place::new();
    for (condition, reason) in [
        (
            Condition::Slow(Duration::from_mins(1)),
            "did not answer within 5 s",
        ),
        (Condition::Answers(429), "the API server is too busy (429)"),
        (
            Condition::Answers(500),
            "the API server answered with an error (500)",
        ),
    ] {
        place.proxy.is(condition);
        if let Condition::Answers(_) = condition {
            until("the watches are broken", || !place.is_synced());
        }
        place.assert_unknown(reason);
        println!("{condition:?}: recovered after {:?}", place.recovery_time());
    }
    place.gate.stop_well().unwrap();
}

pub(crate) fn watches_that_end_with_410_are_restarted() {
    let place = Place::new();
    place.proxy.is(Condition::Forgetful);
    until("it is told", || place.gate.log().contains("history (410)"));
    // Live reads still work, so verdicts do not change.
    place.assert_correct();
    let more = cluster_with("c2", &["dc9"]);
    place.stage.kubectl.apply(&more).succeeds();
    println!("410: well again after {:?}", place.recovery_time());
    place
        .judged("cassandraCluster: c2\ndatacenter: dc9")
        .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
    place.gate.stop_well().unwrap();
}

/// Longer than the time for which a cache with a broken watch is trusted.
pub(crate) fn an_api_server_outage_of_a_minute_causes_no_denial_and_keeps_readiness() {
    let place = Place::new();
    place.proxy.is(Condition::Gone);
    let back = Instant::now() + Duration::from_secs(62);
    place.assert_unknown("not checked: the ");
    // The caches do not hold the new object, so the reference may exist.
    place
        .stage
        .kubectl
        .apply(&cluster_with("c1", &["dc1", "dc2", "dc3"]))
        .succeeds();
    let fresh = Gate::start_with_kubeconfig(&place.proxy.kubeconfig(), &FLAGS);
    while Instant::now() < back {
        let answer = place.judged("datacenter: dc3");
        assert_eq!(answer.code, 0, "{}", answer.transcript());
        let readiness = fresh.readyz();
        assert_eq!(readiness.status, 503, "it knows nothing: {readiness:?}");
        thread::sleep(Duration::from_secs(1));
    }
    place.assert_unknown("not checked: the ");
    println!("gone for a minute: well again after {:?}", place.recovery_time());
    place
        .judged("datacenter: dc3")
        .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
    fresh.wait_until_ready();
    fresh.stop_well().unwrap();
    place.gate.stop_well().unwrap();
}
