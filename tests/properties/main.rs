//! What holds for every object, whoever wrote it: properties, and sizes that nobody means well.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod defaulting;
mod gate;
mod hostile;
mod inputs;
mod judging;
mod parts;
#[path = "../verdicts/world.rs"]
mod world;
