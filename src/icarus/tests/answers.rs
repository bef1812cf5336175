use serde::Deserialize;
use serde_json::Value;

use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::SourceDirectory;
use crate::icarus::answer::Answer;
use crate::icarus::error::MAX_EXCERPT_LENGTH;
use crate::icarus::{NodeFailure, Operation, RestorePhase, SidecarError};

use super::{TAG, directory};

#[derive(Deserialize)]
struct Recorded {
    answers: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    seen: String,
    of: String,
    status: u16,
    body: Value,
    means: String,
}

impl Exchange {
    fn answer(&self) -> Answer {
        let body = match &self.body {
            Value::String(text) => text.clone(),
            // The sidecar writes JSON over several lines.
            json => serde_json::to_string_pretty(json).unwrap(),
        };
        Answer {
            status: self.status,
            body: body.into(),
        }
    }
}

/// Returns the parsed answer in the notation of the file.
fn meaning(of: &str, answer: &Answer) -> String {
    let understood = match of {
        "operation" => answer.operation().map(|operation| {
            format!(
                "{:?} {:?} {} {:?}",
                operation.kind,
                operation.state,
                operation.progress,
                operation.failure()
            )
        }),
        "operations" => answer.operations().map(|all| format!("{} operations", all.len())),
        "schema" => answer.schema_version().map(|version| version.to_string()),
        "status" => answer.mode().map(|mode| format!("{mode} {mode:?}")),
        "topology" => answer.topology().map(|ring| {
            let node = &ring.nodes[0];
            format!(
                "{}: {} {} {}",
                ring.cluster, node.host, node.datacenter, node.address
            )
        }),
        other => panic!("{other} is no request"),
    };
    match understood {
        Ok(text) => text,
        Err(SidecarError::Refused(why, _)) => format!("refused {why:?}"),
        Err(SidecarError::CassandraUnavailable(text)) => {
            format!("cassandra-unavailable {}", text.split(':').next().unwrap())
        }
        Err(error) => error.label().as_str().to_owned(),
    }
}

#[test]
fn every_recorded_answer_is_understood() {
    let recorded: Recorded =
        serde_json::from_str(include_str!("../../../tests/vectors/sidecar.json")).unwrap();
    assert!(recorded.answers.len() > 50, "{}", recorded.answers.len());
    let wrong: Vec<String> = recorded
        .answers
        .iter()
        .map(|exchange| (exchange, meaning(&exchange.of, &exchange.answer())))
        .filter(|(exchange, found)| exchange.means != *found)
        .map(|(exchange, found)| format!("{} ({}): {found}", exchange.seen, exchange.of))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn operation(body: &str) -> Operation {
    Answer {
        status: 200,
        body: body.into(),
    }
    .operation()
    .unwrap()
}

#[test]
fn a_phase_is_identified_by_its_directory_and_its_name() {
    let source = SourceDirectory::of_restore(&directory(), "6f2b-1").unwrap();
    let phase = |directory: &str, global: bool| {
        operation(&format!(
            r#"{{"id":"1","type":"restore","state":"RUNNING","errors":[],"restorationPhase":"IMPORT",
                "import":{{"type":"import","sourceDir":"{directory}"}},"globalRequest":{global}}}"#
        ))
    };
    let ours = "file:///var/lib/cassandra/cassgate-restore-6f2b-1/";
    assert!(phase(ours, false).is_phase(&source, RestorePhase::Import));
    assert!(!phase(ours, false).is_phase(&source, RestorePhase::Download));
    assert!(
        !phase(ours, true).is_phase(&source, RestorePhase::Import),
        "CassKop's"
    );
    let casskops = "file:///var/lib/cassandra/downloadedsstables/";
    assert!(!phase(casskops, false).is_phase(&source, RestorePhase::Import));
}

#[test]
fn a_backup_is_identified_by_its_full_tag() {
    let body = |tag: &str, global: bool| {
        operation(&format!(
            r#"{{"id":"1","type":"backup","state":"RUNNING","errors":[],"snapshotTag":"{tag}","globalRequest":{global}}}"#
        ))
    };
    let tag = ResolvedTag::parse(TAG).unwrap();
    assert!(body(TAG, false).is_backup(&tag));
    assert!(!body(TAG, true).is_backup(&tag), "CassKop's");
    assert!(!body("n1", false).is_backup(&tag));
}

#[test]
fn times_have_any_number_of_digits_and_an_invalid_time_is_ignored() {
    let operation = operation(
        r#"{"id":"1","type":"backup","state":"COMPLETED","errors":null,"progress":null,
            "creationTime":"2020-11-09T11:49:16.485Z","startTime":"2026-11-22T21:38:38.727869736Z","completionTime":"soon"}"#,
    );
    assert_eq!(operation.created.unwrap().to_string(), "2020-11-09T11:49:16.485Z");
    assert_eq!(operation.started.unwrap().subsec_nanosecond(), 727_869_736);
    assert_eq!((operation.completed, operation.errors.len()), (None, 0));
}

#[test]
fn a_listing_has_the_files_and_the_size_of_each_snapshot() {
    let operation = operation(
        r#"{"id":"1","type":"list","state":"COMPLETED","errors":[],"response":{"totalSize":43413,"totalFiles":32,
            "totalManifests":12,"reports":[{"files":32,"size":43413,"name":"q0-168d568b-d346-3f61-968f-a2716307a6e4-1795387717019",
            "reclaimableSpace":0,"removableEntries":[],"timestamp":"2026-11-22T22:48:37.019",
            "manifest":{"objectKey":"m","type":"FILE","size":14127},"unixtimestamp":1795387717019}]}}"#,
    );
    let listing = operation.listing.unwrap();
    let found = listing
        .snapshot("q0-168d568b-d346-3f61-968f-a2716307a6e4-1795387717019")
        .unwrap();
    assert_eq!(
        (found.files, found.size, found.taken),
        (32, 43413, 1_795_387_717_019)
    );
    assert_eq!(listing.snapshot("q0"), None);
}

#[test]
fn only_the_start_of_a_foreign_text_is_kept_on_one_line() {
    let answer = Answer {
        status: 502,
        body: format!("<html>\n\r\u{1b}[31m{}", "é".repeat(5_000)).into_bytes(),
    };
    let Err(SidecarError::Garbage { status, excerpt }) = answer.operation() else {
        panic!("this is garbage")
    };
    assert_eq!((status, excerpt.chars().count()), (502, MAX_EXCERPT_LENGTH));
    assert!(excerpt.starts_with("<html>   [31mé"), "{excerpt}");
    for away in [
        "Connection refused",
        "Failed tables to refresh: {k1.t2=Failed to retrieve RMIServer stub: Connection refused to host}",
    ] {
        assert_eq!(NodeFailure::of_message(away), NodeFailure::CassandraUnreachable);
    }
    let long = NodeFailure::of_message(&"x".repeat(5_000));
    assert_eq!(long, NodeFailure::Other("x".repeat(MAX_EXCERPT_LENGTH)));
}

#[test]
fn any_bytes_are_an_answer_or_an_error() {
    for body in [
        &b"\xff\xfe\x00"[..],
        b"[",
        b"null",
        b"{}",
        b"[[]]",
        b"\"x\"",
        b"1e999",
    ] {
        for status in [200, 201, 204, 301, 400, 404, 500, 503] {
            let answer = Answer {
                status,
                body: body.to_vec(),
            };
            assert!(answer.operation().is_err(), "{body:?}");
            assert!(answer.operations().is_err(), "{body:?}");
            assert!(answer.topology().is_err(), "{body:?}");
            assert!(answer.mode().is_err(), "{body:?}");
            assert!(answer.schema_version().is_err(), "{body:?}");
        }
    }
}
