//! The static rules as policies of the API server, without the webhook: whatever they deny the rules deny, and the
//! part of a rule that they express they deny as the rule does.

mod hostile;
mod judge;
mod large;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cassgate::api::Kind;
use cassgate::rules::{cel, spec_change};
use futures::{StreamExt, stream};
use http::Method;
use kube::Client;
use serde_json::{Map, Value, json};

use self::judge::Judged;
use crate::scene::case::{self, Case, library};
use crate::scene::{AT_ONCE, Answer, Scene, collection, connect, crds_of, send};
use crate::support::{
    http::runtime,
    manifests, objects, repository,
    servers::{Crds, Servers},
    stage::Stage,
};

/// Scenarios in which the mutating webhook corrects what the policy and the validating webhook would deny.
const MENDED: [(&str, &str); 13] = [
    ("backup/with-a-status", "status-on-create"),
    ("restore/with-a-status", "status-on-create"),
    ("update/coordinator-of-a-deleted-restore-removed", "status-reset"),
    (
        "update/coordinator-of-a-finished-one-shot-removed",
        "status-reset",
    ),
    ("update/coordinator-of-a-finished-restore-removed", "status-reset"),
    ("update/coordinator-of-a-running-restore-removed", "status-reset"),
    ("update/defaults-stay", "backup-started"),
    ("update/id-of-a-finished-one-shot-removed", "status-reset"),
    ("update/id-of-a-running-restore-removed", "status-reset"),
    ("update/status-of-a-finished-one-shot-removed", "status-reset"),
    ("update/status-of-a-finished-one-shot-set-back", "status-reset"),
    ("update/status-of-a-finished-restore-removed", "status-reset"),
    ("update/status-of-a-running-restore-set-back", "status-reset"),
];

/// The policies of one test, in its namespaces only.
struct Policies {
    servers: &'static Servers,
    name: String,
}

impl Policies {
    /// Applies the shipped overlay with other names, namespaces and failure policy, and waits until both kinds are
    /// judged.
    fn bind(servers: &'static Servers, namespaces: &[String], failure: &str) -> Self {
        let name = namespaces[0].clone();
        let mut shipped = overlay(servers);
        for object in &mut shipped {
            let own = format!("{}-{name}", object["metadata"]["name"].as_str().unwrap());
            object["metadata"]["name"] = json!(own);
            let spec = &mut object["spec"];
            if spec.get("policyName").is_some() {
                spec["policyName"] = json!(own);
                spec["matchResources"]["namespaceSelector"]["matchExpressions"]
                    .as_array_mut()
                    .unwrap()
                    .push(
                        json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}),
                    );
            } else {
                spec["failurePolicy"] = json!(failure);
            }
        }
        servers
            .kubectl
            .apply_server_side(&manifests::list(shipped))
            .succeeds();
        let here = Self { servers, name };
        let client = runtime().block_on(connect(servers));
        for kind in ["CassandraBackup", "CassandraRestore"] {
            let probe = object(kind, &namespaces[0], &json!({"entities": "k1,k2.t2"}));
            runtime().block_on(judged(&client, &probe, true));
        }
        here
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            for plural in ["cassandrabackups", "cassandrarestores"] {
                let own = format!("cassgate-{plural}-{}", self.name);
                self.servers.kubectl.run(&["delete", kind, &own]);
            }
        }
    }
}

/// Returns the shipped overlay as kustomize builds it.
fn overlay(servers: &Servers) -> Vec<Value> {
    let folder = repository().join("manifests/overlays/static-policy");
    let built = servers
        .kubectl
        .run(&["kustomize", &folder.display().to_string()])
        .succeeds();
    assert_eq!(built.stderr, "", "kustomize has something to say");
    serde_saphyr::from_multiple(&built.stdout).unwrap()
}

/// Returns a valid object of this kind, with the fields of `more` in its spec; null removes a field.
fn object(kind: &str, namespace: &str, more: &Value) -> Value {
    let mut spec = match kind {
        "CassandraBackup" => {
            json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3"})
        }
        _ => json!({"cassandraCluster": "c1", "cassandraBackup": "b1"}),
    };
    json_patch::merge(&mut spec, more);
    json!({"apiVersion": "db.orange.com/v2", "kind": kind, "metadata": {"name": "probe", "namespace": namespace}, "spec": spec})
}

async fn create(client: &Client, object: &Value) -> Answer {
    send(
        client,
        Method::POST,
        &collection(object),
        "dryRun=All",
        object,
        false,
    )
    .await
}

/// Returns the rule and the code of a denial by a policy; `None` for any other answer.
fn denial(answer: &Answer) -> Option<(String, u16)> {
    let message = answer.body["message"].as_str()?;
    if answer.code < 300 || !message.contains("ValidatingAdmissionPolicy '") {
        return None;
    }
    let rule = message
        .rsplit_once("[cassgate ")
        .and_then(|(_, rule)| rule.strip_suffix(']'));
    // An error in an expression names no rule, and its text is kept.
    Some((rule.unwrap_or(message).to_owned(), answer.code))
}

fn stated() -> BTreeSet<&'static str> {
    [Kind::Backup, Kind::Restore]
        .into_iter()
        .flat_map(cel::policy_rules)
        .map(|policy_rule| policy_rule.rule.id)
        .collect()
}

pub(crate) fn the_policy_agrees_with_the_rules_in_every_scenario() {
    let library = library();
    let mut groups: BTreeMap<bool, Vec<Case>> = BTreeMap::new();
    for case in case::all() {
        let casskop = crds_of(case.executor) == Crds::Casskop;
        groups.entry(casskop).or_default().push(case);
    }
    let (mut wrong, mut mended, mut left) = (Vec::new(), Vec::new(), 0);
    let (mut refused, mut judged) = (BTreeSet::new(), 0);
    for (casskop, cases) in &groups {
        let (prefix, crds) = if *casskop {
            ("static-casskop", Crds::Casskop)
        } else {
            ("static-ours", Crds::Ours)
        };
        let scene = Scene::set(prefix, crds, cases, &library);
        let policies = Policies::bind(scene.servers, &scene.namespaces, "Fail");
        let scene = &scene;
        let answers: Vec<(&Case, Answer)> = runtime().block_on(
            stream::iter(cases.iter().zip(&scene.namespaces))
                .map(|(case, namespace)| async move { (case, scene.ask_dry(case, namespace).await) })
                .buffered(AT_ONCE)
                .collect(),
        );
        drop(policies);
        for (case, answer) in answers {
            judged += 1;
            let reported = denial(&answer);
            let expected: Vec<&str> = case.denied.iter().map(|denied| denied.rule.as_str()).collect();
            let code = case.code.unwrap_or(422);
            match &reported {
                Some((rule, as_code)) if expected.contains(&rule.as_str()) => {
                    refused.insert(rule.clone());
                    if *as_code != code {
                        wrong.push(format!("{}: {rule} with {as_code} and not {code}", case.name));
                    }
                }
                Some((rule, _)) if expected.is_empty() => mended.push((case.name.clone(), rule.clone())),
                Some((rule, _)) => {
                    wrong.push(format!("{}: {rule}, and the rules say {expected:?}", case.name));
                }
                // Findings that remain without any other object must be the part that the policy leaves to the
                // webhook.
                None if expected.iter().any(|rule| stated().contains(rule)) => {
                    left += 1;
                    let why = alone(case, &library);
                    wrong.extend(why.map(|why| format!("{}: {why}", case.name)));
                }
                None => {}
            }
        }
    }
    eprintln!(
        "{judged} scenarios; {left} left to the webhook; {} rules refused: {refused:?}",
        refused.len()
    );
    assert_eq!(wrong, [""; 0]);
    mended.sort();
    let mended: Vec<(&str, &str)> = mended
        .iter()
        .map(|(case, rule)| (case.as_str(), rule.as_str()))
        .collect();
    assert_eq!(mended, MENDED);
    assert!(refused.len() >= 24, "{refused:?}");
}

/// Checks a scenario in which the policy is silent against the rules that know no other object; returns the
/// difference.
fn alone(case: &Case, library: &Map<String, Value>) -> Option<String> {
    let new = case.subject("prod");
    let judged = match case.update {
        Some(_) => Judged::change(case.stored_objects(library, "prod").last()?, &new),
        None => Judged::new(&new),
    };
    judged.against(None, &new)
}

/// Returns a namespace with policies whose errors are denials, so that no error passes unnoticed.
fn strict(crds: Crds) -> (Stage, Client, Policies) {
    let stage = Stage::new(crds);
    let client = runtime().block_on(connect(stage.servers));
    let policies = Policies::bind(stage.servers, std::slice::from_ref(&stage.namespace), "Fail");
    (stage, client, policies)
}

pub(crate) fn the_policy_agrees_with_the_rules_on_hostile_texts() {
    let seed = hostile::seed();
    let (stage, client, _policies) = strict(Crds::Ours);
    let specs = hostile::specs(seed);
    let (namespace, client) = (&stage.namespace, &client);
    let answers: Vec<(&(&str, Value), Answer)> = runtime().block_on(
        stream::iter(&specs)
            .map(|asked| async move {
                let object = object(asked.0, namespace, &asked.1);
                (asked, create(client, &object).await)
            })
            .buffered(AT_ONCE)
            .collect(),
    );
    let (mut wrong, mut refused) = (Vec::new(), BTreeMap::new());
    for ((kind, more), answer) in answers {
        let whole = object(kind, namespace, more);
        let judged = Judged::new(&whole);
        let reported = denial(&answer);
        assert!(reported.is_some() || answer.code < 300, "{more}: {}", answer.body);
        if let Some((rule, code)) = &reported {
            *refused.entry(rule.clone()).or_insert(0) += 1;
            if *code != 422 {
                wrong.push(format!("{kind} {more}: {code}"));
            }
        }
        wrong.extend(
            judged
                .against(reported.map(|reported| reported.0), &whole)
                .map(|why| format!("{kind} {more}: {why}")),
        );
    }
    eprintln!("{} specs, refused: {refused:?}", specs.len());
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {} are wrong:\n{}",
        wrong.len(),
        specs.len(),
        wrong.join("\n")
    );
}

/// Stores objects while the namespace is exempt, and waits until it is judged again.
fn store_unjudged(stage: &Stage, client: &Client, objects: &[Value], probe: &Value) {
    let label = |text: &str| {
        let kubectl = &stage.servers.kubectl;
        kubectl
            .run(&["label", "namespace", &stage.namespace, text])
            .succeeds();
    };
    label("cassgate.db.orange.com/admission=disabled");
    runtime().block_on(async {
        judged(client, probe, false).await;
        stream::iter(objects)
            .for_each_concurrent(AT_ONCE, |object| async move {
                send(client, Method::POST, &collection(object), "", object, false)
                    .await
                    .must("a namespace that is left alone takes everything");
            })
            .await;
    });
    label("cassgate.db.orange.com/admission-");
    runtime().block_on(judged(client, probe, true));
}

/// Waits until an invalid object is denied, or no longer denied.
async fn judged(client: &Client, probe: &Value, refused: bool) {
    for _ in 0..600 {
        if denial(&create(client, probe).await).is_some() == refused {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} is judged otherwise", probe["metadata"]["namespace"]);
}

pub(crate) fn the_policy_agrees_with_the_rules_on_updates() {
    let seed = hostile::seed();
    // Status is part of the object, so that one request stores both.
    let (stage, client, _policies) = strict(Crds::Casskop);
    let changes = hostile::changes(seed);
    let stored: Vec<Value> = changes
        .iter()
        .enumerate()
        .map(|(number, change)| {
            let mut whole = object(change.kind, &stage.namespace, &change.old);
            whole["metadata"]["name"] = json!(format!("o{number}"));
            if let Some(state) = change.state {
                whole["status"] = json!({"condition": {"type": state}});
            }
            whole
        })
        .collect();
    let probe = object(
        "CassandraBackup",
        &stage.namespace,
        &json!({"entities": "k1,k2.t2"}),
    );
    store_unjudged(&stage, &client, &stored, &probe);
    let answers: Vec<(usize, Value, Value, Answer)> = runtime().block_on(async {
        stream::iter(stored.iter().zip(&changes).enumerate())
            .map(|(number, (old, change))| {
                let client = &client;
                async move {
                    let path = format!("{}/o{number}", collection(old));
                    let old = send(client, Method::GET, &path, "", &Value::Null, false)
                        .await
                        .body;
                    let mut new = old.clone();
                    json_patch::merge(&mut new, &json!({"spec": change.new}));
                    if change.wipes {
                        new.as_object_mut().unwrap().remove("status");
                    }
                    let answer = send(client, Method::PUT, &path, "dryRun=All", &new, false).await;
                    (number, old, new, answer)
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    });
    let (mut wrong, mut refused, mut silent, mut stricter) = (Vec::new(), BTreeMap::new(), 0, 0);
    for (number, old, new, answer) in answers {
        let change = &changes[number];
        let reported = denial(&answer);
        assert!(
            reported.is_some() || answer.code < 300,
            "{change:?}: {}",
            answer.body
        );
        let judged = Judged::change(&old, &new);
        // The policies take an empty field for an absent one, and know no other form of the same meaning.
        let kind = Kind::parse(change.kind).unwrap();
        if let Some((rule, _)) = &reported
            && rule.ends_with("-started")
            && !spec_change::is_changed(kind, &old, &new)
        {
            stricter += 1;
            continue;
        }
        if let Some((rule, code)) = &reported {
            *refused.entry(rule.clone()).or_insert(0) += 1;
            if *code != judged.code {
                wrong.push(format!("{change:?}: {code} and not {}", judged.code));
            }
        } else if !judged.denied.is_empty() {
            silent += 1;
        }
        wrong.extend(
            judged
                .against(reported.map(|reported| reported.0), &new)
                .map(|why| format!("{change:?}: {why}")),
        );
    }
    eprintln!(
        "{} changes, refused: {refused:?}; left to the webhook: {silent}; of the same meaning: {stricter}",
        changes.len()
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {} are wrong:\n{}",
        wrong.len(),
        changes.len(),
        wrong.join("\n")
    );
}

pub(crate) fn the_overlay_is_accepted_and_reports_one_mistake_at_a_time() {
    let stage = Stage::new(Crds::Ours);
    // A dry run: the shipped overlay would judge the namespaces of all other tests.
    let shipped = repository().join("manifests/overlays/static-policy");
    let accepted = stage
        .servers
        .kubectl
        .run(&[
            "apply",
            "--server-side",
            "--dry-run=server",
            "-k",
            &shipped.display().to_string(),
        ])
        .succeeds();
    assert_eq!(accepted.stderr, "", "a word of warning");
    assert_eq!(accepted.stdout.lines().count(), 4, "{}", accepted.stdout);
    let _policies = Policies::bind(stage.servers, std::slice::from_ref(&stage.namespace), "Ignore");
    let own = format!("cassgate-cassandrabackups-{}", stage.namespace);
    stage.kubectl.apply(&objects::backup("b1", "entities: k1,k2.t2\nbandwidth: \"0\"")).refused(&format!(
        "The cassandrabackups \"b1\" is invalid: : ValidatingAdmissionPolicy '{own}' with binding '{own}' denied request: \
         spec.bandwidth: Invalid value: \"0\": is not an integer from 1 to 2147483647 with K, M or G (or no unit, for \
         bytes); the upload would not be limited at all, or the sidecar would answer 500; write bytes per second, \
         for example 50M [cassgate bandwidth-malformed]"
    ));
    stage
        .kubectl
        .apply(&objects::backup("b1", "entities: k1,k2"))
        .says("cassandrabackup.db.orange.com/b1 created");
}

pub(crate) fn an_object_beyond_the_cost_limit_passes_and_smaller_ones_are_denied_in_time() {
    let stage = Stage::new(Crds::Ours);
    let client = runtime().block_on(connect(stage.servers));
    let _policies = Policies::bind(stage.servers, std::slice::from_ref(&stage.namespace), "Ignore");
    let mut slowest = Duration::ZERO;
    let mut wrong = Vec::new();
    for (kind, more, expected) in large::large() {
        let whole = object(kind, &stage.namespace, &more);
        let begun = Instant::now();
        let answer = runtime().block_on(create(&client, &whole));
        let took = begun.elapsed();
        slowest = slowest.max(took);
        let reported = denial(&answer).map(|reported| reported.0);
        if reported.as_deref() != expected {
            let shown: String = whole["spec"].to_string().chars().take(160).collect();
            wrong.push(format!("{reported:?} and not {expected:?}: {shown}"));
        }
    }
    let good = object(
        "CassandraBackup",
        &stage.namespace,
        &json!({"entities": "k1.t1,k2.t2", "bandwidth": "50M"}),
    );
    let elsewhere = object("CassandraBackup", "default", &good["spec"]);
    let (judged, unjudged) = (median(&client, &good), median(&client, &elsewhere));
    eprintln!("the slowest took {slowest:?}; a good backup {judged:?}, without the policy {unjudged:?}");
    assert_eq!(wrong, [""; 0]);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// Returns the median duration of 101 dry-run creations.
fn median(client: &Client, object: &Value) -> Duration {
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            let answer = runtime().block_on(create(client, object));
            assert!(answer.code < 300, "{}", answer.body);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
