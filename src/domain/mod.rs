//! Parsed values: who holds one holds the proof that the text was right.
//!
//! The rules build these to judge an object, the reconciler builds its requests from the same ones. There is no
//! second parser anywhere.

pub mod bandwidth;
pub mod cassandra_directory;
pub mod credentials;
pub mod entities;
pub mod go_duration;
pub mod host_id;
pub mod image;
pub mod node_location;
pub mod object_name;
pub mod phase;
pub mod rename;
pub mod resolved_tag;
pub mod schedule;
pub mod schema_version;
pub mod sidecar;
pub mod snapshot_tag;
pub mod source_directory;
pub mod storage;
