//! A source of facts with one namespace, and helpers that send reviews.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::admission::{Admission, router};
use crate::domain::credentials::Credentials;
use crate::domain::sidecar::Sidecar;
use crate::rules::facts::{
    Caller, Cluster, FactSource, Freshness, Namespace, NeighbourQuery, Neighbours, Pending, Reference, Run,
    StoredBackup, StoredRestore,
};
use crate::rules::policy::Policy;
use crate::telemetry::metrics::Metrics;

/// A namespace with cluster c1 (dc1), Secret s3 and backup b1 of `k1.t1,k2.t3`; it records every call.
#[derive(Default)]
pub(super) struct World {
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) stale_datacenters: Option<Vec<String>>,
    pub(super) silent: bool,
    /// The reason for which every read fails.
    pub(super) unreadable: Option<&'static str>,
    /// True if every `Cached` answer is known without waiting.
    pub(super) known: bool,
    pub(super) namespace: Namespace,
    /// The cached neighbours of every object.
    pub(super) neighbours: Neighbours,
    /// The restores that a live read returns.
    pub(super) restores: Vec<StoredRestore>,
    pub(super) secret_readers: Vec<String>,
    pub(super) restores_are_silent: bool,
}

impl World {
    fn answer<T: Send + 'static>(
        &self,
        what: &str,
        freshness: Freshness,
        found: Option<T>,
    ) -> Pending<'_, T> {
        self.asked.lock().unwrap().push(format!("{what} {freshness:?}"));
        if self.known && freshness == Freshness::Cached {
            return Pending::known(found.map_or(Reference::Absent, Reference::Found));
        }
        if let Some(reason) = self.unreadable {
            return Pending::asked(async { Reference::Unknown(reason.to_owned()) });
        }
        let silent = self.silent;
        Pending::asked(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            found.map_or(Reference::Absent, Reference::Found)
        })
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl FactSource for World {
    fn cluster<'a>(&'a self, _: &'a str, name: &'a str, freshness: Freshness) -> Pending<'a, Cluster> {
        let stale = self
            .stale_datacenters
            .clone()
            .filter(|_| freshness == Freshness::Cached);
        let cluster = Cluster {
            datacenters: stale.unwrap_or_else(|| vec!["dc1".to_owned()]).into(),
            sidecar_enabled: true,
            sidecar: Sidecar::from_image("icarus:1.1.3"),
            cassandra: None,
            mounts: Vec::new(),
            terminating: false,
            unready: None,
            nodes: [].into(),
            labels: Arc::default(),
        };
        self.answer(
            &format!("cluster {name}"),
            freshness,
            (name == "c1").then_some(cluster),
        )
    }

    fn backup<'a>(&'a self, _: &'a str, name: &'a str, freshness: Freshness) -> Pending<'a, StoredBackup> {
        let spec = serde_json::from_value(backup_spec()).unwrap();
        let backup = StoredBackup {
            name: name.to_owned(),
            spec,
            run: Run::State("COMPLETED".into()),
            ..StoredBackup::default()
        };
        self.answer(
            &format!("backup {name}"),
            freshness,
            (name == "b1").then_some(backup),
        )
    }

    fn secret<'a>(&'a self, _: &'a str, name: &'a str, freshness: Freshness) -> Pending<'a, Credentials> {
        let entries =
            ["awsaccesskeyid", "awssecretaccesskey", "awsregion"].map(|key| (key, b"eu-west-1".as_slice()));
        self.answer(
            &format!("secret {name}"),
            freshness,
            match name {
                "s3" => Some(Credentials::read(entries)),
                "bare" => Some(Credentials::default()),
                _ => None,
            },
        )
    }

    fn namespace<'a>(&'a self, _: &'a str, _: Freshness) -> Pending<'a, Namespace> {
        Pending::known(Reference::Found(self.namespace.clone()))
    }

    fn restore<'a>(&'a self, _: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        if self.restores_are_silent {
            return Pending::asked(async { Reference::Unknown("no answer".to_owned()) });
        }
        let found = self.restores.iter().find(|restore| restore.name == name).cloned();
        self.answer(&format!("restore {name}"), Freshness::Live, found)
    }

    fn neighbours(&self, _: NeighbourQuery<'_>) -> Neighbours {
        self.neighbours.clone()
    }

    fn may_read_secret<'a>(&'a self, caller: &'a Caller, _: &'a str, name: &'a str) -> Pending<'a, bool> {
        let may = self.secret_readers.contains(&caller.username);
        self.answer(
            &format!("access {} {name}", caller.username),
            Freshness::Live,
            Some(may),
        )
    }
}

pub(super) fn backup_spec() -> Value {
    json!({"cassandraCluster": "c1", "datacenter": "dc1", "storageLocation": "s3://bk", "snapshotTag": "t1",
           "secret": "s3", "schedule": "@midnight", "entities": "k1.t1,k2.t3", "concurrentConnections": 10})
}

pub(super) fn restore_spec() -> Value {
    json!({"cassandraCluster": "c1", "cassandraBackup": "b1", "entities": "k1.t1", "secret": "s3"})
}

pub(super) fn with(mut spec: Value, change: &Value) -> Value {
    json_patch::merge(&mut spec, change);
    spec
}

pub(super) fn object(spec: &Value) -> Value {
    json!({"apiVersion": "db.orange.com/v2", "metadata": {"name": "o1", "managedFields": [{"x": 1}]}, "spec": spec})
}

pub(super) fn ran(spec: &Value, condition: &str) -> Value {
    with(
        object(spec),
        &json!({"status": {"condition": {"type": condition}}}),
    )
}

/// A review with the fields of `change` in place of its own.
pub(super) fn review(kind: &str, operation: &str, change: &Value) -> Value {
    let request = json!({"uid": "u-1", "kind": {"group": "db.orange.com", "version": "v2", "kind": kind},
                         "name": "o1", "namespace": "prod", "operation": operation, "dryRun": false,
                         "userInfo": {"username": "jane"}});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": with(request, change)})
}

pub(super) fn admission(world: &Arc<World>, status_is_subresource: Option<bool>) -> Arc<Admission> {
    Arc::new(Admission {
        facts: world.clone(),
        policy: Policy::default(),
        metrics: Metrics::new(),
        status_is_subresource: Box::new(move |_| status_is_subresource),
        now: || jiff::Timestamp::from_millisecond(1_700_000_000_000).unwrap_or_default(),
    })
}

pub(super) async fn post(admission: Arc<Admission>, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = Request::post(path).body(Body::from(body)).unwrap();
    let response = router(admission).oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap(),
    )
}

pub(super) async fn ask(world: &Arc<World>, path: &str, review: &Value) -> Value {
    let (status, answer) = post(admission(world, None), path, serde_json::to_vec(review).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["kind"], &answer["apiVersion"]),
        (&json!("AdmissionReview"), &json!("admission.k8s.io/v1"))
    );
    assert_eq!(answer["response"]["uid"], "u-1");
    answer["response"].clone()
}

pub(super) async fn validated(kind: &str, operation: &str, change: &Value) -> (Value, Vec<String>) {
    let world = Arc::new(World::default());
    (
        ask(&world, "/validate", &review(kind, operation, change)).await,
        world.asked(),
    )
}

pub(super) fn patch_of(response: &Value) -> Value {
    assert_eq!(response["patchType"], "JSONPatch");
    serde_json::from_slice(&STANDARD.decode(response["patch"].as_str().unwrap()).unwrap()).unwrap()
}
