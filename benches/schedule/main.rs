//! Measures the cost of schedules: the next run, hostile texts, and a batch of a hundred thousand lines.
//!
//! `make bench`, or `cargo bench --bench schedule`. It prints figures without a verdict: a slow machine is not a
//! failure.

#[path = "../review/report.rs"]
mod report;

mod batch;
mod hostile;
mod next;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use report::median;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The start of every calculation: two days before Berlin's clock is put forward.
const START: &str = "2026-03-27T00:00:00Z";

fn main() -> ExitCode {
    let done = START.parse::<Timestamp>().map_err(Into::into).and_then(|start| {
        next::measure(start)?;
        hostile::measure(start);
        batch::measure(start)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the median time of one call in nanoseconds, over rounds of `calls` each.
fn nanoseconds<T>(calls: u32, mut call: impl FnMut() -> T) -> f64 {
    const ROUNDS: u32 = 15;
    median((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    }))
}

/// Returns the shortest of a few calls: the time without interference.
fn quickest<T>(mut call: impl FnMut() -> T) -> Duration {
    let times = (0..5).map(|_| {
        let begun = Instant::now();
        black_box(call());
        begun.elapsed()
    });
    times.min().unwrap_or_default()
}
