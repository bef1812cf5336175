//! kubectl, as a user types it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::servers::scratch;

/// The built kubectl with a kubeconfig and a home of its own.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    namespace: Option<String>,
}

/// What kubectl said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What was asked, for messages of tests.
    pub(crate) command: String,
    /// The exit code.
    pub(crate) code: i32,
    /// What it wrote on stdout.
    pub(crate) stdout: String,
    /// What it wrote on stderr.
    pub(crate) stderr: String,
}

impl Kubectl {
    /// kubectl out of this folder, for this kubeconfig.
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

    /// The same as another user.
    pub(crate) fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            ..self.clone()
        }
    }

    /// The same in a namespace.
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

    /// Runs kubectl with a text on its standard input.
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
        // A kubectl that ends before it has read everything says why on stderr.
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

    /// The stored object.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let answer = self.run(&["get", kind, name, "--output=json"]).succeeds();
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// Whether the object is stored.
    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        !self
            .run(&["get", kind, name, "--ignore-not-found", "--output=name"])
            .succeeds()
            .stdout
            .is_empty()
    }
}

impl Answer {
    /// Exit code 0.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.told());
        self
    }

    /// Exit code 0 and exactly this on stdout, without a word on stderr.
    #[track_caller]
    pub(crate) fn says(self, stdout: &str) -> Self {
        self.says_with_warnings(stdout, &[])
    }

    /// Exit code 0, exactly this on stdout, and exactly these warnings.
    #[track_caller]
    pub(crate) fn says_with_warnings(self, stdout: &str, warnings: &[&str]) -> Self {
        let expected: Vec<String> = warnings.iter().map(|text| format!("Warning: {text}\n")).collect();
        assert_eq!(self.stderr, expected.concat(), "{}", self.told());
        assert_eq!(
            (self.stdout.trim_end(), self.code),
            (stdout, 0),
            "{}",
            self.told()
        );
        self
    }

    /// Exit code 1 and exactly this on stderr.
    #[track_caller]
    pub(crate) fn refused(self, stderr: &str) -> Self {
        assert_eq!(self.stderr.trim_end(), stderr, "{}", self.told());
        assert_eq!(self.code, 1, "{}", self.told());
        self
    }

    /// Exit code 1 and each of these texts on stderr.
    #[track_caller]
    pub(crate) fn refused_with(self, texts: &[&str]) -> Self {
        assert_eq!(self.code, 1, "{}", self.told());
        self.mentions(texts)
    }

    /// Each of these texts on stderr.
    #[track_caller]
    pub(crate) fn mentions(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.told());
        }
        self
    }

    /// Command and answer.
    pub(crate) fn told(&self) -> String {
        format!(
            "$ {}\n{}{}exit code {}",
            self.command, self.stdout, self.stderr, self.code
        )
    }
}
