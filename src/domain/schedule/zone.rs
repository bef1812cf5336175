//! Time zones by name, in the prefix of a schedule (as in Go's `time.LoadLocation`, `src/time/zoneinfo.go`) and in
//! `spec.timeZone`.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::domain::schedule::ScheduleError;

/// The maximum length of a name for which suggestions are searched, in bytes. The longest IANA name has 32.
const MAX_NAME_LENGTH: usize = 40;

/// The maximum edit distance of a suggested name.
const MAX_DISTANCE: usize = 3;

/// The maximum number of suggested names.
const MAX_SUGGESTIONS: usize = 3;

/// The error for a name that is not a time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {name:?}{}", Suggestions(nearest))]
pub struct UnknownTimeZone {
    /// The unknown name.
    pub name: String,
    /// At most three suggested names, nearest first.
    pub nearest: Vec<String>,
}

impl UnknownTimeZone {
    /// Creates the error and searches for suggestions, in bounded time.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nearest: nearest(name),
        }
    }
}

/// Returns the zone of `spec.timeZone` from the compiled-in IANA database.
///
/// Names are case-sensitive. As in Kubernetes' `CronJob`, an empty name and `Local` are errors.
///
/// # Errors
/// Returns [`UnknownTimeZone`] with suggestions.
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    bundled(name).ok_or_else(|| UnknownTimeZone::new(name))
}

/// Returns the zone in the prefix of a schedule, or `None` for `Local`, which means the local zone of the caller.
///
/// Zones come from the compiled-in database, so that every image and machine has the same. Go opens the file of that name
/// in its image instead. It therefore also accepts other files (`posix/UTC`, `./UTC`), and its error for a folder such
/// as `America` says "directory" instead of "unknown".
///
/// # Errors
/// Returns an error if no zone has exactly this name, or if the name is a path that leaves the folder of zones.
pub(super) fn load(name: &str) -> Result<Option<TimeZone>, ScheduleError> {
    match name {
        "" | "UTC" => return Ok(Some(TimeZone::UTC)),
        "Local" => return Ok(None),
        _ => {}
    }
    if name.contains("..") || name.starts_with(['/', '\\']) {
        return Err(ScheduleError::ZonePath {
            name: name.to_owned(),
        });
    }
    bundled(name).map(Some).ok_or_else(|| ScheduleError::UnknownZone {
        name: name.to_owned(),
    })
}

/// Returns the zone with exactly this name. The database ignores the case of names, and Go does not.
fn bundled(name: &str) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}

/// Returns the names that are nearest to `name`, nearest first, by the edit distance of the whole name or of its city,
/// ignoring case.
fn nearest(name: &str) -> Vec<String> {
    if name.is_empty() || name.len() > MAX_NAME_LENGTH {
        return Vec::new();
    }
    let wanted = name.to_lowercase().replace(' ', "_");
    let mut found: Vec<(usize, String)> = TimeZoneDatabase::bundled()
        .available()
        .filter_map(|known| {
            let lower = known.as_str().to_lowercase();
            let city = lower.rsplit('/').next().unwrap_or_default();
            let whole = distance(&wanted, &lower);
            let wrong = whole.into_iter().chain(distance(&wanted, city)).min()?;
            Some((wrong, known.as_str().to_owned()))
        })
        .collect();
    found.sort();
    let least = found.first().map_or(0, |(wrong, _)| *wrong);
    // If only the case or the continent is wrong, the other suggestions are not needed.
    found.retain(|(wrong, _)| least > 0 || *wrong == 0);
    found.truncate(MAX_SUGGESTIONS);
    found.into_iter().map(|(_, known)| known).collect()
}

/// Returns the edit distance of two names, or `None` if it is too large for a suggestion.
fn distance(wanted: &str, known: &str) -> Option<usize> {
    // In a short name, three wrong letters make another name.
    let max = MAX_DISTANCE.min(known.len() / 3);
    if wanted.len().abs_diff(known.len()) > max {
        return None;
    }
    Some(strsim::levenshtein(wanted, known)).filter(|wrong| *wrong <= max)
}

/// Displays "; did you mean A or B", or nothing without suggestions.
struct Suggestions<'a>(&'a [String]);

impl fmt::Display for Suggestions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; did you mean {}", self.0.join(" or "))
    }
}
