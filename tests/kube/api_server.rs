//! An API server that is slow, busy, broken, forgetful or gone for a while: no verdict is wrong because of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    gate::Gate,
    kubectl::Answer,
    objects::{backup, cluster, cluster_with, documents, secret},
    proxy::{Mood, Proxy},
    servers::Crds,
    stage::Stage,
    until,
};

/// Dry runs are judged as what is stored is, so that everything can be asked again and again.
const FLAGS: [&str; 2] = ["--executor=none", "--missing-references-on-dry-run=deny"];

/// A namespace behind a cassgate that reaches the API server by a proxy.
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
        place.is_well();
        place
    }

    /// What is said of a new backup with these lines in its spec.
    fn judged(&self, more: &str) -> Answer {
        let command = ["create", "--dry-run=server", "-f", "-"];
        self.stage.kubectl.run_with(&command, &backup("b1", more))
    }

    /// Every verdict is the right one, and nothing is unknown.
    #[track_caller]
    fn is_well(&self) {
        self.judged("")
            .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
        self.judged("entities: k1,k2.t2")
            .refused_with(&["[entities-mixed]"]);
        self.judged("secret: nowhere")
            .refused_with(&["[secret-not-found]"]);
        self.judged("datacenter: dc9")
            .refused_with(&["[datacenter-unknown]"]);
        assert_eq!(self.gate.readyz().status, 200);
    }

    /// What needs nobody is judged as ever; what cannot be known is told, for this reason, and refuses nothing.
    #[track_caller]
    fn is_careful(&self, reason: &str) {
        let good = self.judged("");
        assert_eq!(good.code, 0, "{}", good.told());
        self.judged("entities: k1,k2.t2")
            .refused_with(&["[entities-mixed]"]);
        let unknown = self.judged("secret: nowhere");
        assert_eq!(unknown.code, 0, "{}", unknown.told());
        unknown.mentions(&[reason, "[secret-not-found]"]);
        // A denial would rest on the cache alone.
        let unknown = self.judged("datacenter: dc9");
        assert_eq!(unknown.code, 0, "{}", unknown.told());
        assert_eq!(self.gate.readyz().status, 200, "{:?}", self.gate.readyz());
    }

    /// Whether every cache is as good as new.
    fn is_synced(&self) -> bool {
        let metrics = self.gate.get("/metrics").body;
        let mut synced = metrics
            .lines()
            .filter(|line| line.starts_with("cassgate_cache_synced{"));
        assert_eq!(synced.clone().count(), 4, "{metrics}");
        synced.all(|line| line.ends_with(" 1"))
    }

    /// How long it takes until all is as it was.
    fn recovers(&self) -> Duration {
        let begun = Instant::now();
        self.proxy.is(Mood::Well);
        until("the caches are up to date", || self.is_synced());
        let took = begun.elapsed();
        self.is_well();
        took
    }
}

pub(crate) fn a_slow_busy_or_broken_api_server_costs_knowledge_and_no_denial() {
    let place = Place::new();
    for (mood, reason) in [
        (Mood::Slow(Duration::from_mins(1)), "did not answer within 5 s"),
        (Mood::Answers(429), "the API server is too busy (429)"),
        (Mood::Answers(500), "the API server answered with an error (500)"),
    ] {
        place.proxy.is(mood);
        if let Mood::Answers(_) = mood {
            until("the watches are broken", || !place.is_synced());
        }
        place.is_careful(reason);
        println!("{mood:?}: well again after {:?}", place.recovers());
    }
    place.gate.stop_well().unwrap();
}

pub(crate) fn watches_that_end_with_410_are_begun_anew() {
    let place = Place::new();
    place.proxy.is(Mood::Forgetful);
    until("it is told", || place.gate.log().contains("history (410)"));
    // Reads go on, so verdicts are as ever.
    place.is_well();
    let more = cluster_with("c2", &["dc9"]);
    place.stage.kubectl.apply(&more).succeeds();
    println!("410: well again after {:?}", place.recovers());
    place
        .judged("cassandraCluster: c2\ndatacenter: dc9")
        .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
    place.gate.stop_well().unwrap();
}

/// Longer than a cache is trusted whose watch is broken.
pub(crate) fn an_api_server_that_is_gone_for_a_minute_costs_no_denial_and_no_readiness() {
    let place = Place::new();
    place.proxy.is(Mood::Gone);
    let back = Instant::now() + Duration::from_secs(62);
    place.is_careful("not checked: the ");
    // What the caches do not know yet may be true.
    place
        .stage
        .kubectl
        .apply(&cluster_with("c1", &["dc1", "dc2", "dc3"]))
        .succeeds();
    let fresh = Gate::start_with_kubeconfig(&place.proxy.kubeconfig(), &FLAGS);
    while Instant::now() < back {
        let answer = place.judged("datacenter: dc3");
        assert_eq!(answer.code, 0, "{}", answer.told());
        let readiness = fresh.readyz();
        assert_eq!(readiness.status, 503, "it knows nothing: {readiness:?}");
        thread::sleep(Duration::from_secs(1));
    }
    place.is_careful("not checked: the ");
    println!("gone for a minute: well again after {:?}", place.recovers());
    place
        .judged("datacenter: dc3")
        .says("cassandrabackup.db.orange.com/b1 created (server dry run)");
    fresh.wait_until_ready();
    fresh.stop_well().unwrap();
    place.gate.stop_well().unwrap();
}
