//! The explanation of one schedule.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::query::Query;
use crate::domain::schedule::{ClockEffect, ClockTrouble, Gaps, Schedule, in_words};

/// The meaning of a schedule and its runs.
#[derive(Debug)]
pub(super) struct Report<'a> {
    schedule: &'a Schedule,
    zone: &'a TimeZone,
    requested: usize,
    runs: Vec<Timestamp>,
    gaps: Option<Gaps>,
    troubles: Vec<ClockTrouble>,
}

/// A report as JSON. Times are in seconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    expr: &'a str,
    valid: bool,
    words: String,
    zone: &'a str,
    next: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest_gap_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_gap_seconds: Option<i64>,
    clock_changes: Vec<ClockChange>,
}

#[derive(Debug, Serialize)]
struct ClockChange {
    at: i64,
    /// The time of the run on the wall clock.
    time: String,
    effect: &'static str,
}

impl<'a> Report<'a> {
    pub(super) fn new(schedule: &'a Schedule, query: Query<'a>) -> Self {
        let Query { from, zone, count } = query;
        Self {
            schedule,
            zone: schedule.zone_or(zone),
            requested: count,
            runs: schedule.after(from, zone).take(count).collect(),
            gaps: schedule.gaps(),
            troubles: schedule.clock_troubles(from, zone).collect(),
        }
    }

    /// Returns the report as lines for people.
    pub(super) fn text(&self) -> String {
        let mut lines = Lines::default();
        lines.add("Schedule", &printable(self.schedule.as_str()));
        lines.add("Meaning", &self.meaning());
        if self.schedule.never_fires() {
            lines.add("Next", "never: no date and time matches");
        } else if self.runs.len() < self.requested.min(1) {
            lines.add("Next", "no run until the end of the fifth year after --from");
        }
        for run in self.formatted_runs() {
            lines.add("Next", &run);
        }
        if let Some(Gaps { shortest, longest }) = self.gaps {
            lines.add("Shortest gap", &in_words(shortest));
            lines.add("Longest gap", &in_words(longest));
        }
        for trouble in &self.troubles {
            lines.add("Clock change", &trouble.in_words(self.zone));
        }
        lines.0
    }

    /// Returns the report for programs.
    pub(super) fn json(&self) -> Json<'a> {
        Json {
            expr: self.schedule.as_str(),
            valid: true,
            words: self.schedule.words(),
            zone: self.zone.iana_name().unwrap_or_default(),
            next: self.runs.iter().map(|run| run.as_second()).collect(),
            shortest_gap_seconds: self.gaps.map(|gaps| gaps.shortest.as_secs()),
            longest_gap_seconds: self.gaps.map(|gaps| gaps.longest.as_secs()),
            clock_changes: self.troubles.iter().map(ClockChange::from).collect(),
        }
    }

    fn meaning(&self) -> String {
        let words = self.schedule.words();
        match self.zone.iana_name() {
            Some(zone) if self.schedule.interval().is_none() && !self.schedule.never_fires() => {
                format!("{words}, {zone}")
            }
            _ => words,
        }
    }

    /// Returns the runs in the time zone, and in UTC if that is another one.
    fn formatted_runs(&self) -> Vec<String> {
        let local = |run: &Timestamp| {
            run.to_zoned(self.zone.clone())
                .strftime("%a %F %T %Z")
                .to_string()
        };
        let mut formatted: Vec<String> = self.runs.iter().map(local).collect();
        if self.zone.iana_name() != Some("UTC") {
            let widest = formatted.iter().map(String::len).max().unwrap_or_default();
            for (text, run) in formatted.iter_mut().zip(&self.runs) {
                *text = format!("{text:widest$}  {run}");
            }
        }
        formatted
    }
}

impl From<&ClockTrouble> for ClockChange {
    fn from(trouble: &ClockTrouble) -> Self {
        Self {
            at: trouble.change.as_second(),
            time: trouble.wall.to_string(),
            effect: match trouble.effect {
                ClockEffect::Skipped => "skipped",
                ClockEffect::Twice { .. } => "twice",
            },
        }
    }
}

/// Lines with a label. Of consecutive lines with the same label, only the first shows it.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) String, &'static str);

impl Lines {
    pub(super) fn add(&mut self, label: &'static str, text: &str) {
        let shown = if label == self.1 { "" } else { label };
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{shown:<14}{text}");
        self.1 = label;
    }
}

/// Escapes control characters, so that the text stays on one line and cannot control the terminal.
pub(super) fn printable(text: &str) -> String {
    let show = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(show).collect()
}
