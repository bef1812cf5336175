//! Logs: one line per event on standard error, as text or JSON.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// Silences the modules of kube that log every failed attempt to reach the API server. The caches of cassgate log each
/// reason once.
const KUBE_DIRECTIVES: &str = "kube_client::client::builder=off,kube_runtime::watcher=off";

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object a line, with the fields of the event at its top level
    Json,
}

/// The filter of log events: a level, and levels for single modules.
///
/// The grammar is that of `tracing_subscriber::EnvFilter`, without bare module names: there `warning` would mean the
/// module of that name at full detail, and silence for everything else. Unless the filter names kube, the modules of kube
/// that repeat the messages of cassgate are silent.
#[derive(Debug, Clone)]
pub struct LogFilter {
    text: String,
    filter: EnvFilter,
}

/// The reason why a text is not a [`LogFilter`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LogFilterError {
    /// A word that is neither a level nor `module=level`.
    #[error(
        "{0:?} is not a level; write off, error, warn, info, debug or trace, or MODULE=LEVEL for one module"
    )]
    NotALevel(String),
    /// Directives that `EnvFilter` rejects.
    #[error("{text:?} cannot be read: {reason}; write for example info,kube=warn")]
    Malformed {
        /// The text.
        text: String,
        /// The error of `EnvFilter`.
        reason: String,
    },
}

/// The flags for logs.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// The log level: off, error, warn, info, debug or trace; for one module MODULE=LEVEL (info,kube=warn)
    #[arg(
        long,
        value_name = "LEVEL",
        env = "CASSGATE_LOG_LEVEL",
        default_value = "info"
    )]
    pub log_level: LogFilter,

    /// The format of log lines on standard error
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CASSGATE_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// The reason why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The process has a global subscriber already.
    #[error("logging is set up already: {reason}")]
    AlreadySet {
        /// The error of `tracing`.
        reason: String,
    },
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for directive in text.split(',').map(str::trim) {
            let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
            if !is_level && !directive.contains(['=', '[']) {
                return Err(LogFilterError::NotALevel(directive.to_owned()));
            }
        }
        let directives = if text.contains("kube") {
            text.to_owned()
        } else {
            format!("{KUBE_DIRECTIVES},{text}")
        };
        EnvFilter::try_new(directives)
            .map(|filter| Self {
                text: text.to_owned(),
                filter,
            })
            .map_err(|error| LogFilterError::Malformed {
                text: text.to_owned(),
                reason: error.to_string(),
            })
    }
}

/// Changes the log filter while the process runs. A clone is another handle to the same filter.
#[derive(Debug, Clone)]
pub struct LogControl {
    handle: reload::Handle<EnvFilter, Registry>,
    text: Arc<Mutex<String>>,
}

/// The log that a [`LogControl`] belongs to has ended.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be changed: {0}")]
pub struct LogGone(reload::Error);

impl LogControl {
    /// Returns a filter for a layer, and the handle that changes it.
    #[must_use]
    pub fn new(filter: LogFilter) -> (reload::Layer<EnvFilter, Registry>, Self) {
        let (layer, handle) = reload::Layer::new(filter.filter);
        let text = Arc::new(Mutex::new(filter.text));
        (layer, Self { handle, text })
    }

    /// Returns the current filter as the user wrote it.
    #[must_use]
    pub fn current(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses this filter from now on.
    ///
    /// # Errors
    /// Returns an error if the layer has been dropped.
    pub fn set(&self, filter: LogFilter) -> Result<(), LogGone> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter.filter).map_err(LogGone)?;
        *text = filter.text;
        Ok(())
    }
}

/// Writes the events of the process to standard error, panics included. The result changes the filter later.
///
/// # Errors
/// Returns an error if logging is set up already.
pub fn init(args: &LogArgs) -> Result<LogControl, LogError> {
    let ansi = colours(
        io::stderr().is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
    );
    let (filter, control) = LogControl::new(args.log_level.clone());
    tracing_subscriber::registry()
        .with(lines(args.log_format, ansi, io::stderr).with_filter(filter))
        .try_init()
        .map_err(|error| LogError::AlreadySet {
            reason: error.to_string(),
        })?;
    panic::set_hook(Box::new(log_panic));
    Ok(control)
}

/// Returns a layer that writes one line per event to `writer`.
fn lines<W>(format: LogFormat, ansi: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A closed standard error must not end the process: the layer would report its own failure to standard error.
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(ansi)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// Returns true for a terminal, unless the user disables colours (no-color.org: `NO_COLOR` set and not empty).
fn colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Logs a panic, so that it is a log line like every other output on standard error.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is not a text");
    let location = info.location().map(ToString::to_string);
    tracing::error!(
        panic = message,
        location,
        "a part of cassgate panicked; this is a bug"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line of one event, without its time.
    fn written(format: LogFormat, filter: &str) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let bytes = Arc::clone(&bytes);
            move || Shared(Arc::clone(&bytes))
        };
        let filter = filter.parse::<LogFilter>().unwrap().filter;
        let subscriber =
            tracing_subscriber::registry().with(lines(format, false, writer).with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("review", uid = "u1").entered();
            tracing::info!(address = %"127.0.0.1:1", "webhook listening");
        });
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let year = text
            .find("20")
            .map_or(0, |start| start + "2026-11-23T12:00:00.000000Z".len());
        text[year..].trim().to_owned()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_has_the_fields_of_an_event_at_its_top_level() {
        assert_eq!(
            written(LogFormat::Json, "info"),
            r#"","level":"INFO","message":"webhook listening","address":"127.0.0.1:1","target":"cassgate::telemetry::log::tests","span":{"uid":"u1","name":"review"}}"#
        );
    }

    #[test]
    fn text_is_one_line_without_colours() {
        assert_eq!(
            written(LogFormat::Text, "info"),
            r#"INFO review{uid="u1"}: cassgate::telemetry::log::tests: webhook listening address=127.0.0.1:1"#
        );
    }

    #[test]
    fn events_that_the_filter_excludes_are_not_written() {
        assert_eq!(written(LogFormat::Text, "warn"), "");
        assert_eq!(written(LogFormat::Text, "info,cassgate=warn"), "");
    }

    #[test]
    fn a_changed_level_applies_at_once_and_is_returned_as_it_was_written() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let bytes = Arc::clone(&bytes);
            move || Shared(Arc::clone(&bytes))
        };
        let (filter, control) = LogControl::new("info".parse().unwrap());
        let subscriber =
            tracing_subscriber::registry().with(lines(LogFormat::Text, false, writer).with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            for (level, shown) in [("debug", "debug"), ("info,kube=warn", "info,kube=warn")] {
                tracing::debug!(before = level);
                control.set(level.parse().unwrap()).unwrap();
                assert_eq!(control.current(), shown);
                tracing::debug!(after = level);
            }
        });
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let events: Vec<&str> = text
            .lines()
            .map(|line| line.rsplit("tests: ").next().unwrap())
            .collect();
        assert_eq!(events, ["after=\"debug\"", "before=\"info,kube=warn\""]);
    }

    #[test]
    fn levels_and_levels_of_modules_are_accepted() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,kube=debug",
            "cassgate::server=trace, error",
        ] {
            assert!(text.parse::<LogFilter>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_a_level_is_rejected_with_the_valid_levels() {
        let error = "warning".parse::<LogFilter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"warning\" is not a level; write off, error, warn, info, debug or trace, or MODULE=LEVEL for one module"
        );
        assert_eq!(
            "".parse::<LogFilter>().unwrap_err(),
            LogFilterError::NotALevel(String::new())
        );
    }

    #[test]
    fn a_module_with_a_malformed_level_is_rejected() {
        let error = "kube=loud".parse::<LogFilter>().unwrap_err();
        assert!(
            error.to_string().starts_with("\"kube=loud\" cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn colours_are_for_a_terminal_whose_user_has_not_disabled_them() {
        assert!(colours(true, None));
        assert!(colours(true, Some(OsStr::new(""))));
        assert!(!colours(true, Some(OsStr::new("1"))));
        assert!(!colours(false, None));
    }
}
