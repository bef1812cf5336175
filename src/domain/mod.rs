//! Parsed values. A value of these types proves that the text was valid.
//!
//! The rules construct them to judge an object, and the reconciler builds its requests from the same types, so what is
//! admitted can be run. No other module parses these texts.

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
#[cfg(test)]
pub(crate) mod steps;
pub mod storage;
