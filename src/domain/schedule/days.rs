//! What the five fields say of one day and of one month, in bits. Nothing here counts through a year.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use crate::domain::schedule::grammar::{DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MONTH};

/// A month as far as days are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Month {
    /// 1 to 12.
    pub(super) number: u32,
    /// In days.
    pub(super) length: u32,
    /// The weekday of its first day; 0 is Sunday.
    pub(super) begins_on: u32,
}

/// The twelve months of a year.
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
    /// Whether it holds `number`.
    pub(super) const fn has(self, number: u32) -> bool {
        number < u64::BITS && self.numbers & (1 << number) != 0
    }

    /// The least number from `from` on.
    fn from(self, from: u32) -> Option<u32> {
        let rest = self.numbers & u64::MAX.checked_shl(from)?;
        (rest != 0).then(|| rest.trailing_zeros())
    }
}

impl Fields {
    /// Whether a day has to match both day fields. robfig's rule (`spec.go`, `dayMatches`): when one of them is
    /// starred; otherwise one of them is enough.
    pub(super) const fn days_match_both(&self) -> bool {
        self.day_of_month.starred || self.day_of_week.starred
    }

    /// The days of a month on which it fires, as bits 1 to 31.
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

    /// The weekdays on which it fires, when days depend on nothing else.
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

    /// Whether days depend on the weekday at all.
    pub(super) const fn asks_for_weekdays(&self) -> bool {
        let numbers = self.day_of_week.numbers;
        numbers != 0 && numbers != DAY_OF_WEEK.star().numbers
    }

    /// Whether no date of any year and no time of day matches: `0 0 30 2 *`, or a field without numbers.
    pub(super) fn never_fires(&self) -> bool {
        let no_time = self.minute.numbers == 0 || self.hour.numbers == 0;
        // Every month has all seven weekdays, so whether it has a day does not depend on how it begins.
        no_time || months(true, 0).all(|month| self.days(month) == 0)
    }

    /// Whether it fires in each of the 24 hours of its days.
    pub(super) const fn takes_every_hour(&self) -> bool {
        self.hour.numbers == HOUR.star().numbers
    }

    /// Whether its runs come at the same distance as ever when the clock is put forward or back by `seconds`: it fires
    /// in each hour, and at the same minutes after the change as before. Of such a schedule no run is missed.
    pub(super) fn keep_pace(&self, seconds: i32) -> bool {
        const HOUR: u64 = (1 << 60) - 1;
        let shift = seconds.rem_euclid(3600);
        let minutes = self.minute.numbers;
        let turned = (minutes << (shift / 60) | minutes >> (60 - shift / 60)) & HOUR;
        self.takes_every_hour() && shift % 60 == 0 && turned == minutes
    }

    /// The first wall clock time from `begin` on and before `end` that matches. The two are at most a few days
    /// apart: clocks change by no more.
    pub(super) fn first_between(&self, begin: DateTime, end: DateTime) -> Option<DateTime> {
        // In some years before 1972 clocks changed at odd seconds; a run has none.
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

    /// Whether it fires on `date`.
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

    /// The first time of a day from `(hour, minute)` on.
    fn time_from(&self, (hour, minute): (u32, u32)) -> Option<(u32, u32)> {
        let this_hour = self.minute.from(minute).filter(|_| self.hour.has(hour));
        if let Some(minute) = this_hour {
            return Some((hour, minute));
        }
        Some((self.hour.from(hour + 1)?, self.minute.from(0)?))
    }
}
