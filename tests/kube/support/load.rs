//! Reviews at a constant rate with checked answers: requests through the API server, and requests of a client that
//! opens a new connection each time and trusts exactly the published bundle.
//!
//! kube-apiserver reuses its connection for as long as possible, so by itself it would notice a wrong certificate
//! late.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    sync::{RwLock, Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    api::{Api, tls},
    authority::published,
    http::{Reply, runtime},
    stage::Stage,
};

/// Each tick sends two reviews, which gives 200 a second. An overloaded machine sends fewer, and none is skipped.
const TICK: Duration = Duration::from_millis(10);

/// Maximum number of ticks in flight, so that a slow machine does not accumulate them.
const AT_ONCE: usize = 64;

/// Interval at which the client reads the published bundles; an API server watches them.
const BUNDLE_INTERVAL: Duration = Duration::from_millis(100);

/// kube-apiserver's default timeout for a webhook.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A load that runs until it is stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

struct Shared {
    api: Api,
    namespace: String,
    /// The replicas that the client connects to. Held for reading during a connection.
    replicas: RwLock<Vec<SocketAddr>>,
    /// The `caBundle`s of the mutating and of the validating configuration.
    bundles: watch::Receiver<[String; 2]>,
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// Starts a load on the webhook configurations with this name and on these replicas.
    pub(crate) fn start(stage: &Stage, configuration: &str, replicas: &[SocketAddr]) -> Self {
        let stop = CancellationToken::new();
        let (servers, namespace) = (stage.servers, stage.namespace.clone());
        let (configuration, replicas) = (configuration.to_owned(), replicas.to_vec());
        let (shared, task) = runtime().block_on(async {
            let api = Api::of(servers).await;
            let (known, bundles) = watch::channel(published(&api, &configuration).await);
            let shared = Arc::new(Shared {
                api: api.clone(),
                namespace,
                replicas: RwLock::new(replicas),
                bundles,
                answered: AtomicUsize::new(0),
                failed: Mutex::default(),
            });
            let looks = async move {
                loop {
                    sleep(BUNDLE_INTERVAL).await;
                    known.send_replace(published(&api, &configuration).await);
                }
            };
            let sent = send_until(stop.clone(), Arc::clone(&shared));
            let task = tokio::spawn(async {
                tokio::select! {
                    () = looks => {}
                    () = sent => {}
                }
            });
            (shared, AbortOnDropHandle::new(task))
        });
        Self { shared, stop, task }
    }

    /// Directs new connections to these replicas. Returns when no request is in flight on the others.
    pub(crate) fn aim_at(&self, replicas: &[SocketAddr]) {
        runtime().block_on(async { replicas.clone_into(&mut *self.shared.replicas.write().await) });
    }

    /// Waits for this many more answered reviews.
    pub(crate) fn goes_on_for(&self, reviews: usize) {
        let enough = self.answered() + reviews;
        while self.answered() < enough {
            assert!(
                !self.task.is_finished(),
                "the load has ended: {:?}",
                self.failed()
            );
            assert_eq!(self.failed(), Vec::<String>::new());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the number of answered reviews.
    pub(crate) fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Returns the answers that were not the verdict, and the requests without an answer.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.shared
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops after the pending answers, and returns the number of reviews and the failures.
    pub(crate) fn stop(self) -> (usize, Vec<String>) {
        self.stop.cancel();
        let Self { shared, task, .. } = self;
        runtime().block_on(task).unwrap();
        let failed = std::mem::take(&mut *shared.failed.lock().unwrap_or_else(PoisonError::into_inner));
        (shared.answered.load(Ordering::Relaxed), failed)
    }
}

async fn send_until(stop: CancellationToken, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => break,
        }
        let slot = Arc::clone(&slots).acquire_owned().await;
        let shared = Arc::clone(&shared);
        under_way.spawn(async move {
            let _slot = slot;
            let answered = async {
                if by_the_api_server(number) {
                    shared.through_the_api_server(number).await
                } else {
                    shared.by_a_new_connection(number).await
                }
            };
            let outcome = timeout(REQUEST_TIMEOUT, answered).await;
            shared.note(
                number,
                outcome.unwrap_or_else(|_| Err("no answer in time".to_owned())),
            );
        });
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

impl Shared {
    fn note(&self, number: usize, outcome: Result<(), String>) {
        match outcome {
            // Both webhooks were called.
            Ok(()) => drop(self.answered.fetch_add(2, Ordering::Relaxed)),
            Err(why) => {
                let how = if by_the_api_server(number) {
                    "API server"
                } else {
                    "new connection"
                };
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(format!("{how}: {why}"));
            }
        }
    }

    /// Creates an invalid backup as a dry run: the API server calls both webhooks.
    async fn through_the_api_server(&self, number: usize) -> Result<(), String> {
        let path = format!(
            "/apis/db.orange.com/v2/namespaces/{}/cassandrabackups?dryRun=All",
            self.namespace
        );
        let body = Bytes::from(bad_backup(number).to_string());
        let reply = self.api.post(&path, body).await?;
        is_a_verdict(&reply, 422)
    }

    /// Calls both paths of one replica as the API server does. Its certificate must match one of the two bundles,
    /// alternating.
    async fn by_a_new_connection(&self, number: usize) -> Result<(), String> {
        let replicas = self.replicas.read().await;
        let turn = number / 2;
        let address = replicas[turn % replicas.len()];
        let bundle = self.bundles.borrow()[turn / replicas.len() % 2].clone();
        let stream = tls(address, &bundle, &["http/1.1"]).await?;
        let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) }));
        for (path, says) in [
            ("/mutate", "\"allowed\":true"),
            ("/validate", "[cassgate entities-mixed]"),
        ] {
            let request = Request::post(format!("{path}?timeout=5s"))
                .header("host", address.to_string())
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(review(&self.namespace, number))))
                .unwrap();
            requests.ready().await.map_err(|error| error.to_string())?;
            let answer = requests
                .send_request(request)
                .await
                .map_err(|error| format!("{path}: {error}"))?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await;
            let body = body.map_err(|error| format!("{path}: {error}"))?.to_bytes();
            let body = String::from_utf8_lossy(&body);
            if status != 200 || !body.contains(says) {
                return Err(format!("{path}: {status} {body}"));
            }
        }
        Ok(())
    }
}

/// Every other tick is a creation through the API server; the others are connections of the client.
fn by_the_api_server(tick: usize) -> bool {
    tick.is_multiple_of(2)
}

/// The rule id proves that the webhook was called and its certificate accepted.
fn is_a_verdict(reply: &Reply, status: u16) -> Result<(), String> {
    if reply.status == status && reply.body.contains("[cassgate entities-mixed]") {
        Ok(())
    } else {
        Err(format!("{} {}", reply.status, reply.body))
    }
}

fn bad_backup(number: usize) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": {"name": format!("load-{number}")},
        "spec": {
            "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": "tag", "secret": "s3",
            "entities": "k1,k2.t2",
        },
    })
}

fn review(namespace: &str, number: usize) -> Vec<u8> {
    let object = bad_backup(number);
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": format!("load-{number}"),
            "kind": {"group": "db.orange.com", "version": "v2", "kind": "CassandraBackup"},
            "resource": {"group": "db.orange.com", "version": "v2", "resource": "cassandrabackups"},
            "name": object["metadata"]["name"], "namespace": namespace, "operation": "CREATE", "dryRun": true,
            "object": object,
        },
    })
    .to_string()
    .into_bytes()
}
