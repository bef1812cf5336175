//! What every input has to obey: one function for each fuzz target, called with whatever libFuzzer makes up.
//!
//! libFuzzer calls them through `fuzz_targets/` (`make soak`, nightly), and `tests/fuzz.rs` with the corpus that
//! earlier soaks left (`make test`, the pinned toolchain). A body panics where a property does not hold.

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

/// One target.
pub type Body = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Body); 8] = [
    ("durations", durations),
    ("entities", entities),
    ("location", location),
    ("rename", rename),
    ("review", review),
    ("schedule", schedule),
    ("values", values),
    ("yaml", yaml),
];

/// The text of an input: what is no UTF-8 never reaches a parser, JSON has none of it.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
