//! Logs: one line per event on standard error, as text or as JSON.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    str::FromStr,
};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
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
pub struct LogFilter(EnvFilter);

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
            .map(Self)
            .map_err(|error| LogFilterError::Malformed {
                text: text.to_owned(),
                reason: error.to_string(),
            })
    }
}

/// Sends every event of the process to standard error, panics included.
///
/// # Errors
/// When it was called before.
pub fn init(args: &LogArgs) -> Result<(), LogError> {
    let ansi = colours(
        io::stderr().is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
    );
    tracing_subscriber::registry()
        .with(lines(args.log_format, ansi, io::stderr).with_filter(args.log_level.0.clone()))
        .try_init()
        .map_err(|error| LogError::AlreadySet {
            reason: error.to_string(),
        })?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
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
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// What one event looks like, its time cut off.
    fn written(format: LogFormat, filter: &str) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let bytes = Arc::clone(&bytes);
            move || Shared(Arc::clone(&bytes))
        };
        let filter = filter.parse::<LogFilter>().unwrap().0;
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
            r#"","level":"INFO","message":"webhook listening","address":"127.0.0.1:1","target":"cassgate::observe::log::tests","span":{"uid":"u1","name":"review"}}"#
        );
    }

    #[test]
    fn text_is_one_line_without_colours() {
        assert_eq!(
            written(LogFormat::Text, "info"),
            r#"INFO review{uid="u1"}: cassgate::observe::log::tests: webhook listening address=127.0.0.1:1"#
        );
    }

    #[test]
    fn what_the_filter_leaves_out_is_not_written() {
        assert_eq!(written(LogFormat::Text, "warn"), "");
        assert_eq!(written(LogFormat::Text, "info,cassgate=warn"), "");
    }

    #[test]
    fn levels_and_levels_of_modules_are_taken() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,kube=debug",
            "cassgate::serve=trace, error",
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
