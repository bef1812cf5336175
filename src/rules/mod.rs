//! Pure rules: an object and the facts to findings.
//!
//! No clock, no client, nothing asynchronous: what a rule needs is an argument. Every finding of an object is
//! reported at once. One file per subject; [`catalogue`] lists all rules.

pub mod catalogue;
pub mod cel;
pub mod checks;
pub mod decode;
pub mod defaults;
pub mod facts;
pub mod finding;
pub mod policy;
pub mod status;
pub mod subject;

mod misfit;

#[cfg(test)]
mod tests;

pub use checks::judge;
