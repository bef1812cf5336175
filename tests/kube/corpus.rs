//! The corpus of scenarios on a real kube-apiserver: the verdicts are the same as in process, through the shipped
//! configurations and with the rights of the shipped role.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::Method;
use serde_json::json;

use crate::scene::case::{self, Case, Executor, ReportedFinding, library};
use crate::scene::{AT_ONCE, Answer, Scene, collection, crds_of};
use crate::support::{gate::Gate, http::runtime, manifests};

pub(crate) fn every_scenario_gets_the_same_verdict_from_a_real_api_server() {
    let library = library();
    let mut groups: BTreeMap<(Executor, Vec<String>), Vec<Case>> = BTreeMap::new();
    for case in case::all() {
        let group = (case.executor, case.flags.clone());
        groups.entry(group).or_default().push(case);
    }
    let mut wrong = Vec::new();
    for (number, ((executor, flags), cases)) in groups.iter().enumerate() {
        let stage = Scene::set(&format!("corpus-{number}"), crds_of(*executor), cases, &library);
        wrong.extend(stage.play(*executor, flags, cases));
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

impl Scene {
    /// Registers a cassgate with these flags for all scenarios and plays them.
    fn play(&self, executor: Executor, flags: &[String], cases: &[Case]) -> Vec<String> {
        let mut all = vec![executor.flag()];
        all.extend(flags.iter().map(String::as_str));
        // The gate is not shared: its caches must hold the objects that were just created, and they are listed when
        // it is ready.
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
                if answer.body.to_string().contains("[cassgate entities-mixed]") {
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
}

fn verdict(case: &Case, namespace: &str, answer: &Answer) -> Result<(), String> {
    let causes = answer.body["details"]["causes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let denied: Vec<ReportedFinding> = causes
        .iter()
        .map(|cause| ReportedFinding {
            cause: cause["reason"].as_str().unwrap_or_default().to_owned(),
            text: format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or_default(),
                cause["message"].as_str().unwrap_or_default()
            ),
        })
        .collect();
    let code = (answer.code >= 300).then_some(answer.code);
    case.holds(&denied, &answer.warnings, code, &answer.body)
        .map_err(|why| format!("{why}\n  in {namespace}: {}", answer.body))
}
