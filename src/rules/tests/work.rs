//! The work for a long list: it grows with the length of the list, and not with its square.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{acting, backup, cluster, facts, restore, stored};
use crate::api::RunNode;
use crate::domain::steps;
use crate::rules::facts::{Cluster, ClusterNode, Facts, PastSnapshot, RecordedRun, Reference, StoredBackup};
use crate::rules::judge;
use crate::rules::policy::Executor;
use crate::rules::subject::Subject;

fn list(items: usize, item: fn(usize) -> String) -> String {
    (0..items).map(item).collect::<Vec<_>>().join(",")
}

/// Returns a restore and facts whose backup has these entities.
fn with(change: &Value, backup: &str) -> (Subject, Facts) {
    let facts = Facts {
        backup: Some(Reference::Found(stored(backup))),
        ..facts()
    };
    (restore(change), facts)
}

fn host_id(item: usize) -> String {
    format!("00000000-0000-0000-0000-{item:012}")
}

fn pod(item: usize) -> String {
    format!("c1-dc1-rack1-{item}")
}

/// Returns a run of `items` nodes.
fn run_of(items: usize) -> StoredBackup {
    let nodes: Vec<RunNode> = (0..items)
        .map(|item| RunNode {
            host_id: host_id(item),
            datacenter: Some("dc1".to_owned()),
            pod: Some(pod(item)),
        })
        .collect();
    let record = RecordedRun {
        cluster: "c1".into(),
        nodes: nodes.into(),
        ..RecordedRun::default()
    };
    let run = PastSnapshot {
        name: "t1-run".into(),
        good: true,
        record: Some(Arc::new(record)),
        ..PastSnapshot::default()
    };
    StoredBackup {
        history: vec![run],
        ..stored("k1")
    }
}

/// Returns a cluster in whose pods other nodes run than in those of the run, and with as many datacenters.
fn other_ring(items: usize) -> Cluster {
    let nodes = (0..items).map(|item| ClusterNode {
        pod: pod(item).into(),
        host_id: host_id(item + 2 * items).into(),
        datacenter: "dc1".into(),
    });
    Cluster {
        datacenters: (0..items).map(|item| format!("dc{item}")).collect(),
        nodes: nodes.collect(),
        ..cluster("icarus:2.0.4")
    }
}

/// Returns a restore with `items` entries of `spec.nodes`, of a run and into a cluster of as many nodes.
fn nodes(items: usize, entry: impl Fn(usize) -> (String, String)) -> (Subject, Facts) {
    let entries: Vec<Value> = (0..items)
        .map(entry)
        .map(|(host_id, pod)| json!({"hostId": host_id, "pod": pod}))
        .collect();
    let facts = Facts {
        backup: Some(Reference::Found(run_of(items))),
        cluster: Some(Reference::Found(other_ring(items))),
        ..facts()
    };
    (restore(&json!({"nodes": entries})), facts)
}

/// Returns a description of a bucket of `items` nodes.
fn description(items: usize) -> (Subject, Facts) {
    let nodes: Vec<Value> = (0..items)
        .map(|item| json!({"hostId": host_id(item % (items / 2)), "datacenter": "d c"}))
        .collect();
    let change = json!({"suspend": true, "schedule": null, "clusterName": "c", "nodes": nodes});
    (backup(&change), facts())
}

/// Returns a restore of a run of which no node is in the ring any more.
fn ring_changed(items: usize) -> (Subject, Facts) {
    nodes(items, |item| (host_id(item % 2), pod(item % 2)))
}

/// Returns the number of comparisons to judge an update that changes nothing of the lists.
fn work((subject, facts): (Subject, Facts)) -> u64 {
    steps::of(|| {
        let context = acting(Executor::None);
        let mut found = judge(&subject, &facts, &context);
        found.ratchet(&judge(&subject, &facts, &context), false);
        found.suppress(|_| false);
        found
    })
}

/// Returns an object and facts of a length.
type Case<'a> = &'a dyn Fn(usize) -> (Subject, Facts);

#[test]
fn the_work_grows_with_the_length_of_a_list() {
    let upper_case = |items| {
        let entities = list(items, |item| format!("K{item:07}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("B{item:07}")),
        )
    };
    let outside = |items| {
        let entities = list(items, |item| format!("k1.t{item:05}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("k2.t{item:05}")),
        )
    };
    let wider = |items| {
        let entities = list(items, |item| format!("k{item:07}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("k{item:05}.t")),
        )
    };
    let malformed = |items| {
        let entities = list(items, |item| format!("a-{item:06}"));
        with(&json!({"entities": entities}), "")
    };
    let renamed = |items: usize| {
        let pairs: serde_json::Map<String, Value> = (0..items / 3)
            .map(|item| (format!("k1.t{item}"), json!("k2.T")))
            .collect();
        let entities = list(items / 3, |item| format!("k1.t{item}"));
        with(&json!({"entities": entities, "rename": pairs}), "k1")
    };
    let cases: [(&str, Case<'_>); 10] = [
        ("nodes", &|items| nodes(items, |item| (host_id(item), pod(item)))),
        ("nodes that are not in the run", &|items| {
            nodes(items, |item| (host_id(item + items), "other".to_owned()))
        }),
        ("malformed nodes", &|items| {
            nodes(items, |item| (format!("n{item}"), "P".to_owned()))
        }),
        ("nodes of a description", &description),
        ("nodes that left the ring", &ring_changed),
        ("upper case", &upper_case),
        ("outside", &outside),
        ("wider", &wider),
        ("malformed", &malformed),
        ("renamed", &renamed),
    ];
    for (name, case) in cases {
        let [once, twice] = [1_500, 3_000].map(|items| work(case(items)));
        assert!(once > 500, "{name}: {once} comparisons are no measure");
        assert!(
            twice * 2 <= once * 5,
            "{name}: {once} comparisons, and {twice} for twice the length"
        );
    }
}
