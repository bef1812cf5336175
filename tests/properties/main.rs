//! Properties of the webhooks that hold for every object, and bounds for hostile sizes.

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
mod updating;
#[path = "../verdicts/world.rs"]
mod world;
