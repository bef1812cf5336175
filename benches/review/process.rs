//! The measured servers: started on one core, observed through /proc, stopped by process id.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// The kernel reports CPU time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// Time for a server to stop before it is killed.
const GRACE: Duration = Duration::from_secs(40);

/// The first two CPUs that this process may use: one for servers, one for load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: u32,
    pub(crate) load: u32,
}

impl Cores {
    /// # Errors
    /// An error if there is only one.
    pub(crate) fn find() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = field(&status, "Cpus_allowed_list:").ok_or("no Cpus_allowed_list in /proc/self/status")?;
        let mut cores = list.trim().split(',').flat_map(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            from.parse::<u32>().unwrap_or(1)..=to.parse::<u32>().unwrap_or(0)
        });
        match (cores.next(), cores.next()) {
            (Some(server), Some(load)) => Ok(Self { server, load }),
            _ => Err("two processors are needed: one for the server, one for the load".into()),
        }
    }
}

/// Returns a command that runs on one core and ends when this process does.
pub(crate) fn pinned(core: u32, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", &core.to_string()])
        .arg(program);
    command
}

/// Checks for the required tools.
///
/// # Errors
/// The first missing tool, with the way to install it.
pub(crate) fn check_tools() -> Result<()> {
    let tools = [
        (
            "taskset",
            "--version",
            "it pins a server to one core. Install the package \"util-linux\".",
        ),
        (
            "setpriv",
            "--version",
            "it stops the servers with the bench. Install the package \"util-linux\".",
        ),
        (
            "go",
            "version",
            "the webhook to compare with is built from benches/controller-runtime. Install Go 1.25 or later.",
        ),
    ];
    for (tool, argument, advice) in tools {
        let found = Command::new(tool)
            .arg(argument)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{tool} is not installed: {advice}").into());
        }
    }
    Ok(())
}

/// A process that is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// # Errors
    /// An error if it cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// # Errors
    /// An error if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a server ended by itself: {status}").into()),
        }
    }

    fn stop(&mut self) -> Result<()> {
        // A process that lives as long as its standard input is open needs no signal.
        drop(self.child.stdin.take());
        Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.id().to_string()])
            .status()?;
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait()
            && let Err(error) = self.stop()
        {
            eprintln!("could not stop process {}: {error}", self.id());
        }
    }
}

/// CPU time of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    seconds: f64,
}

impl Usage {
    /// # Errors
    /// An error if there is no such process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may contain blanks; user and system time are fields 14 and 15 of the line.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = ticks.sum::<std::result::Result<u32, _>>()?;
        Ok(Self {
            seconds: f64::from(ticks) / TICKS_PER_SECOND,
        })
    }

    /// Returns the seconds between two readings.
    pub(crate) fn since(self, earlier: Self) -> f64 {
        self.seconds - earlier.seconds
    }
}

/// Resident memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// All of it: approximately `VmRSS` and `kubectl top`.
    pub(crate) resident: f64,
    /// The anonymous part: the rest is code, which the kernel can drop and read again.
    pub(crate) anonymous: f64,
    /// The peak.
    pub(crate) peak: f64,
}

impl Memory {
    /// # Errors
    /// An error if there is no such process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mib = |name: &str| -> Result<f64> {
            let text = field(&status, name).ok_or_else(|| format!("no {name} in /proc/PID/status"))?;
            let kib: u32 = text.trim().trim_end_matches("kB").trim().parse()?;
            Ok(f64::from(kib) / 1024.0)
        };
        Ok(Self {
            resident: mib("VmRSS:")?,
            anonymous: mib("RssAnon:")?,
            peak: mib("VmHWM:")?,
        })
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}
