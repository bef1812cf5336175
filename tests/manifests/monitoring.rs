//! Alerts and dashboard use existing series, and alerts fire at the right time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
    time::Duration,
};

use cassgate::{
    server::{admin, limits::Limits},
    telemetry::metrics::{
        CacheKind, Census, FindingSeverity, Metrics, Operation, ReadKind, ReadOutcome, ReviewKind,
        ReviewVerdict, RuleLabel, ScheduledBackup, SidecarOutcome, SidecarRequest, WebhookSide,
    },
};
use serde_json::Value;

use crate::{find, kustomize, repository, run_program, stdout_of};

/// The labels of a series, and the values of each.
pub(crate) type Labels = BTreeMap<String, BTreeSet<String>>;

/// Returns the series of `/metrics` once every event has happened.
fn series() -> &'static BTreeMap<String, Labels> {
    static SERIES: LazyLock<BTreeMap<String, Labels>> = LazyLock::new(|| {
        let metrics = Metrics::new();
        record_everything(&metrics);
        parse(&metrics.encode())
    });
    &SERIES
}

/// Records every event at least once.
fn record_everything(metrics: &Metrics) {
    for &kind in ReviewKind::ALL {
        for &operation in Operation::ALL {
            for &verdict in ReviewVerdict::ALL {
                metrics.reviewed(kind, operation, verdict, Duration::ZERO);
            }
        }
    }
    for &severity in FindingSeverity::ALL {
        metrics.found(RuleLabel("entities-mixed"), severity);
    }
    for &kind in CacheKind::ALL {
        metrics.cache_synced(kind, true);
    }
    for &kind in ReadKind::ALL {
        for &outcome in ReadOutcome::ALL {
            metrics.live_read(kind, outcome);
        }
    }
    for &request in SidecarRequest::ALL {
        for &outcome in SidecarOutcome::ALL {
            metrics.asked_sidecar(request, outcome);
        }
    }
    metrics.leads(true);
    metrics.certificate_not_after(1);
    metrics.authority_not_after(1);
    for &webhooks in WebhookSide::ALL {
        metrics.bundle_vouches(webhooks, Some(true));
    }
    metrics.set_census(&Census {
        scheduled: 1,
        backups: vec![ScheduledBackup {
            last_success: Some(1),
            age: Some(1),
            interval: Some(1),
            ready: Some(true),
            ..ScheduledBackup::default()
        }],
        ..Census::default()
    });
}

/// A family of `/metrics`, as its reference page lists it.
pub(crate) struct Family {
    /// The name of its series; of a histogram, the name without `_bucket`, `_sum` and `_count`.
    pub(crate) series: String,
    /// The type in the `OpenMetrics` format.
    pub(crate) kind: String,
    /// The description in `/metrics`.
    pub(crate) help: String,
    /// The labels of its series.
    pub(crate) labels: Labels,
}

/// Every family that cassgate registers, in the order of `/metrics`.
pub(crate) fn families() -> Vec<Family> {
    let metrics = Metrics::new();
    record_everything(&metrics);
    let text = metrics.encode();
    let about = |line: &str, word: &str| {
        let rest = line.strip_prefix(word)?.trim_start();
        rest.split_once(' ')
            .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
    };
    let kinds: BTreeMap<String, String> = text.lines().filter_map(|line| about(line, "# TYPE")).collect();
    text.lines()
        .filter_map(|line| about(line, "# HELP"))
        .map(|(name, help)| {
            let kind = kinds[&name].clone();
            let (suffix, sample) = match kind.as_str() {
                "counter" => ("_total", "_total"),
                "info" => ("_info", "_info"),
                "histogram" => ("", "_bucket"),
                _ => ("", ""),
            };
            let mut labels = series()
                .get(&format!("{name}{sample}"))
                .cloned()
                .unwrap_or_default();
            labels.remove("le");
            Family {
                series: format!("{name}{suffix}"),
                kind,
                // The registry ends every description with a full stop.
                help: help.trim_end_matches('.').to_owned(),
                labels,
            }
        })
        .collect()
}

/// Parses the samples of `/metrics`.
fn parse(text: &str) -> BTreeMap<String, Labels> {
    let mut series: BTreeMap<String, Labels> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name: String = line.chars().take_while(|c| !"{ ".contains(*c)).collect();
        let labels = series.entry(name).or_default();
        for (label, value) in matchers(line) {
            labels.entry(label).or_default().insert(value);
        }
    }
    series
}

/// Returns every `label="value"` of a text.
fn matchers(text: &str) -> Vec<(String, String)> {
    let inside = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    inside
        .flat_map(|list| list.split(','))
        .filter_map(|one| one.split_once("=\""))
        .map(|(label, value)| (label.trim().to_owned(), value.trim_end_matches('"').to_owned()))
        .collect()
}

/// Returns the mistakes of an expression: series, labels and values that cassgate does not have.
fn mistakes(expression: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut known: BTreeSet<&str> = ["pod"].into();
    for (at, _) in expression.match_indices("cassgate_") {
        let from = &expression[at..];
        let name: String = from
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let Some(labels) = series().get(&name) else {
            mistakes.push(format!("there is no {name}"));
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        let selector = from[name.len()..].starts_with('{').then_some(from);
        for (label, value) in selector
            .and_then(|text| text.split_inclusive('}').next())
            .map_or(vec![], matchers)
        {
            if labels.get(&label).is_none_or(|values| !values.contains(&value)) {
                mistakes.push(format!("{name} has no {label}={value}"));
            }
        }
    }
    for grouped in expression
        .split("by (")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        for label in grouped
            .split(',')
            .map(str::trim)
            .filter(|label| !known.contains(label))
        {
            mistakes.push(format!("nothing has the label {label}"));
        }
    }
    mistakes
}

/// Returns the groups of rules, as in a rule file of Prometheus.
fn groups() -> Value {
    find(&kustomize("overlays/monitoring"), "PrometheusRule", "cassgate")["spec"].clone()
}

fn alerts() -> Vec<Value> {
    groups()["groups"][0]["rules"].as_array().unwrap().clone()
}

fn dashboard() -> Value {
    let objects = kustomize("overlays/monitoring");
    let map = find(&objects, "ConfigMap", "cassgate-dashboard");
    serde_json::from_str(map["data"]["cassgate.json"].as_str().unwrap()).unwrap()
}

/// Returns the expressions of the dashboard, with a duration in the place of Grafana's variable.
fn panels() -> Vec<String> {
    dashboard()["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap().clone())
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m"))
        .collect()
}

#[test]
fn missing_series_and_labels_are_detected() {
    assert_eq!(
        mistakes("rate(cassgate_reviews_total[5m])"),
        ["there is no cassgate_reviews_total"]
    );
    assert_eq!(
        mistakes(r#"cassgate_tls_reloads_total{outcome="lost"}"#),
        ["cassgate_tls_reloads_total has no outcome=lost"]
    );
    assert_eq!(
        mistakes("sum by (pod, zone) (cassgate_connections)"),
        ["nothing has the label zone"]
    );
    assert!(series().len() > 14, "{:?}", series().keys());
}

#[test]
fn alerts_and_dashboard_use_existing_series_only() {
    let alerts = alerts();
    let asked = alerts
        .iter()
        .map(|alert| alert["expr"].as_str().unwrap().to_owned());
    let mut expressions = 0;
    for expression in asked.chain(panels()) {
        assert_eq!(mistakes(&expression), [""; 0], "{expression}");
        expressions += 1;
    }
    assert!(expressions > 20, "{expressions}");
}

#[test]
fn prometheus_accepts_the_expressions_of_alerts_and_dashboard() {
    let place = tempfile::tempdir().unwrap();
    let promtool = stdout_of("tests/servers/promtool.sh", &[]);
    let check = |name: &str, groups: &Value| {
        let file = place.path().join(name);
        fs::write(&file, groups.to_string()).unwrap();
        run_program(&promtool, &["check", "rules", &file.display().to_string()], "")
    };
    let output = check("alerts.json", &groups());
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let recorded: Vec<Value> = panels()
        .iter()
        .enumerate()
        .map(|(number, expression)| serde_json::json!({"record": format!("panel:{number}"), "expr": expression}))
        .collect();
    let output = check(
        "panels.json",
        &serde_json::json!({"groups": [{"name": "panels", "rules": recorded}]}),
    );
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    assert!(
        output.stdout.contains(&format!("{} rules found", panels().len())),
        "{}",
        output.stdout
    );
}

#[test]
fn each_alert_fires_at_the_right_time() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("rules.json"), groups().to_string()).unwrap();
    let cases = fs::read_to_string(repository("tests/manifests/alerts.yaml")).unwrap();
    let file = place.path().join("alerts.yaml");
    fs::write(&file, &cases).unwrap();
    let promtool = stdout_of("tests/servers/promtool.sh", &[]);
    let test = |file: &str| run_program(&promtool, &["test", "rules", file], "");
    let output = test(&file.display().to_string());
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    // Every alert has a case in which it fires and one in which it does not.
    let read: Value = serde_saphyr::from_str(&cases).unwrap();
    let mut outcomes: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
    for case in read["tests"].as_array().unwrap() {
        for test in case["alert_rule_test"].as_array().unwrap() {
            let fired = test["exp_alerts"]
                .as_array()
                .is_some_and(|alerts| !alerts.is_empty());
            let seen = outcomes.entry(test["alertname"].as_str().unwrap()).or_default();
            seen[usize::from(fired)] = true;
        }
    }
    let alerts = alerts();
    let both: BTreeMap<&str, [bool; 2]> = alerts
        .iter()
        .map(|alert| (alert["alert"].as_str().unwrap(), [true; 2]))
        .collect();
    assert_eq!(outcomes, both);
    // The cases must be able to fail: with much longer waits, they do.
    let patient = groups().to_string().replace(r#""for":""#, r#""for":"9"#);
    fs::write(place.path().join("rules.json"), patient).unwrap();
    assert!(!test(&file.display().to_string()).success);
}

#[test]
fn every_alert_has_a_remedy_in_the_manual() {
    let manual = fs::read_to_string(repository("docs/monitoring.md")).unwrap();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(
            manual.contains(&format!("| `{name}` |")),
            "docs/monitoring.md has no line for {name}"
        );
        for part in ["summary", "description"] {
            assert!(alert["annotations"][part].is_string(), "{name} has no {part}");
        }
        assert!(
            ["warning", "critical"].contains(&alert["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
    }
}

#[test]
fn alerts_and_dashboard_use_the_limits_of_the_code() {
    let alerts = alerts();
    let named = |name: &str| alerts.iter().find(|alert| alert["alert"] == name).unwrap();
    let most = Limits::default().max_connections;
    let connections = named("CassgateConnectionsRunOut");
    let expression = connections["expr"].as_str().unwrap();
    assert!(
        expression.ends_with(&format!("> {}", most * 9 / 10)),
        "{expression}"
    );
    let description = connections["annotations"]["description"].as_str().unwrap();
    assert!(description.contains(&format!("at most {most}.")), "{description}");
    let panels = dashboard()["panels"].to_string();
    let bounds = format!(
        "At most {most} of the webhook, {} of the admin port.",
        Limits::admin().max_connections
    );
    assert!(panels.contains(&bounds), "{bounds}");
}

#[test]
fn the_service_monitor_selects_the_port_and_path_of_the_metrics() {
    let objects = kustomize("overlays/monitoring");
    let service = find(&objects, "Service", "cassgate-metrics");
    let monitor = &find(&objects, "ServiceMonitor", "cassgate")["spec"];
    for (label, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service["metadata"]["labels"][label], *value);
        // The Service of the webhook is another one.
        let webhook = &find(&objects, "Service", "cassgate")["metadata"]["labels"];
        assert!(label != "app.kubernetes.io/component" || webhook[label].is_null());
    }
    let endpoint = &monitor["endpoints"][0];
    assert_eq!(endpoint["path"], admin::METRICS);
    let port = &service["spec"]["ports"][0];
    assert_eq!(endpoint["port"], port["name"]);
    let deployment = find(&objects, "Deployment", "cassgate");
    let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
        .as_array()
        .unwrap();
    let admin = ports
        .iter()
        .find(|open| open["name"] == port["targetPort"])
        .unwrap();
    assert_eq!(admin["containerPort"], port["port"]);
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
    // The job that the alerts name is the Service.
    let down = alerts()[0]["expr"].as_str().unwrap().to_owned();
    assert!(down.contains(r#"up{job="cassgate-metrics"}"#), "{down}");
}
