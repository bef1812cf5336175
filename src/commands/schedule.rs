//! `cassgate schedule`: what a schedule means, for people, and what it answers, for programs.

mod batch;
mod report;

#[cfg(test)]
mod tests;

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit;
use crate::domain::schedule::{Schedule, ScheduleError, UnknownTimeZone, time_zone};
use report::Report;

/// The most runs that are counted for one schedule.
const MOST_RUNS: u16 = 10_000;

/// What `cassgate schedule` is told.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// The schedule, in quotes; `-` reads one a line from standard input
    #[arg(value_name = "EXPR")]
    expression: String,
    /// The zone of a schedule that names none itself
    #[arg(long, default_value = "UTC", value_parser = zone)]
    zone: TimeZone,
    /// The instant from which on runs are counted, as RFC 3339 or in seconds since 1970 [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Timestamp>,
    /// How many runs are told
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(..=i64::from(MOST_RUNS)))]
    count: u16,
    /// How they are told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: a line of JSON for each schedule; with `-` each line of input is JSON too
    Json,
}

/// What is asked of each schedule.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    from: Timestamp,
    zone: &'a TimeZone,
    count: usize,
}

/// Whether what was read could be used; why not stands in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// All of it.
    Usable,
    /// Not all of it.
    Unusable,
}

impl Input {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Usable, Self::Usable) => Self::Usable,
            _ => Self::Unusable,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum ScheduleCommandError {
    /// The schedule of the command line is none.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Standard input or output failed.
    #[error("cannot read the schedules or write the answers")]
    Io(#[from] io::Error),
}

/// Runs the command with the clock and the streams of the process.
pub(super) fn run(args: &ScheduleArgs) -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let mut output = BufWriter::new(io::stdout().lock());
    match answer(args, Timestamp::now(), &mut input, &mut output) {
        Ok(Input::Usable) => ExitCode::SUCCESS,
        Ok(Input::Unusable) => ExitCode::from(2),
        Err(ScheduleCommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            // Dropping the writer itself would try to write the rest again.
            drop(output.into_parts());
            ExitCode::SUCCESS
        }
        Err(error) => exit(Err(error)),
    }
}

/// Answers what `args` ask. `now` stands in for a missing `--from`.
///
/// # Errors
/// A schedule on the command line that is none (with `--format json` that is an answer instead); input or output
/// that fails.
fn answer(
    args: &ScheduleArgs,
    now: Timestamp,
    input: &mut BufReader<impl Read>,
    output: &mut impl Write,
) -> Result<Input, ScheduleCommandError> {
    let question = Question {
        from: args.from.unwrap_or(now),
        zone: &args.zone,
        count: args.count.into(),
    };
    let done = match (args.expression.as_str(), args.format) {
        ("-", Format::Text) => batch::text(question, input, output)?,
        ("-", Format::Json) => batch::json(question, input, output)?,
        (expression, Format::Text) => {
            let schedule = Schedule::parse(expression)?;
            output.write_all(Report::new(&schedule, question).text().as_bytes())?;
            Input::Usable
        }
        (expression, Format::Json) => one_as_json(expression, question, output)?,
    };
    output.flush()?;
    Ok(done)
}

fn one_as_json(expression: &str, question: Question<'_>, output: &mut impl Write) -> io::Result<Input> {
    match Schedule::parse(expression) {
        Ok(schedule) => {
            batch::line(output, &Report::new(&schedule, question).json())?;
            Ok(Input::Usable)
        }
        Err(error) => {
            batch::line(output, &batch::Answer::refused(Some(expression), &error))?;
            Ok(Input::Unusable)
        }
    }
}

fn zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    time_zone(name)
}

/// An instant as RFC 3339 or in seconds since 1970.
fn instant(text: &str) -> Result<Timestamp, InstantError> {
    let unusable = || InstantError(text.to_owned());
    match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).map_err(|_| unusable()),
        Err(_) => text.parse().map_err(|_| unusable()),
    }
}

/// A text that is no instant.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no instant: write RFC 3339 as in 2026-10-25T00:00:00Z, or seconds since 1970")]
struct InstantError(String);
