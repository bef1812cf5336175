//! The facts of the Kubernetes cluster: caches, live reads, and the [`FactSource`](crate::rules::facts::FactSource)
//! built from them.
//!
//! | part | content |
//! |---|---|
//! | [`client`] | finds the API server as kubectl does; makes no request |
//! | [`cache`] | watches a kind and keeps what the rules need of each object |
//! | [`cached_facts`] | the caches of all kinds and the facts from them |
//! | [`discovery`] | finds out if the two kinds have a status subresource |
//! | [`source`] | answers from a cache if that is fresh enough, else by a live read |
//!
//! This module spawns no tasks: it returns futures that the caller owns.
//!
//! Rights: `get`, `list` and `watch` on `cassandraclusters`, `cassandrabackups`, `cassandrarestores` and `namespaces`,
//! `list` on `pods`, `get` on `secrets`, `create` on `subjectaccessreviews` (the API server stores nothing), and discovery,
//! which every authenticated user may do. This module never writes.

mod access;
pub mod cache;
mod caches;
pub mod client;
pub mod discovery;
mod kind;
mod live;
mod pods;
mod read_turns;
mod reason;
mod recent_secrets;
mod shared_reads;
pub mod source;
mod store;
#[cfg(test)]
mod tests;
mod undecodable;

pub use cache::{Cache, CacheState, Cached};
pub use caches::{CacheTask, cached_facts};
pub use client::{ConnectError, connect, connect_to};
pub use discovery::{StatusSubresources, follow_status_subresources, status_subresources};
pub use kind::WatchedKind;
pub use live::SECRETS_ROLE;
pub use reason::reason;
pub use source::{ClusterFacts, Readers};
pub use undecodable::Undecodable;
