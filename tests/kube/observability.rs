//! Metrics and logs of a running cassgate.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    gate::{SECRET_VALUE, fresh_directory},
    http,
    objects::{backup, cluster, documents, secret},
    repository,
    servers::Crds,
    stage::Guarded,
};

/// Runs Debian's promtool.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let script = repository().join("tests/servers/promtool.sh");
    let found = Command::new(script).output().unwrap();
    assert!(
        found.status.success(),
        "{}",
        String::from_utf8_lossy(&found.stderr)
    );
    let program = String::from_utf8(found.stdout).unwrap();
    let mut child = Command::new(program.trim())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Parses the text with Prometheus's strict `OpenMetrics` parser, which is used when samples are imported: it
/// requires a timestamp for each sample.
fn read_as_open_metrics(directory: &Path, text: &str) -> Output {
    let mut timed = String::new();
    for line in text.lines() {
        let time = if line.starts_with('#') { "" } else { " 1700000000" };
        timed.extend([line, time, "\n"]);
    }
    let file = directory.join("metrics");
    fs::write(&file, timed).unwrap();
    let (file, blocks) = (
        file.display().to_string(),
        directory.join("blocks").display().to_string(),
    );
    promtool(&["tsdb", "create-blocks-from", "openmetrics", &file, &blocks], "")
}

/// Converts to the older text format, which promtool lints: there a counter's family is named with its suffix, and
/// there is no info type.
fn as_older_text(text: &str) -> String {
    let renamed = |line: &str| -> Option<String> {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [_, word, family, rest] = words.as_slice() else {
            return None;
        };
        let line_of = |suffix: &str, rest: &str| format!("# {word} {family}{suffix} {rest}");
        let kind = |wanted: &str| text.contains(&format!("# TYPE {family} {wanted}\n"));
        match (kind("counter"), kind("info"), *word) {
            (true, _, _) => Some(line_of("_total", rest)),
            (_, true, "TYPE") => Some(line_of("_info", "gauge")),
            (_, true, _) => Some(line_of("_info", rest)),
            _ => None,
        }
    };
    text.lines()
        .map(|line| renamed(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}

pub(crate) fn the_metrics_after_real_traffic_are_valid_open_metrics() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl
        .apply(&documents(&[cluster(), secret(), backup("b1", "")]))
        .succeeds();
    kubectl
        .apply(&backup("b2", "entities: k1,k2.t2"))
        .refused_with(&["entities-mixed"]);
    kubectl
        .apply(&backup("b3", "cassandraCluster: c9"))
        .refused_with(&["cluster-not-found"]);
    kubectl.run(&["delete", "cassandrabackup", "b1"]).succeeds();
    assert_eq!(here.gate.post("/validate", "no review").status, 400);
    let mut garbage = TcpStream::connect(here.gate.webhook).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();

    let failed = r#"cassgate_tls_handshake_failures_total{reason="protocol"} 1"#;
    let mut text = String::new();
    for _ in 0..200 {
        text = here.gate.get("/metrics").body;
        if text.contains(failed) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // One series of each family that the documentation promises.
    for series in [
        concat!(
            "cassgate_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        r#"cassgate_admission_reviews_total{kind="backup",operation="create",verdict="denied"} "#,
        r#"cassgate_admission_reviews_total{kind="backup",operation="create",verdict="patched"} "#,
        r#"cassgate_admission_reviews_total{kind="backup",operation="delete",verdict="allowed"} 1"#,
        r#"cassgate_admission_reviews_total{kind="other",operation="other",verdict="undecodable"} 1"#,
        r#"cassgate_admission_duration_seconds_count{kind="backup"} "#,
        r#"cassgate_rule_findings_total{rule="entities-mixed",severity="deny"} "#,
        r#"cassgate_rule_findings_total{rule="cluster-not-found",severity="deny"} 1"#,
        "cassgate_tls_certificate_not_after_seconds ",
        r#"cassgate_tls_reloads_total{outcome="swapped"} 0"#,
        failed,
        r#"cassgate_connections{listener="webhook"} "#,
        r#"cassgate_cache_objects{kind="cluster"} "#,
        r#"cassgate_cache_synced{kind="backup"} 1"#,
        r#"cassgate_live_reads_total{kind="cluster",outcome="absent"} "#,
        r#"cassgate_live_reads_total{kind="secret",outcome="found"} "#,
        "cassgate_panics_total 0",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(series)),
            "{series} is not in\n{text}"
        );
    }

    let directory = fresh_directory("metrics");
    let read = read_as_open_metrics(&directory, &text);
    assert!(
        read.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&read.stderr)
    );
    let cut = text.replace("# EOF\n", "");
    let read = read_as_open_metrics(&directory, &cut);
    assert!(
        !read.status.success(),
        "promtool takes everything: it proves nothing"
    );

    let checked = promtool(&["check", "metrics"], &as_older_text(&text));
    let printed = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && printed.is_empty(),
        "{printed}\n{text}"
    );
}

pub(crate) fn a_denial_is_one_log_line_with_uid_and_rules_and_without_the_object() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    let before = here.gate.log().lines().count();
    kubectl
        .apply(&backup(
            "b1",
            "entities: k1,k2.t2\nsnapshotTag: a/b\nbandwidth: lots-of-it",
        ))
        .refused_with(&["entities-mixed"]);
    kubectl.apply(&backup("b2", "")).succeeds();
    let log = here.gate.log();
    let lines: Vec<&str> = log.lines().skip(before).collect();
    let [line] = lines.as_slice() else {
        panic!("one refusal is one line, and what passes is none: {lines:#?}")
    };
    let mut line: Value = serde_json::from_str(line).unwrap();
    let uid = line["uid"].as_str().unwrap();
    assert_eq!((uid.len(), uid.matches('-').count()), (36, 4), "{uid}");
    let fields = line.as_object_mut().unwrap();
    for field in ["uid", "timestamp"] {
        fields.remove(field);
    }
    assert_eq!(
        line,
        json!({
            "level": "INFO", "message": "denied", "target": "cassgate::admission", "webhook": "validate",
            "kind": "CassandraBackup", "namespace": here.stage.namespace, "name": "b1", "operation": "create",
            "dry_run": false, "rules": "snapshot-tag-malformed,bandwidth-malformed,entities-mixed",
        })
    );
    for word in ["lots-of-it", "k2.t2", SECRET_VALUE] {
        assert!(!log.contains(word), "{word} is in the log");
    }
}

pub(crate) fn the_log_level_can_be_changed_at_run_time() {
    let here = Guarded::alone(Crds::Ours, &["--executor=none", "--log-level=info"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    let reviewed = |log: &str| {
        log.lines()
            .filter(|line| line.contains("\"message\":\"reviewed\""))
            .count()
    };
    let level = |text: &str| http::put(here.gate.admin, "/loglevel", text);

    kubectl.apply(&backup("b1", "")).succeeds();
    assert_eq!(reviewed(&here.gate.log()), 0);
    assert_eq!(here.gate.get("/loglevel").body, "info\n");
    let answer = level("info,cassgate=debug");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "info,cassgate=debug\n")
    );
    kubectl.apply(&backup("b2", "")).succeeds();
    let after = reviewed(&here.gate.log());
    assert!(after >= 2, "both sides are told: {}", here.gate.log());

    assert_eq!(level("loud").status, 400);
    assert_eq!(here.gate.get("/loglevel").body, "info,cassgate=debug\n");
    assert_eq!(level("info").status, 200);
    kubectl.apply(&backup("b3", "")).succeeds();
    assert_eq!(reviewed(&here.gate.log()), after);
    let changes = here
        .gate
        .log()
        .lines()
        .filter(|line| line.contains("the log level was changed"))
        .count();
    assert_eq!(changes, 2);
}
