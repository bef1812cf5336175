//! Logs: one line per event on standard error, as text or as JSON.

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

/// What kube's own modules say of an API server that does not answer, again at every attempt. Our caches say it once
/// for each reason.
const QUIET: &str = "kube_client::client::builder=off,kube_runtime::watcher=off";

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, the event's fields at its top level.
    Json,
}

/// Which events are logged: a level, and levels for single modules.
///
/// The grammar is that of `tracing_subscriber::EnvFilter`, without its bare module names: there `warning` would
/// be the module of that name at full detail, and everything else silent. Where it names nothing of kube, the parts
/// of kube that repeat what we say are silent.
#[derive(Debug, Clone)]
pub struct LogFilter {
    text: String,
    filter: EnvFilter,
}

/// Why a text is no [`LogFilter`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LogFilterError {
    /// A word that is neither a level nor `module=level`.
    #[error(
        "{0:?} is no level; write off, error, warn, info, debug or trace, or MODULE=LEVEL for one module"
    )]
    NoLevel(String),
    /// `EnvFilter` refuses the directives.
    #[error("{text:?} cannot be read: {reason}; write for example info,kube=warn")]
    Malformed {
        /// What was written.
        text: String,
        /// What `EnvFilter` says.
        reason: String,
    },
}

/// What is logged and how.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What is logged: off, error, warn, info, debug or trace; for one module MODULE=LEVEL (info,kube=warn)
    #[arg(
        long,
        value_name = "LEVEL",
        env = "CASSGATE_LOG_LEVEL",
        default_value = "info"
    )]
    pub log_level: LogFilter,

    /// How a log line is written to standard error
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CASSGATE_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The process has a global subscriber already.
    #[error("logging is set up already: {reason}")]
    AlreadySet {
        /// What `tracing` says.
        reason: String,
    },
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for directive in text.split(',').map(str::trim) {
            let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
            if !is_level && !directive.contains(['=', '[']) {
                return Err(LogFilterError::NoLevel(directive.to_owned()));
            }
        }
        let whole = if text.contains("kube") {
            text.to_owned()
        } else {
            format!("{QUIET},{text}")
        };
        EnvFilter::try_new(whole)
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

/// Changes what is logged while the process runs. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct LogControl {
    handle: reload::Handle<EnvFilter, Registry>,
    shown: Arc<Mutex<String>>,
}

/// The log that a [`LogControl`] belongs to has ended.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be changed: {0}")]
pub struct LogGone(reload::Error);

impl LogControl {
    /// A filter for a layer, and the handle that changes it.
    #[must_use]
    pub fn new(filter: LogFilter) -> (reload::Layer<EnvFilter, Registry>, Self) {
        let (layer, handle) = reload::Layer::new(filter.filter);
        let shown = Arc::new(Mutex::new(filter.text));
        (layer, Self { handle, shown })
    }

    /// What is logged now, as it was written.
    #[must_use]
    pub fn current(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// When the layer is gone.
    pub fn set(&self, filter: LogFilter) -> Result<(), LogGone> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter.filter).map_err(LogGone)?;
        *shown = filter.text;
        Ok(())
    }
}

/// Sends every event of the process to standard error, panics included. The answer changes which.
///
/// # Errors
/// When it was called before.
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

/// One line per event, to `writer`.
fn lines<W>(format: LogFormat, ansi: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A closed standard error must not bring the process down: the layer would report its own failure there.
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(ansi)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// Colours are for a terminal whose user did not refuse them (no-color.org: set and not empty).
fn colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Without this a panic would be the one thing on standard error that is no log line.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
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

    /// What one event looks like, its time cut off.
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
    fn what_the_filter_leaves_out_is_not_written() {
        assert_eq!(written(LogFormat::Text, "warn"), "");
        assert_eq!(written(LogFormat::Text, "info,cassgate=warn"), "");
    }

    #[test]
    fn a_level_that_was_changed_counts_from_then_on_and_is_shown_as_it_was_written() {
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
    fn levels_and_levels_of_modules_are_taken() {
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
    fn a_word_that_is_no_level_is_refused_with_the_levels() {
        let error = "warning".parse::<LogFilter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"warning\" is no level; write off, error, warn, info, debug or trace, or MODULE=LEVEL for one module"
        );
        assert_eq!(
            "".parse::<LogFilter>().unwrap_err(),
            LogFilterError::NoLevel(String::new())
        );
    }

    #[test]
    fn a_module_with_a_level_that_is_none_is_refused() {
        let error = "kube=loud".parse::<LogFilter>().unwrap_err();
        assert!(
            error.to_string().starts_with("\"kube=loud\" cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn colours_are_for_a_terminal_whose_user_did_not_refuse_them() {
        assert!(colours(true, None));
        assert!(colours(true, Some(OsStr::new(""))));
        assert!(!colours(true, Some(OsStr::new("1"))));
        assert!(!colours(false, None));
    }
}
