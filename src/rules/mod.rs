//! Pure rules: functions from an object and facts to findings.
//!
//! Rules use no clock, no client and no async code; everything that a rule needs is an argument. All findings of an
//! object are reported at once. [`checks`] has one file per subject; [`catalogue`] is the table of all rules.

pub mod catalogue;
pub mod cel;
pub mod checks;
pub mod decode;
pub mod defaults;
pub mod facts;
pub mod finding;
pub mod json_key;
pub mod json_size;
pub mod policy;
pub mod run_record;
pub mod spec_change;
pub mod status;
pub mod subject;
pub mod tool;

mod type_mismatch;

#[cfg(test)]
mod tests;

pub use checks::judge;
