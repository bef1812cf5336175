//! Argo CD's health check for both kinds, run by the Lua that Argo CD runs, with what it gives to such a script.

use std::fs;

use serde_json::{Value, json};

use crate::{kustomize, printed, repository, say};

/// What Argo CD would show of this object.
fn health(object: &Value) -> (String, String) {
    let script = repository("manifests/argocd/health.lua").display().to_string();
    let lua = printed("tests/servers/tool.sh", &["argo-lua"]);
    let said = say(&lua, &[&script], &format!("{object}\n"));
    assert!(said.content, "{}", said.stderr);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    (text("status"), text("message"))
}

#[track_caller]
fn is(object: &Value, status: &str, says: &str) {
    let (shown, message) = health(object);
    assert_eq!(shown, status, "{message}: {object:#}");
    assert!(message.contains(says), "{message}");
}

/// An object of the second generation.
fn object(spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status,
    })
}

/// A status as CassKop writes it, in the state `state`.
fn casskops(state: &str) -> Value {
    json!({
        "progress": "40%", "id": "d3262073-8101-450f-9a11-c851760abd57", "coordinatorMember": "demo-dc1-rack1-0",
        "condition": {"type": state, "lastTransitionTime": "Sun, 22 Nov 2026 21:38:38 GMT"},
    })
}

/// A status as cassgate writes it: these conditions hold, with this sentence; `Ready` does not unless it is among them.
fn ours(hold: &[&str], sentence: &str) -> Value {
    let condition = |name: &str, status: &str| {
        json!({
            "type": name, "status": status, "reason": "Word", "message": sentence, "observedGeneration": 2,
            "lastTransitionTime": "2026-11-22T21:38:38Z",
        })
    };
    let ready = if hold.contains(&"Ready") { "True" } else { "False" };
    let mut conditions = vec![condition("Ready", ready), condition("ReferencesResolved", "True")];
    let others = hold.iter().filter(|name| **name != "Ready");
    conditions.extend(others.map(|name| condition(name, "True")));
    json!({"observedGeneration": 2, "condition": {"type": "RUNNING"}, "conditions": conditions})
}

#[test]
fn what_casskop_has_run_once_is_as_its_last_state_says() {
    let once = json!({"cassandraCluster": "demo"});
    is(&object(&once, &Value::Null), "Progressing", "not started");
    is(&object(&once, &json!({})), "Progressing", "not started");
    // CassKop names the pod before it has sent anything.
    is(
        &object(&once, &json!({"coordinatorMember": "p"})),
        "Progressing",
        "not started",
    );
    for state in ["REQUIRED", "PENDING", "RUNNING"] {
        is(
            &object(&once, &casskops(state)),
            "Progressing",
            &format!("{state} 40%"),
        );
    }
    is(&object(&once, &casskops("COMPLETED")), "Healthy", "completed");
    for state in ["CANCELLED", "CANCELED", "FAILED"] {
        is(&object(&once, &casskops(state)), "Degraded", state);
    }
    is(
        &object(&once, &casskops("SOMETHING NEW")),
        "Progressing",
        "SOMETHING NEW",
    );
}

#[test]
fn a_failure_names_each_node_even_one_that_said_nothing() {
    let mut status = casskops("FAILED");
    status["condition"]["failureCause"] =
        json!([{"source": "10.0.0.1", "message": "no such bucket"}, {"source": "10.0.0.2"}, {}]);
    let says = "FAILED; 10.0.0.1: no such bucket; 10.0.0.2: no message; a node: no message";
    is(&object(&json!({}), &status), "Degraded", says);
}

/// A run at night is no change that anybody waits for.
#[test]
fn a_schedule_is_healthy_unless_its_last_run_was_not() {
    let nightly = json!({"cassandraCluster": "demo", "schedule": "@midnight"});
    is(&object(&nightly, &json!({})), "Healthy", "no run yet");
    is(&object(&nightly, &casskops("RUNNING")), "Healthy", "RUNNING");
    is(&object(&nightly, &casskops("COMPLETED")), "Healthy", "completed");
    is(&object(&nightly, &casskops("FAILED")), "Degraded", "FAILED");
    // An empty one is none, for CassKop.
    is(
        &object(&json!({"schedule": ""}), &json!({})),
        "Progressing",
        "not started",
    );
}

#[test]
fn what_cassgate_acts_on_is_as_its_conditions_say() {
    let spec = json!({"cassandraCluster": "demo"});
    for (hold, status) in [
        (&["Ready", "Complete"][..], "Healthy"),
        (&["Ready"], "Healthy"),
        (&["Reconciling"], "Progressing"),
        (&["Reconciling", "Stalled"], "Degraded"),
        (&["Failed", "Stalled"], "Degraded"),
        (&["Failed"], "Degraded"),
        (&[], "Progressing"),
    ] {
        is(&object(&spec, &ours(hold, "a sentence")), status, "a sentence");
    }
}

#[test]
fn what_was_said_of_an_older_spec_counts_no_more() {
    let mut changed = object(&json!({}), &ours(&["Ready"], "done"));
    changed["metadata"]["generation"] = json!(3);
    is(&changed, "Progressing", "the spec has changed");
}

#[test]
fn what_rests_says_so_and_what_only_describes_a_backup_holds_nothing_up() {
    let rests = json!({"schedule": "@midnight", "suspend": true});
    is(&object(&rests, &ours(&["Ready"], "armed")), "Suspended", "the schedule is suspended");
    let describes = json!({"suspend": true});
    is(
        &object(&describes, &Value::Null),
        "Healthy",
        "in the bucket already",
    );
    let not = json!({"suspend": false});
    is(&object(&not, &Value::Null), "Progressing", "not started");
}

#[test]
fn argo_cd_gets_the_script_for_both_kinds_and_leaves_the_bundle_alone() {
    let maps = kustomize("argocd");
    let [map] = &maps[..] else { panic!("{maps:?}") };
    assert_eq!(map["metadata"]["name"], "argocd-cm");
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/part-of"], "argocd");
    let script = fs::read_to_string(repository("manifests/argocd/health.lua")).unwrap();
    for kind in ["CassandraBackup", "CassandraRestore"] {
        let key = format!("resource.customizations.health.db.orange.com_{kind}");
        assert_eq!(map["data"][key], script);
    }
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let key = format!("resource.customizations.ignoreDifferences.admissionregistration.k8s.io_{kind}");
        let ignored: Value = serde_saphyr::from_str(map["data"][key].as_str().unwrap()).unwrap();
        assert_eq!(
            ignored,
            json!({"jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"]})
        );
    }
}

/// The interpreter of these tests has no more than Argo CD gives.
#[test]
fn a_script_that_needs_strings_or_never_ends_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("health.lua");
    let lua = printed("tests/servers/tool.sh", &["argo-lua"]);
    for (script, told) in [
        (
            r#"return {status = string.upper("healthy")}"#,
            "attempt to index a non-table object(nil)",
        ),
        ("while true do end", "context deadline exceeded"),
        ("return 1", "it returned no table but a number"),
    ] {
        fs::write(&file, script).unwrap();
        let said = say(&lua, &[&file.display().to_string()], "{}\n");
        assert!(!said.content, "{script}");
        assert!(said.stderr.contains(told), "{script}: {}", said.stderr);
    }
}
