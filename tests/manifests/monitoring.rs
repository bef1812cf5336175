//! Alerts and dashboard ask for series that cassgate has, and the alerts fire when they should.

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

use crate::{kustomize, printed, repository, say, the};

/// The labels of a series, and the values of each.
pub(crate) type Labels = BTreeMap<String, BTreeSet<String>>;

/// What `/metrics` shows once everything has happened.
fn series() -> &'static BTreeMap<String, Labels> {
    static SERIES: LazyLock<BTreeMap<String, Labels>> = LazyLock::new(|| {
        let metrics = Metrics::new();
        happen(&metrics);
        read(&metrics.encode())
    });
    &SERIES
}

fn happen(metrics: &Metrics) {
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
    metrics.counted(&Census {
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
    happen(&metrics);
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

fn read(text: &str) -> BTreeMap<String, Labels> {
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

/// Every `label="value"` of a text.
fn matchers(text: &str) -> Vec<(String, String)> {
    let inside = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    inside
        .flat_map(|list| list.split(','))
        .filter_map(|one| one.split_once("=\""))
        .map(|(label, value)| (label.trim().to_owned(), value.trim_end_matches('"').to_owned()))
        .collect()
}

/// What of an expression cassgate has not: each sentence a mistake.
fn wrong(expression: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known: BTreeSet<&str> = ["pod"].into();
    for (at, _) in expression.match_indices("cassgate_") {
        let from = &expression[at..];
        let name: String = from
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let Some(labels) = series().get(&name) else {
            wrong.push(format!("there is no {name}"));
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        let selector = from[name.len()..].starts_with('{').then_some(from);
        for (label, value) in selector
            .and_then(|text| text.split_inclusive('}').next())
            .map_or(vec![], matchers)
        {
            if labels.get(&label).is_none_or(|values| !values.contains(&value)) {
                wrong.push(format!("{name} has no {label}={value}"));
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
            wrong.push(format!("nothing has the label {label}"));
        }
    }
    wrong
}

/// The groups of the rules, as Prometheus reads them from a file.
fn groups() -> Value {
    the(&kustomize("overlays/monitoring"), "PrometheusRule", "cassgate")["spec"].clone()
}

fn alerts() -> Vec<Value> {
    groups()["groups"][0]["rules"].as_array().unwrap().clone()
}

fn dashboard() -> Value {
    let objects = kustomize("overlays/monitoring");
    let map = the(&objects, "ConfigMap", "cassgate-dashboard");
    serde_json::from_str(map["data"]["cassgate.json"].as_str().unwrap()).unwrap()
}

/// The expressions of the dashboard, with a time where Grafana puts one.
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
fn what_is_not_there_is_noticed() {
    assert_eq!(
        wrong("rate(cassgate_reviews_total[5m])"),
        ["there is no cassgate_reviews_total"]
    );
    assert_eq!(
        wrong(r#"cassgate_tls_reloads_total{outcome="lost"}"#),
        ["cassgate_tls_reloads_total has no outcome=lost"]
    );
    assert_eq!(
        wrong("sum by (pod, zone) (cassgate_connections)"),
        ["nothing has the label zone"]
    );
    assert!(series().len() > 14, "{:?}", series().keys());
}

#[test]
fn alerts_and_dashboard_name_only_series_that_there_are() {
    let alerts = alerts();
    let asked = alerts
        .iter()
        .map(|alert| alert["expr"].as_str().unwrap().to_owned());
    let mut expressions = 0;
    for expression in asked.chain(panels()) {
        assert_eq!(wrong(&expression), [""; 0], "{expression}");
        expressions += 1;
    }
    assert!(expressions > 20, "{expressions}");
}

#[test]
fn prometheus_takes_the_alerts_and_the_dashboards_expressions() {
    let place = tempfile::tempdir().unwrap();
    let promtool = printed("tests/servers/promtool.sh", &[]);
    let check = |name: &str, groups: &Value| {
        let file = place.path().join(name);
        fs::write(&file, groups.to_string()).unwrap();
        say(&promtool, &["check", "rules", &file.display().to_string()], "")
    };
    let said = check("alerts.json", &groups());
    assert!(said.content, "{}{}", said.stdout, said.stderr);
    let recorded: Vec<Value> = panels()
        .iter()
        .enumerate()
        .map(|(number, expression)| serde_json::json!({"record": format!("panel:{number}"), "expr": expression}))
        .collect();
    let said = check(
        "panels.json",
        &serde_json::json!({"groups": [{"name": "panels", "rules": recorded}]}),
    );
    assert!(said.content, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout.contains(&format!("{} rules found", panels().len())),
        "{}",
        said.stdout
    );
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("rules.json"), groups().to_string()).unwrap();
    let cases = fs::read_to_string(repository("tests/manifests/alerts.yaml")).unwrap();
    let file = place.path().join("alerts.yaml");
    fs::write(&file, &cases).unwrap();
    let promtool = printed("tests/servers/promtool.sh", &[]);
    let test = |file: &str| say(&promtool, &["test", "rules", file], "");
    let said = test(&file.display().to_string());
    assert!(said.content, "{}{}", said.stdout, said.stderr);
    // Each alert is expected once to fire and once not to.
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
    // And the cases can fail: with alerts that wait for ever, none fires.
    let patient = groups().to_string().replace(r#""for":""#, r#""for":"9"#);
    fs::write(place.path().join("rules.json"), patient).unwrap();
    assert!(!test(&file.display().to_string()).content);
}

#[test]
fn every_alert_says_what_is_to_be_done() {
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
fn the_alerts_go_by_the_bounds_of_the_code() {
    let alerts = alerts();
    let named = |name: &str| alerts.iter().find(|alert| alert["alert"] == name).unwrap();
    let most = Limits::default().connections;
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
        Limits::admin().connections
    );
    assert!(panels.contains(&bounds), "{bounds}");
}

#[test]
fn prometheus_finds_the_port_and_the_path() {
    let objects = kustomize("overlays/monitoring");
    let service = the(&objects, "Service", "cassgate-metrics");
    let monitor = &the(&objects, "ServiceMonitor", "cassgate")["spec"];
    for (label, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service["metadata"]["labels"][label], *value);
        // The Service of the webhook is another one.
        let webhook = &the(&objects, "Service", "cassgate")["metadata"]["labels"];
        assert!(label != "app.kubernetes.io/component" || webhook[label].is_null());
    }
    let endpoint = &monitor["endpoints"][0];
    assert_eq!(endpoint["path"], admin::METRICS);
    let port = &service["spec"]["ports"][0];
    assert_eq!(endpoint["port"], port["name"]);
    let deployment = the(&objects, "Deployment", "cassgate");
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
