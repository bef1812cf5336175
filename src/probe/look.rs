//! Asks the API server. Nothing is stored: the creates are dry runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Client, Error, ResourceExt,
    api::{Api, ApiResource, DynamicObject, ListParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Behind, Read, Seen, ServiceName, Tried};
use crate::kubernetes::reason;

/// How long a read may take.
const READ: Duration = Duration::from_secs(10);

/// How long a try may take: the API server itself waits for two webhooks, up to 30 seconds each.
const TRY: Duration = Duration::from_secs(65);

/// Reads what the path consists of, and tries both objects in `namespace`. `webhooks` is the name of the two
/// configurations.
pub async fn look(client: &Client, namespace: &str, webhooks: &str) -> Seen {
    let whole = Api::<Namespace>::all(client.clone());
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let (labels, mutating, validating, bad, good) = tokio::join!(
        read(whole.get_opt(namespace)),
        read(mutating.get_opt(webhooks)),
        read(validating.get_opt(webhooks)),
        attempt(client, namespace, bad_spec()),
        attempt(client, namespace, good_spec()),
    );
    let mut seen = Seen {
        namespace: namespace.to_owned(),
        webhooks: webhooks.to_owned(),
        labels,
        mutating,
        validating,
        services: BTreeMap::new(),
        bad,
        good,
    };
    let entries = seen.entries();
    let services: BTreeSet<ServiceName> = entries
        .into_iter()
        .filter_map(|entry| entry.client.service)
        .map(|service| (service.namespace, service.name))
        .collect();
    for name in services {
        let found = behind(client, &name).await;
        seen.services.insert(name, found);
    }
    seen
}

async fn behind(client: &Client, (namespace, name): &ServiceName) -> Behind {
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let listed = async { slices.list(&of_service).await.map(|list| Some(list.items)) };
    let (service, slices) = tokio::join!(read(services.get_opt(name)), read(listed));
    Behind { service, slices }
}

async fn read<T>(request: impl Future<Output = Result<Option<T>, Error>>) -> Read<T> {
    match timeout(READ, request).await {
        Ok(Ok(Some(found))) => Read::Found(found),
        Ok(Ok(None)) => Read::Absent,
        Ok(Err(Error::Api(status))) if status.code == 403 => {
            Read::Unknown("your account may not (403)".to_owned())
        }
        Ok(Err(error)) => Read::Unknown(reason(&error)),
        Err(_) => Read::Unknown("the API server does not answer in time".to_owned()),
    }
}

/// Creates a backup in a dry run.
async fn attempt(client: &Client, namespace: &str, spec: Value) -> Tried {
    let kind = GroupVersionKind::gvk("db.orange.com", "v2", "CassandraBackup");
    let resource = ApiResource::from_gvk(&kind);
    let mut object = DynamicObject::new("", &resource).data(json!({"spec": spec}));
    object.metadata.name = None;
    // No name of a stored object is in the way.
    object.metadata.generate_name = Some("cassgate-probe-".to_owned());
    let backups = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PostParams {
        dry_run: true,
        field_manager: Some("cassgate-probe".to_owned()),
    };
    match timeout(TRY, backups.create(&parameters, &object)).await {
        Ok(Ok(created)) => {
            Tried::Accepted(json!({"name": created.name_any(), "spec": created.data.get("spec")}))
        }
        Ok(Err(Error::Api(status))) => Tried::Refused(status),
        Ok(Err(error)) => Tried::Failed(reason(&error)),
        Err(_) => Tried::Failed("the API server does not answer in time".to_owned()),
    }
}

fn good_spec() -> Value {
    json!({
        "cassandraCluster": "cassgate-probe",
        "storageLocation": "s3://cassgate-probe",
        "snapshotTag": "cassgate-probe",
        "secret": "cassgate-probe",
    })
}

/// Good but for its schedule.
fn bad_spec() -> Value {
    let mut spec = good_spec();
    if let Some(fields) = spec.as_object_mut() {
        fields.insert("schedule".to_owned(), json!("CRON_TZ=Cassgate/Probe 0 3 * * *"));
    }
    spec
}
