//! Scenarios of the corpus on a real API server: the given objects are stored, then the request is sent.

#[path = "../verdicts/case.rs"]
#[allow(dead_code, reason = "what only the tests in one process look at")]
pub(crate) mod case;

use futures::{StreamExt, stream};
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Map, Value, json};

use self::case::{Case, Executor, ReportedFinding};
use crate::support::{
    http::runtime,
    manifests,
    servers::{self, Crds, Servers},
};

/// Concurrent requests; two cores run everything.
pub(crate) const AT_ONCE: usize = 8;

/// A user who may write backups and restores and may not read Secrets.
const RESTRICTED: &str = "backup-writer";

/// One namespace for each scenario of a group, with its given objects and no webhook yet.
pub(crate) struct Scene {
    /// The servers.
    pub(crate) servers: &'static Servers,
    client: Client,
    /// The namespaces, one for each scenario.
    pub(crate) namespaces: Vec<String>,
}

/// An answer of the API server.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The object, or a `Status`.
    pub(crate) body: Value,
    /// The warnings.
    pub(crate) warnings: Vec<ReportedFinding>,
}

impl Scene {
    /// Stores the given objects, each scenario in its own namespace `PREFIX-NUMBER`.
    pub(crate) fn set(prefix: &str, crds: Crds, cases: &[Case], library: &Map<String, Value>) -> Self {
        let servers = servers::with(crds);
        servers.kubectl.apply(&writers()).succeeds();
        let client = runtime().block_on(connect(servers));
        let scene = Self {
            servers,
            client,
            namespaces: (0..cases.len()).map(|case| format!("{prefix}-{case}")).collect(),
        };
        runtime().block_on(
            stream::iter(cases.iter().zip(&scene.namespaces))
                .for_each_concurrent(AT_ONCE, |(case, namespace)| scene.give(case, namespace, library)),
        );
        scene
    }

    /// Creates the namespaces of a scenario and all its stored objects.
    async fn give(&self, case: &Case, namespace: &str, library: &Map<String, Value>) {
        let objects: Vec<Value> = case
            .stored_objects(library, namespace)
            .iter()
            .map(|object| own_bucket(object, namespace))
            .collect();
        let mut namespaces = vec![(namespace.to_owned(), Value::Object(case.namespace.clone()))];
        for object in &objects {
            let own = object["metadata"]["namespace"].as_str().unwrap().to_owned();
            if namespaces.iter().all(|(known, _)| *known != own) {
                namespaces.push((own, json!({})));
            }
        }
        for (name, labels) in namespaces {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
            self.send(Method::POST, "/api/v1/namespaces", "", &object, false)
                .await
                .must("namespace");
        }
        for mut object in objects {
            let path = collection(&object);
            let deleted = object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("deletionTimestamp");
            self.send(Method::POST, &path, "", &object, false)
                .await
                .must(&case.name);
            // In CassKop's CRDs the two kinds keep status in the object itself.
            let apart = object["kind"] == "CassandraCluster" || self.servers.crds() == Crds::Ours;
            if apart && object.get("status").is_some() {
                let path = format!("{path}/{}/status", object["metadata"]["name"].as_str().unwrap());
                let status = json!({"status": object["status"]});
                self.send(Method::PATCH, &path, "", &status, false)
                    .await
                    .must(&case.name);
            }
            if deleted.is_some() {
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                self.send(Method::DELETE, &path, "", &Value::Null, false)
                    .await
                    .must(&case.name);
            }
        }
    }

    /// Sends the request of a scenario.
    pub(crate) async fn ask(&self, case: &Case, namespace: &str) -> Answer {
        self.ask_as(case, namespace, case.dry_run).await
    }

    /// Sends the request of a scenario as a dry run. CassKop's schedules share their names across namespaces: an
    /// object that one test stored would be a neighbour in the verdict of another.
    pub(crate) async fn ask_dry(&self, case: &Case, namespace: &str) -> Answer {
        self.ask_as(case, namespace, true).await
    }

    async fn ask_as(&self, case: &Case, namespace: &str, dry_run: bool) -> Answer {
        let mut object = own_bucket(&case.subject(namespace), namespace);
        let path = collection(&object);
        let one = format!(
            "{path}/{}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        );
        let query = if dry_run { "dryRun=All" } else { "" };
        if case.create.is_some() {
            return self
                .send(Method::POST, &path, query, &object, case.restricted)
                .await;
        }
        if case.delete.is_some() {
            let target = if case.collection { &path } else { &one };
            return self
                .send(Method::DELETE, target, query, &Value::Null, case.restricted)
                .await;
        }
        let stored = self.send(Method::GET, &one, "", &Value::Null, false).await.body;
        for field in ["resourceVersion", "deletionTimestamp"] {
            object["metadata"][field] = stored["metadata"][field].clone();
        }
        self.send(Method::PUT, &one, query, &object, case.restricted)
            .await
    }

    /// Sends a request, as the administrator or as a user who may not read Secrets.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        object: &Value,
        restricted: bool,
    ) -> Answer {
        send(&self.client, method, path, query, object, restricted).await
    }
}

/// Sends a request, as the administrator or as a user who may not read Secrets.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    query: &str,
    object: &Value,
    restricted: bool,
) -> Answer {
    let kind = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?fieldValidation=Ignore&{query}"))
        .header("content-type", kind);
    if restricted {
        request = request
            .header("impersonate-user", RESTRICTED)
            .header("impersonate-group", "system:authenticated");
    }
    let body = if object.is_null() {
        Vec::new()
    } else {
        object.to_string().into_bytes()
    };
    let response = client
        .send(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let code = response.status().as_u16();
    let warnings = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| ReportedFinding {
            cause: String::new(),
            text: warning(&String::from_utf8_lossy(value.as_bytes())),
        });
    let warnings = warnings.collect();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    Answer {
        code,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        warnings,
    }
}

impl Answer {
    /// Asserts that the request was admitted.
    pub(crate) fn must(&self, what: &str) {
        assert!(self.code < 300, "{what}: {}", self.body);
    }
}

/// Returns the text of a warning header: `299 - "TEXT"`, with `\` before a quote and before itself.
fn warning(header: &str) -> String {
    let quoted = header
        .split_once('"')
        .and_then(|(_, text)| text.strip_suffix('"'))
        .unwrap_or(header);
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

/// Gives each scenario its own bucket: CassKop compares backups across namespaces, and the scenarios share a server.
fn own_bucket(object: &Value, namespace: &str) -> Value {
    let text = ["\"", "/"].iter().fold(object.to_string(), |text, end| {
        text.replace(&format!("\"s3://bk{end}"), &format!("\"s3://{namespace}{end}"))
    });
    serde_json::from_str(&text).unwrap()
}

/// Returns the path of the collection of an object.
pub(crate) fn collection(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    match object["kind"].as_str().unwrap() {
        "Secret" => format!("/api/v1/namespaces/{namespace}/secrets"),
        "Pod" => format!("/api/v1/namespaces/{namespace}/pods"),
        kind => format!(
            "/apis/db.orange.com/v2/namespaces/{namespace}/{}s",
            kind.to_lowercase()
        ),
    }
}

fn writers() -> String {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": RESTRICTED},
        "rules": [{"apiGroups": ["db.orange.com"], "resources": ["cassandrabackups", "cassandrarestores"], "verbs": ["*"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": RESTRICTED},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": RESTRICTED},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": RESTRICTED}]});
    manifests::list(vec![role, binding])
}

/// Returns the CRDs that go with an executor.
pub(crate) fn crds_of(executor: Executor) -> Crds {
    match executor {
        Executor::Casskop => Crds::Casskop,
        Executor::Cassgate | Executor::None => Crds::Ours,
    }
}

/// Returns the administrator's client.
pub(crate) async fn connect(servers: &Servers) -> Client {
    // Another part of this process may have installed the provider already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(servers.admin_kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}
