//! Processes that cannot outlive this one.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::repository;

/// A process that ends when its standard input closes, so also when this test binary dies in whatever way.
#[derive(Debug)]
pub(crate) struct Leashed {
    child: Child,
    hold: Option<ChildStdin>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

/// What a process has written so far.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    state: Mutex<Written>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Leashed {
    /// Starts a program on `tests/servers/leash.sh`: it gets SIGTERM when it is let go of.
    pub(crate) fn start(program: &str, arguments: &[String], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(repository().join("tests/servers/leash.sh"));
        command
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied());
        Self::hold(command)
    }

    /// Starts a command that ends by itself when its standard input closes.
    pub(crate) fn hold(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let hold = child.stdin.take();
        let stdout = Lines::read(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Lines::read(child.stderr.take().expect("stderr is a pipe"));
        Self {
            child,
            hold,
            stdout,
            stderr,
        }
    }

    /// What it has written on stdout.
    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it has written on stderr.
    pub(crate) fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Lets go and waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.let_go();
        self.wait()
    }

    /// The process on the leash.
    pub(crate) fn program(&self) -> String {
        let leash = self.child.id();
        let children = fs::read_to_string(format!("/proc/{leash}/task/{leash}/children")).unwrap();
        children.split_whitespace().next().unwrap().to_owned()
    }

    /// Kills the program on the leash, as a machine that fails does.
    pub(crate) fn kill(&mut self) {
        assert_eq!(self.ended(), None, "it ended before it was killed");
        let program = self.program();
        let killed = Command::new("kill").args(["-KILL", &program]).status().unwrap();
        assert!(killed.success(), "kill -KILL {program}");
        self.wait();
    }

    /// How it ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Closes its standard input.
    pub(crate) fn let_go(&mut self) {
        self.hold = None;
    }

    /// Waits for the end, and for the last of its lines.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child can be waited for");
        self.stdout.all();
        self.stderr.all();
        status
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lines {
    fn read(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let filled = Arc::clone(&lines);
        // Ends with the process that writes: nothing else holds the other end of the pipe.
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                filled.lock().lines.push(line);
                filled.more.notify_all();
            }
            filled.lock().ended = true;
            filled.more.notify_all();
        });
        lines
    }

    /// Every line so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Returns once the process has ended and every line is there.
    fn all(&self) {
        drop(self.more.wait_while(self.lock(), |written| !written.ended));
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thing that `pick` finds in a line.
    ///
    /// # Errors
    /// All lines, when the process ended (or two minutes passed) before there was one.
    pub(crate) fn first<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + Duration::from_mins(2);
        let mut state = self.lock();
        loop {
            if let Some(found) = state.lines.iter().find_map(|line| pick(line)) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return Err(state.lines.join("\n"));
            }
            state = self
                .more
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
