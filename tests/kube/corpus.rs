//! The corpus of scenarios on a real kube-apiserver: the same verdicts as in one process, by the shipped
//! configurations, with the rights of the shipped role.

#[path = "../verdicts/case.rs"]
#[allow(dead_code, reason = "what only the tests in one process look at")]
mod case;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Map, Value, json};

use self::case::{Case, Executor, Told, library, matches};
use crate::support::{
    gate::Gate,
    http::runtime,
    manifests,
    servers::{self, Crds, Servers},
};

/// Requests at the same time; two cores run everything.
const AT_ONCE: usize = 8;

/// Who may write backups and restores, and read no Secret.
const RESTRICTED: &str = "backup-writer";

pub(crate) fn every_scenario_gets_the_same_verdict_from_a_real_api_server() {
    let library = library();
    let mut groups: BTreeMap<(Executor, Vec<String>), Vec<Case>> = BTreeMap::new();
    for case in case::all() {
        let group = (case.executor, case.flags.clone());
        groups.entry(group).or_default().push(case);
    }
    let mut wrong = Vec::new();
    for (number, ((executor, flags), cases)) in groups.iter().enumerate() {
        let stage = Scene::set(number, *executor, cases, &library);
        wrong.extend(stage.play(*executor, flags, cases));
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A namespace for each scenario of one group, with what is given in it, and nobody at the gate yet.
struct Scene {
    servers: &'static Servers,
    client: Client,
    namespaces: Vec<String>,
}

/// What the API server answered.
struct Answer {
    code: u16,
    body: Value,
    warnings: Vec<Told>,
}

impl Scene {
    fn set(number: usize, executor: Executor, cases: &[Case], library: &Map<String, Value>) -> Self {
        let servers = servers::with(match executor {
            Executor::Casskop => Crds::Casskop,
            Executor::Cassgate | Executor::None => Crds::Ours,
        });
        servers.kubectl.apply(&writers()).succeeds();
        let client = runtime().block_on(connect(servers));
        let scene = Self {
            servers,
            client,
            namespaces: (0..cases.len())
                .map(|case| format!("corpus-{number}-{case}"))
                .collect(),
        };
        runtime().block_on(
            stream::iter(cases.iter().zip(&scene.namespaces))
                .for_each_concurrent(AT_ONCE, |(case, namespace)| scene.give(case, namespace, library)),
        );
        scene
    }

    /// Creates the namespaces of a scenario and everything that is stored in them.
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
        for object in objects {
            let path = collection(&object);
            self.send(Method::POST, &path, "", &object, false)
                .await
                .must(&case.name);
            // CassKop's two kinds keep status in the object itself.
            let apart = object["kind"] == "CassandraCluster" || self.servers.crds() == Crds::Ours;
            if apart && object.get("status").is_some() {
                let path = format!("{path}/{}/status", object["metadata"]["name"].as_str().unwrap());
                let status = json!({"status": object["status"]});
                self.send(Method::PATCH, &path, "", &status, false)
                    .await
                    .must(&case.name);
            }
        }
    }

    /// Puts a cassgate with these flags in front of all of them, and asks.
    fn play(&self, executor: Executor, flags: &[String], cases: &[Case]) -> Vec<String> {
        let mut all = vec![executor.flag()];
        all.extend(flags.iter().map(String::as_str));
        // Not one that others use: its caches have to hold what was just given, and are full when it is ready.
        let gate = Gate::start(self.servers, &all);
        self.register(&gate);
        let wrong = runtime().block_on(
            stream::iter(cases.iter().zip(&self.namespaces))
                .map(|(case, namespace)| async move {
                    let answer = self.ask(case, namespace).await;
                    let why = verdict(case, namespace, &answer).err()?;
                    Some(format!(
                        "{} {all_flags:?}: {}\n{why}",
                        case.name,
                        case.why,
                        all_flags = case.flags
                    ))
                })
                .buffer_unordered(AT_ONCE)
                .filter_map(|wrong| async { wrong })
                .collect(),
        );
        self.unregister();
        gate.stop_well().unwrap_or_else(|why| panic!("{why}"));
        wrong
    }

    fn register(&self, gate: &Gate) {
        let names: Vec<&str> = self.namespaces.iter().map(String::as_str).collect();
        let address = gate.webhook.to_string();
        let mut webhooks = manifests::webhooks(&self.servers.kubectl, &names, &address, &gate.ca_bundle());
        for configuration in &mut webhooks {
            configuration["metadata"]["name"] = json!(names[0]);
        }
        self.servers
            .kubectl
            .apply_server_side(&manifests::list(webhooks))
            .succeeds();
        let probe = json!({"apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": {"name": "probe", "namespace": names[0]},
            "spec": {"cassandraCluster": "c1", "storageLocation": "s3://b", "snapshotTag": "t", "entities": "k1,k2.t2"}});
        runtime().block_on(async {
            for _ in 0..400 {
                let answer = self
                    .send(Method::POST, &collection(&probe), "dryRun=All", &probe, false)
                    .await;
                if answer.body.to_string().contains("[entities-mixed]") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("the webhook is not called in {}:\n{}", names[0], gate.log());
        });
    }

    fn unregister(&self) {
        for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
            self.servers
                .kubectl
                .run(&["delete", kind, &self.namespaces[0]])
                .succeeds();
        }
    }

    async fn ask(&self, case: &Case, namespace: &str) -> Answer {
        let mut object = own_bucket(&case.subject(namespace), namespace);
        let path = collection(&object);
        let one = format!(
            "{path}/{}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        );
        let query = if case.dry_run { "dryRun=All" } else { "" };
        if case.create.is_some() {
            return self
                .send(Method::POST, &path, query, &object, case.restricted)
                .await;
        }
        if case.delete.is_some() {
            return self
                .send(Method::DELETE, &one, query, &Value::Null, case.restricted)
                .await;
        }
        let stored = self.send(Method::GET, &one, "", &Value::Null, false).await.body;
        object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        self.send(Method::PUT, &one, query, &object, case.restricted)
            .await
    }

    async fn send(
        &self,
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
        let response = self
            .client
            .send(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter().map(|value| Told {
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
}

impl Answer {
    fn must(&self, what: &str) {
        assert!(self.code < 300, "{what}: {}", self.body);
    }
}

fn verdict(case: &Case, namespace: &str, answer: &Answer) -> Result<(), String> {
    let causes = answer.body["details"]["causes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let denied: Vec<Told> = causes
        .iter()
        .map(|cause| Told {
            cause: cause["reason"].as_str().unwrap_or_default().to_owned(),
            text: format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or_default(),
                cause["message"].as_str().unwrap_or_default()
            ),
        })
        .collect();
    let mut wrong = Vec::new();
    if let Err(why) = matches(&case.denied, &denied) {
        wrong.push(format!("  denied:{why}"));
    }
    if let Err(why) = matches(&case.warned, &answer.warnings) {
        wrong.push(format!("  warned:{why}"));
    }
    let refused = answer.code >= 300;
    let code = case.code.or_else(|| case.denied.first().map(|_| 422));
    if refused != code.is_some() || code.is_some_and(|code| code != answer.code) {
        wrong.push(format!(
            "  code {} and not {code:?} in {namespace}: {}",
            answer.code, answer.body
        ));
    }
    for (field, value) in case.stored.iter().flat_map(|stored| stored.as_object().unwrap()) {
        let stands = answer.body["spec"].get(field).unwrap_or(&Value::Null);
        if stands != value {
            wrong.push(format!("  stored spec.{field}: {stands} and not {value}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// The text of a warning header: `299 - "TEXT"`, in which `\` stands before a quote and before itself.
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

/// CassKop compares backups across namespaces, and the scenarios share a server: each has a bucket of its own.
fn own_bucket(object: &Value, namespace: &str) -> Value {
    let text = ["\"", "/"].iter().fold(object.to_string(), |text, end| {
        text.replace(&format!("\"s3://bk{end}"), &format!("\"s3://{namespace}{end}"))
    });
    serde_json::from_str(&text).unwrap()
}

fn collection(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    match object["kind"].as_str().unwrap() {
        "Secret" => format!("/api/v1/namespaces/{namespace}/secrets"),
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

async fn connect(servers: &Servers) -> Client {
    // Another part of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(servers.admin_kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}
