//! The admission gate and reconciler for CassKop's backups and restores.
//!
//! `kubectl apply` of a backup or restore becomes an admission review. Pure rules judge the object and the facts of the
//! cluster, and the user receives every finding at once. On the replica that holds the lease, the reconciler runs
//! admitted objects on the Icarus sidecars. The modules, from the top down:
//!
//! | module | content |
//! |---|---|
//! | [`commands`] | the command line: one file per subcommand |
//! | [`supervisor`] | background tasks of `cassgate run`: start order, supervision, shutdown order |
//! | [`admission`] | decodes an admission review, judges it and encodes the response |
//! | [`check`] | offline verdicts: YAML with spans, GitOps documents, renderers |
//! | [`probe`] | diagnosis of the path from kubectl to the webhook |
//! | [`reconcile`] | observe, plan (pure), execute: runs admitted backups and restores |
//! | [`evaluate`] | gathers the facts of an object, applies the rules, and reads live before a denial |
//! | [`kubernetes`] | caches and live reads of the API server |
//! | [`rules`] | pure: from an object and the facts to findings; defaults |
//! | [`icarus`] | requests to a node's sidecar, its answers, and the HTTP client |
//! | [`server`] | HTTPS accept loop, limits, admin server, readiness, shutdown |
//! | [`tls`] | certificate sources and rotation |
//! | [`api`] | the objects on the wire |
//! | [`domain`] | parsed values: a value exists only for valid text |
//! | [`telemetry`] | logs and metrics |
//!
//! Imports point downwards only; `tests/architecture.rs` checks that.

pub mod admission;
pub mod api;
pub mod check;
pub mod commands;
pub mod domain;
pub mod evaluate;
pub mod icarus;
pub mod kubernetes;
pub mod probe;
pub mod reconcile;
pub mod rules;
pub mod server;
pub mod supervisor;
pub mod telemetry;
pub mod tls;
