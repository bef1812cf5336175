//! The measurement: the servers in turn under the same load, then memory, then start times.

use std::process::Command;

use crate::Result;
use crate::cluster::Cluster;
use crate::load::Round;
use crate::process::{Cores, Memory, check_tools};
use crate::report::{Table, median};
use crate::servers::{Launcher, Pair, Server, build_controller_runtime};

/// The extent of the measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each loads every server once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that count in each round
    #[arg(long, default_value_t = 2000)]
    measure_ms: u64,
    /// Milliseconds of load before them
    #[arg(long, default_value_t = 500)]
    warm_up_ms: u64,
    /// Reviews in flight
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    streams: Vec<usize>,
    /// Backups that are stored for the measurement of memory; 0 skips it
    #[arg(long, default_value_t = 10_000)]
    backups: u32,
    /// Starts until readiness
    #[arg(long, default_value_t = 7)]
    starts: usize,
}

/// A small number of backups.
const FEW: u32 = 10;

/// All rounds of one server at one number of reviews in flight.
#[derive(Debug)]
struct Series {
    name: &'static str,
    rounds: Vec<Round>,
}

/// One line of the last table.
#[derive(Debug)]
struct Goal {
    what: String,
    measured: String,
    wanted: &'static str,
}

/// Measures everything and prints it.
///
/// # Errors
/// An error if a tool is missing, a server does not start, or an answer is wrong.
pub(crate) fn run(options: &Options) -> Result<()> {
    check_tools()?;
    let cores = Cores::find()?;
    let webhook = build_controller_runtime()?;
    let cluster = Cluster::start()?;
    let pair = Pair::make(cluster.folder("tls")?)?;
    let logs = cluster.folder("logs")?;
    let launcher = Launcher {
        cores,
        cluster: &cluster,
        pair: &pair,
        logs,
        webhook,
    };
    let mut goals = Vec::new();
    measure_load(options, &launcher, &mut goals)?;
    measure_starts(options, &launcher, &mut goals)?;
    if options.backups > 0 {
        measure_backups(options, &launcher, &mut goals)?;
    }
    let mut table = Table::new(["", "measured", "goal"]);
    for Goal {
        what,
        measured,
        wanted,
    } in goals
    {
        table.row([what, measured, wanted.to_owned()]);
    }
    table.print();
    Ok(())
}

fn measure_load(options: &Options, launcher: &Launcher<'_>, goals: &mut Vec<Goal>) -> Result<()> {
    let cassgate = launcher.cassgate()?;
    let first = load(options, launcher, &cassgate, 1)?;
    println!("{} answers: {}", cassgate.name, first.answer);
    println!(
        "{}; server on processor {}, load on {}\n",
        first.cipher, launcher.cores.server, launcher.cores.load
    );
    let constant = launcher.constant(&constant_answer(&first.answer)?)?;
    let go = launcher.controller_runtime()?;
    let servers = [cassgate, constant, go];
    let mut table = Table::new([
        "server",
        "in flight",
        "reviews/s",
        "core busy",
        "µs of core per review",
    ]);
    for &streams in &options.streams {
        let series = measure_turns(options, launcher, &servers, streams)?;
        for one in &series {
            table.row(one.cells(streams));
        }
        let [cassgate, constant, go] = &series;
        goals.push(ratio(cassgate, constant, streams, "at least 0.80"));
        goals.push(ratio(cassgate, go, streams, "at least 2.00"));
    }
    table.print();
    measure_memory(&servers, goals)
}

/// Loads each server in turn, round by round, so that other activity of the machine affects all of them.
fn measure_turns<const N: usize>(
    options: &Options,
    launcher: &Launcher<'_>,
    servers: &[Server; N],
    streams: usize,
) -> Result<[Series; N]> {
    let mut series = servers.each_ref().map(|server| Series {
        name: server.name,
        rounds: Vec::new(),
    });
    for _ in 0..options.rounds {
        for (server, series) in servers.iter().zip(&mut series) {
            series.rounds.push(load(options, launcher, server, streams)?);
        }
    }
    Ok(series)
}

fn measure_memory(servers: &[Server; 3], goals: &mut Vec<Goal>) -> Result<()> {
    let mut table = Table::new([
        "server",
        "resident MiB after the load",
        "of these no file",
        "at most before",
    ]);
    for server in servers {
        let memory = Memory::of(server.running.id())?;
        table.row([
            server.name.to_owned(),
            format!("{:.1}", memory.resident),
            format!("{:.1}", memory.anonymous),
            format!("{:.1}", memory.peak),
        ]);
    }
    table.print();
    let [cassgate, _, go] = servers;
    let ours = Memory::of(cassgate.running.id())?.resident;
    let theirs = Memory::of(go.running.id())?.resident;
    goals.push(Goal {
        what: format!("resident memory after the load, {} : {}", cassgate.name, go.name),
        measured: format!("{:.2} ({ours:.1} MiB : {theirs:.1} MiB)", ours / theirs),
        wanted: "at most 0.33",
    });
    Ok(())
}

fn measure_starts(options: &Options, launcher: &Launcher<'_>, goals: &mut Vec<Goal>) -> Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..options.starts {
        seconds.push(launcher.cassgate()?.ready_after.as_secs_f64());
    }
    goals.push(Goal {
        what: format!("ready after its start, median of {}", options.starts),
        measured: format!("{:.0} ms", median(seconds) * 1000.0),
        wanted: "at most 1000 ms",
    });
    Ok(())
}

fn measure_backups(options: &Options, launcher: &Launcher<'_>, goals: &mut Vec<Goal>) -> Result<()> {
    let count = options.backups;
    // A running cassgate receives them one by one; one that starts later lists them.
    let watching = launcher.cassgate()?;
    launcher.cluster.store_backups(count)?;
    let listing = launcher.cassgate()?;
    let mut table = Table::new([
        "cassgate",
        "resident MiB",
        "after load",
        "reviews/s",
        "ready after ms",
    ]);
    let listing = measure_growth(options, launcher, listing, goals)?;
    let servers = [
        ("with them from its start", listing),
        ("when they came", watching),
    ];
    for (how, server) in servers {
        let before = Memory::of(server.running.id())?.resident;
        let mut rates = Vec::new();
        for &streams in &options.streams {
            let round = load(options, launcher, &server, streams)?;
            rates.push(format!("{:.0}", round.per_second()));
        }
        let after = Memory::of(server.running.id())?.resident;
        table.row([
            how.to_owned(),
            format!("{before:.1}"),
            format!("{after:.1}"),
            rates.join(" "),
            format!("{:.0}", server.ready_after.as_secs_f64() * 1000.0),
        ]);
        goals.push(Goal {
            what: format!("resident memory, {count} backups cached, {how}"),
            measured: format!("{after:.1} MiB"),
            wanted: "at most 40 MiB",
        });
    }
    table.print();
    Ok(())
}

/// Compares the cost of a review with all the backups and with [`FEW`], which another API server holds.
fn measure_growth(
    options: &Options,
    launcher: &Launcher<'_>,
    many: Server,
    goals: &mut Vec<Goal>,
) -> Result<Server> {
    let cluster = Cluster::start()?;
    cluster.store_backups(FEW)?;
    let few = Launcher {
        cluster: &cluster,
        logs: cluster.folder("logs")?,
        webhook: launcher.webhook.clone(),
        ..*launcher
    };
    let mut few = few.cassgate()?;
    few.name = "with 10 backups";
    let mut servers = [many, few];
    servers[0].name = "with all backups";
    for &streams in &options.streams {
        let [all, ten] = measure_turns(options, launcher, &servers, streams)?;
        let pairs = all.rounds.iter().zip(&ten.rounds);
        let ratio = median(pairs.map(|(all, ten)| ten.per_core_second() / all.per_core_second()));
        goals.push(Goal {
            what: format!(
                "core time of a review, {} backups cached : {FEW}, {streams} in flight",
                options.backups
            ),
            measured: format!("{ratio:.2}"),
            wanted: "at most 1.10",
        });
    }
    let [many, _] = servers;
    Ok(many)
}

fn load(options: &Options, launcher: &Launcher<'_>, server: &Server, streams: usize) -> Result<Round> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", &launcher.cores.load.to_string()])
        .arg(std::env::current_exe()?)
        .arg("load");
    for (name, value) in [
        ("--address", server.address.to_string()),
        ("--pid", server.running.id().to_string()),
        ("--streams", streams.to_string()),
        ("--warm-up-ms", options.warm_up_ms.to_string()),
        ("--measure-ms", options.measure_ms.to_string()),
    ] {
        command.args([name, &value]);
    }
    if server.constant {
        command.arg("--constant");
    }
    let output = command.arg("--ca").arg(launcher.pair.authority()).output()?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        return Err(format!("load on {}: {}", server.name, printed.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Loads a server briefly and returns its answer.
///
/// # Errors
/// An error if the answer is wrong.
pub(crate) fn load_once(launcher: &Launcher<'_>, server: &Server) -> Result<Round> {
    let options = Options {
        rounds: 1,
        measure_ms: 50,
        warm_up_ms: 50,
        streams: vec![1],
        backups: 0,
        starts: 0,
    };
    load(&options, launcher, server, 1)
}

/// Returns the answer with the uid of a constant answer: as long as the real one.
///
/// # Errors
/// An error if it has no uid.
pub(crate) fn constant_answer(answer: &str) -> Result<String> {
    let review: serde_json::Value = serde_json::from_str(answer)?;
    let uid = review
        .pointer("/response/uid")
        .and_then(serde_json::Value::as_str);
    Ok(answer.replace(uid.ok_or("an answer without a uid")?, crate::load::UID))
}

fn ratio(ours: &Series, theirs: &Series, streams: usize, wanted: &'static str) -> Goal {
    let pairs = || ours.rounds.iter().zip(&theirs.rounds);
    let wall = median(pairs().map(|(ours, theirs)| ours.per_second() / theirs.per_second()));
    let core = median(pairs().map(|(ours, theirs)| ours.per_core_second() / theirs.per_core_second()));
    Goal {
        what: format!(
            "{} : {}, reviews per second of a core, {streams} in flight",
            ours.name, theirs.name
        ),
        measured: format!("{core:.2} (by the clock {wall:.2})"),
        wanted,
    }
}

impl Series {
    fn cells(&self, streams: usize) -> [String; 5] {
        let of = |figure: fn(&Round) -> f64| median(self.rounds.iter().map(figure));
        [
            self.name.to_owned(),
            streams.to_string(),
            format!("{:.0}", of(Round::per_second)),
            format!("{:.0} %", of(Round::busy) * 100.0),
            format!("{:.1}", 1e6 / of(Round::per_core_second)),
        ]
    }
}

impl Round {
    /// Returns the reviews per second of wall-clock time.
    fn per_second(&self) -> f64 {
        f64::from(self.answers) / self.seconds
    }

    /// Returns the reviews per second of the server's CPU time, which a busy machine or a slow client does not lower.
    fn per_core_second(&self) -> f64 {
        f64::from(self.answers) / self.busy_seconds
    }

    /// Returns the fraction of the time in which the server ran.
    fn busy(&self) -> f64 {
        self.busy_seconds / self.seconds
    }
}
