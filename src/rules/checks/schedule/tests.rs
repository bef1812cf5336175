//! Schedules and their findings in November 2026.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::check;
use crate::rules::finding::{Finding, Findings};
use crate::rules::policy::{Context, Executor, Policy};
use crate::rules::subject::{Backup, Metadata};

fn context() -> Context {
    Context {
        now: "2026-11-01T12:00:00Z".parse().unwrap(),
        ..Context::default()
    }
}

fn with(policy: Policy) -> Context {
    Context { policy, ..context() }
}

fn found_in(fields: &Value, context: &Context) -> Findings {
    let mut spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk"});
    json_patch::merge(&mut spec, fields);
    let backup = Backup::new(Metadata::default(), serde_json::from_value(spec).unwrap());
    let mut found = Findings::default();
    check(&backup, context, &mut found);
    found
}

/// Returns `severity path: text` for each finding.
fn findings_of(fields: &Value, context: &Context) -> Vec<String> {
    let line = |f: &Finding| format!("{} {}: {}", f.severity.as_str(), f.path, f.text());
    found_in(fields, context).iter().map(line).collect()
}

fn findings_of_schedule(schedule: &str) -> Vec<String> {
    findings_of(&json!({"schedule": schedule}), &context())
}

#[test]
fn a_valid_schedule_has_no_findings() {
    for schedule in [
        "@midnight",
        "0 3 * * *",
        "*/10 * * * *",
        "@hourly",
        "@every 6h",
        "0 0 29 2 *",
        "TZ=Europe/Berlin 0 4 * * *",
        "TZ=Europe/Berlin 30 * * * *",
        "TZ=Asia/Tokyo 30 2 * * *",
        "",
    ] {
        assert_eq!(findings_of_schedule(schedule), [""; 0], "{schedule}");
    }
    for fields in [
        json!({}),
        json!({"timeZone": "Europe/Berlin"}),
        json!({"schedule": "0 4 * * *", "timeZone": "Europe/Berlin"}),
        json!({"schedule": "@every 6h", "timeZone": "Europe/Berlin"}),
    ] {
        assert_eq!(findings_of(&fields, &context()), [""; 0], "{fields}");
    }
}

#[test]
fn a_malformed_schedule_is_denied_with_the_error_of_robfig() {
    assert_eq!(
        findings_of_schedule("0 3 * * 7"),
        [
            "deny spec.schedule: Invalid value: \"0 3 * * 7\": end of range (7) above maximum (6): 7; CassKop would only \
             record an event and never run the backup; write minute hour day-of-month month day-of-week (0 3 * * *), @daily, \
             or @every 6h [cassgate schedule-malformed]"
        ]
    );
    let ours = with(Policy {
        executor: Executor::Cassgate,
        ..Policy::default()
    });
    let text = &findings_of(&json!({"schedule": "@dayly"}), &ours)[0];
    assert!(
        text.contains("unrecognized descriptor: @dayly; the backup would never run; write "),
        "{text}"
    );
}

#[test]
fn an_unknown_zone_at_the_start_suggests_the_nearest() {
    assert_eq!(
        findings_of_schedule("TZ=Europ/Berlin @daily"),
        [
            "deny spec.schedule: Invalid value: \"TZ=Europ/Berlin @daily\": provided bad location Europ/Berlin: unknown \
             time zone Europ/Berlin; CassKop would only record an event and never run the backup; write Europe/Berlin; \
             letter case matters [cassgate schedule-malformed]"
        ]
    );
}

#[test]
fn an_unknown_time_zone_is_denied() {
    assert_eq!(
        findings_of(
            &json!({"schedule": "30 2 * * *", "timeZone": "europe/berlin"}),
            &context()
        ),
        [
            "deny spec.timeZone: Invalid value: \"europe/berlin\": is not a time zone of the IANA database, so the run \
             times are unknown; write Europe/Berlin; letter case matters [cassgate schedule-malformed]"
        ]
    );
    for zone in ["", "Local", "Middle/Earth"] {
        let found = findings_of(&json!({"timeZone": zone}), &context());
        assert_eq!(found.len(), 1, "{zone}: {found:?}");
        assert!(found[0].ends_with(
            "write a name such as Europe/Paris; letter case matters [cassgate schedule-malformed]"
        ));
    }
}

#[test]
fn two_zones_are_denied() {
    assert_eq!(
        findings_of(
            &json!({"schedule": "CRON_TZ=Asia/Tokyo @daily", "timeZone": "Europe/Berlin"}),
            &context()
        ),
        [
            "deny spec.schedule: Invalid value: \"CRON_TZ=Asia/Tokyo @daily\": the schedule starts with a time zone and \
             timeZone (\"Europe/Berlin\") is set too; only one of them can apply; leave one of them out \
             [cassgate schedule-malformed]"
        ]
    );
    let all = findings_of(
        &json!({"schedule": "TZ=UTC 0 3 * *", "timeZone": "nowhere"}),
        &context(),
    );
    let paths: Vec<_> = all.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        paths,
        ["deny spec.timeZone", "deny spec.schedule", "deny spec.schedule"],
        "{all:?}"
    );
}

#[test]
fn a_schedule_that_never_fires_has_only_this_finding() {
    let notices = with(Policy {
        notices: true,
        ..Policy::default()
    });
    for schedule in ["0 0 30 2 *", "TZ=Europe/Berlin 30 2 31 4,6,9,11 *", "* * , * *"] {
        assert_eq!(
            findings_of(&json!({"schedule": schedule}), &notices),
            [format!(
                "warn spec.schedule: {schedule:?}: no date matches this schedule, so the backup would \
                 never run; name a day that every month of the schedule has [cassgate schedule-never-fires]"
            )]
        );
    }
}

#[test]
fn close_runs_are_a_warning_and_closer_runs_are_denied() {
    assert_eq!(
        findings_of_schedule("*/5 * * * *"),
        [
            "warn spec.schedule: \"*/5 * * * *\": two runs are only 5m apart, and a run that takes longer \
             overlaps with the next; leave more time between them [cassgate schedule-too-frequent]"
        ]
    );
    assert_eq!(
        findings_of_schedule("@every 30s"),
        [
            "deny spec.schedule: Invalid value: \"@every 30s\": two runs are only 30s apart, and the minimum here \
             is 1m; leave more time between them [cassgate schedule-too-frequent]"
        ]
    );
    let hourly = with(Policy {
        min_schedule_interval: SignedDuration::from_hours(1),
        ..Policy::default()
    });
    for (schedule, severity) in [
        ("* * * * *", "warn"),
        ("59 23,0 * * *", ""),
        ("0,59 23,0 * * *", "warn"),
        ("*/9 * * * *", "warn"),
        ("@every 9m59s", "warn"),
        ("0,30 * * * *", ""),
        ("@every 10m", ""),
    ] {
        let found = findings_of_schedule(schedule);
        assert_eq!(
            found.first().map_or("", |line| &line[..4]),
            severity,
            "{schedule}: {found:?}"
        );
        let found = findings_of(&json!({"schedule": schedule}), &hourly);
        assert_eq!(
            found.len(),
            usize::from(schedule != "59 23,0 * * *"),
            "{schedule}: {found:?}"
        );
        assert!(
            found
                .iter()
                .all(|line| line.starts_with("deny") && line.contains("the minimum here is 1h"))
        );
    }
}

#[test]
fn a_skipped_or_repeated_run_is_reported_with_its_time() {
    let skipped = "the run of 02:30 on 2027-03-28 is skipped: the clock of Europe/Berlin goes forward at \
                   2027-03-28T01:00:00Z; choose another hour, or UTC [cassgate schedule-dst]";
    assert_eq!(
        findings_of_schedule("TZ=Europe/Berlin 30 2 * * *"),
        [format!(
            "warn spec.schedule: \"TZ=Europe/Berlin 30 2 * * *\": {skipped}"
        )]
    );
    assert_eq!(
        findings_of(
            &json!({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"}),
            &context()
        ),
        [format!("warn spec.schedule: \"30 2 * * *\": {skipped}")]
    );
    let summer = Context {
        now: "2026-06-01T12:00:00Z".parse().unwrap(),
        ..context()
    };
    assert_eq!(
        findings_of(&json!({"schedule": "TZ=America/New_York 15 1 * * *"}), &summer),
        [
            "warn spec.schedule: \"TZ=America/New_York 15 1 * * *\": the run of 01:15 on 2026-11-01 comes \
             twice: the clock of America/New_York goes back at 2026-11-01T06:00:00Z; choose another hour, or UTC \
             [cassgate schedule-dst]"
        ]
    );
}

#[test]
fn a_run_that_is_skipped_after_more_than_a_year_is_not_reported() {
    // The last Sunday of March is the 29th in 2026, and again in 2037.
    assert_eq!(findings_of_schedule("TZ=Europe/Berlin 30 2 29 3 *"), [""; 0]);
}

#[test]
fn notices_contain_the_next_runs() {
    let notices = with(Policy {
        notices: true,
        ..Policy::default()
    });
    assert_eq!(
        findings_of(&json!({"schedule": "@midnight"}), &notices),
        [
            "warn spec.schedule: next runs: 2026-11-02 00:00 UTC, 2026-11-03 00:00 UTC, 2026-11-04 \
             00:00 UTC [cassgate schedule-preview]"
        ]
    );
    assert_eq!(
        findings_of(
            &json!({"schedule": "0 4 * * *", "timeZone": "Asia/Tokyo"}),
            &notices
        ),
        [
            "warn spec.schedule: next runs: 2026-11-02 04:00 JST (2026-11-01 19:00 UTC), 2026-11-03 \
             04:00 JST (2026-11-02 19:00 UTC), 2026-11-04 04:00 JST (2026-11-03 19:00 UTC) [cassgate schedule-preview]"
        ]
    );
    assert_eq!(
        findings_of(&json!({"schedule": "TZ=Europe/Berlin @every 9h0m30s"}), &notices)[0],
        "warn spec.schedule: next runs: 2026-11-01 21:00:30 UTC, 2026-11-02 06:01 UTC, 2026-11-02 \
         15:01:30 UTC [cassgate schedule-preview]"
    );
    let late = Context {
        now: "2101-01-01T00:00:00Z".parse().unwrap(),
        ..notices
    };
    assert!(findings_of(&json!({"schedule": "@daily"}), &late)[0].contains("no run in the next five years"));
}

#[test]
fn no_message_exceeds_the_limit_of_the_api_server() {
    let notices = with(Policy {
        notices: true,
        ..Policy::default()
    });
    let longest = "TZ=America/Argentina/ComodRivadavia */5 * * * *";
    for schedule in [
        longest,
        "TZ=America/Scoresbysund 30 23 * * *",
        "TZ=Australia/Lord_Howe 10 2 * * *",
    ] {
        for line in findings_of(&json!({"schedule": schedule}), &notices) {
            assert!(line.chars().count() <= 256, "{line}");
        }
    }
}
