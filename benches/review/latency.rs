//! Latency of reviews, measured by h2load: against the constant handler, with a live read for each, and through the
//! API server.
//!
//! The rates are far below the capacity of the servers: a full queue would measure throughput instead.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::cluster::Cluster;
use crate::h2load::{H2load, Pace, Request, Times};
use crate::load::{REVIEW, Round};
use crate::process::{Cores, check_tools};
use crate::report::{Table, median};
use crate::servers::{Launcher, Pair, Server};

/// The extent of the measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct Latency {
    /// Rounds; each loads every server once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Reviews per second of all clients together, against the constant handler
    #[arg(long, default_value_t = 500.0)]
    reviews: f64,
    /// Clients that apply through the API server
    #[arg(long, default_value_t = 100)]
    clients: u32,
    /// Applies per second of each of them
    #[arg(long, default_value_t = 0.2)]
    applies: f64,
    /// Seconds per round
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// Clients that send reviews directly to a server.
const REVIEWERS: u32 = 10;
/// A round against the constant handler consists of this many parts, each with new connections.
const PARTS: u32 = 4;
/// Reviews that are sent at once, each reading its own Secret.
const READERS: u32 = 50;
/// Number of times each of those is sent.
const READS: u32 = 10;
/// Seconds between two of them: cassgate caches a valid Secret for five.
const APART: f64 = 5.5;

/// # Errors
/// An error if a tool is missing, a server does not start, or an answer is wrong.
pub(crate) fn run(options: &Latency) -> Result<()> {
    check_tools()?;
    let cores = Cores::find()?;
    let cluster = Cluster::start()?;
    let pair = Pair::make(cluster.folder("tls")?)?;
    let h2load = H2load::find(cluster.folder("h2load")?)?;
    let launcher = Launcher {
        cores,
        cluster: &cluster,
        pair: &pair,
        logs: cluster.folder("logs")?,
        webhook: std::path::PathBuf::new(),
    };
    let load = fs::read_to_string("/proc/loadavg")?;
    println!("load average of the machine before: {}", load.trim());
    println!(
        "server on processor {}, reviewers on {}\n",
        cores.server, cores.load
    );
    let cassgate = launcher.cassgate()?;
    let mut table = Table::new(["", "median ms", "p99 ms", "requests", "goal"]);
    against_the_constant(options, &launcher, &h2load, &cassgate, &mut table)?;
    live_reads(&launcher, &h2load, &cassgate, &mut table)?;
    end_to_end(options, &launcher, &h2load, &cassgate, &mut table)?;
    table.print();
    Ok(())
}

fn row(table: &mut Table, what: &str, times: &[Times], goal: String) {
    let of = |part: f64| format!("{:.2}", median(times.iter().map(|times| times.quantile(part))));
    let requests: usize = times.iter().map(Times::len).sum();
    table.row([what.to_owned(), of(0.5), of(0.99), requests.to_string(), goal]);
}

fn requests(options: &Latency, per_second: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests"
    )]
    let requests = (per_second * f64::from(options.seconds)).ceil() as u32;
    requests.max(1)
}

/// Alternates between the typical review from caches and the same stack with a constant handler.
///
/// A client keeps its send times for a whole round, so two clients that send at the same time collide at every
/// request, and such requests are more than one in a hundred. Only many rounds with new send times show the behaviour
/// of a server; a second constant server shows how much of a ratio is chance.
fn against_the_constant(
    options: &Latency,
    launcher: &Launcher<'_>,
    h2load: &H2load,
    cassgate: &Server,
    table: &mut Table,
) -> Result<()> {
    let answer = first_answer(launcher, cassgate)?;
    let (constant, twin) = (launcher.constant(&answer)?, launcher.constant(&answer)?);
    let per_second = options.reviews / f64::from(REVIEWERS);
    let pace = Pace {
        per_second,
        together: false,
        requests: requests(options, per_second).div_ceil(PARTS),
        core: Some(launcher.cores.load),
    };
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..options.rounds * usize::try_from(PARTS)? {
        for (server, times) in [&constant, &twin, cassgate].into_iter().zip(&mut times) {
            let request = review(server, REVIEW.to_owned());
            let clients = vec![request; usize::try_from(REVIEWERS)?];
            times.push(h2load.run(&clients, pace)?);
        }
    }
    let [theirs, again, ours] = times;
    let ratio = |times: &[Times]| {
        let pairs = times.iter().zip(&theirs);
        median(pairs.map(|(times, theirs)| times.quantile(0.99) / theirs.quantile(0.99)))
    };
    let rate = options.reviews;
    row(
        table,
        &format!("constant answer, {rate} a second"),
        &theirs,
        String::new(),
    );
    row(
        table,
        "another server with the constant answer",
        &again,
        format!("{:.2} of the first one's p99: chance", ratio(&again)),
    );
    row(
        table,
        &format!("review from the caches, {rate} a second"),
        &ours,
        format!("p99 at most 1.25 of the constant's: {:.2}", ratio(&ours)),
    );
    Ok(())
}

fn review(server: &Server, body: String) -> Request {
    Request {
        url: format!("https://{}/validate?timeout=10s", server.address),
        body: Some(body),
        headers: vec!["content-type: application/json".to_owned()],
    }
}

/// Returns cassgate's answer, for the constant server.
fn first_answer(launcher: &Launcher<'_>, cassgate: &Server) -> Result<String> {
    let round: Round = crate::compare::load_once(launcher, cassgate)?;
    crate::compare::constant_answer(&round.answer)
}

/// Each client's review names its own Secret, after the cached result has expired. Then the same clients read the
/// same Secrets from the API server without cassgate: that part of the time is the API server's.
fn live_reads(launcher: &Launcher<'_>, h2load: &H2load, cassgate: &Server, table: &mut Table) -> Result<()> {
    launcher.cluster.store_secrets(READERS)?;
    let clients: Vec<Request> = (0..READERS)
        .map(|number| {
            let secret = format!("secret-{number}");
            review(cassgate, REVIEW.replace("cloud-backup-secrets", &secret))
        })
        .collect();
    let pace = Pace {
        per_second: 1.0 / APART,
        together: true,
        requests: READS,
        core: None,
    };
    let before = reads(cassgate)?;
    let times = h2load.run(&clients, pace)?;
    let (read, sent) = (reads(cassgate)? - before, f64::from(READERS * READS));
    if read < sent {
        return Err(format!("{sent} reviews read a Secret {read} times").into());
    }
    row(
        table,
        &format!("review that reads its Secret, {READERS} at once"),
        &[times],
        "p99 at most 25 ms".to_owned(),
    );
    let (server, token) = launcher.cluster.address_and_token()?;
    let clients: Vec<Request> = (0..READERS)
        .map(|number| Request {
            url: format!("{server}/api/v1/namespaces/cassandra/secrets/secret-{number}"),
            body: None,
            headers: vec![format!("authorization: Bearer {token}")],
        })
        .collect();
    row(
        table,
        &format!("the Secret alone, read from the API server itself, {READERS} at once"),
        &[h2load.run(&clients, pace)?],
        String::new(),
    );
    Ok(())
}

/// Returns the number of Secret reads for reviews.
fn reads(cassgate: &Server) -> Result<f64> {
    let admin = cassgate.admin.ok_or("a server without metrics")?;
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix("cassgate_live_reads_total{kind=\"secret\",outcome=\"found\"} "));
    Ok(found.unwrap_or("0").trim().parse()?)
}

/// Clients create backups through the API server, alternating with and without the webhooks. They use dry runs: a
/// stored backup would be a duplicate the next time.
fn end_to_end(
    options: &Latency,
    launcher: &Launcher<'_>,
    h2load: &H2load,
    cassgate: &Server,
    table: &mut Table,
) -> Result<()> {
    let cluster = launcher.cluster;
    let (server, token) = cluster.address_and_token()?;
    let clients: Vec<Request> = (0..options.clients)
        .map(|number| Request {
            url: format!(
                "{server}/apis/db.orange.com/v2/namespaces/cassandra/cassandrabackups?dryRun=All&fieldManager=h2load"
            ),
            body: Some(created(number)),
            headers: vec![
                "content-type: application/json".to_owned(),
                format!("authorization: Bearer {token}"),
            ],
        })
        .collect();
    let pace = Pace {
        per_second: options.applies,
        together: false,
        requests: requests(options, options.applies),
        core: None,
    };
    let (mut bare, mut gated) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        bare.push(h2load.run(&clients, pace)?);
        cluster.register(launcher.pair, cassgate.address)?;
        gated.push(h2load.run(&clients, pace)?);
        cluster.unregister()?;
    }
    let pairs = gated.iter().zip(&bare);
    let added = median(pairs.map(|(gated, bare)| gated.quantile(0.99) - bare.quantile(0.99)));
    let rate = f64::from(options.clients) * options.applies;
    let clients = options.clients;
    row(
        table,
        &format!("create through the API server without webhooks, {clients} clients, {rate} a second"),
        &bare,
        String::new(),
    );
    row(
        table,
        "the same through both webhooks",
        &gated,
        format!("p99 at most 10 ms more: {added:.2}"),
    );
    Ok(())
}

fn created(number: u32) -> String {
    let spec = serde_json::from_str::<Value>(REVIEW)
        .ok()
        .and_then(|review| review.pointer("/request/object/spec").cloned());
    let backup = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": {"name": format!("nightly-{number}"), "namespace": "cassandra"}, "spec": spec,
    });
    backup.to_string()
}
