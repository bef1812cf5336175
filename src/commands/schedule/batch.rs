//! Many schedules: a line in, an answer out. Whatever a line is, it is answered, and the next one is read.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::str;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::report::{Lines, Report, printable};
use super::{Input, InstantError, MOST_RUNS, Question, instant};
use crate::domain::schedule::{Schedule, UnknownTimeZone, time_zone};

/// The longest line that is read, in bytes: a schedule of the longest kind, each byte of it escaped.
const LONGEST_LINE: u64 = 64 * 1024;

/// A line of input as JSON. What is not written is what the command line says.
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
    /// `None` when the line had none that could be read.
    expr: Option<&'a str>,
    valid: bool,
    /// In seconds since 1970; shorter than asked for where the schedule ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Why a line of JSON cannot be used.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("the line has more than {LONGEST_LINE} bytes")]
    TooLong,
    #[error("the line is no request: {}", .0.to_string().replace(" at line 1 column ", " at column "))]
    Json(serde_json::Error),
    #[error("from: {0}")]
    From(#[from] InstantError),
    #[error("zone: {0}")]
    Zone(#[from] UnknownTimeZone),
    #[error("count: {0} is over {MOST_RUNS}")]
    Count(u16),
}

impl<'a> Answer<'a> {
    pub(super) fn refused(expr: Option<&'a str>, error: &impl Display) -> Self {
        Self {
            expr,
            valid: false,
            next: None,
            error: Some(error.to_string()),
        }
    }

    fn new(expr: &'a str, question: Question<'_>) -> Self {
        match Schedule::parse(expr) {
            Ok(schedule) => {
                let runs = schedule.after(question.from, question.zone).take(question.count);
                Self {
                    expr: Some(expr),
                    valid: true,
                    next: Some(runs.map(Timestamp::as_second).collect()),
                    error: None,
                }
            }
            Err(error) => Self::refused(Some(expr), &error),
        }
    }
}

/// A line of JSON.
pub(super) fn line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

/// JSON in, JSON out. A schedule that is none is an answer; a line that cannot be read is unusable.
pub(super) fn json(
    default: Question<'_>,
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
                line(output, &Answer::refused(None, &error))?;
                return Ok(Input::Unusable);
            }
        };
        match question(&request, default, &mut zones) {
            Ok(question) => {
                line(output, &Answer::new(&request.expr, question))?;
                Ok(Input::Usable)
            }
            Err(error) => {
                line(output, &Answer::refused(Some(&request.expr), &error))?;
                Ok(Input::Unusable)
            }
        }
    })
}

/// Schedules in, reports out, with an empty line in between. Empty lines of input are nothing.
pub(super) fn text(
    question: Question<'_>,
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
        // What is no UTF-8 is no schedule either, and may be shown with replacements.
        let expression = text.map(String::from_utf8_lossy);
        let error = match &expression {
            None => LineError::TooLong.to_string(),
            Some(expression) => match Schedule::parse(expression) {
                Ok(schedule) => {
                    output.write_all(Report::new(&schedule, question).text().as_bytes())?;
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

/// Calls `answer` with each line without its end, or with `None` for one that is too long.
fn each_line<W: Write>(
    input: &mut BufReader<impl Read>,
    output: &mut W,
    mut answer: impl FnMut(Option<&[u8]>, &mut W) -> io::Result<Input>,
) -> io::Result<Input> {
    let mut all = Input::Usable;
    let mut text = Vec::new();
    loop {
        // Before it waits for more, so that a program may ask one line at a time.
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        text.clear();
        if input
            .by_ref()
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut text)?
            == 0
        {
            return Ok(all);
        }
        let whole = match text.strip_suffix(b"\n") {
            Some(line) => Some(line.strip_suffix(b"\r").unwrap_or(line)),
            // The last line may have no end.
            None if u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST_LINE) => {
                Some(text.as_slice())
            }
            None => {
                skip_line(input)?;
                None
            }
        };
        all = all.and(answer(whole, output)?);
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

fn question<'a>(
    line: &Line<'_>,
    default: Question<'a>,
    zones: &'a mut Zones,
) -> Result<Question<'a>, LineError> {
    let count = line.count.map_or(Ok(default.count), |count| {
        if count > MOST_RUNS {
            Err(LineError::Count(count))
        } else {
            Ok(count.into())
        }
    })?;
    Ok(Question {
        from: line.from.as_ref().map_or(Ok(default.from), json_instant)?,
        zone: match &line.zone {
            Some(name) => zones.get(name)?,
            None => default.zone,
        },
        count,
    })
}

/// RFC 3339, or seconds since 1970 as a number (with a fraction too) or as a text.
fn json_instant(value: &Value) -> Result<Timestamp, InstantError> {
    match value {
        Value::String(text) => instant(text),
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
            .and_then(|since| Timestamp::from_duration(since).ok())
            .ok_or_else(|| InstantError(value.to_string())),
        _ => instant(&value.to_string()),
    }
}

/// The zone of the line before, which is that of most lines.
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
