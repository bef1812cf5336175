//! `cassgate check`: judges manifests, offline or with a Kubernetes cluster.

mod live;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use tokio::runtime;

use crate::check::files::{beside, inputs};
use crate::check::load::Loaded;
use crate::check::render::{Format, Style};
use crate::check::report::{Outcome, Report};
use crate::check::{self as manifests, Settings};
use crate::kubernetes::{self, ConnectError};
use crate::rules::catalogue::{self, Rule};
use crate::rules::facts::FactSource;
use crate::tls;

use super::{PolicyArgs, exit};
use live::Live;

/// What takes longer tells how far it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it tells.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// The flags of `cassgate check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files, folders (every .yaml, .yml and .json in them), or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How the verdicts are told, to standard output or into a file; may be given several times
    ///
    /// text, json, sarif, junit, github (commands of a workflow) or markdown (a table for a comment).
    #[arg(long = "format", value_name = "FORMAT[=FILE]", value_parser = output, default_value = "text")]
    outputs: Vec<OutputTo>,
    /// Take the given files for all there is: refuse an object that names something that is not in them
    #[arg(long, conflicts_with = "live", env = "CASSGATE_STRICT")]
    strict: bool,
    /// Ask the Kubernetes cluster for what is not in the given files
    ///
    /// It is found as kubectl finds it. Only what is named is read, and lists of clusters, backups and restores.
    #[arg(long)]
    live: bool,
    /// The context of the kubeconfig file that is used, instead of its current one
    #[arg(long, value_name = "CONTEXT", requires = "live")]
    context: Option<String>,
    /// The namespace of objects for which neither they nor a kustomization say one
    #[arg(long, short, default_value = "default", value_parser = namespace)]
    namespace: String,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Do not fail because of refusals by this rule; may be given several times
    ///
    /// The Kubernetes cluster will still refuse the object, and the check says so. Not for rules whose violation
    /// destroys data.
    #[arg(long, value_name = "RULE", value_delimiter = ',', hide_possible_values = true, value_parser = allowable())]
    allow: Vec<String>,
    /// What the platform team decides.
    #[command(flatten)]
    policy: PolicyArgs,
}

/// A format and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OutputTo {
    format: Format,
    /// `None` for standard output.
    file: Option<PathBuf>,
}

/// An error that prevented the verdicts or their reports.
#[derive(Debug, thiserror::Error)]
enum CheckCommandError {
    /// No usable Kubernetes configuration.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// Two formats on standard output would be mixed up.
    #[error("--format: only one goes to standard output; write the others as FORMAT=FILE")]
    TwoOnStandardOutput,
    /// A report cannot be written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nor can standard output.
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
}

impl CheckArgs {
    fn settings(&self, now: Timestamp) -> Settings {
        Settings {
            policy: self.policy.clone().into(),
            strict: self.strict,
            deny_warnings: self.deny_warnings,
            allow: self.allow.iter().filter_map(|id| catalogue::find(id)).collect(),
            namespace: self.namespace.clone(),
            now,
        }
    }
}

/// Judges manifests and writes the reports.
///
/// Returns 0 if no object is denied, 1 if one is, and 2 if an input, an option or the Kubernetes cluster is unusable.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let mut builder = runtime::Builder::new_current_thread();
    if args.live {
        builder.enable_all();
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return exit(Err(error)),
    };
    match runtime.block_on(check(args, Timestamp::now())) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::FAILURE,
        Ok(Outcome::Unusable) => ExitCode::from(2),
        Err(error) => exit(Err(error)),
    }
}

async fn check(args: &CheckArgs, now: Timestamp) -> Result<Outcome, CheckCommandError> {
    if !args.live {
        return judge_and_report(args, now, None).await;
    }
    tls::install_default_provider();
    let client = kubernetes::connect_to(args.context.as_deref()).await?;
    let live = Live::start(&client).await;
    judge_and_report(args, now, Some(live.facts())).await
}

/// Judges the files that `args` name and writes the reports. `live` answers for objects that are not in the files.
async fn judge_and_report(
    args: &CheckArgs,
    now: Timestamp,
    live: Option<&dyn FactSource>,
) -> Result<Outcome, CheckCommandError> {
    let to_stdout = args.outputs.iter().filter(|output| output.file.is_none());
    if to_stdout.count() > 1 {
        return Err(CheckCommandError::TwoOnStandardOutput);
    }
    let mut progress = Progress::new();
    let mut loaded = Loaded::default();
    for (done, input) in inputs(&args.paths, io::stdin()).enumerate() {
        loaded.add(input);
        progress.tell(|| match done {
            0 => "1 file read".to_owned(),
            _ => format!("{} files read", done + 1),
        });
    }
    for name in loaded.env_files() {
        loaded.add_env_file(beside(name));
    }
    let settings = args.settings(now);
    let judged = |done, all| progress.tell(|| format!("{done} of {all} objects judged"));
    let report = manifests::check(loaded, &settings, live, judged).await;
    progress.end();
    for output in &args.outputs {
        output.write(&report, now)?;
    }
    Ok(report.outcome(settings.deny_warnings))
}

impl OutputTo {
    fn write(&self, report: &Report, now: Timestamp) -> Result<(), CheckCommandError> {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = Style {
            colour: self.file.is_none() && !no_colour && io::stdout().is_terminal(),
            now,
        };
        let Some(path) = &self.file else {
            let mut output = BufWriter::new(io::stdout().lock());
            let written = self
                .format
                .write(report, style, &mut output)
                .and_then(|()| output.flush());
            return match written {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(CheckCommandError::Output(error))
                }
                Err(_) => {
                    // Dropped as it is, the writer would try the rest again.
                    drop(output.into_parts());
                    Ok(())
                }
                Ok(()) => Ok(()),
            };
        };
        let written = File::create(path).and_then(|file| {
            let mut output = BufWriter::new(file);
            self.format.write(report, style, &mut output)?;
            output.flush()
        });
        written.map_err(|source| CheckCommandError::Unwritable {
            path: path.clone(),
            source,
        })
    }
}

/// A line on a terminal that is written over, once it takes long.
struct Progress {
    begun: Instant,
    told: Option<Instant>,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            told: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        let since = self.told.map(|told| told.elapsed());
        if self.terminal && is_due(self.begun.elapsed(), since) {
            self.told = Some(Instant::now());
            drop(write!(io::stderr().lock(), "\r\u{1b}[Kcassgate: {}", what()));
        }
    }

    fn end(&self) {
        if self.told.is_some() {
            drop(write!(io::stderr().lock(), "\r\u{1b}[K"));
        }
    }
}

/// Whether to tell again, so long after the begin and after the last time.
fn is_due(running: Duration, since: Option<Duration>) -> bool {
    running >= PATIENCE && since.is_none_or(|since| since >= TELL_EVERY)
}

fn output(text: &str) -> Result<OutputTo, String> {
    let (word, file) = match text.split_once('=') {
        Some((_, "")) => return Err("after = comes the name of a file".to_owned()),
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
    Ok(OutputTo { format, file })
}

fn namespace(text: &str) -> Result<String, String> {
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !text.is_empty() && text.len() <= 63 && text.bytes().all(label);
    if fits && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("no namespace can have this name".to_owned())
    }
}

fn allowable() -> PossibleValuesParser {
    let may = |rule: &&'static Rule| !rule.destroys;
    PossibleValuesParser::new(catalogue::all().filter(may).map(|rule| rule.id))
}

#[cfg(test)]
mod tests {
    use super::is_due;
    use std::time::Duration;

    #[test]
    fn nothing_is_told_within_a_second_and_then_ten_times_in_one() {
        for (running, since, due) in [
            (0, None, false),
            (999, None, false),
            (1_000, None, true),
            (60_000, None, true),
            (1_050, Some(50), false),
            (1_099, Some(99), false),
            (1_100, Some(100), true),
        ] {
            let told = is_due(Duration::from_millis(running), since.map(Duration::from_millis));
            assert_eq!(told, due, "{running} {since:?}");
        }
    }
}
