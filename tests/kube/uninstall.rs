//! The command of docs/uninstall.md that lists what CassKop would run after a way back.

use std::fs;

use serde_json::json;

use crate::support::{
    objects::{backup, documents, restore},
    servers::Crds,
    stage::Stage,
};

/// The template, from the root of the repository.
const TEMPLATE: &str = "manifests/components/executor/casskop/runs.gotemplate";

fn repository(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The objects that the command lists, in the order of its output: kind, name, spec, state, and the line.
fn listed() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
)> {
    let backup = "CassandraBackup";
    let restore = "CassandraRestore";
    vec![
        (
            backup,
            "bucket",
            "suspend: true",
            "",
            "only describes a snapshot: CassKop takes a backup under its tag",
        ),
        (backup, "busy", "", "RUNNING", "is RUNNING: wait for its end"),
        (
            backup,
            "resting",
            "suspend: true\nschedule: '@daily'\ntimeZone: Europe/Paris",
            "COMPLETED",
            "is suspended: CassKop runs its schedule",
        ),
        (
            backup,
            "waiting",
            "",
            "",
            "has not begun: CassKop takes the backup",
        ),
        (
            backup,
            "zoned",
            "schedule: '@daily'\ntimeZone: Europe/Paris",
            "",
            "has the time zone Europe/Paris: CassKop runs it in that of its pod",
        ),
        (restore, "current", "", "RUNNING", "is RUNNING: wait for its end"),
        (
            restore,
            "forgotten",
            "",
            "no coordinator",
            "is new to CassKop: it empties the tables and restores them",
        ),
        (
            restore,
            "waiting",
            "",
            "",
            "is new to CassKop: it empties the tables and restores them",
        ),
    ]
}

pub(crate) fn what_casskop_would_run_after_a_way_back_is_listed() {
    let page = fs::read_to_string(repository("docs/uninstall.md")).unwrap();
    assert!(page.contains(&format!(
        "kubectl get cassandrabackups,cassandrarestores -A -o go-template-file=cassgate/{TEMPLATE}"
    )));
    let world = Stage::new(Crds::Ours);
    let template = format!("go-template-file={}", repository(TEMPLATE));
    let list = || {
        let both = "cassandrabackups,cassandrarestores";
        let answer = world.kubectl.run(&["get", both, "-o", &template]);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
        answer.stdout
    };
    assert_eq!(list(), "", "without objects");
    // What has run, and what goes on as it is.
    let unlisted = [
        ("CassandraBackup", "done", "", "COMPLETED"),
        ("CassandraBackup", "armed", "schedule: '@daily'", ""),
        ("CassandraBackup", "rested", "suspend: true", "FAILED"),
        ("CassandraRestore", "done", "", "COMPLETED"),
        ("CassandraRestore", "failed", "", "FAILED"),
    ];
    let mut lines = Vec::new();
    for (kind, name, _, _, line) in listed() {
        lines.push(format!("{kind} {}/{name} {line}\n", world.namespace));
        assert!(page.contains(line), "{line}");
    }
    let objects = listed()
        .into_iter()
        .map(|(kind, name, spec, state, _)| (kind, name, spec, state));
    for (kind, name, spec, state) in objects.chain(unlisted) {
        let manifest = if kind == "CassandraBackup" {
            backup(name, spec)
        } else {
            restore(name, "cassandraBackup: done")
        };
        world.kubectl.apply(&documents(&[manifest])).succeeds();
        let status = match state {
            "" => continue,
            "no coordinator" => json!({"condition": {"type": "FAILED"}}),
            state => {
                json!({"condition": {"type": state}, "coordinatorMember": "c1-dc1-rack1-0", "id": "5b8b1a0c"})
            }
        };
        let patch = json!({ "status": status }).to_string();
        world
            .kubectl
            .run(&[
                "patch",
                kind,
                name,
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ])
            .succeeds();
    }
    assert_eq!(list(), lines.concat());
}
