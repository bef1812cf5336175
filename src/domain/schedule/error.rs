//! Why a text is no schedule, in the words of robfig/cron.

use std::fmt::{self, Write as _};

use crate::domain::go_duration::GoDurationError;
use crate::domain::schedule::MAX_BYTES;

/// Why a text is no [`Schedule`](super::Schedule).
///
/// Its text is that of the error of robfig/cron v3's `ParseStandard` to the letter, since `CassKop` puts that one
/// into its events. Two variants have a text of their own, because robfig has none: [`Self::TooLong`] and
/// [`Self::NothingAfterZone`] (there it panics).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// No text at all. `CassKop` takes an empty `spec.schedule` for "runs once", so do not parse that.
    #[error("empty spec string")]
    Empty,
    /// Longer than [`MAX_BYTES`]; the only text that robfig may take and cassgate does not.
    #[error(
        "the schedule has {bytes} bytes, and at most {MAX_BYTES} are read: \
         write ranges and steps (8-18, */10) instead of long lists"
    )]
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
    /// A zone prefix without a space behind it.
    #[error(
        "no schedule follows the time zone in {}: \
         write a space and the schedule behind it, as in \"TZ=UTC 0 3 * * *\"",
        Quoted(text)
    )]
    NothingAfterZone {
        /// The whole text.
        text: String,
    },
    /// A zone prefix with a name that is no time zone; names are case-sensitive.
    #[error("provided bad location {name}: unknown time zone {name}")]
    UnknownZone {
        /// What stands between `=` and the first space.
        name: String,
    },
    /// A zone prefix with a path that leads out of the folder of zones.
    #[error("provided bad location {name}: time: invalid location name")]
    ZonePath {
        /// What stands between `=` and the first space.
        name: String,
    },
    /// A word behind `@` that is none of the eight.
    #[error("unrecognized descriptor: {descriptor}")]
    UnknownDescriptor {
        /// The descriptor with its `@`.
        descriptor: String,
    },
    /// `@every` with something that is no length of time.
    #[error("failed to parse duration {descriptor}: {reason}")]
    Interval {
        /// The whole descriptor.
        descriptor: String,
        /// What is wrong with its length of time.
        reason: GoDurationError,
    },
    /// Not five fields.
    #[error("expected exactly 5 fields, found {found}: [{fields}]")]
    FieldCount {
        /// How many there are.
        found: usize,
        /// All of them, with one space in between.
        fields: String,
    },
    /// A text where a number or a name is expected.
    #[error(
        "failed to parse int from {text}: strconv.Atoi: parsing {}: {reason}",
        Quoted(text)
    )]
    Number {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: NumberError,
    },
    /// A step below zero.
    #[error("negative number ({number}) not allowed: {text}")]
    NegativeNumber {
        /// The number.
        number: i64,
        /// How it is written.
        text: String,
    },
    /// A range with more than one hyphen.
    #[error("too many hyphens: {item}")]
    TooManyHyphens {
        /// The item of the list.
        item: String,
    },
    /// An item with more than one step.
    #[error("too many slashes: {item}")]
    TooManySlashes {
        /// The item of the list.
        item: String,
    },
    /// A number below the field's least.
    #[error("beginning of range ({start}) below minimum ({minimum}): {item}")]
    BelowMinimum {
        /// The number.
        start: u64,
        /// The least number of the field.
        minimum: u64,
        /// The item of the list.
        item: String,
    },
    /// A number above the field's greatest; 7 for Sunday is the usual one.
    #[error("end of range ({end}) above maximum ({maximum}): {item}")]
    AboveMaximum {
        /// The number.
        end: u64,
        /// The greatest number of the field.
        maximum: u64,
        /// The item of the list.
        item: String,
    },
    /// A range that ends before it begins: ranges do not wrap around.
    #[error("beginning of range ({start}) beyond end of range ({end}): {item}")]
    Backwards {
        /// Where the range begins.
        start: u64,
        /// Where the range ends.
        end: u64,
        /// The item of the list.
        item: String,
    },
    /// A step of zero.
    #[error("step of range should be a positive number: {item}")]
    ZeroStep {
        /// The item of the list.
        item: String,
    },
}

/// Why a text is no number to Go's `strconv.Atoi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Something other than an optional sign and ASCII digits.
    #[error("invalid syntax")]
    Syntax,
    /// No 64-bit number.
    #[error("value out of range")]
    Range,
}

/// A text in the quotes of Go's `strconv.Quote`.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
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

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
///
/// The standard library has the same table behind `escape_debug`, which leaves such a character alone when it is
/// not the first one (at the head it also escapes marks that would join with the quote).
fn printable(c: char) -> bool {
    c == '\'' || String::from_iter(['a', c]).escape_debug().eq(['a', c])
}
