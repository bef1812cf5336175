//! The flag `--format`: a report to standard output or into a file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::check::render::{Format, Style};
use crate::check::report::Report;

/// A format and its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    format: Format,
    /// `None` for standard output.
    file: Option<PathBuf>,
}

/// An error that prevented a report from being written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// Two formats on standard output would be mixed up.
    #[error("--format: only one format can go to standard output; write the others as FORMAT=FILE")]
    TwoOnStandardOutput,
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("standard output cannot be written")]
    StandardOutput(#[source] io::Error),
}

/// Returns an error if more than one of `outputs` goes to standard output.
pub(super) fn validate(outputs: &[Output]) -> Result<(), OutputError> {
    let to_stdout = outputs.iter().filter(|output| output.file.is_none());
    if to_stdout.count() > 1 {
        return Err(OutputError::TwoOnStandardOutput);
    }
    Ok(())
}

impl Output {
    /// Parses `FORMAT` or `FORMAT=FILE`.
    ///
    /// # Errors
    /// Returns a text for clap to print if the format is unknown or the file is missing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (word, file) = match text.split_once('=') {
            Some((_, "")) => return Err("write the name of a file after =".to_owned()),
            Some((word, file)) => (word, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = match word {
            "text" => Format::Text,
            "json" => Format::Json,
            "sarif" => Format::Sarif,
            "junit" => Format::Junit,
            "github" => Format::Github,
            "markdown" => Format::Markdown,
            _ => return Err("write text, json, sarif, junit, github or markdown".to_owned()),
        };
        Ok(Self { format, file })
    }

    /// Writes the report.
    ///
    /// # Errors
    /// Returns an error if the destination cannot be written. A closed pipe is not an error.
    pub(super) fn write(&self, report: &Report, now: Timestamp) -> Result<(), OutputError> {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = Style {
            colour: self.file.is_none() && !no_colour && io::stdout().is_terminal(),
            now,
        };
        let Some(path) = &self.file else {
            return self.write_to_stdout(report, style);
        };
        let written = File::create(path).and_then(|file| {
            let mut output = BufWriter::new(file);
            self.format.write(report, style, &mut output)?;
            output.flush()
        });
        written.map_err(|source| OutputError::File {
            path: path.clone(),
            source,
        })
    }

    fn write_to_stdout(&self, report: &Report, style: Style) -> Result<(), OutputError> {
        let mut output = BufWriter::new(io::stdout().lock());
        let written = self
            .format
            .write(report, style, &mut output)
            .and_then(|()| output.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(OutputError::StandardOutput(error))
            }
            Err(_) => {
                // A plain drop of the writer would try to write the rest again.
                drop(output.into_parts());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
