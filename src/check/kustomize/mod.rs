//! The effect of kustomizations on the files that they include: namespaces, names, patches and generated Secrets.
//!
//! Nothing is rendered here. An object that a kustomization may change in another way becomes unknown, and a note says
//! how to render it.

mod generator;
mod kustomization;
mod kustomizations;
mod notes;
mod paths;
mod transformation;

pub(super) use generator::{EnvFiles, GeneratedSecret, keys_of_env_file};
pub(super) use kustomization::Kustomization;
pub(super) use kustomizations::Kustomizations;
pub(super) use paths::join;
pub(super) use transformation::{Placement, Transformation};
