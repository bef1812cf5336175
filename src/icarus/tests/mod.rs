//! Literal answers of real sidecars, literal requests, and the wire.

mod answers;
mod requests;
mod wire;

use serde_json::Value;

use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::entities::Entities;
use crate::domain::host_id::HostId;
use crate::domain::node_location::{NodeLocation, Segment};
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::SourceDirectory;
use crate::domain::storage::StorageLocation;

use super::{
    BackupRequest, OperationRequest, RestorePhase, RestoreRequest, SecretReference, Snapshot, Store, Strategy,
};

pub(super) const HOST: &str = "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11";
pub(super) const TAG: &str = "n1-168d568b-d346-3f61-968f-a2716307a6e4-1795387170110";

pub(super) fn store(secret: Option<(&str, &str)>) -> Store {
    Store {
        location: NodeLocation::new(
            &StorageLocation::parse("s3://bkt").unwrap(),
            &Segment::parse("lab-A").unwrap(),
            &Segment::parse("dc1").unwrap(),
            &HostId::parse(HOST).unwrap(),
        ),
        secret: secret.map(|(namespace, name)| SecretReference::new(namespace, name).unwrap()),
    }
}

pub(super) fn directory() -> CassandraDirectory {
    CassandraDirectory::parse("/var/lib/cassandra/").unwrap()
}

pub(super) fn backup() -> BackupRequest {
    BackupRequest {
        store: store(Some(("ns1", "sec"))),
        snapshot: ResolvedTag::parse(TAG).unwrap(),
        entities: Entities::parse("k1,k2").unwrap(),
        directory: directory(),
        concurrent_connections: None,
        bandwidth: None,
        duration: None,
        upload_topology: false,
    }
}

pub(super) fn restore(phase: RestorePhase) -> RestoreRequest {
    RestoreRequest {
        store: store(None),
        snapshot: Snapshot::Resolved(ResolvedTag::parse(TAG).unwrap()),
        entities: Entities::parse("k1.t1").unwrap(),
        rename: Rename::default(),
        directory: directory(),
        source: SourceDirectory::of_restore(&directory(), "6f2b-1").unwrap(),
        phase,
        strategy: Strategy::Hardlinks,
        keep_truncates: true,
        concurrent_connections: None,
    }
}

pub(super) fn json(request: &OperationRequest) -> Value {
    request.to_json()
}
