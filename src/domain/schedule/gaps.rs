//! The time between the runs of a schedule, computed from its fields.

use jiff::SignedDuration;

use crate::domain::schedule::days::months;
use crate::domain::schedule::grammar::Fields;

const MINUTES_OF_HOUR: i64 = 60;
const MINUTES_OF_DAY: i64 = 24 * 60;

/// The shortest and the longest time between two consecutive runs.
///
/// Times are on the wall clock, so every day has 24 hours; [`ClockTrouble`](super::ClockTrouble) describes the effect of
/// clock changes. The gaps cover all years from 1970 to 2099: a schedule for 29 February has a longest gap of four years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gaps {
    /// The shortest gap: at least a minute, or the interval of an `@every`.
    pub shortest: SignedDuration,
    /// The longest gap.
    pub longest: SignedDuration,
}

/// The first and the last of a sequence of numbers, and the gaps between consecutive ones.
#[derive(Debug, Clone, Copy)]
struct Spread {
    first: i64,
    last: i64,
    /// The shortest and the longest gap, or `None` for a single number.
    gaps: Option<(i64, i64)>,
}

impl Spread {
    fn of(numbers: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut numbers = numbers.into_iter();
        let first = numbers.next()?;
        let mut spread = Self {
            first,
            last: first,
            gaps: None,
        };
        for number in numbers {
            spread.gaps = merge(spread.gaps, Some((number - spread.last, number - spread.last)));
            spread.last = number;
        }
        Some(spread)
    }

    /// Returns the gaps of times that repeat in each of several `units` (minutes within hours, times within days).
    fn gaps_within(self, units: Self, unit: i64) -> Option<(i64, i64)> {
        let width = self.last - self.first;
        let between = units
            .gaps
            .map(|(shortest, longest)| (shortest * unit - width, longest * unit - width));
        merge(self.gaps, between)
    }

    fn within(self, units: Self, unit: i64) -> Self {
        Self {
            first: units.first * unit + self.first,
            last: units.last * unit + self.last,
            gaps: self.gaps_within(units, unit),
        }
    }
}

fn merge(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (one, other) {
        (Some((shortest, longest)), Some((shorter, longer))) => {
            Some((shortest.min(shorter), longest.max(longer)))
        }
        (one, other) => one.or(other),
    }
}

impl Gaps {
    /// `None` when the fields never match.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        let minutes = Spread::of(bits(fields.minute.numbers))?;
        let hours = Spread::of(bits(fields.hour.numbers))?;
        let times = minutes.within(hours, MINUTES_OF_HOUR);
        let (shortest, longest) = times.gaps_within(days(fields)?, MINUTES_OF_DAY)?;
        Some(Self {
            shortest: SignedDuration::from_mins(shortest),
            longest: SignedDuration::from_mins(longest),
        })
    }

    /// Those of an interval.
    pub(super) const fn every(interval: SignedDuration) -> Self {
        Self {
            shortest: interval,
            longest: interval,
        }
    }
}

/// Returns the days on which the schedule fires, over a period that contains every gap.
///
/// Weekdays repeat every week. Dates repeat every four years because of leap years, and the gap between two 29 February
/// ends in the next four years. Dates with weekdays repeat every 28 years.
fn days(fields: &Fields) -> Option<Spread> {
    if let Some(weekdays) = fields.weekly() {
        return Spread::of(bits(weekdays | weekdays << 7));
    }
    let years = if fields.asks_for_weekdays() { 29 } else { 9 };
    Spread::of(days_of_years(fields, years))
}

/// Returns the days on which the schedule fires, numbered from 1 January 2000, a Saturday.
fn days_of_years(fields: &Fields, years: u32) -> impl Iterator<Item = i64> {
    // The days of January 2000 are 1 to 31, and so on.
    let calendar = (0..years).scan(6, |begins_on, year| {
        let leap = year.is_multiple_of(4);
        let first = *begins_on;
        *begins_on = (first + if leap { 366 } else { 365 }) % 7;
        Some(months(leap, first))
    });
    let masks = calendar.flatten().scan(0, |before, month| {
        let start = *before;
        *before += i64::from(month.length);
        Some((start, month))
    });
    masks.flat_map(|(start, month)| bits(fields.days(month)).map(move |day| start + day))
}

/// Returns the positions of the set bits, lowest first.
fn bits(mut mask: u64) -> impl Iterator<Item = i64> {
    std::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(i64::from(place))
    })
}
