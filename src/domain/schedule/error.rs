//! The errors of schedules, with robfig/cron's texts.

use std::fmt::{self, Write as _};

use crate::domain::go_duration::GoDurationError;
use crate::domain::schedule::MAX_BYTES;

/// The error for an invalid [`Schedule`](super::Schedule).
///
/// Its text is exactly that of robfig/cron v3's `ParseStandard`, which CassKop writes to its events. Two variants have a
/// text of their own: [`Self::TooLong`], which robfig does not have, and [`Self::NothingAfterZone`], for which it panics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The text is empty. To CassKop an empty `spec.schedule` means a backup that runs once, so callers do not parse it.
    #[error("empty spec string")]
    Empty,
    /// The text is longer than [`MAX_BYTES`]. Only such a text can be valid in robfig and not in cassgate.
    #[error(
        "the schedule has {bytes} bytes, and at most {MAX_BYTES} are read: \
         write ranges and steps (8-18, */10) instead of long lists"
    )]
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
    /// A zone prefix has no space after it.
    #[error(
        "no schedule follows the time zone in {}: \
         write a space and the schedule after it, as in \"TZ=UTC 0 3 * * *\"",
        StrconvQuoted(text)
    )]
    NothingAfterZone {
        /// The whole text.
        text: String,
    },
    /// The name in the zone prefix is not a time zone. Names are case-sensitive.
    #[error("provided bad location {name}: unknown time zone {name}")]
    UnknownZone {
        /// The text between `=` and the first space.
        name: String,
    },
    /// The zone prefix has a path that leaves the folder of zones.
    #[error("provided bad location {name}: time: invalid location name")]
    ZonePath {
        /// The text between `=` and the first space.
        name: String,
    },
    /// The word after `@` is not one of the eight descriptors.
    #[error("unrecognized descriptor: {descriptor}")]
    UnknownDescriptor {
        /// The descriptor with its `@`.
        descriptor: String,
    },
    /// The text after `@every` is not a duration.
    #[error("failed to parse duration {descriptor}: {reason}")]
    Interval {
        /// The whole descriptor.
        descriptor: String,
        /// The error in the duration.
        reason: GoDurationError,
    },
    /// The number of fields is not five.
    #[error("expected exactly 5 fields, found {found}: [{fields}]")]
    FieldCount {
        /// The number of fields.
        found: usize,
        /// The fields, separated by single spaces.
        fields: String,
    },
    /// A text is neither a number nor a name.
    #[error(
        "failed to parse int from {text}: strconv.Atoi: parsing {}: {reason}",
        StrconvQuoted(text)
    )]
    Number {
        /// The text.
        text: String,
        /// The error in the text.
        reason: NumberError,
    },
    /// A step is negative.
    #[error("negative number ({number}) not allowed: {text}")]
    NegativeNumber {
        /// The number.
        number: i64,
        /// The number as it was written.
        text: String,
    },
    /// A range has more than one hyphen.
    #[error("too many hyphens: {item}")]
    TooManyHyphens {
        /// The item of the list.
        item: String,
    },
    /// An item has more than one step.
    #[error("too many slashes: {item}")]
    TooManySlashes {
        /// The item of the list.
        item: String,
    },
    /// A number is below the minimum of the field.
    #[error("beginning of range ({start}) below minimum ({minimum}): {item}")]
    BelowMinimum {
        /// The number.
        start: u64,
        /// The minimum of the field.
        minimum: u64,
        /// The item of the list.
        item: String,
    },
    /// A number is above the maximum of the field. Users often write 7 for Sunday.
    #[error("end of range ({end}) above maximum ({maximum}): {item}")]
    AboveMaximum {
        /// The number.
        end: u64,
        /// The maximum of the field.
        maximum: u64,
        /// The item of the list.
        item: String,
    },
    /// A range ends before it starts. Ranges do not wrap around.
    #[error("beginning of range ({start}) beyond end of range ({end}): {item}")]
    Backwards {
        /// The start of the range.
        start: u64,
        /// The end of the range.
        end: u64,
        /// The item of the list.
        item: String,
    },
    /// A step is zero.
    #[error("step of range should be a positive number: {item}")]
    ZeroStep {
        /// The item of the list.
        item: String,
    },
}

/// The error of Go's `strconv.Atoi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not an optional sign and ASCII digits.
    #[error("invalid syntax")]
    Syntax,
    /// The number does not fit into 64 bits.
    #[error("value out of range")]
    Range,
}

/// Displays a text as Go's `strconv.Quote` does.
struct StrconvQuoted<'a>(&'a str);

impl fmt::Display for StrconvQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{b}' => f.write_str("\\v")?,
                c if printable(c) => f.write_char(c)?,
                '\0'..='\u{7f}' => write!(f, "\\x{:02x}", u32::from(c))?,
                '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

/// Returns true for the characters of Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII
/// space.
///
/// `escape_debug` of the standard library uses the same table and does not escape such a character after the first one.
/// At the start it also escapes marks that would combine with the quote.
fn printable(c: char) -> bool {
    c == '\'' || String::from_iter(['a', c]).escape_debug().eq(['a', c])
}
