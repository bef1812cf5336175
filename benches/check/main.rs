//! Time and memory of `cassgate check`: a large tree, compared with kubeconform, and a single file.
//!
//! Run it with `make bench` or `cargo bench --bench check`. Both programs read the same files in turns. The bench fails
//! only if a verdict is wrong, never because the machine is slow.

#[path = "../review/report.rs"]
mod report;
mod tree;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;

use report::{Table, median};
use tree::{FILES, OBJECTS};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(about = "Time and memory of cassgate check, compared with kubeconform")]
struct Options {
    /// The number of runs of each program
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// The flag that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// One run of a program.
#[derive(Debug, Clone, Copy)]
struct Run {
    seconds: f64,
    /// The peak of resident memory, in MiB.
    peak: f64,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let kubeconform = kubeconform()?;
    let folder = tempfile::tempdir()?;
    let large = folder.path().join("large");
    tree::write(&large, FILES)?;
    let small = folder.path().join("small");
    tree::write(&small, 1)?;
    let schemas = folder.path().join("schemas");
    tree::schemas(&schemas)?;
    let location = format!("{}/{{{{ .ResourceKind }}}}.json", schemas.display());

    let ours = |tree: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cassgate"));
        command
            .arg("check")
            .arg(tree)
            .args(["--format", "json", "--strict"]);
        command
    };
    let theirs = |tree: &Path| {
        let mut command = Command::new(&kubeconform);
        // Secrets have no schema here, so kubeconform skips them.
        command
            .args([
                "-schema-location",
                &location,
                "-skip",
                "Secret,SealedSecret",
                "-strict",
                "-summary",
            ])
            .arg(tree);
        command
    };
    let mut measured = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..options.runs {
        let commands = [ours(&large), theirs(&large), ours(&small)];
        for (runs, command) in measured.iter_mut().zip(commands) {
            runs.push(run(command)?);
        }
    }
    let [large_ours, large_theirs, small_ours] = measured;
    let seconds = |runs: &[Run]| median(runs.iter().map(|run| run.seconds));
    let peak = |runs: &[Run]| runs.iter().map(|run| run.peak).fold(0.0, f64::max);
    let mut table = Table::new(["tree", "median seconds", "peak MiB"]);
    let heading = |name: &str| format!("{name}: {OBJECTS} objects in {FILES} files");
    for (name, runs) in [
        (heading("cassgate check"), &large_ours),
        (heading("kubeconform"), &large_theirs),
        (
            "cassgate check: one file, including process start and end".to_owned(),
            &small_ours,
        ),
    ] {
        table.row([
            name,
            format!("{:.3}", seconds(runs)),
            format!("{:.0}", peak(runs)),
        ]);
    }
    table.print();
    println!(
        "cassgate check takes {:.2} times the time of kubeconform\n",
        seconds(&large_ours) / seconds(&large_theirs)
    );
    Ok(())
}

/// Runs a program until it ends and watches its memory.
///
/// # Errors
/// Returns an error if the program cannot start or fails.
fn run(mut command: Command) -> Result<Run> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak: f64 = 0.0;
    let exit_status = loop {
        if let Some(exit_status) = child.try_wait()? {
            break exit_status;
        }
        // The kernel keeps the peak, so at most the last millisecond is missing.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak_line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak_line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u32>().ok());
        peak = peak.max(f64::from(kib.unwrap_or_default()) / 1024.0);
        std::thread::sleep(Duration::from_millis(1));
    };
    let seconds = start.elapsed().as_secs_f64();
    if !exit_status.success() {
        return Err(format!("{command:?}: {exit_status}").into());
    }
    Ok(Run { seconds, peak })
}

/// Builds kubeconform from its pinned Go module.
fn kubeconform() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubeconform");
    let built = Command::new("go")
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&binary)
        .arg("github.com/yannh/kubeconform/cmd/kubeconform")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/kubeconform"))
        .env("CGO_ENABLED", "0")
        .status()
        .map_err(|error| {
            format!("go ({error}): kubeconform is built from its Go module; install Go 1.25 or later")
        })?;
    if built.success() {
        Ok(binary)
    } else {
        Err("kubeconform could not be built from benches/kubeconform".into())
    }
}
