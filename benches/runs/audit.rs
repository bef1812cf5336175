//! What cassgate asked of the API server, as the API server's audit log has it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use crate::Result;

/// Who is watched.
pub(crate) const ACCOUNT: &str = "system:serviceaccount:cassgate-system:cassgate";

/// The log.
#[derive(Debug)]
pub(crate) struct Audit {
    log: PathBuf,
}

/// Requests of one time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Asked {
    /// Reads, watches not among them.
    pub(crate) reads: usize,
    /// Writes but those of the next line.
    pub(crate) writes: usize,
    /// Renewals of the lease.
    pub(crate) renewals: usize,
    /// Events among the writes.
    pub(crate) events: usize,
    /// Requests that were answered with 429.
    pub(crate) throttled: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
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
    /// Writes the policy into a folder, and says with which flags an API server keeps the log there. Priority and
    /// fairness are as in every cluster: who asks too much is told 429.
    ///
    /// # Errors
    /// When the policy cannot be written.
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

    /// The log that an API server keeps in this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            log: folder.join("audit.log"),
        }
    }

    /// Where the log ends now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(crate) fn end(&self) -> Result<u64> {
        Ok(fs::metadata(&self.log)?.len())
    }

    /// What was asked since.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn since(&self, end: u64) -> Result<Asked> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(end))?;
        let mut asked = Asked::default();
        for line in BufReader::new(file).lines() {
            asked.count(&serde_json::from_str(&line?)?);
        }
        Ok(asked)
    }
}

impl Asked {
    fn count(&mut self, line: &Line) {
        let resource = line.object_ref.as_ref().map(|object| object.resource.as_str());
        match (line.verb.as_str(), resource) {
            ("watch", _) => {}
            // A question of rights is no write, though it is posted.
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
