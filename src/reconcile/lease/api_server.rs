//! Stores the lease as a `Lease` object on the API server.

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

/// The owner of the spec in `managedFields`.
const FIELD_MANAGER: &str = "cassgate-lease";

/// Separates uid and `resourceVersion` in [`Stored::version`].
const VERSION_SEPARATOR: char = '/';

/// One Lease of a namespace. It takes the permissions `get`, `create` and `patch` on `leases`.
#[derive(Clone)]
pub struct ApiServerLease {
    leases: Api<Lease>,
    name: String,
    describe_error: fn(&Error) -> String,
}

impl ApiServerLease {
    /// Returns the Lease `name` in `namespace`. `describe_error` turns an error into one line for people.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, describe_error: fn(&Error) -> String) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            describe_error,
        }
    }

    /// Creates the Lease. Used only if it does not exist: an apply would overwrite a Lease that was created meanwhile.
    async fn create(&self, record: &Record) -> Result<Lease, Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec(record)),
        };
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.leases.create(&parameters, &lease).await
    }

    /// Replaces the fields of the record and keeps labels, annotations and the rest of the spec.
    ///
    /// An absent holder is written as an empty text: another client may own the field, and an apply without it would keep
    /// the value. The uid is needed because an apply with the `resourceVersion` of a deleted Lease creates a new one
    /// (observed).
    async fn apply(&self, record: &Record, over: &str) -> Result<Lease, Error> {
        let (uid, version) = over.split_once(VERSION_SEPARATOR).unwrap_or_default();
        let applied = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "uid": uid, "resourceVersion": version},
            "spec": spec(record),
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        self.leases
            .patch(&self.name, &parameters, &Patch::Apply(applied))
            .await
    }

    fn failed(&self, error: &Error) -> LeaseStoreError {
        LeaseStoreError((self.describe_error)(error))
    }
}

impl LeaseStore for ApiServerLease {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        match self.leases.get_opt(&self.name).await {
            Ok(lease) => Ok(lease.map(stored)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        let response = match over {
            Some(over) => self.apply(record, over).await,
            None => self.create(record).await,
        };
        match response {
            Ok(lease) => Ok(Written::Stored(stored(lease))),
            Err(Error::Api(status)) if is_conflict(status.code, &status.reason, over) => {
                Ok(Written::Conflict)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }
}

/// Returns true if another client changed, created or deleted the Lease first. A 404 of a creation is about the
/// namespace, so it is no conflict.
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
        version: format!("{uid}{VERSION_SEPARATOR}{version}"),
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
