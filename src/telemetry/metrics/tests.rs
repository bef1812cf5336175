use super::*;

/// Returns the lines of the series whose names start with `name`.
fn series(metrics: &Metrics, name: &str) -> Vec<String> {
    metrics
        .encode()
        .lines()
        .filter(|line| line.starts_with(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_review_is_counted_by_kind_operation_and_verdict_and_timed_by_kind() {
    let metrics = Metrics::new();
    metrics.reviewed(
        ReviewKind::Backup,
        Operation::Create,
        ReviewVerdict::Denied,
        Duration::from_micros(300),
    );
    assert_eq!(
        series(&metrics, "cassgate_admission_reviews"),
        [r#"cassgate_admission_reviews_total{kind="backup",operation="create",verdict="denied"} 1"#]
    );
    let durations = series(&metrics, "cassgate_admission_duration_seconds_bucket");
    assert_eq!(durations.len(), REVIEW_BUCKETS.len() + 1);
    assert_eq!(
        durations[..2],
        [
            r#"cassgate_admission_duration_seconds_bucket{le="0.00025",kind="backup"} 0"#,
            r#"cassgate_admission_duration_seconds_bucket{le="0.0005",kind="backup"} 1"#,
        ]
    );
}

#[test]
fn a_finding_is_counted_by_rule_and_severity() {
    let metrics = Metrics::new();
    metrics.found(RuleLabel("entities-mixed"), FindingSeverity::Deny);
    metrics.found(RuleLabel("entities-mixed"), FindingSeverity::Deny);
    assert_eq!(
        series(&metrics, "cassgate_rule_findings"),
        [r#"cassgate_rule_findings_total{rule="entities-mixed",severity="deny"} 2"#]
    );
}

#[test]
fn a_connection_counts_until_it_is_dropped() {
    let metrics = Metrics::new();
    let open = metrics.connection_opened(Listener::Webhook);
    assert_eq!(
        series(&metrics, r#"cassgate_connections{listener="webhook""#),
        [r#"cassgate_connections{listener="webhook"} 1"#]
    );
    drop(open);
    assert_eq!(
        series(&metrics, r#"cassgate_connections{listener="webhook""#),
        [r#"cassgate_connections{listener="webhook"} 0"#]
    );
}

#[test]
fn caches_and_live_reads_are_exported_by_kind() {
    let metrics = Metrics::new();
    metrics.cache_objects(CacheKind::Restore, 7);
    metrics.cache_synced(CacheKind::Restore, true);
    metrics.live_read(ReadKind::Secret, ReadOutcome::Absent);
    let text = metrics.encode();
    for line in [
        r#"cassgate_cache_objects{kind="restore"} 7"#,
        r#"cassgate_cache_synced{kind="restore"} 1"#,
        r#"cassgate_live_reads_total{kind="secret",outcome="absent"} 1"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn series_that_alerts_use_start_at_zero() {
    let text = Metrics::new().encode();
    for line in [
        "cassgate_panics_total 0",
        r#"cassgate_tls_reloads_total{outcome="swapped"} 0"#,
        r#"cassgate_tls_reloads_total{outcome="failed"} 0"#,
        r#"cassgate_tls_handshake_failures_total{reason="timeout"} 0"#,
        r#"cassgate_tls_handshake_failures_total{reason="protocol"} 0"#,
        r#"cassgate_tls_handshake_failures_total{reason="io"} 0"#,
        r#"cassgate_cache_synced{kind="cluster"} 0"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_clone_counts_into_the_same_metrics() {
    let metrics = Metrics::new();
    metrics.clone().panicked();
    assert_eq!(
        series(&metrics, "cassgate_panics_total"),
        ["cassgate_panics_total 1"]
    );
}

#[test]
fn the_lease_has_no_series_before_the_first_report_and_all_of_them_afterwards() {
    let metrics = Metrics::new();
    assert_eq!(series(&metrics, "cassgate_lea"), Vec::<String>::new());
    metrics.leads(false);
    metrics.leads(true);
    metrics.lease_moved(LeaseTransition::Gained);
    metrics.lease_renewed(LeaseRenewal::TimedOut);
    let mut found = series(&metrics, "cassgate_lea");
    found.sort();
    assert_eq!(
        found,
        [
            "cassgate_leader{} 1",
            r#"cassgate_lease_renewals_total{outcome="conflict"} 0"#,
            r#"cassgate_lease_renewals_total{outcome="failed"} 0"#,
            r#"cassgate_lease_renewals_total{outcome="lost"} 0"#,
            r#"cassgate_lease_renewals_total{outcome="renewed"} 0"#,
            r#"cassgate_lease_renewals_total{outcome="timed-out"} 1"#,
            r#"cassgate_lease_transitions_total{transition="gained"} 1"#,
            r#"cassgate_lease_transitions_total{transition="lost"} 0"#,
            r#"cassgate_lease_transitions_total{transition="released"} 0"#,
        ]
    );
}

fn scheduled(name: &str) -> ScheduledBackup {
    ScheduledBackup {
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        last_success: Some(100),
        age: Some(50),
        interval: Some(60),
        missed: 2,
        ready: Some(false),
    }
}

#[test]
fn a_scheduled_backup_has_series_while_it_exists() {
    let metrics = Metrics::new();
    assert_eq!(series(&metrics, "cassgate_run"), Vec::<String>::new());
    let mut census = Census {
        open: [((RunKind::Restore, RunState::Queued), 3)].into(),
        failing: [(RunKind::Backup, 2)].into(),
        scheduled: 2,
        backups: vec![scheduled("a"), scheduled("b")],
        lag: 7,
    };
    metrics.set_census(&census);
    census.backups.remove(0);
    census.backups[0].age = None;
    metrics.set_census(&census);
    let mut found = series(&metrics, "cassgate_schedule");
    found.sort();
    assert_eq!(
        found,
        [
            "cassgate_schedule_lag_seconds{} 7",
            r#"cassgate_scheduled_backup_interval_seconds{namespace="ns",name="b"} 60"#,
            r#"cassgate_scheduled_backup_last_success_seconds{namespace="ns",name="b"} 100"#,
            r#"cassgate_scheduled_backup_missed_runs{namespace="ns",name="b"} 2"#,
            r#"cassgate_scheduled_backup_ready{namespace="ns",name="b"} 0"#,
            "cassgate_scheduled_backups{} 2",
        ]
    );
    let open = series(&metrics, "cassgate_runs_open");
    assert_eq!(open.len(), 8, "{open:?}");
    assert!(open.contains(&r#"cassgate_runs_open{kind="restore",state="queued"} 3"#.to_owned()));
    let mut failing = series(&metrics, "cassgate_reconciles_failing");
    failing.sort();
    assert_eq!(
        failing,
        [
            r#"cassgate_reconciles_failing{kind="backup"} 2"#,
            r#"cassgate_reconciles_failing{kind="restore"} 0"#,
        ]
    );
    let finished = series(&metrics, "cassgate_runs_finished");
    assert!(
        finished.contains(&r#"cassgate_runs_finished_total{kind="backup",outcome="failed"} 0"#.to_owned())
    );
    metrics.clear_census();
    assert_eq!(series(&metrics, "cassgate_schedule"), Vec::<String>::new());
    assert_eq!(series(&metrics, "cassgate_runs_open"), Vec::<String>::new());
    assert_eq!(
        series(&metrics, "cassgate_reconciles_failing"),
        Vec::<String>::new()
    );
}

#[test]
fn the_number_of_series_with_names_of_users_is_limited() {
    let metrics = Metrics::new();
    let backups = (0..MAX_SCHEDULED_BACKUPS + 5).map(|number| scheduled(&format!("b{number}")));
    let census = Census {
        scheduled: MAX_SCHEDULED_BACKUPS + 5,
        backups: backups.collect(),
        ..Census::default()
    };
    metrics.set_census(&census);
    let ages = series(&metrics, "cassgate_scheduled_backup_age_seconds");
    assert_eq!(ages.len(), MAX_SCHEDULED_BACKUPS);
    assert_eq!(
        series(&metrics, "cassgate_scheduled_backups"),
        ["cassgate_scheduled_backups{} 1005"]
    );
}
