//! Reads the path from the API server. Nothing is stored: the creates are dry runs.

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

use super::observation::{DryRun, Lookup, Observation, ServiceName, ServiceObservation};
use crate::kubernetes::reason;

/// The timeout of a read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of a dry run: the API server itself waits for two webhooks, up to 30 seconds each.
const DRY_RUN_TIMEOUT: Duration = Duration::from_secs(65);

/// Reads the objects of the path, and creates both backups in dry runs in `namespace`.
///
/// `configuration_name` is the name of the two webhook configurations.
pub async fn observe(client: &Client, namespace: &str, configuration_name: &str) -> Observation {
    let namespaces = Api::<Namespace>::all(client.clone());
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let (namespace_object, mutating, validating, bad, good) = tokio::join!(
        read(namespaces.get_opt(namespace)),
        read(mutating.get_opt(configuration_name)),
        read(validating.get_opt(configuration_name)),
        dry_run(client, namespace, bad_spec()),
        dry_run(client, namespace, good_spec()),
    );
    let mut observation = Observation {
        namespace: namespace.to_owned(),
        configuration_name: configuration_name.to_owned(),
        namespace_object,
        mutating,
        validating,
        services: BTreeMap::new(),
        bad,
        good,
    };
    let services: BTreeSet<ServiceName> = observation
        .webhooks()
        .into_iter()
        .filter_map(|webhook| webhook.client.service)
        .map(|service| (service.namespace, service.name))
        .collect();
    for name in services {
        let observed = service(client, &name).await;
        observation.services.insert(name, observed);
    }
    observation
}

async fn service(client: &Client, (namespace, name): &ServiceName) -> ServiceObservation {
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let listed = async { slices.list(&of_service).await.map(|list| Some(list.items)) };
    let (service, slices) = tokio::join!(read(services.get_opt(name)), read(listed));
    ServiceObservation { service, slices }
}

async fn read<T>(request: impl Future<Output = Result<Option<T>, Error>>) -> Lookup<T> {
    match timeout(READ_TIMEOUT, request).await {
        Ok(Ok(Some(found))) => Lookup::Found(found),
        Ok(Ok(None)) => Lookup::Absent,
        Ok(Err(Error::Api(status))) if status.code == 403 => {
            Lookup::Unknown("your account may not read it (403)".to_owned())
        }
        Ok(Err(error)) => Lookup::Unknown(reason(&error)),
        Err(_) => Lookup::Unknown("the API server does not answer in time".to_owned()),
    }
}

/// Creates a `CassandraBackup` in a dry run.
async fn dry_run(client: &Client, namespace: &str, spec: Value) -> DryRun {
    let kind = GroupVersionKind::gvk("db.orange.com", "v2", "CassandraBackup");
    let resource = ApiResource::from_gvk(&kind);
    let mut object = DynamicObject::new("", &resource).data(json!({"spec": spec}));
    object.metadata.name = None;
    // A generated name cannot collide with a stored object.
    object.metadata.generate_name = Some("cassgate-probe-".to_owned());
    let backups = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PostParams {
        dry_run: true,
        field_manager: Some("cassgate-probe".to_owned()),
    };
    match timeout(DRY_RUN_TIMEOUT, backups.create(&parameters, &object)).await {
        Ok(Ok(created)) => {
            DryRun::Accepted(json!({"name": created.name_any(), "spec": created.data.get("spec")}))
        }
        Ok(Err(Error::Api(status))) => DryRun::Rejected(status),
        Ok(Err(error)) => DryRun::Failed(reason(&error)),
        Err(_) => DryRun::Failed("the API server does not answer in time".to_owned()),
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

/// Returns the good spec with an invalid schedule.
fn bad_spec() -> Value {
    let mut spec = good_spec();
    if let Some(fields) = spec.as_object_mut() {
        fields.insert("schedule".to_owned(), json!("CRON_TZ=Cassgate/Probe 0 3 * * *"));
    }
    spec
}
