//! Many schedules: each line of input is answered, also an unusable one.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::str;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::{Input, MAX_RUNS, Query, TimestampError, timestamp};
use super::report::{Lines, Report, printable};
use crate::domain::schedule::{Schedule, UnknownTimeZone, time_zone};

/// The maximum length of a line in bytes: the longest valid schedule, with each byte of it escaped.
const MAX_LINE: u64 = 64 * 1024;

/// A line of input as JSON. The command line has the values of missing fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Line<'a> {
    #[serde(borrow)]
    expr: Cow<'a, str>,
    from: Option<Value>,
    #[serde(borrow)]
    zone: Option<Cow<'a, str>>,
    count: Option<u16>,
}

/// A line of output as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    /// `None` if it could not be read.
    expr: Option<&'a str>,
    valid: bool,
    /// The runs in seconds since 1970; fewer than requested if the schedule ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// An error in a line of input.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("the line has more than {MAX_LINE} bytes")]
    TooLong,
    #[error("the line is not a valid query: {}", .0.to_string().replace(" at line 1 column ", " at column "))]
    Json(serde_json::Error),
    #[error("from: {0}")]
    From(#[from] TimestampError),
    #[error("zone: {0}")]
    Zone(#[from] UnknownTimeZone),
    #[error("count: {0} is more than {MAX_RUNS}")]
    Count(u16),
}

impl<'a> Answer<'a> {
    /// Creates the answer to an invalid schedule or line.
    pub(super) fn invalid(expr: Option<&'a str>, error: &impl Display) -> Self {
        Self {
            expr,
            valid: false,
            next: None,
            error: Some(error.to_string()),
        }
    }

    fn new(expr: &'a str, query: Query<'_>) -> Self {
        match Schedule::parse(expr) {
            Ok(schedule) => {
                let runs = schedule.after(query.from, query.zone).take(query.count);
                Self {
                    expr: Some(expr),
                    valid: true,
                    next: Some(runs.map(Timestamp::as_second).collect()),
                    error: None,
                }
            }
            Err(error) => Self::invalid(Some(expr), &error),
        }
    }
}

/// Writes a value as a line of JSON.
pub(super) fn line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

/// Answers lines of JSON with lines of JSON. An invalid schedule is an answer; a line that cannot be read is unusable.
pub(super) fn json(
    default: Query<'_>,
    input: &mut BufReader<impl Read>,
    output: &mut impl Write,
) -> io::Result<Input> {
    let mut zones = Zones::default();
    each_line(input, output, |text, output| {
        let request = text
            .ok_or(LineError::TooLong)
            .and_then(|text| serde_json::from_slice::<Line<'_>>(text).map_err(LineError::Json));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                line(output, &Answer::invalid(None, &error))?;
                return Ok(Input::Unusable);
            }
        };
        match query(&request, default, &mut zones) {
            Ok(query) => {
                line(output, &Answer::new(&request.expr, query))?;
                Ok(Input::Usable)
            }
            Err(error) => {
                line(output, &Answer::invalid(Some(&request.expr), &error))?;
                Ok(Input::Unusable)
            }
        }
    })
}

/// Answers schedules with reports, separated by empty lines. Empty lines of input are skipped.
pub(super) fn text(
    query: Query<'_>,
    input: &mut BufReader<impl Read>,
    output: &mut impl Write,
) -> io::Result<Input> {
    let mut first = true;
    each_line(input, output, |text, output| {
        if text.is_some_and(<[u8]>::is_empty) {
            return Ok(Input::Usable);
        }
        if !std::mem::take(&mut first) {
            output.write_all(b"\n")?;
        }
        // A line that is not UTF-8 is not a valid schedule either, so replacement characters change no answer.
        let expression = text.map(String::from_utf8_lossy);
        let error = match &expression {
            None => LineError::TooLong.to_string(),
            Some(expression) => match Schedule::parse(expression) {
                Ok(schedule) => {
                    output.write_all(Report::new(&schedule, query).text().as_bytes())?;
                    return Ok(Input::Usable);
                }
                Err(error) => error.to_string(),
            },
        };
        let mut lines = Lines::default();
        lines.add(
            "Schedule",
            &expression.map_or_else(String::new, |text| printable(&text)),
        );
        lines.add("Error", &printable(&error));
        output.write_all(lines.0.as_bytes())?;
        Ok(Input::Unusable)
    })
}

/// Calls `answer` with each line without its line end, or with `None` if the line is too long.
fn each_line<W: Write>(
    input: &mut BufReader<impl Read>,
    output: &mut W,
    mut answer: impl FnMut(Option<&[u8]>, &mut W) -> io::Result<Input>,
) -> io::Result<Input> {
    let mut usable = Input::Usable;
    let mut text = Vec::new();
    loop {
        // Answers are flushed before the next line is awaited, so that a program can query line by line.
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        text.clear();
        if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut text)? == 0 {
            return Ok(usable);
        }
        let whole = match text.strip_suffix(b"\n") {
            Some(line) => Some(line.strip_suffix(b"\r").unwrap_or(line)),
            // The last line may lack its line end.
            None if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_LINE) => Some(text.as_slice()),
            None => {
                skip_line(input)?;
                None
            }
        };
        usable = usable.and(answer(whole, output)?);
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let consumed = end.map_or(buffer.len(), |end| end + 1);
        input.consume(consumed);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn query<'a>(line: &Line<'_>, default: Query<'a>, zones: &'a mut Zones) -> Result<Query<'a>, LineError> {
    let count = line.count.map_or(Ok(default.count), |count| {
        if count > MAX_RUNS {
            Err(LineError::Count(count))
        } else {
            Ok(count.into())
        }
    })?;
    Ok(Query {
        from: line.from.as_ref().map_or(Ok(default.from), json_timestamp)?,
        zone: match &line.zone {
            Some(name) => zones.get(name)?,
            None => default.zone,
        },
        count,
    })
}

/// Parses RFC 3339, or seconds since 1970 as a number (also with a fraction) or as a text.
fn json_timestamp(value: &Value) -> Result<Timestamp, TimestampError> {
    match value {
        Value::String(text) => timestamp(text),
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
            .and_then(|since| Timestamp::from_duration(since).ok())
            .ok_or_else(|| TimestampError(value.to_string())),
        _ => timestamp(&value.to_string()),
    }
}

/// The time zone of the previous line, because most lines have the same one.
#[derive(Debug, Default)]
struct Zones(Option<(String, TimeZone)>);

impl Zones {
    fn get(&mut self, name: &str) -> Result<&TimeZone, LineError> {
        let known = match self.0.take() {
            Some(known) if known.0 == name => known,
            _ => (name.to_owned(), time_zone(name)?),
        };
        Ok(&self.0.insert(known).1)
    }
}
