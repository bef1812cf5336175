//! The requests of cassgate to the API server, from the API server's audit log.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::Result;

/// The observed account.
pub(crate) const ACCOUNT: &str = "system:serviceaccount:cassgate-system:cassgate";

/// The audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    log: PathBuf,
}

/// The requests of an interval.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Requests {
    /// Reads, without watches.
    pub(crate) reads: usize,
    /// Writes, without lease renewals.
    pub(crate) writes: usize,
    /// Renewals of the lease.
    pub(crate) renewals: usize,
    /// Events, as a part of the writes.
    pub(crate) events: usize,
    /// Requests that were answered with 429.
    pub(crate) throttled: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    request_received_timestamp: Timestamp,
    object_ref: Option<Reference>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    resource: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Audit {
    /// Writes the audit policy into a folder and returns the flags of an API server that logs there. Priority and
    /// fairness are on, as in every cluster: excessive requests get 429.
    ///
    /// # Errors
    /// An error if the policy cannot be written.
    pub(crate) fn flags(folder: &Path) -> Result<String> {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
        });
        let (file, log) = (folder.join("audit-policy.json"), Self::of(folder).log);
        fs::write(&file, policy.to_string())?;
        Ok(format!(
            "--enable-priority-and-fairness=true --audit-policy-file={} --audit-log-path={} \
             --audit-log-maxsize=100000",
            file.display(),
            log.display()
        ))
    }

    /// Returns the log of an API server in this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            log: folder.join("audit.log"),
        }
    }

    /// Returns the current end of the log.
    ///
    /// # Errors
    /// An error if the file cannot be read.
    pub(crate) fn end(&self) -> Result<u64> {
        Ok(fs::metadata(&self.log)?.len())
    }

    /// Counts the requests since `end`.
    ///
    /// # Errors
    /// An error if the log cannot be read.
    pub(crate) fn since(&self, end: u64) -> Result<Requests> {
        let mut asked = Requests::default();
        for line in self.lines(end)? {
            asked.count(&line);
        }
        Ok(asked)
    }

    /// Returns the times of the reads of single objects of a resource, and of its writes, since `end`.
    ///
    /// # Errors
    /// An error if the log cannot be read.
    pub(crate) fn times_of(&self, end: u64, resource: &str) -> Result<(Vec<Timestamp>, Vec<Timestamp>)> {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for line in self.lines(end)? {
            if line.object_ref.is_none_or(|object| object.resource != resource) {
                continue;
            }
            match line.verb.as_str() {
                "get" => reads.push(line.request_received_timestamp),
                "patch" => writes.push(line.request_received_timestamp),
                _ => {}
            }
        }
        Ok((reads, writes))
    }

    fn lines(&self, end: u64) -> Result<Vec<Line>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(end))?;
        let lines = BufReader::new(file).lines();
        lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
    }
}

impl Requests {
    fn count(&mut self, line: &Line) {
        let resource = line.object_ref.as_ref().map(|object| object.resource.as_str());
        match (line.verb.as_str(), resource) {
            ("watch", _) => {}
            // An access review is not a write, although it is posted.
            ("get" | "list", _) | (_, Some("subjectaccessreviews")) => self.reads += 1,
            (_, Some("leases")) => self.renewals += 1,
            (_, resource) => {
                self.writes += 1;
                self.events += usize::from(resource == Some("events"));
            }
        }
        let code = line.response_status.as_ref().and_then(|status| status.code);
        self.throttled += usize::from(code == Some(429));
    }
}
