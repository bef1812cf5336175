//! The gate in front of CassKop's backups and restores.
//!
//! A user's `kubectl apply` becomes an admission review; a review and the facts of the cluster go through pure
//! rules; what the rules find goes back to the user, all at once. The house, from the top down:
//!
//! | module | what it holds |
//! |---|---|
//! | [`app`] | the only wiring: which parts exist, in which order they start and stop |
//! | [`cli`] | the command line |
//! | [`serve`] | certificates, the HTTPS accept loop, the admin server, readiness, shutdown |
//! | [`check`] | verdicts from manifests alone: YAML with positions, GitOps documents to facts, formats |
//! | [`probe`] | which hop between a user's apply and our answer is broken |
//! | [`admission`] | bytes to review to verdict to bytes |
//! | [`reconcile`] | runs what was let through: a pure plan, and what carries it out |
//! | [`cluster`] | what the Kubernetes cluster knows: caches and live reads |
//! | [`icarus`] | what a node's sidecar is asked and answers, and a client of it |
//! | [`rules`] | pure: an object and the facts to findings; defaults |
//! | [`api`] | the objects on the wire |
//! | [`domain`] | parsed values: the constructor is the proof |
//! | [`observe`] | logs and metrics |
//!
//! Imports point downwards only; `tests/architecture.rs` holds that.

pub mod admission;
pub mod api;
pub mod app;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod domain;
pub mod icarus;
pub mod observe;
pub mod probe;
pub mod reconcile;
pub mod rules;
pub mod serve;
