//! Objects outside the files are looked up in a Kubernetes cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::files::Input;
use super::super::load::Loaded;
use super::super::report::Report;
use super::super::{self as manifests, Settings, StoredObjects, check};
use super::{CLUSTER, backup, restore, summaries};
use crate::api::Kind;
use crate::domain::credentials::Credentials;
use crate::rules::facts::{
    Caller, Cluster, FactSource, Freshness, Namespace, NeighbourQuery, Neighbours, Pending, Reference, Run,
    StoredBackup, StoredRestore,
};

/// A Kubernetes cluster without `CassandraCluster`, in which every Secret is empty and every backup has the same state.
#[derive(Default)]
struct Live {
    requests: Mutex<Vec<String>>,
    run: Run,
    running: Vec<Arc<StoredRestore>>,
    /// The stored objects by name.
    stored: HashMap<&'static str, Reference<Value>>,
}

impl StoredObjects for Live {
    fn stored<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Reference<Value>> {
        assert_eq!(namespace, "default", "{kind:?}");
        let known = self.stored.get(name).cloned();
        Box::pin(async move { known.unwrap_or(Reference::Absent) })
    }
}

impl Live {
    fn answer<T: Send + 'static>(&self, what: &str, name: &str, fact: Reference<T>) -> Pending<'static, T> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(format!("{what} {name}"));
        Pending::asked(async move { fact })
    }
}

impl FactSource for Live {
    fn cluster<'a>(&'a self, _: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Cluster> {
        self.answer("cluster", name, Reference::Absent)
    }

    fn backup<'a>(&'a self, _: &'a str, name: &'a str, _: Freshness) -> Pending<'a, StoredBackup> {
        let stored = StoredBackup {
            name: name.to_owned(),
            run: self.run.clone(),
            ..StoredBackup::default()
        };
        self.answer("backup", name, Reference::Found(stored))
    }

    fn secret<'a>(&'a self, _: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Credentials> {
        self.answer("secret", name, Reference::Found(Credentials::default()))
    }

    fn namespace<'a>(&'a self, name: &'a str, _: Freshness) -> Pending<'a, Namespace> {
        self.answer("namespace", name, Reference::Found(Namespace::default()))
    }

    fn restore<'a>(&'a self, _: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        self.answer("restore", name, Reference::Absent)
    }

    fn neighbours(&self, _: NeighbourQuery<'_>) -> Neighbours {
        Neighbours {
            restores_with_copies: self.running.clone(),
            ..Neighbours::default()
        }
    }

    fn may_read_secret<'a>(&'a self, _: &'a Caller, _: &'a str, name: &'a str) -> Pending<'a, bool> {
        self.answer("access", name, Reference::Found(false))
    }
}

fn judged(files: &[&str], live: &Live) -> Report {
    let mut loaded = Loaded::default();
    for text in files {
        loaded.add(Input {
            name: "a.yaml".to_owned(),
            bytes: Ok(text.as_bytes().to_vec()),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let live = manifests::Live {
        facts: live,
        objects: live,
    };
    runtime.block_on(check(loaded, &Settings::default(), Some(live), |_, _| ()))
}

/// Returns a live cluster with the restore of [`restore`] as it is stored, in this state.
fn with_restore(state: &str) -> Live {
    let stored = json!({
        "metadata": {"name": "r1", "namespace": "default", "resourceVersion": "7"},
        "spec": {"cassandraCluster": "c1", "cassandraBackup": "b1", "entities": "k1.t1", "secret": "s3",
                 "cassandraDirectory": "/var/lib/cassandra", "concurrentConnection": 10, "exactSchemaVersion": false,
                 "noDeleteTruncates": false},
        "status": {"condition": {"type": state}, "coordinatorMember": "c1-dc1-rack1-0", "id": "i"},
    });
    Live {
        stored: [("r1", Reference::Found(stored))].into(),
        ..Live::default()
    }
}

#[test]
fn a_finished_restore_that_stands_unchanged_in_the_files_has_no_finding() {
    let live = with_restore("COMPLETED");
    let unchanged = restore("  entities: k1.t1\n");
    assert_eq!(summaries(&judged(&[&unchanged], &live)), [""; 0]);
    assert_eq!(
        live.requests.lock().unwrap().len(),
        0,
        "an unchanged spec needs no facts"
    );
    let with_null = restore("  entities: k1.t1\n  datacenter: null\n");
    assert_eq!(summaries(&judged(&[&with_null], &live)), [""; 0]);
    let with_placeholder = restore("  entities: ${ENTITIES}\n");
    let report = judged(&[&with_placeholder], &live);
    assert_eq!((summaries(&report), report.notes.len()), (Vec::new(), 1));
    let malformed = unchanged.replace("name: r1", "name: r1\n  labels: {tier: 1}");
    assert_eq!(
        summaries(&judged(&[&malformed], &live)),
        ["deny metadata-malformed metadata.labels.tier 5:18"]
    );
}

#[test]
fn a_changed_spec_of_a_started_object_is_denied_as_its_update() {
    let changed = restore("  entities: k1.t2\n");
    let found = summaries(&judged(
        &[CLUSTER, super::SECRET, &changed],
        &with_restore("COMPLETED"),
    ));
    assert!(
        found.contains(&"deny restore-started spec.entities 8:13".to_owned()),
        "{found:?}"
    );
    let stored = json!({
        "metadata": {"name": "b1", "namespace": "default"},
        "spec": {"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3",
                 "concurrentConnections": 10, "entities": "k1.t1"},
        "status": {"condition": {"type": "COMPLETED"}},
    });
    let live = Live {
        stored: [("b1", Reference::Found(stored))].into(),
        ..Live::default()
    };
    let judged = |more: &str| summaries(&judged(&[CLUSTER, super::SECRET, &backup(more)], &live));
    assert_eq!(judged("  entities: k1.t1\n"), [""; 0]);
    assert_eq!(
        judged("  entities: k1.t2\n"),
        ["deny backup-started spec.entities 10:13"]
    );
    assert_eq!(
        judged("  entities: k1.t1\n  schedule: '@daily'\n"),
        ["deny backup-kind-change spec.schedule 11:13"]
    );
}

/// `kubectl patch` and `kubectl edit` set fields that an apply of the file does not remove.
#[test]
fn a_field_of_another_writer_is_no_change_of_a_started_object() {
    let stored = |last_applied: Value| {
        let annotations =
            json!({"kubectl.kubernetes.io/last-applied-configuration": last_applied.to_string()});
        let stored = json!({
            "metadata": {"name": "b1", "namespace": "default", "annotations": annotations},
            "spec": {"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3",
                     "concurrentConnections": 10, "entities": "k1.t1"},
            "status": {"condition": {"type": "COMPLETED"}},
        });
        Live {
            stored: [("b1", Reference::Found(stored))].into(),
            ..Live::default()
        }
    };
    let judged = |live: &Live| summaries(&judged(&[CLUSTER, super::SECRET, &backup("")], live));
    assert_eq!(judged(&stored(json!({"spec": {"secret": "s3"}}))), [""; 0]);
    let removed = judged(&stored(json!({"spec": {"secret": "s3", "entities": "k1.t1"}})));
    assert!(
        removed
            .iter()
            .any(|finding| finding.starts_with("deny backup-started spec.entities")),
        "{removed:?}"
    );
}

/// A confirmation that was removed from the file does not count, although it is still stored.
#[test]
fn an_annotation_that_the_apply_removes_does_not_count() {
    let confirmed = json!({"cassgate.db.orange.com/allow": "entities-mixed"});
    let last_applied = |annotations: &Value| json!({"metadata": {"annotations": annotations}}).to_string();
    let suppressed = |last_applied: String| {
        let mut annotations = confirmed.clone();
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = last_applied.into();
        let stored = json!({
            "metadata": {"name": "b1", "namespace": "default", "annotations": annotations},
            "spec": {"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3",
                     "concurrentConnections": 10, "entities": "k1,k2.t1"},
        });
        let live = Live {
            stored: [("b1", Reference::Found(stored))].into(),
            ..Live::default()
        };
        let report = judged(
            &[
                CLUSTER,
                super::SECRET,
                &backup("  entities: k1,k2.t1\n  bandwidth: 5M\n"),
            ],
            &live,
        );
        let mut findings = report.objects.iter().flat_map(|object| &object.findings);
        findings
            .find(|finding| finding.rule.id == "entities-mixed")
            .unwrap()
            .suppression
            .is_some()
    };
    assert!(suppressed(last_applied(&json!({}))));
    assert!(!suppressed(last_applied(&confirmed)));
}

#[test]
fn a_mistake_of_the_stored_object_is_a_warning_and_an_object_in_deletion_is_not_judged() {
    let spec = |tag: &str| {
        json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": tag, "secret": "s3",
               "concurrentConnections": 10, "bandwidth": "fast"})
    };
    let live = |object: Value| Live {
        stored: [("b1", Reference::Found(object))].into(),
        ..Live::default()
    };
    let files = [CLUSTER, super::SECRET, &backup("  bandwidth: fast\n")];
    let before = json!({"metadata": {"name": "b1", "namespace": "default"}, "spec": spec("t0")});
    let found = summaries(&judged(&files, &live(before)));
    assert!(
        found.contains(&"warn bandwidth-malformed spec.bandwidth 10:14".to_owned()),
        "{found:?}"
    );
    let deleting = json!({"metadata": {"name": "b1", "namespace": "default", "deletionTimestamp": "2026-01-01T00:00:00Z"},
                          "spec": spec("t0")});
    let report = judged(&files, &live(deleting));
    assert_eq!(summaries(&report), [""; 0]);
    let [note] = report.notes.as_slice() else {
        panic!("{:?}", report.notes)
    };
    assert_eq!((note.file, note.line), (2, 1));
    assert_eq!(
        note.message,
        "the stored object is being deleted, so its spec is not judged: the API server applies no new spec to it; check again when \
         the object is gone"
    );
}

#[test]
fn a_stored_object_that_cannot_be_read_is_judged_as_a_new_one_with_a_note() {
    let live = Live {
        stored: [(
            "b1",
            Reference::Unknown("cassgate may not get it (403)".to_owned()),
        )]
        .into(),
        ..Live::default()
    };
    let report = judged(&[CLUSTER, super::SECRET, &backup("  bandwidth: fast\n")], &live);
    assert_eq!(
        summaries(&report),
        ["deny bandwidth-malformed spec.bandwidth 10:14"]
    );
    assert_eq!(
        report.notes[0].message,
        "the stored object cannot be read (cassgate may not get it (403)), so it is judged as a new one"
    );
}

/// A restore that has run is never run again by a status in its manifest.
#[test]
fn a_status_in_a_manifest_that_would_reset_the_stored_one_is_kept() {
    let live = with_restore("COMPLETED");
    let reset = format!(
        "{}status: {{condition: {{type: REQUIRED}}}}\n",
        restore("  entities: k1.t1\n")
    );
    assert_eq!(
        summaries(&judged(&[&reset], &live)),
        ["warn status-reset status 9:1"]
    );
}

#[test]
fn an_object_that_is_neither_in_the_files_nor_in_the_cluster_is_missing() {
    let live = Live::default();
    let report = judged(&[&backup("")], &live);
    assert_eq!(
        summaries(&report),
        [
            "deny cluster-not-found spec.cassandraCluster 6:21",
            "warn secret-key-missing spec.secret 9:11"
        ]
    );
    assert_eq!(
        *live.requests.lock().unwrap(),
        ["cluster c1", "namespace default", "secret s3"]
    );
}

#[test]
fn an_object_in_the_files_is_not_requested() {
    let live = Live::default();
    judged(&[CLUSTER, super::SECRET, &backup("")], &live);
    assert_eq!(*live.requests.lock().unwrap(), ["namespace default"]);
}

#[test]
fn the_cluster_provides_the_state_of_a_backup_in_the_files_and_the_running_restores() {
    let other = StoredRestore {
        name: "other".to_owned(),
        cluster: "c1".to_owned(),
        run: Run::State("RUNNING".into()),
        ..StoredRestore::default()
    };
    let live = Live {
        run: Run::State("FAILED".into()),
        running: vec![Arc::new(other)],
        ..Live::default()
    };
    let files = [
        CLUSTER,
        super::SECRET,
        &backup("  entities: k1.t1\n"),
        &restore("  entities: k1.t1\n"),
    ];
    let found = summaries(&judged(&files, &live));
    for rule in [
        "deny backup-not-restorable spec.cassandraBackup",
        "deny restore-in-progress spec.cassandraCluster",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(rule)),
            "{rule}: {found:?}"
        );
    }
}
