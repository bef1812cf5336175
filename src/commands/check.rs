//! `cassgate check`: judges manifests, offline or with a Kubernetes cluster.

mod live;
mod output;
mod progress;

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use regex::Regex;
use tokio::runtime;

use crate::check::files::{file_name, given_files, named_file};
use crate::check::load::Loaded;
use crate::check::report::Outcome;
use crate::check::{self as manifests, Checkout, FailOn, Live, Placeholders, Settings};
use crate::domain::object_name::is_namespace_name;
use crate::kubernetes::{self, ConnectError};
use crate::rules::catalogue::{self, Rule};
use crate::tls;

use super::output::exit;
use super::policy_args::PolicyArgs;
use live::LiveCluster;
use output::{Output, OutputError};
use progress::Progress;

/// The flags of `cassgate check`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct CheckArgs {
    /// Files, folders (every .yaml, .yml and .json in them), or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The format of the verdicts, to standard output or into a file; may be given several times
    ///
    /// text, json, sarif, junit, github (commands of a workflow) or markdown (a table for a comment).
    #[arg(long = "format", value_name = "FORMAT[=FILE]", value_parser = Output::parse, default_value = "text")]
    outputs: Vec<Output>,
    /// Deny an object that refers to something that is not in the given files
    #[arg(long, conflicts_with = "live", env = "CASSGATE_STRICT")]
    strict: bool,
    /// Look up in the Kubernetes cluster what is not in the given files, and judge stored objects as updates
    ///
    /// The configuration is found as kubectl finds it. Only the objects in the files and those that they refer to are read,
    /// and lists of clusters, backups and restores.
    #[arg(long)]
    live: bool,
    /// The context of the kubeconfig file, instead of its current one
    #[arg(long, value_name = "CONTEXT", requires = "live")]
    context: Option<String>,
    /// The namespace of objects for which neither they nor a kustomization set one
    #[arg(long, short, default_value = "default", value_parser = namespace)]
    namespace: String,
    /// The least severe result that fails the check
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOnArg::Deny)]
    fail_on: FailOnArg,
    /// Fail on warnings too: the same as --fail-on warn
    #[arg(long)]
    deny_warnings: bool,
    /// Return 2 if no backup or restore is judged
    #[arg(long)]
    require_objects: bool,
    /// Do not fail because of denials by this rule; may be given several times
    ///
    /// The Kubernetes cluster will still deny the object, and the report says so. Not for rules whose violation destroys
    /// data.
    #[arg(long, value_name = "RULE", value_delimiter = ',', hide_possible_values = true, value_parser = allowable_rules())]
    allow: Vec<String>,
    /// The folder of the files that are applied to a Kubernetes cluster of its own; may be given several times
    ///
    /// The files of one folder do not see those of another. Files outside of all of them belong to each. Folders that a Flux
    /// Kustomization or an Argo CD Application in the folder names belong to it, too. Without this flag, folders that contain the
    /// same object with different content are kept apart.
    #[arg(long = "tree", value_name = "DIR")]
    trees: Vec<PathBuf>,
    /// Take texts that match this regular expression for placeholders, whose values are unknown; may be given several times
    ///
    /// The placeholders of Helm, Flux, argocd-vault-plugin, SOPS, ytt and other tools are known: docs/placeholders.md lists
    /// them.
    #[arg(long = "placeholder", value_name = "REGEX", value_parser = Regex::new)]
    placeholders: Vec<Regex>,
    /// The time at which the manifests are applied, in RFC 3339; the current time by default
    ///
    /// It decides whether a restore has expired, and which runs of a schedule are next.
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// The policy of the rules.
    #[command(flatten)]
    policy: PolicyArgs,
}

/// The least severe result that fails the check.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOnArg {
    /// A denial
    Deny,
    /// A warning or a denial
    Warn,
    /// A note on something that is not judged, a warning or a denial
    Note,
}

/// An error that prevented the verdicts or their reports.
#[derive(Debug, thiserror::Error)]
enum CheckCommandError {
    /// The Kubernetes configuration is missing or unusable.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// A report cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A folder of `--tree` contains none of the files.
    #[error(
        "--tree {0}: none of the given files is in this folder; write it as the paths of the files begin"
    )]
    EmptyTree(String),
}

impl CheckArgs {
    fn settings(&self, now: Timestamp) -> Settings {
        Settings {
            policy: self.policy.clone().into(),
            strict: self.strict,
            fail_on: self.fail_on(),
            require_objects: self.require_objects,
            allow: self.allow.iter().filter_map(|id| catalogue::find(id)).collect(),
            namespace: self.namespace.clone(),
            now,
            trees: self.trees.iter().map(|folder| file_name(folder)).collect(),
            placeholders: Placeholders::new(self.placeholders.clone()),
            checkout: env::current_dir()
                .map_or_else(|_| Checkout::default(), |folder| Checkout::around(&folder)),
        }
    }

    /// Returns the stricter one of `--fail-on` and `--deny-warnings`.
    fn fail_on(&self) -> FailOn {
        let fail_on = match self.fail_on {
            FailOnArg::Deny => FailOn::Deny,
            FailOnArg::Warn => FailOn::Warn,
            FailOnArg::Note => FailOn::Note,
        };
        if self.deny_warnings {
            fail_on.max(FailOn::Warn)
        } else {
            fail_on
        }
    }
}

/// Judges manifests and writes the reports.
///
/// Returns 0 if nothing fails the check, 1 if an object is denied or --fail-on is reached, and 2 if an input, an option or
/// the Kubernetes cluster is unusable.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let mut builder = runtime::Builder::new_current_thread();
    if args.live {
        builder.enable_all();
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return exit(Err(error)),
    };
    match runtime.block_on(check(args, args.now.unwrap_or_else(Timestamp::now))) {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => exit(Err(error)),
    }
}

async fn check(args: &CheckArgs, now: Timestamp) -> Result<Outcome, CheckCommandError> {
    if !args.live {
        return judge_and_report(args, now, None).await;
    }
    tls::install_default_provider();
    let client = kubernetes::connect_to(args.context.as_deref()).await?;
    let live = LiveCluster::start(&client).await;
    judge_and_report(args, now, Some(live.live())).await
}

/// Judges the files that `args` name and writes the reports. `live` answers for objects that are not in the files, and has the
/// stored versions of those that are.
async fn judge_and_report(
    args: &CheckArgs,
    now: Timestamp,
    live: Option<Live<'_>>,
) -> Result<Outcome, CheckCommandError> {
    output::validate(&args.outputs)?;
    let mut progress = Progress::new();
    let files = given_files(&args.paths, io::stdin());
    let mut loaded = Loaded::read(files, |done| {
        progress.update(|| match done {
            1 => "1 file read".to_owned(),
            _ => format!("{done} files read"),
        });
    });
    for name in loaded.env_files() {
        loaded.add_env_file(named_file(name));
    }
    let settings = args.settings(now);
    if let Some(empty) = settings.trees.iter().find(|tree| !loaded.has_files_in(tree)) {
        return Err(CheckCommandError::EmptyTree(empty.clone()));
    }
    let judged = |done, total| progress.update(|| format!("{done} of {total} objects judged"));
    let report = manifests::check(loaded, &settings, live, judged).await;
    progress.clear();
    for output in &args.outputs {
        output.write(&report, now)?;
    }
    Ok(report.outcome())
}

fn namespace(text: &str) -> Result<String, String> {
    if is_namespace_name(text) {
        Ok(text.to_owned())
    } else {
        Err("not a valid name of a namespace".to_owned())
    }
}

/// Returns the rules whose denials `--allow` may ignore.
fn allowable_rules() -> PossibleValuesParser {
    let is_allowable = |rule: &&'static Rule| !rule.destroys;
    PossibleValuesParser::new(catalogue::all().filter(is_allowable).map(|rule| rule.id))
}
