//! What the Kubernetes cluster knows: caches, live reads, and the facts of a request out of them.
//!
//! | part | what it does |
//! |---|---|
//! | [`client`] | finds the API server, as kubectl does; succeeds when nobody answers there |
//! | [`cache`] | watches a kind and keeps what the rules need of each object |
//! | [`cached_facts`] | the caches of all kinds and the facts from them |
//! | [`discovery`] | whether the two kinds have a status subresource |
//! | [`source`] | answers the rules: from a cache where that will do, else by a read |
//!
//! Nothing here spawns: what has to run is a future that the caller owns.
//!
//! Rights: `get`, `list` and `watch` on `cassandraclusters`, `cassandrabackups`, `cassandrarestores` and `namespaces`,
//! `get` on `secrets`, `create` on `subjectaccessreviews` (a question, nothing is stored), and what every authenticated
//! user may do (discovery). Nothing is ever written from here.

mod access;
pub mod cache;
mod caches;
pub mod client;
pub mod discovery;
mod flights;
mod kind;
mod live;
mod reason;
mod recent;
pub mod source;
mod store;
#[cfg(test)]
mod tests;

pub use cache::{Cache, CacheState, Cached};
pub use caches::{CacheTask, cached_facts};
pub use client::{ConnectError, connect, connect_to};
pub use discovery::{StatusSubresources, follow_status_subresources, status_subresources};
pub use kind::WatchedKind;
pub use live::SECRETS_ROLE;
pub use reason::reason;
pub use source::{ClusterFacts, Readers};
