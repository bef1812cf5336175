//! Cassandra's own nodetool.

use std::fs;
use std::process::Command;

use super::ring::Node;
use super::{parts, repository};

impl Node {
    /// Runs nodetool on this node.
    ///
    /// # Errors
    /// The output, if it fails.
    pub(crate) fn nodetool(&self, arguments: &[&str]) -> Result<String, String> {
        let home = self.path("/var/lib/cassandra");
        let quiet = home.join("quiet.xml");
        fs::write(&quiet, "<configuration/>").map_err(|error| error.to_string())?;
        let jvm = |name: &str| format!("@{}/tests/sidecar/{name}", repository().display());
        let done = Command::new("java")
            .args([jvm("jvm17.args"), jvm("jvm17-cassandra4.args")])
            .args(["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            // nodetool keeps a history in the home directory, and logs to stdout without a configuration.
            .arg(format!("-Duser.home={}", home.display()))
            .arg(format!("-Dlogback.configurationFile=file://{}", quiet.display()))
            .arg("-cp")
            .arg(
                parts()
                    .join(self.settings.generation.folder())
                    .join("cassandra/*"),
            )
            .arg("org.apache.cassandra.tools.NodeTool")
            .args(["-h", "127.0.0.1", "-p", &self.jmx.to_string()])
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = text(&done.stdout);
        if done.status.success() {
            Ok(output)
        } else {
            Err(output + &text(&done.stderr))
        }
    }
}
