//! Time zones by name: in front of a schedule, as Go's `time.LoadLocation` takes it (`src/time/zoneinfo.go`), and
//! in `spec.timeZone`.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::domain::schedule::ScheduleError;

/// The longest name for which a similar one is looked for, in bytes. IANA's longest has 32.
const LONGEST_NAME: usize = 40;

/// How many letters may be wrong in a name that is suggested.
const MOST_WRONG: usize = 3;

/// How many names are suggested.
const MOST_NAMES: usize = 3;

/// A name that is no time zone of the IANA data base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {name:?}{}", Suggested(nearest))]
pub struct UnknownTimeZone {
    /// What was written.
    pub name: String,
    /// At most three names that were perhaps meant, the nearest first.
    pub nearest: Vec<String>,
}

impl UnknownTimeZone {
    /// That `name` is none, with the names that are nearest to it; looked for in bounded time.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nearest: nearest(name),
        }
    }
}

/// The zone of the IANA data base that `name` names, out of the compiled-in data: what `spec.timeZone` takes.
///
/// Names are case-sensitive, as in Kubernetes' `CronJob`, which like this refuses an empty one and `Local`.
///
/// # Errors
/// [`UnknownTimeZone`], with the nearest names.
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    bundled(name).ok_or_else(|| UnknownTimeZone::new(name))
}

/// The zone that `name` stands for. `None` is `Local`: whatever zone the reader of the schedule is in.
///
/// Names come from the compiled-in database only, so that every image and machine agrees. Go opens the file of
/// that name in its image instead; so it also takes what only happens to lie there (`posix/UTC`, `./UTC`), and
/// calls a folder such as `America` a directory where this calls it unknown.
///
/// # Errors
/// No zone of exactly that name, or a path out of the folder of zones.
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

/// The data base does not look at the case of a name; Go does.
fn bundled(name: &str) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}

/// The names that are nearest to `name`, the nearest first: by the letters that differ, in whatever case, of the
/// whole name or of its city alone.
fn nearest(name: &str) -> Vec<String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Vec::new();
    }
    let meant = name.to_lowercase().replace(' ', "_");
    let mut found: Vec<(usize, String)> = TimeZoneDatabase::bundled()
        .available()
        .filter_map(|known| {
            let lower = known.as_str().to_lowercase();
            let city = lower.rsplit('/').next().unwrap_or_default();
            let whole = wrong_letters(&meant, &lower);
            let wrong = whole.into_iter().chain(wrong_letters(&meant, city)).min()?;
            Some((wrong, known.as_str().to_owned()))
        })
        .collect();
    found.sort();
    let least = found.first().map_or(0, |(wrong, _)| *wrong);
    // A name that is right but for its case or its continent leaves no doubt.
    found.retain(|(wrong, _)| least > 0 || *wrong == 0);
    found.truncate(MOST_NAMES);
    found.into_iter().map(|(_, known)| known).collect()
}

/// How many letters differ, if so few that the one may be meant with the other.
fn wrong_letters(meant: &str, known: &str) -> Option<usize> {
    // A third of a short name is not the same name any more.
    let most = MOST_WRONG.min(known.len() / 3);
    if meant.len().abs_diff(known.len()) > most {
        return None;
    }
    Some(strsim::levenshtein(meant, known)).filter(|wrong| *wrong <= most)
}

/// "; did you mean A or B".
struct Suggested<'a>(&'a [String]);

impl fmt::Display for Suggested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; did you mean {}", self.0.join(" or "))
    }
}
