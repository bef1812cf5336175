//! The time zone in front of a schedule, as Go's `time.LoadLocation` takes it (`src/time/zoneinfo.go`).

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::domain::schedule::ScheduleError;

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
    // The database does not look at the case of a name; Go does.
    TimeZoneDatabase::bundled()
        .get(name)
        .ok()
        .filter(|zone| zone.iana_name() == Some(name))
        .map(Some)
        .ok_or_else(|| ScheduleError::UnknownZone {
            name: name.to_owned(),
        })
}
