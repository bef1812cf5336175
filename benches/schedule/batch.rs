//! `cassgate schedule -`, the program itself, on a hundred thousand lines.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use jiff::Timestamp;

use crate::Result;
use crate::report::Table;

const LINES: u32 = 100_000;

/// Prints the time of each format.
///
/// # Errors
/// An error if the program cannot be started or fails, or if an answer is missing.
pub(crate) fn measure(start: Timestamp) -> Result<()> {
    let mut json = String::new();
    let mut text = String::new();
    for number in 0..LINES {
        let (minute, hour, day) = (number % 60, number / 60 % 24, number % 28 + 1);
        let expression = format!("{minute} {hour} {day} * mon");
        let from = start.as_second() + i64::from(number) * 7919;
        writeln!(
            json,
            r#"{{"expr":"{expression}","from":{from},"zone":"Europe/Berlin","count":3}}"#
        )?;
        writeln!(text, "{expression}")?;
    }
    let mut table = Table::new(["100 000 lines, 3 runs each", "seconds"]);
    for (name, input) in [("json", &json), ("text", &text)] {
        let seconds = run(name, input)?;
        table.row([
            format!("cassgate schedule - --format {name}"),
            format!("{seconds:.2}"),
        ]);
    }
    table.print();
    Ok(())
}

fn run(format: &str, input: &str) -> Result<f64> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cassgate"))
        .args(["schedule", "-", "--format", format, "--zone", "Europe/Berlin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut to = child.stdin.take().ok_or("no standard input")?;
    let mut from = child.stdout.take().ok_or("no standard output")?;
    let answers = thread::scope(|scope| -> Result<String> {
        let writer = scope.spawn(move || to.write_all(input.as_bytes()));
        let mut answers = String::new();
        from.read_to_string(&mut answers)?;
        writer.join().map_err(|_| "the writer failed")??;
        Ok(answers)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    if !child.wait()?.success() || answers.lines().count() < input.lines().count() {
        return Err("cassgate schedule did not answer every line".into());
    }
    Ok(seconds)
}
