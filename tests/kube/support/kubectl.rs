//! kubectl as a user runs it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::servers::scratch;

/// The built kubectl with its own kubeconfig and home directory.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    namespace: Option<String>,
}

/// The result of a kubectl command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The command, for the messages of tests.
    pub(crate) command: String,
    /// The exit code.
    pub(crate) code: i32,
    /// Its stdout.
    pub(crate) stdout: String,
    /// Its stderr.
    pub(crate) stderr: String,
}

impl Kubectl {
    /// Returns the kubectl of this folder with this kubeconfig.
    pub(crate) fn new(binaries: &Path, kubeconfig: &Path) -> Self {
        let home = scratch().join("home");
        fs::create_dir_all(&home).unwrap();
        Self {
            program: binaries.join("kubectl"),
            kubeconfig: kubeconfig.to_owned(),
            home,
            namespace: None,
        }
    }

    /// Returns the same kubectl for another user.
    pub(crate) fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the same kubectl in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..self.clone()
        }
    }

    /// Runs kubectl.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, "")
    }

    /// Runs kubectl with a text on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Answer {
        let mut command = Command::new(&self.program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env_remove("KUBECACHEDIR");
        command.args(
            self.namespace
                .iter()
                .map(|namespace| format!("--namespace={namespace}")),
        );
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A kubectl that exits before it has read everything reports the reason on stderr.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("a child can be waited for");
        Answer {
            command: format!("kubectl {}\n{input}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `kubectl apply -f -`
    pub(crate) fn apply(&self, manifest: &str) -> Answer {
        self.run_with(&["apply", "-f", "-"], manifest)
    }

    /// `kubectl apply --server-side -f -`
    pub(crate) fn apply_server_side(&self, manifest: &str) -> Answer {
        self.run_with(&["apply", "--server-side", "-f", "-"], manifest)
    }

    /// Returns the stored object.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let answer = self.run(&["get", kind, name, "--output=json"]).succeeds();
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// Returns true if the object is stored.
    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        !self
            .run(&["get", kind, name, "--ignore-not-found", "--output=name"])
            .succeeds()
            .stdout
            .is_empty()
    }
}

impl Answer {
    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.transcript());
        self
    }

    /// Asserts exit code 0, exactly this stdout, and an empty stderr.
    #[track_caller]
    pub(crate) fn says(self, stdout: &str) -> Self {
        self.says_with_warnings(stdout, &[])
    }

    /// Asserts exit code 0, exactly this stdout, and exactly these warnings.
    #[track_caller]
    pub(crate) fn says_with_warnings(self, stdout: &str, warnings: &[&str]) -> Self {
        let expected: Vec<String> = warnings.iter().map(|text| format!("Warning: {text}\n")).collect();
        assert_eq!(self.stderr, expected.concat(), "{}", self.transcript());
        assert_eq!(
            (self.stdout.trim_end(), self.code),
            (stdout, 0),
            "{}",
            self.transcript()
        );
        self
    }

    /// Asserts exit code 1 and exactly this stderr.
    #[track_caller]
    pub(crate) fn refused(self, stderr: &str) -> Self {
        assert_eq!(self.stderr.trim_end(), stderr, "{}", self.transcript());
        assert_eq!(self.code, 1, "{}", self.transcript());
        self
    }

    /// Asserts exit code 1 and that stderr contains each of these texts.
    #[track_caller]
    pub(crate) fn refused_with(self, texts: &[&str]) -> Self {
        assert_eq!(self.code, 1, "{}", self.transcript());
        self.mentions(texts)
    }

    /// Asserts that stderr contains each of these texts.
    #[track_caller]
    pub(crate) fn mentions(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "{text:?} is not in:\n{}",
                self.transcript()
            );
        }
        self
    }

    /// Returns the command and its result as text.
    pub(crate) fn transcript(&self) -> String {
        format!(
            "$ {}\n{}{}exit code {}",
            self.command, self.stdout, self.stderr, self.code
        )
    }
}
