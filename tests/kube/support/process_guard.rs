//! Child processes that cannot outlive the test binary.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::repository;

/// A process that stops when its standard input closes, also if the test binary dies.
#[derive(Debug)]
pub(crate) struct GuardedProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

/// The output of a process so far.
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

impl GuardedProcess {
    /// Starts a program under `tests/servers/guard.sh`, which sends SIGTERM when standard input closes.
    pub(crate) fn start(program: &str, arguments: &[String], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(repository().join("tests/servers/guard.sh"));
        command
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts a command that stops by itself when its standard input closes.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = Lines::read(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Lines::read(child.stderr.take().expect("stderr is a pipe"));
        Self {
            child,
            stdin,
            stdout,
            stderr,
        }
    }

    /// Returns the lines on stdout.
    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// Returns the lines on stderr.
    pub(crate) fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Closes standard input and waits for the exit.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.close_stdin();
        self.wait()
    }

    /// Returns the process id of the guarded program.
    pub(crate) fn program(&self) -> String {
        let guard = self.child.id();
        let children = fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap();
        children.split_whitespace().next().unwrap().to_owned()
    }

    /// Kills the guarded program with SIGKILL, like a failing machine.
    pub(crate) fn kill(&mut self) {
        assert_eq!(self.ended(), None, "it ended before it was killed");
        let program = self.program();
        let killed = Command::new("kill").args(["-KILL", &program]).status().unwrap();
        assert!(killed.success(), "kill -KILL {program}");
        self.wait();
    }

    /// Returns the exit status, if the process exited by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Closes standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the exit and for the last line.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child can be waited for");
        self.stdout.all();
        self.stderr.all();
        status
    }
}

impl Drop for GuardedProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lines {
    fn read(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let filled = Arc::clone(&lines);
        // The thread ends with the process: nothing else holds the other end of the pipe.
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

    /// Returns every line so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Waits until the process has exited and every line has been read.
    fn all(&self) {
        drop(self.more.wait_while(self.lock(), |written| !written.ended));
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the first result of `pick` on a line.
    ///
    /// # Errors
    /// All lines, if the process exits or two minutes pass before there is a result.
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
