//! Load by nghttp2's h2load, which measures the request times itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Result;

/// The request of one client.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) url: String,
    /// A POST has a body, a GET has none.
    pub(crate) body: Option<String>,
    pub(crate) headers: Vec<String>,
}

/// The pace of all clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Requests per second of each client; a client waits for each answer before its next request.
    pub(crate) per_second: f64,
    /// True if all clients send at the same moments; otherwise they are spread evenly.
    pub(crate) together: bool,
    pub(crate) requests: u32,
    /// The CPU of the clients.
    pub(crate) core: Option<u32>,
}

/// The times of many requests in milliseconds, sorted.
#[derive(Debug)]
pub(crate) struct Times(Vec<f64>);

/// The program, and a folder for its files.
#[derive(Debug)]
pub(crate) struct H2load {
    program: PathBuf,
    folder: PathBuf,
}

/// The fraction of each client's requests that is discarded at the beginning.
const WARM_UP: f64 = 0.2;

impl H2load {
    /// # Errors
    /// An error if it cannot be fetched.
    pub(crate) fn find(folder: PathBuf) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/h2load.sh");
        let found = Command::new(script).stderr(Stdio::inherit()).output()?;
        if !found.status.success() {
            return Err("there is no h2load".into());
        }
        let program = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        Ok(Self { program, folder })
    }

    /// Runs one client for each request, each as its own process with its own connection.
    ///
    /// # Errors
    /// An error if a client fails or an answer has a status other than 200.
    pub(crate) fn run(&self, requests: &[Request], pace: Pace) -> Result<Times> {
        let count = u32::try_from(requests.len())?;
        let apart = if pace.together {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(1.0 / pace.per_second) / count
        };
        let mut clients = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            clients.push(self.start(number, request, pace)?);
            thread::sleep(apart);
        }
        let mut times = Vec::new();
        for (log, mut client) in clients {
            let status = client.wait()?;
            if !status.success() {
                return Err(format!("h2load: {status}; {}", log.display()).into());
            }
            times.extend(read(&log, pace.requests)?);
        }
        times.sort_by(f64::total_cmp);
        Ok(Times(times))
    }

    fn start(&self, number: usize, request: &Request, pace: Pace) -> Result<(PathBuf, Child)> {
        let log = self.folder.join(format!("{number}.log"));
        if log.exists() {
            fs::remove_file(&log)?;
        }
        let mut command = match pace.core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command
            .args(["--clients=1", "--max-concurrent-streams=1"])
            .arg(format!("--requests={}", pace.requests))
            .arg(format!("--rps={}", pace.per_second))
            .arg(format!("--log-file={}", log.display()));
        if let Some(body) = &request.body {
            let file = self.folder.join(format!("{number}.json"));
            fs::write(&file, body)?;
            command.arg(format!("--data={}", file.display()));
        }
        for header in &request.headers {
            command.args(["--header", header]);
        }
        let child = command
            .arg(&request.url)
            .stdin(Stdio::null())
            .stdout(File::create(self.folder.join(format!("{number}.out")))?)
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok((log, child))
    }
}

/// Reads the start, status and microseconds of each request; the first ones are warm-up.
fn read(log: &Path, expected: u32) -> Result<Vec<f64>> {
    let text = fs::read_to_string(log)?;
    let mut times = Vec::new();
    for line in text.lines() {
        let [_, status, micros] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("h2load wrote {line:?}").into());
        };
        if !status.starts_with('2') {
            return Err(format!("a request was answered with {status}").into());
        }
        times.push(micros.parse::<f64>()? / 1000.0);
    }
    if times.len() != usize::try_from(expected)? {
        return Err(format!("{} of {expected} requests were answered", times.len()).into());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small part of a small number"
    )]
    let warm = (f64::from(expected) * WARM_UP) as usize;
    Ok(times.split_off(warm))
}

impl Times {
    /// Returns the quantile in milliseconds.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place in a list"
        )]
        let place = ((self.0.len() as f64 * part).ceil() as usize).saturating_sub(1);
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Returns the number of requests.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
