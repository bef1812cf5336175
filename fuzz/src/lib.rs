//! The fuzz targets: one function each, which panics if a property does not hold for the input.
//!
//! libFuzzer calls them through `fuzz_targets/` with generated inputs (`make fuzz`, nightly toolchain), and
//! `tests/fuzz.rs` calls them with the inputs of earlier runs (`make test`, pinned toolchain).

mod durations;
mod entities;
mod location;
mod rename;
mod review;
mod schedule;
mod script;
mod values;
#[path = "../../tests/verdicts/world.rs"]
mod world;
mod yaml;

pub use durations::durations;
pub use entities::entities;
pub use location::location;
pub use rename::rename;
pub use review::review;
pub use schedule::schedule;
pub use values::values;
pub use yaml::yaml;

/// The function of a target.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its seeds, corpus and dictionary.
pub const TARGETS: [(&str, Target); 8] = [
    ("durations", durations),
    ("entities", entities),
    ("location", location),
    ("rename", rename),
    ("review", review),
    ("schedule", schedule),
    ("values", values),
    ("yaml", yaml),
];

/// Returns the input as text, or `None` if it is not UTF-8. JSON is UTF-8, so parsers never get anything else.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
