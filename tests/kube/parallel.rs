//! Concurrent requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use kube::{
    Api, Client, Config, Error,
    api::{DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    discovery::ApiResource,
};
use serde_json::{Value, json};

use crate::support::{
    http::runtime,
    objects::{cluster, documents, secret},
    servers::Crds,
    stage::Guarded,
};

const REQUESTS: usize = 500;
const AT_ONCE: usize = 32;

/// Returns object `number` and the rules that must deny it.
fn numbered(number: usize) -> (Value, &'static [&'static str]) {
    let mut spec = json!({
        "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": format!("tag-{number}"), "secret": "s3",
    });
    let (field, value, rules): (_, _, &[&str]) = match number % 5 {
        0 => ("datacenter", "dc1", &[]),
        1 => ("datacenter", "dc9", &["datacenter-unknown"]),
        2 => ("entities", "k1.t1,k2.t2", &[]),
        3 => ("entities", "k1,k2.t2", &["entities-mixed"]),
        _ => ("cassandraCluster", "nowhere", &["cluster-not-found"]),
    };
    spec[field] = json!(value);
    let name = format!("b{number}");
    let object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": {"name": name}, "spec": spec,
    });
    (object, rules)
}

pub(crate) fn five_hundred_applies_get_the_right_verdict_each() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    here.kubectl()
        .apply(&documents(&[cluster(), secret()]))
        .succeeds();
    let wrong = AtomicUsize::new(0);
    let verdicts: Vec<String> = runtime().block_on(async {
        let backups = backups(&here).await;
        let apply = |number| {
            let (backups, wrong) = (&backups, &wrong);
            async move {
                let (object, rules) = numbered(number);
                let name = format!("b{number}");
                let parameters = PatchParams::apply("parallel");
                let reported = match backups.patch(&name, &parameters, &Patch::Apply(&object)).await {
                    Ok(_) => Vec::new(),
                    Err(Error::Api(status)) if status.code == 422 => {
                        let causes = status.details.map(|details| details.causes).unwrap_or_default();
                        causes.into_iter().map(|cause| cause.message).collect()
                    }
                    Err(error) => vec![error.to_string()],
                };
                let right = reported.len() == rules.len()
                    && reported
                        .iter()
                        .zip(rules)
                        .all(|(text, rule)| text.ends_with(&format!("[cassgate {rule}]")));
                if !right {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
                format!("{name}: {reported:?}, expected {rules:?}")
            }
        };
        futures::stream::iter(0..REQUESTS)
            .map(apply)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    });
    assert_eq!(verdicts.len(), REQUESTS);
    assert_eq!(wrong.into_inner(), 0, "{}", verdicts.join("\n"));
    let stored = here
        .kubectl()
        .run(&["get", "cassandrabackups", "--output=name"])
        .succeeds()
        .stdout
        .lines()
        .count();
    assert_eq!(stored, REQUESTS / 5 * 2);
}

async fn backups(here: &Guarded) -> Api<DynamicObject> {
    let kubeconfig = Kubeconfig::read_from(here.stage.servers.admin_kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let resource = ApiResource {
        group: "db.orange.com".to_owned(),
        version: "v2".to_owned(),
        api_version: "db.orange.com/v2".to_owned(),
        kind: "CassandraBackup".to_owned(),
        plural: "cassandrabackups".to_owned(),
    };
    Api::namespaced_with(
        Client::try_from(config).unwrap(),
        &here.stage.namespace,
        &resource,
    )
}
