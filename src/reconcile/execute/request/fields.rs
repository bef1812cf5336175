//! Parsers of the fields that backups and restores share.

use std::num::NonZeroU32;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Unsendable;
use crate::api::{BackRestStatus, NodeStatus};
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::entities::Entities;
use crate::domain::host_id::HostId;
use crate::domain::node_location::{NodeLocation, Segment};
use crate::domain::storage::{Provider, StorageLocation};
use crate::icarus::{SecretReference, Store};

/// The directory of Cassandra in the clusters of `CassKop`.
const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// Returns the folder of a node's part in the bucket, with the Secret that opens it.
pub(super) fn bucket(
    location: &str,
    common: &BackRestStatus,
    node: &NodeStatus,
    namespace: &str,
    secret: Option<&str>,
) -> Result<Store, Unsendable> {
    let location = StorageLocation::parse(location).map_err(unsendable("storageLocation"))?;
    let cluster = common.cluster_name.as_deref().unwrap_or_default();
    let cluster = Segment::parse(cluster).map_err(unsendable("status.clusterName"))?;
    let datacenter = Segment::parse(node.bucket_datacenter().unwrap_or_default());
    let datacenter = datacenter.map_err(unsendable("status.nodes[].datacenter"))?;
    let host = HostId::parse(node.bucket_host_id()).map_err(unsendable("status.nodes[].hostId"))?;
    let secret = secret.filter(|name| !name.is_empty() && location.provider() != Provider::File);
    let secret = secret.map(|name| {
        SecretReference::new(namespace, name).ok_or_else(|| Unsendable {
            field: "secret",
            why: format!("{name:?} is not a valid name"),
        })
    });
    Ok(Store {
        location: NodeLocation::new(&location, &cluster, &datacenter, &host),
        secret: secret.transpose()?,
    })
}

/// Returns the namespace of an object.
pub(super) fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// Parses the Cassandra directory; absent or empty means the directory of `CassKop`.
pub(super) fn directory(text: Option<&str>) -> Result<CassandraDirectory, Unsendable> {
    let text = text
        .filter(|text| !text.is_empty())
        .unwrap_or(CASSANDRA_DIRECTORY);
    CassandraDirectory::parse(text).map_err(unsendable("spec.cassandraDirectory"))
}

/// Parses the entities of a run; absent or empty means everything.
pub(super) fn entities(text: Option<&str>) -> Result<Entities, Unsendable> {
    Entities::parse(text.unwrap_or_default()).map_err(|errors| first_error("entities", &errors))
}

/// Returns the number of connections; `None` leaves it to the sidecar, as 0 does. The rules deny negative numbers.
pub(super) fn connections(count: Option<i32>) -> Option<NonZeroU32> {
    count
        .and_then(|count| u32::try_from(count).ok())
        .and_then(NonZeroU32::new)
}

/// Parses a field that may be absent or empty.
pub(super) fn optional<T, E: std::fmt::Display>(
    field: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Unsendable> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| parse(text).map_err(unsendable(field)))
        .transpose()
}

/// Returns a function that turns the error of a parser into an [`Unsendable`] field.
pub(super) fn unsendable<E: std::fmt::Display>(field: &'static str) -> impl Fn(E) -> Unsendable {
    move |error| Unsendable {
        field,
        why: error.to_string(),
    }
}

/// Turns the first of the errors of a parser into an [`Unsendable`] field.
pub(super) fn first_error<E: std::fmt::Display>(field: &'static str, errors: &[E]) -> Unsendable {
    Unsendable {
        field,
        why: errors.first().map(ToString::to_string).unwrap_or_default(),
    }
}
