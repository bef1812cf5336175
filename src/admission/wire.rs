//! A verdict to bytes. The one place that knows status codes, base64, causes and the limits of warnings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::rules::finding::{Cause, Finding, Findings};

use super::review::Review;
use super::verdict::{Refusal, Verdict};

/// The longest single warning, in characters: what the API server cuts each to once all together are too long.
const LONGEST_WARNING: usize = 256;

/// The longest that all warnings together may be, in characters: above, the API server drops some in silence.
const LONGEST_WARNINGS: usize = 4096;

/// The longest text of a cause, in characters: more is not read by anybody.
const LONGEST_CAUSE: usize = 1024;

/// The longest field of a cause, in characters: a path may end with a name that the user made up.
const LONGEST_FIELD: usize = 256;

/// The most that the causes of a refusal may take, in bytes of JSON, each counted once in `causes` and once in
/// `message`. The warnings take up to four bytes for each of their characters; with them and the names of the rules the
/// answer stays below 64 KiB.
const LARGEST_CAUSES: usize = 40 * 1024;

/// What stands around the two texts of a cause, in bytes: the names of its fields, its reason, what separates it.
const AROUND_CAUSE: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// base64, as Go reads a `[]byte`.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "AuditAnnotations::is_empty")]
    audit_annotations: AuditAnnotations,
}

/// Which rules spoke; the API server puts the webhook's name before each key.
#[derive(Serialize)]
struct AuditAnnotations {
    #[serde(skip_serializing_if = "String::is_empty")]
    denied: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    warned: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    suppressed: String,
}

impl AuditAnnotations {
    fn is_empty(&self) -> bool {
        self.denied.is_empty() && self.warned.is_empty() && self.suppressed.is_empty()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: serde_json::Map<String, serde_json::Value>,
    status: &'static str,
    message: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    code: u16,
}

#[derive(Serialize)]
struct Details<'a> {
    name: &'a str,
    group: &'a str,
    kind: &'a str,
    causes: Vec<CauseOnWire>,
}

#[derive(Serialize)]
struct CauseOnWire {
    reason: &'static str,
    message: String,
    field: String,
}

/// What is said of causes that do not fit.
const REST: &str = "spec";

/// The answer to a review, as JSON.
///
/// # Errors
/// None in practice: everything in it serialises.
pub(super) fn answer(review: &Review<'_>, verdict: &Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let findings = verdict.findings();
    if matches!(verdict, Verdict::Allow(_)) && findings.is_empty() {
        return silence(&review.uid);
    }
    let (allowed, status, patch) = match verdict {
        Verdict::Allow(_) => (true, None, None),
        Verdict::Deny(_, refusal) => (false, Some(refused(review, findings, *refusal)), None),
        Verdict::Patch(patch, _) => (true, None, Some(STANDARD.encode(serde_json::to_vec(patch)?))),
    };
    serde_json::to_vec(&AdmissionReview {
        api_version: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: Response {
            uid: &review.uid,
            allowed,
            status,
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch,
            warnings: warnings(findings),
            audit_annotations: AuditAnnotations {
                denied: rules(findings.denials()),
                warned: rules(findings.warnings()),
                suppressed: rules(findings.suppressed()),
            },
        },
    })
}

/// The answer to most reviews: yes, and not a word.
fn silence(uid: &str) -> Result<Vec<u8>, serde_json::Error> {
    const HEAD: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"#;
    const TAIL: &[u8] = br#","allowed":true}}"#;
    let mut body = Vec::with_capacity(HEAD.len() + uid.len() + 2 + TAIL.len());
    body.extend_from_slice(HEAD);
    serde_json::to_writer(&mut body, uid)?;
    body.extend_from_slice(TAIL);
    Ok(body)
}

/// A `Status` for a request that gets no review as its answer.
pub(super) fn failure(code: u16, reason: &'static str, message: String) -> Vec<u8> {
    let status = Status {
        kind: "Status",
        api_version: "v1",
        metadata: serde_json::Map::new(),
        status: "Failure",
        message,
        reason,
        details: None,
        code,
    };
    serde_json::to_vec(&status).unwrap_or_default()
}

fn refused<'a>(review: &'a Review, findings: &'a Findings, refusal: Refusal) -> Status<'a> {
    let causes = causes(findings);
    let texts: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    let (code, reason, word) = match refusal {
        Refusal::Invalid => (422, "Invalid", "invalid"),
        Refusal::Forbidden => (403, "Forbidden", "forbidden"),
    };
    let (kind, group) = (&review.kind.kind, &review.kind.group);
    let list = match texts.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", texts.join(", ")),
    };
    Status {
        kind: "Status",
        api_version: "v1",
        metadata: serde_json::Map::new(),
        status: "Failure",
        message: format!("{kind}.{group} {:?} is {word}: {list}", review.name),
        reason,
        details: Some(Details {
            name: &review.name,
            group,
            kind,
            causes,
        }),
        code,
    }
}

/// The refusals, as many as fit, and how many more there are.
fn causes(findings: &Findings) -> Vec<CauseOnWire> {
    let mut room = LARGEST_CAUSES;
    let fitting = findings.denials().map(cause).take_while(|cause| {
        let length = 2 * (json_length(&cause.message) + json_length(&cause.field)) + AROUND_CAUSE;
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    });
    let mut causes: Vec<CauseOnWire> = fitting.collect();
    let left = findings.denials().count() - causes.len();
    if left > 0 {
        causes.push(CauseOnWire {
            reason: Cause::Invalid.reason(),
            message: format!("and {left} more; mend these first, then apply again to see the rest"),
            field: REST.to_owned(),
        });
    }
    causes
}

fn json_length(text: &str) -> usize {
    serde_json::to_string(text).map_or(0, |json| json.len())
}

/// What stands in it is shown on terminals and in logs, so it has no control character either.
fn cause(finding: &Finding) -> CauseOnWire {
    CauseOnWire {
        reason: finding.cause.reason(),
        message: cut(one_line(&finding.text()), LONGEST_CAUSE, finding),
        field: one_line(&finding.path).chars().take(LONGEST_FIELD).collect(),
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn rules<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for finding in findings {
        if !ids.contains(&finding.rule.id) {
            ids.push(finding.rule.id);
        }
    }
    ids.join(",")
}

/// One line each, within the limits of the API server: first what destroys data, last what only informs, and between
/// them in the order in which they were found.
fn warnings(findings: &Findings) -> Vec<String> {
    let mut ranked: Vec<&Finding> = findings.warnings().collect();
    ranked.sort_by_key(|finding| (!finding.rule.destroys, finding.rule.notice));
    let all: Vec<String> = ranked.into_iter().map(warning).collect();
    // What tells of those that do not fit has to fit itself.
    let reserve = 64;
    let mut room = LONGEST_WARNINGS - reserve;
    let fitting = all.iter().take_while(|text| {
        let length = text.chars().count();
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    });
    let mut kept: Vec<String> = fitting.cloned().collect();
    let left = all.len() - kept.len();
    if left > 0 {
        kept.push(format!("and {left} more warnings of cassgate"));
    }
    kept
}

/// A text with a control character would be dropped in silence. The rule stays at the end of a text that is cut.
fn warning(finding: &Finding) -> String {
    let whole = one_line(&format!("{}: {}", finding.path, finding.text()));
    if whole.chars().count() <= LONGEST_WARNING {
        return whole;
    }
    // Whole clauses, as many as fit: what is wrong comes first, the ways out last.
    let end = format!(" [{}]", finding.rule.id);
    let room = LONGEST_WARNING - end.chars().count();
    let fitting = whole
        .match_indices("; ")
        .map(|(at, _)| at)
        .take_while(|at| whole.get(..*at).is_some_and(|head| head.chars().count() <= room))
        .last();
    match fitting.and_then(|at| whole.get(..at)) {
        Some(head) => format!("{head}{end}"),
        None => cut(whole, LONGEST_WARNING, finding),
    }
}

fn cut(whole: String, longest: usize, finding: &Finding) -> String {
    if whole.chars().count() <= longest {
        return whole;
    }
    let end = format!("… [{}]", finding.rule.id);
    let head: String = whole
        .chars()
        .take(longest.saturating_sub(end.chars().count()))
        .collect();
    head + &end
}

#[cfg(test)]
mod tests {
    use super::{
        AdmissionReview, AuditAnnotations, LARGEST_CAUSES, LONGEST_CAUSE, LONGEST_FIELD, LONGEST_WARNING,
        LONGEST_WARNINGS, Response, causes, silence, warnings,
    };
    use crate::rules::catalogue::{RESTORE_PARTIAL_DATACENTER, SCHEDULE_PREVIEW, SECRET_ABSENT};
    use crate::rules::finding::{Cause, Finding, Findings};

    fn warn(message: &str) -> Finding {
        Finding::warn(&SECRET_ABSENT, "spec.secret", Cause::Required, message)
    }

    #[test]
    fn a_warning_is_one_line_of_bounded_length_and_ends_with_its_rule() {
        let long = "é\n\t\u{7}".repeat(400);
        let texts = warnings(&[warn(&long)].into_iter().collect());
        assert_eq!(texts.len(), 1);
        assert_eq!(texts[0].chars().count(), LONGEST_WARNING);
        assert!(
            texts[0].ends_with("… [secret-absent]") && !texts[0].contains(char::is_control),
            "{}",
            texts[0]
        );
    }

    #[test]
    fn a_warning_that_is_too_long_loses_its_last_clauses() {
        let clauses = format!("{}; {}; {}", "a".repeat(100), "b".repeat(50), "c".repeat(100));
        let texts = warnings(&[warn(&clauses)].into_iter().collect());
        assert!(texts[0].ends_with("bbb [secret-absent]"), "{}", texts[0]);
    }

    #[test]
    fn silence_is_what_a_review_without_findings_serialises_to() {
        for uid in ["70ad6968-e044-4ae2-80a1-f4141b02fb26", "\"\n\u{1}é"] {
            let answer = AdmissionReview {
                api_version: "admission.k8s.io/v1",
                kind: "AdmissionReview",
                response: Response {
                    uid,
                    allowed: true,
                    status: None,
                    patch_type: None,
                    patch: None,
                    warnings: Vec::new(),
                    audit_annotations: AuditAnnotations {
                        denied: String::new(),
                        warned: String::new(),
                        suppressed: String::new(),
                    },
                },
            };
            assert_eq!(silence(uid).unwrap(), serde_json::to_vec(&answer).unwrap());
        }
    }

    #[test]
    fn what_destroys_data_is_warned_of_first_and_what_informs_last() {
        let of = |rule, path| Finding::warn(rule, path, Cause::Invalid, "x");
        let found: Findings = [
            of(&SCHEDULE_PREVIEW, "spec.schedule"),
            warn("y"),
            of(&RESTORE_PARTIAL_DATACENTER, "spec.datacenter"),
        ]
        .into_iter()
        .collect();
        let paths: Vec<String> = warnings(&found)
            .iter()
            .map(|text| text.split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(paths, ["spec.datacenter", "spec.secret", "spec.schedule"]);
    }

    #[test]
    fn causes_are_cut_each_and_all_together() {
        let deny = |text: String| Finding::deny(&SECRET_ABSENT, "spec.secret", Cause::Required, text);
        let found: Findings = (0..500)
            .map(|n| deny(format!("{n} {}", "\"".repeat(2_000))))
            .collect();
        let told = causes(&found);
        let (last, whole) = told.split_last().unwrap();
        assert!(
            whole
                .iter()
                .all(|cause| cause.message.chars().count() == LONGEST_CAUSE)
        );
        assert!(
            whole
                .iter()
                .all(|cause| cause.message.ends_with("… [secret-absent]"))
        );
        let expected = format!(
            "and {} more; mend these first, then apply again to see the rest",
            500 - whole.len()
        );
        assert_eq!(last.message, expected);
        let size = serde_json::to_string(&told).unwrap().len();
        assert!(2 * size < LARGEST_CAUSES + 8_192, "{size}");
    }

    #[test]
    fn a_cause_has_no_control_character_and_a_bounded_field() {
        let field = format!("spec.rename[\u{1b}[2J{}]", "k".repeat(1_000));
        let found = Finding::deny(&SECRET_ABSENT, field, Cause::Required, "a\u{7f}b\nc");
        let told = causes(&[found].into_iter().collect());
        assert_eq!(told[0].message, "Required value: a b c [secret-absent]");
        assert!(
            told[0].field.starts_with("spec.rename[ [2Jkkk"),
            "{}",
            told[0].field
        );
        assert_eq!(told[0].field.chars().count(), LONGEST_FIELD);
    }

    #[test]
    fn all_warnings_together_stay_below_what_the_api_server_cuts() {
        let many: Findings = (0..100)
            .map(|n| warn(&format!("{n} {}", "x".repeat(200))))
            .collect();
        let texts = warnings(&many);
        let total: usize = texts.iter().map(|text| text.chars().count()).sum();
        assert!(total <= LONGEST_WARNINGS, "{total}");
        let expected = format!("and {} more warnings of cassgate", 100 - (texts.len() - 1));
        assert_eq!(texts.last().unwrap(), &expected);
    }
}
