//! The days and times on which the five fields fire, computed with bit masks instead of loops over a year.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use crate::domain::schedule::grammar::{DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MONTH};

/// The days of a month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Month {
    /// The month, 1 to 12.
    pub(super) number: u32,
    /// The number of days.
    pub(super) length: u32,
    /// The weekday of the first day, where 0 is Sunday.
    pub(super) begins_on: u32,
}

/// Returns the twelve months of a year.
///
/// `begins_on` is the weekday of 1 January.
pub(super) fn months(leap: bool, begins_on: u32) -> impl Iterator<Item = Month> {
    (1..=12).scan(begins_on, move |weekday, number| {
        let length = match number {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let begins_on = *weekday;
        *weekday = (begins_on + length) % 7;
        Some(Month {
            number,
            length,
            begins_on,
        })
    })
}

impl Field {
    /// Returns true if the field has `number`.
    pub(super) const fn has(self, number: u32) -> bool {
        number < u64::BITS && self.numbers & (1 << number) != 0
    }

    /// Returns the smallest number from `from` on.
    fn from(self, from: u32) -> Option<u32> {
        let rest = self.numbers & u64::MAX.checked_shl(from)?;
        (rest != 0).then(|| rest.trailing_zeros())
    }
}

impl Fields {
    /// Returns true if a day must match both day fields.
    ///
    /// robfig has the same rule (`spec.go`, `dayMatches`): both must match if one of them is starred, and otherwise one match
    /// is enough.
    pub(super) const fn days_match_both(&self) -> bool {
        self.day_of_month.starred || self.day_of_week.starred
    }

    /// Returns the days of a month on which the fields fire, as bits 1 to 31.
    pub(super) const fn days(&self, month: Month) -> u64 {
        /// Repeats seven bits over six weeks.
        const SIX_WEEKS: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28 | 1 << 35;
        if !self.month.has(month.number) {
            return 0;
        }
        let by_month = self.day_of_month.numbers;
        let by_week = ((self.day_of_week.numbers * SIX_WEEKS) >> month.begins_on) << 1;
        let days = if self.days_match_both() {
            by_month & by_week
        } else {
            by_month | by_week
        };
        days & ((1 << (month.length + 1)) - 1) & !1
    }

    /// Returns the weekdays on which the fields fire, or `None` if days depend on more than the weekday.
    pub(super) fn weekly(&self) -> Option<u64> {
        let full = |field: Field, star: Field| field.numbers == star.numbers;
        let any_day = full(self.day_of_month, DAY_OF_MONTH.star());
        let any_weekday = full(self.day_of_week, DAY_OF_WEEK.star());
        if !full(self.month, MONTH.star()) {
            None
        } else if self.days_match_both() {
            any_day.then_some(self.day_of_week.numbers)
        } else {
            (any_day || any_weekday).then_some(DAY_OF_WEEK.star().numbers)
        }
    }

    /// Returns true if days depend on the weekday.
    pub(super) const fn asks_for_weekdays(&self) -> bool {
        let numbers = self.day_of_week.numbers;
        numbers != 0 && numbers != DAY_OF_WEEK.star().numbers
    }

    /// Returns true if no date of any year or no time of day matches: `0 0 30 2 *`, or a field without numbers.
    pub(super) fn never_fires(&self) -> bool {
        let no_time = self.minute.numbers == 0 || self.hour.numbers == 0;
        // Every month has all seven weekdays, so the weekday of its first day makes no difference.
        no_time || months(true, 0).all(|month| self.days(month) == 0)
    }

    /// Returns true if the fields fire in each of the 24 hours of a day.
    pub(super) const fn takes_every_hour(&self) -> bool {
        self.hour.numbers == HOUR.star().numbers
    }

    /// Returns true if a clock change by `seconds` does not affect the distance of the runs.
    ///
    /// This holds for fields that fire in each hour, at the same minutes before and after the change.
    pub(super) fn keep_pace(&self, seconds: i32) -> bool {
        const HOUR: u64 = (1 << 60) - 1;
        let shift = seconds.rem_euclid(3600);
        let minutes = self.minute.numbers;
        let turned = (minutes << (shift / 60) | minutes >> (60 - shift / 60)) & HOUR;
        self.takes_every_hour() && shift % 60 == 0 && turned == minutes
    }

    /// Returns the first matching wall clock time from `begin` on and before `end`, which are at most a few days apart,
    /// because clocks change by no more.
    pub(super) fn first_between(&self, begin: DateTime, end: DateTime) -> Option<DateTime> {
        // In some years before 1972 clocks changed at other seconds than 0; runs are always at second 0.
        let begin = match begin.second() {
            0 => begin,
            _ => begin
                .with()
                .second(0)
                .build()
                .ok()?
                .checked_add(1.minute())
                .ok()?,
        };
        let mut from = (
            u32::try_from(begin.hour()).ok()?,
            u32::try_from(begin.minute()).ok()?,
        );
        for date in begin
            .date()
            .series(1.day())
            .take_while(|date| *date <= end.date())
            .take(4)
        {
            if self.is_day(date)
                && let Some((hour, minute)) = self.time_from(from)
            {
                let time = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                return (time < end).then_some(time);
            }
            from = (0, 0);
        }
        None
    }

    /// Returns true if the fields fire on `date`.
    fn is_day(&self, date: Date) -> bool {
        let month = || {
            Some(Month {
                number: u32::try_from(date.month()).ok()?,
                length: u32::try_from(date.days_in_month()).ok()?,
                begins_on: u32::try_from(date.first_of_month().weekday().to_sunday_zero_offset()).ok()?,
            })
        };
        month().is_some_and(|month| self.days(month) & (1 << date.day()) != 0)
    }

    /// Returns the first time of a day from `(hour, minute)` on.
    fn time_from(&self, (hour, minute): (u32, u32)) -> Option<(u32, u32)> {
        let this_hour = self.minute.from(minute).filter(|_| self.hour.has(hour));
        if let Some(minute) = this_hour {
            return Some((hour, minute));
        }
        Some((self.hour.from(hour + 1)?, self.minute.from(0)?))
    }
}
