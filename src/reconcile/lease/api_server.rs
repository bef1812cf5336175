//! The lease as a `Lease` on the API server.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Client, Error,
    api::{Api, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::protocol::{Record, Stored};
use super::store::{LeaseStore, LeaseStoreError, Written};

/// Who owns the spec in `managedFields`.
const MANAGER: &str = "cassgate-lease";

/// Between the uid and the `resourceVersion` of what was read.
const BETWEEN: char = '/';

/// One Lease of a namespace. The rights it takes: `get`, `create` and `patch` on `leases`.
#[derive(Clone)]
pub struct ApiServerLease {
    leases: Api<Lease>,
    name: String,
    reason: fn(&Error) -> String,
}

impl ApiServerLease {
    /// The Lease `name` in `namespace`; `reason` has the words for what goes wrong.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, reason: fn(&Error) -> String) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            reason,
        }
    }

    /// Only where there is none: an apply would write over one that came meanwhile.
    async fn create(&self, record: &Record) -> Result<Lease, Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec(record)),
        };
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.leases.create(&parameters, &lease).await
    }

    /// Labels, annotations and what else the spec has stay. The holder is written even where there is none: somebody
    /// else may own the field, and what is not mentioned would stay then. The uid: an apply with the
    /// `resourceVersion` of a Lease that was deleted creates another one (seen).
    async fn apply(&self, record: &Record, over: &str) -> Result<Lease, Error> {
        let (uid, version) = over.split_once(BETWEEN).unwrap_or_default();
        let applied = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "uid": uid, "resourceVersion": version},
            "spec": spec(record),
        });
        let parameters = PatchParams::apply(MANAGER).force();
        self.leases
            .patch(&self.name, &parameters, &Patch::Apply(applied))
            .await
    }

    fn failed(&self, error: &Error) -> LeaseStoreError {
        LeaseStoreError((self.reason)(error))
    }
}

impl LeaseStore for ApiServerLease {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        match self.leases.get_opt(&self.name).await {
            Ok(found) => Ok(found.map(stored)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        let answer = match over {
            Some(over) => self.apply(record, over).await,
            None => self.create(record).await,
        };
        match answer {
            Ok(lease) => Ok(Written::Stored(stored(lease))),
            Err(Error::Api(status)) if is_conflict(status.code, &status.reason, over) => {
                Ok(Written::Conflict)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }
}

/// Another version, or one that is there already, or not any more. A 404 of a creation is about the namespace.
fn is_conflict(code: u16, reason: &str, over: Option<&str>) -> bool {
    match code {
        409 => matches!(reason, "Conflict" | "AlreadyExists"),
        404 => over.is_some(),
        _ => false,
    }
}

fn spec(record: &Record) -> LeaseSpec {
    let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    LeaseSpec {
        holder_identity: Some(record.holder.clone().unwrap_or_default()),
        lease_duration_seconds: record.duration.map(seconds),
        acquire_time: record.acquired.map(MicroTime),
        renew_time: record.renewed.map(MicroTime),
        lease_transitions: Some(i32::try_from(record.transitions).unwrap_or(i32::MAX)),
        ..LeaseSpec::default()
    }
}

fn stored(lease: Lease) -> Stored {
    let spec = lease.spec.unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let text = Option::unwrap_or_default;
    let (uid, version) = (text(lease.metadata.uid), text(lease.metadata.resource_version));
    Stored {
        version: format!("{uid}{BETWEEN}{version}"),
        record: Record {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: u64::try_from(seconds)
                .ok()
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs),
            acquired: spec.acquire_time.map(|time| time.0),
            renewed: spec.renew_time.map(|time| time.0),
            transitions: u32::try_from(spec.lease_transitions.unwrap_or_default()).unwrap_or_default(),
        },
    }
}
