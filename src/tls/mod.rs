//! The served certificate: its sources, its rotation and its expiry.
//!
//! | mode | source of the pair |
//! |---|---|
//! | `files` | two files, for example of a mounted Secret; read again at an interval |
//! | `self` | signed by an authority in a Secret that all replicas share; cassgate also keeps the `caBundle` |
//! | `dev` | generated at start for one machine; its keys stay in memory |
//!
//! [`Reloader`] serves the pairs of modes `files` and `dev`, [`SelfRotator`] those of mode `self`. Both publish a
//! [`CertificateState`], which decides whether the replica is ready.

mod config;
mod dev;
mod files;
mod options;
mod pair;
mod reloader;
pub mod self_signed;
mod served_pair;
mod state;
mod subject_alt_name;

pub use config::{ConfigError, install_default_provider, server_config};
pub use dev::{DevError, DevOptions};
pub use files::{FilesError, PairFiles};
pub use options::{CertificateSource, PairSource};
pub use pair::{Pair, PairError};
pub use reloader::{Reload, Reloader, StartError};
pub use self_signed::{SelfOptions, SelfRotator};
pub use served_pair::ServedPair;
pub use state::CertificateState;
pub use subject_alt_name::{SubjectAltName, SubjectAltNameError};
