//! Reports in the formats that people and programs read.

mod github;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;
mod wording;

use std::io::{self, Write};

use jiff::Timestamp;

use super::report::Report;

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people, in the style of rustc's errors.
    Text,
    /// JSON for programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML, for test reports.
    Junit,
    /// Commands of a GitHub workflow, which become annotations in the pull request.
    Github,
    /// A Markdown table for a comment on a pull request.
    Markdown,
}

/// The options of the formats.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// True if the text is coloured.
    pub colour: bool,
    /// The current time, for formats that contain one.
    pub now: Timestamp,
}

impl Format {
    /// Writes the report.
    ///
    /// # Errors
    /// Returns the error of `into`.
    pub fn write(self, report: &Report, style: Style, into: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text => text::write(report, style.colour, into),
            Self::Json => pretty(&json::Document::from(report), into),
            Self::Sarif => pretty(&sarif::log(report), into),
            Self::Junit => junit::write(report, style.now, into),
            Self::Github => github::write(report, into),
            Self::Markdown => markdown::write(report, into),
        }
    }
}

fn pretty(value: &impl serde::Serialize, into: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *into, value)?;
    into.write_all(b"\n")
}
