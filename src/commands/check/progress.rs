//! A progress line on the terminal while a check takes long.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time before the first progress line: a fast check prints none.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// The minimum interval between two progress lines.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// A line on standard error that each update overwrites. It is shown only on a terminal.
pub(super) struct Progress {
    started: Instant,
    last_shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            last_shown: None,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Shows `text`, if it is time for an update.
    pub(super) fn update(&mut self, text: impl FnOnce() -> String) {
        let since_last = self.last_shown.map(|shown| shown.elapsed());
        if self.is_terminal && is_due(self.started.elapsed(), since_last) {
            self.last_shown = Some(Instant::now());
            drop(write!(io::stderr().lock(), "\r\u{1b}[Kcassgate: {}", text()));
        }
    }

    /// Erases the line.
    pub(super) fn clear(&self) {
        if self.last_shown.is_some() {
            drop(write!(io::stderr().lock(), "\r\u{1b}[K"));
        }
    }
}

/// Returns true if an update is due, after these times since the start and since the last update.
fn is_due(running: Duration, since_last: Option<Duration>) -> bool {
    running >= FIRST_AFTER && since_last.is_none_or(|since| since >= MIN_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::is_due;
    use std::time::Duration;

    #[test]
    fn updates_begin_after_a_second_and_come_at_most_ten_times_a_second() {
        for (running, since_last, due) in [
            (0, None, false),
            (999, None, false),
            (1_000, None, true),
            (60_000, None, true),
            (1_050, Some(50), false),
            (1_099, Some(99), false),
            (1_100, Some(100), true),
        ] {
            let actual = is_due(
                Duration::from_millis(running),
                since_last.map(Duration::from_millis),
            );
            assert_eq!(actual, due, "{running} {since_last:?}");
        }
    }
}
