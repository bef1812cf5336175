//! The served certificate: where it comes from, how it is kept, when it stops being good.
//!
//! | mode | where the pair comes from |
//! |---|---|
//! | `files` | two files, read again every so often; a mounted Secret is what they are made for |
//! | `self` | signed by an authority in a Secret that all replicas share; the `caBundle` is kept too |
//! | `dev` | made at start, its keys never leave the memory; for one machine |

mod args;
mod config;
mod dev;
mod files;
mod keeper;
mod pair;
pub mod self_signed;
mod served;

pub use args::{DevName, TlsArgs, TlsChoice, TlsMode, TlsOptionsError, TlsSource};
pub use config::{ConfigError, install_default_provider, server_config};
pub use dev::{DevError, DevOptions};
pub use files::{FilesError, PairFiles};
pub use keeper::{Keeper, StartError, Step};
pub use pair::{Pair, PairError};
pub use self_signed::{SelfArgs, SelfKeeper, SelfOptions, SelfOptionsError};
pub use served::Served;
