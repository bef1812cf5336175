//! How far apart runs are, from the fields alone.

use jiff::SignedDuration;

use crate::domain::schedule::days::months;
use crate::domain::schedule::grammar::Fields;

const MINUTES_OF_HOUR: i64 = 60;
const MINUTES_OF_DAY: i64 = 24 * 60;

/// How long the shortest and the longest time between two runs is.
///
/// On the wall clock, so every day has 24 hours: what a clock change does to a run is another question
/// ([`ClockTrouble`](super::ClockTrouble)). Over all years from 1970 to 2099: a schedule for 29 February has a
/// longest gap of four years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gaps {
    /// Between the two runs that are nearest to each other; at least a minute, or the interval of an `@every`.
    pub shortest: SignedDuration,
    /// Between the two runs in a row that are farthest from each other.
    pub longest: SignedDuration,
}

/// Numbers in order: where they begin and end, and how far neighbours are apart.
#[derive(Debug, Clone, Copy)]
struct Spread {
    first: i64,
    last: i64,
    /// The shortest and the longest; none for a single number.
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
            spread.gaps = either(spread.gaps, Some((number - spread.last, number - spread.last)));
            spread.last = number;
        }
        Some(spread)
    }

    /// The gaps of times that lie alike in each of several `units` (minutes within hours, times within days).
    fn gaps_within(self, units: Self, unit: i64) -> Option<(i64, i64)> {
        let width = self.last - self.first;
        let between = units
            .gaps
            .map(|(shortest, longest)| (shortest * unit - width, longest * unit - width));
        either(self.gaps, between)
    }

    fn within(self, units: Self, unit: i64) -> Self {
        Self {
            first: units.first * unit + self.first,
            last: units.last * unit + self.last,
            gaps: self.gaps_within(units, unit),
        }
    }
}

fn either(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
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

/// The days on which it fires, over so many that every gap is among them.
///
/// Weekdays alone come round in a week. With leap years and no weekdays, four years come round, and 29 February
/// needs the next four to come again; with weekdays it is 28 years.
fn days(fields: &Fields) -> Option<Spread> {
    if let Some(weekdays) = fields.weekly() {
        return Spread::of(bits(weekdays | weekdays << 7));
    }
    let years = if fields.asks_for_weekdays() { 29 } else { 9 };
    Spread::of(days_of_years(fields, years))
}

/// Numbered from 1 January 2000, a Saturday.
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

/// The places of the bits that are set, from the lowest.
fn bits(mut mask: u64) -> impl Iterator<Item = i64> {
    std::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(i64::from(place))
    })
}
