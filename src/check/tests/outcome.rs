//! Every format shows the result that the exit code has.

use super::super::render::{Format, Style};
use super::super::report::{Outcome, Report};
use super::super::{FailOn, Settings};
use super::{backup, judged};
use crate::rules::catalogue;

fn written(report: &Report, format: Format) -> String {
    let style = Style {
        colour: false,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    format.write(report, style, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

/// Returns the exit code that each format shows.
fn shown(report: &Report) -> Vec<(Format, u8)> {
    let json: serde_json::Value = serde_json::from_str(&written(report, Format::Json)).unwrap();
    let from_json = match json["result"].as_str().unwrap() {
        "passed" => 0,
        "failed" => 1,
        _ => 2,
    };
    let sarif: serde_json::Value = serde_json::from_str(&written(report, Format::Sarif)).unwrap();
    let run = &sarif["runs"][0];
    let of_results = run["results"].as_array().unwrap().iter();
    let invocation = &run["invocations"][0];
    let of_notes = invocation["toolExecutionNotifications"]
        .as_array()
        .unwrap()
        .iter();
    let is_error = |value: &serde_json::Value| value["level"] == "error";
    let from_sarif = if invocation["executionSuccessful"] == true {
        u8::from(of_results.chain(of_notes).any(is_error))
    } else {
        2
    };
    assert_eq!(invocation["exitCode"], from_sarif);
    let junit = written(report, Format::Junit);
    let from_junit = match (junit.contains("<error "), junit.contains("<failure ")) {
        (true, _) => 2,
        (false, failed) => u8::from(failed),
    };
    let fails = |text: &str, begin: &str| u8::from(text.lines().any(|line| line.starts_with(begin)));
    let markdown = written(report, Format::Markdown);
    vec![
        (Format::Json, from_json),
        (Format::Sarif, from_sarif),
        (Format::Junit, from_junit),
        (Format::Text, fails(&written(report, Format::Text), "error")),
        (Format::Github, fails(&written(report, Format::Github), "::error")),
        (Format::Markdown, fails(&markdown, "### cassgate check: failed")),
    ]
}

#[test]
fn every_format_agrees_with_the_exit_code() {
    let warned = backup("");
    let denied = backup("  bandwidth: fast\n");
    let suppressed = warned.replace(
        "  name: b1\n",
        "  name: b1\n  annotations: {cassgate.db.orange.com/allow: 'cluster-not-found,secret-not-found'}\n",
    );
    let noted = format!("{suppressed}---\napiVersion: db.orange.com/v9\nkind: CassandraBackup\n");
    let broken = format!("{denied}---\na: [\n");
    let other = "kind: ConfigMap\n".to_owned();
    let rule = catalogue::find("bandwidth-malformed").unwrap();
    for (text, fail_on, allowed, required, expected) in [
        (&warned, FailOn::Deny, false, false, 0),
        (&warned, FailOn::Warn, false, false, 1),
        (&warned, FailOn::Note, false, false, 1),
        (&denied, FailOn::Deny, false, true, 1),
        (&denied, FailOn::Deny, true, true, 0),
        (&denied, FailOn::Warn, true, false, 1),
        (&suppressed, FailOn::Note, false, false, 0),
        (&noted, FailOn::Warn, false, false, 0),
        (&noted, FailOn::Note, false, false, 1),
        (&broken, FailOn::Deny, false, false, 2),
        (&broken, FailOn::Note, true, true, 2),
        (&other, FailOn::Note, false, false, 0),
        (&other, FailOn::Deny, false, true, 2),
    ] {
        let settings = Settings {
            fail_on,
            allow: allowed.then_some(rule).into_iter().collect(),
            require_objects: required,
            ..Settings::default()
        };
        let report = judged(&[("a.yaml", text)], &settings);
        let code = report.outcome().exit_code();
        assert_eq!(code, expected, "{fail_on:?} {allowed} {required}: {text}");
        for (format, shown) in shown(&report) {
            // Text, GitHub and Markdown show that the check fails, not why.
            let same = shown == code || (shown == 1 && code == 2);
            assert!(
                same,
                "{format:?} shows {shown} instead of {code}: {}",
                written(&report, format)
            );
        }
    }
}

#[test]
fn every_format_says_that_nothing_was_judged() {
    let nothing = "no CassandraBackup or CassandraRestore was judged";
    for (required, text) in [
        (false, nothing.to_owned()),
        (true, format!("{nothing}, and --require-objects requires one")),
    ] {
        let settings = Settings {
            require_objects: required,
            ..Settings::default()
        };
        let report = judged(&[("a.yaml", "kind: ConfigMap\n")], &settings);
        for format in [
            Format::Text,
            Format::Sarif,
            Format::Junit,
            Format::Github,
            Format::Markdown,
        ] {
            let written = written(&report, format);
            assert!(written.contains(&text), "{format:?}: {written}");
            assert_eq!(written.contains("requires one"), required, "{format:?}");
        }
        assert!(written(&report, Format::Json).contains("\"objects\": 0"));
        let markdown = written(&report, Format::Markdown);
        assert_eq!(
            markdown.starts_with("### cassgate check: nothing judged\n"),
            !required,
            "{markdown}"
        );
    }
}

#[test]
fn a_warning_that_fails_and_a_denial_that_does_not_are_explained() {
    let settings = Settings {
        fail_on: FailOn::Warn,
        ..Settings::default()
    };
    let text = written(&judged(&[("a.yaml", &backup(""))], &settings), Format::Text);
    assert!(text.starts_with("error[cluster-not-found]"), "{text}");
    assert!(
        text.contains("fails the check because of --fail-on; the Kubernetes cluster only warns"),
        "{text}"
    );
    let settings = Settings {
        allow: vec![catalogue::find("bandwidth-malformed").unwrap()],
        ..Settings::default()
    };
    let text = written(
        &judged(&[("a.yaml", &backup("  bandwidth: fast\n"))], &settings),
        Format::Text,
    );
    assert!(text.contains("warning[bandwidth-malformed]"), "{text}");
    assert!(
        text.contains("1 denied (1 ignored because of --allow), 2 warnings"),
        "{text}"
    );
}

/// The expression in the first document does not excuse the error in the second one.
#[test]
fn a_template_expression_excuses_only_the_error_that_it_causes() {
    let noted = backup("").replace(
        "  name: b1\n",
        "  name: b1\n  annotations: {note: \"made by {{ team }}\"}\n",
    );
    let report = judged(
        &[(
            "a.yaml",
            &format!("{noted}---\nkind: CassandraRestore\nspec:\n  entities: \"k1,k2.t1\n"),
        )],
        &Settings::default(),
    );
    assert_eq!(report.outcome(), Outcome::Unusable);
    assert_eq!((report.errors[0].document, report.summary.objects), (2, 1));
    let same = noted.replace("s3://bk", "[");
    assert_eq!(
        judged(&[("a.yaml", &same)], &Settings::default()).outcome(),
        Outcome::Unusable
    );
    let report = judged(
        &[(
            "a.yaml",
            &format!("{noted}---\nname: {{{{ .name }}}}\n---\nname: x\n"),
        )],
        &Settings::default(),
    );
    assert_eq!(report.outcome(), Outcome::Good);
    assert_eq!(
        report.notes[0].message,
        "an unrendered template, so document 2 and those behind it are not judged; those before it are judged; render it: \
         helm template CHART | cassgate check -"
    );
}
