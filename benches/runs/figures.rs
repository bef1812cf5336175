//! Output of figures: distributions, and goals.

use crate::report::{Table, median};

/// The distribution of a series of times, in milliseconds.
#[derive(Debug)]
pub(crate) struct Distribution {
    sorted: Vec<f64>,
}

impl Distribution {
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.sorted.iter().copied())
    }

    /// Returns a percentile.
    fn percentile(&self, hundredths: usize) -> f64 {
        let place = (self.sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        self.sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Returns the distribution as one line.
    pub(crate) fn words(&self) -> String {
        format!(
            "median {:.0} ms, p90 {:.0}, p99 {:.0}, at most {:.0} (of {})",
            self.median(),
            self.percentile(90),
            self.percentile(99),
            self.percentile(100),
            self.sorted.len()
        )
    }
}

/// Measured values beside their goals.
#[derive(Debug)]
pub(crate) struct Figures(Table);

impl Figures {
    pub(crate) fn new() -> Self {
        Self(Table::new(["", "measured", "goal"]))
    }

    pub(crate) fn row(&mut self, what: &str, measured: String, goal: &str) {
        self.0.row([what.to_owned(), measured, goal.to_owned()]);
    }

    pub(crate) fn print(&self) {
        self.0.print();
    }
}
