//! Objects outside the files are looked up in a Kubernetes cluster.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::files::Input;
use super::super::load::Loaded;
use super::super::report::Report;
use super::super::{Settings, check};
use super::{CLUSTER, backup, restore, summaries};
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
    runtime.block_on(check(loaded, &Settings::default(), Some(live), |_, _| ()))
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
