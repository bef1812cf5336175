//! `cassgate schedule`: explains schedules to people, and answers queries of programs.

mod batch;
mod query;
mod report;

#[cfg(test)]
mod tests;

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::output::exit;
use crate::domain::schedule::{Schedule, ScheduleError, UnknownTimeZone, time_zone};
use query::{Input, MAX_RUNS, Query, timestamp};
use report::Report;

/// The arguments of `cassgate schedule`.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// The schedule, in quotes; `-` reads one per line from standard input
    #[arg(value_name = "EXPR")]
    expression: String,
    /// The time zone of a schedule that names none itself
    #[arg(long, default_value = "UTC", value_parser = zone)]
    zone: TimeZone,
    /// The time after which runs are listed, as RFC 3339 or in seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    from: Option<Timestamp>,
    /// The number of runs to list
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_RUNS)))]
    count: u16,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    Text,
    /// A line of JSON for each schedule; with `-` each line of input is JSON too
    Json,
}

/// An error that prevented the answer.
#[derive(Debug, thiserror::Error)]
enum ScheduleCommandError {
    /// The schedule on the command line is invalid.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Standard input or output failed.
    #[error("cannot read the schedules or write the answers")]
    Io(#[from] io::Error),
}

/// Answers with the clock and the streams of the process.
///
/// Returns 0 if all input was usable, and 2 if a schedule, a line or an option was not.
pub(super) fn run(args: &ScheduleArgs) -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let mut output = BufWriter::new(io::stdout().lock());
    match answer(args, Timestamp::now(), &mut input, &mut output) {
        Ok(Input::Usable) => ExitCode::SUCCESS,
        Ok(Input::Unusable) => ExitCode::from(2),
        Err(ScheduleCommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            // A plain drop of the writer would try to write the rest again.
            drop(output.into_parts());
            ExitCode::SUCCESS
        }
        Err(error) => exit(Err(error)),
    }
}

/// Answers the query of `args`. `now` is the default of `--from`.
///
/// # Errors
/// Returns an error if the schedule on the command line is invalid (with `--format json` that is an answer instead), or
/// if the input or output fails.
fn answer(
    args: &ScheduleArgs,
    now: Timestamp,
    input: &mut BufReader<impl Read>,
    output: &mut impl Write,
) -> Result<Input, ScheduleCommandError> {
    let query = Query {
        from: args.from.unwrap_or(now),
        zone: &args.zone,
        count: args.count.into(),
    };
    let usable = match (args.expression.as_str(), args.format) {
        ("-", Format::Text) => batch::text(query, input, output)?,
        ("-", Format::Json) => batch::json(query, input, output)?,
        (expression, Format::Text) => {
            let schedule = Schedule::parse(expression)?;
            output.write_all(Report::new(&schedule, query).text().as_bytes())?;
            Input::Usable
        }
        (expression, Format::Json) => one_as_json(expression, query, output)?,
    };
    output.flush()?;
    Ok(usable)
}

fn one_as_json(expression: &str, query: Query<'_>, output: &mut impl Write) -> io::Result<Input> {
    match Schedule::parse(expression) {
        Ok(schedule) => {
            batch::line(output, &Report::new(&schedule, query).json())?;
            Ok(Input::Usable)
        }
        Err(error) => {
            batch::line(output, &batch::Answer::invalid(Some(expression), &error))?;
            Ok(Input::Unusable)
        }
    }
}

fn zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    time_zone(name)
}
