//! Encodes a verdict. Only this file knows status codes, base64, causes and the limits of warnings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::rules::catalogue::AUTHOR;
use crate::rules::finding::{Cause, Finding, Findings};

use super::review::Review;
use super::verdict::{DenialStatus, Verdict};

/// The maximum length of a warning, in characters. The API server cuts each to this length if all together are too long.
const MAX_WARNING_LENGTH: usize = 256;

/// The maximum length of all warnings together, in characters. Above it, the API server silently drops some.
const MAX_WARNINGS_LENGTH: usize = 4096;

/// The maximum length of the text of a cause, in characters, so that it stays readable.
const MAX_CAUSE_LENGTH: usize = 1024;

/// The maximum length of the field of a cause, in characters. A path may end with a name that the user chose.
const MAX_FIELD_LENGTH: usize = 256;

/// The maximum size of the causes of a denial, in bytes of JSON. Each cause counts twice: in `causes` and in `message`.
///
/// With the warnings, which take up to four bytes for each character, and the names of the rules the answer stays below
/// 64 KiB.
const MAX_CAUSES_SIZE: usize = 40 * 1024;

/// The size of a cause without its two texts, in bytes: the names of its fields, its reason and separators.
const CAUSE_OVERHEAD: usize = 64;

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
    /// The patch in base64, the JSON form of a `[]byte` in Go.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "AuditAnnotations::is_empty")]
    audit_annotations: AuditAnnotations,
}

/// The rules with findings. The API server prefixes each key with the webhook's name.
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

/// The field of the cause that counts those that do not fit.
const REMAINING_FIELD: &str = "spec";

/// Returns the answer to a review, as JSON.
///
/// # Errors
/// Returns an error if the answer cannot be serialised, which does not happen with the types of this file.
pub(super) fn answer(review: &Review<'_>, verdict: &Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let findings = verdict.findings();
    if matches!(verdict, Verdict::Allow(_)) && findings.is_empty() {
        return admitted(&review.uid);
    }
    let (allowed, status, patch) = match verdict {
        Verdict::Allow(_) => (true, None, None),
        Verdict::Deny(_, status) => (false, Some(denial_status(review, findings, *status)), None),
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

/// Returns the answer to most reviews: admitted, without warnings. It is written without a serializer for speed.
fn admitted(uid: &str) -> Result<Vec<u8>, serde_json::Error> {
    const HEAD: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"#;
    const TAIL: &[u8] = br#","allowed":true}}"#;
    let mut body = Vec::with_capacity(HEAD.len() + uid.len() + 2 + TAIL.len());
    body.extend_from_slice(HEAD);
    serde_json::to_writer(&mut body, uid)?;
    body.extend_from_slice(TAIL);
    Ok(body)
}

/// Returns a `Status` for a request that gets no review as its answer.
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

fn denial_status<'a>(review: &'a Review, findings: &'a Findings, status: DenialStatus) -> Status<'a> {
    let causes = causes(findings);
    let texts: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    let (code, reason, word) = match status {
        DenialStatus::Invalid => (422, "Invalid", "invalid"),
        DenialStatus::Forbidden => (403, "Forbidden", "forbidden"),
    };
    let (kind, group) = (&review.kind.kind.0, &review.kind.group.0);
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

/// Returns the denials that fit, and a last cause with the number of the others.
fn causes(findings: &Findings) -> Vec<CauseOnWire> {
    let mut remaining = MAX_CAUSES_SIZE;
    let fitting = findings.denials().map(cause).take_while(|cause| {
        let length = 2 * (json_length(&cause.message) + json_length(&cause.field)) + CAUSE_OVERHEAD;
        let fits = length <= remaining;
        remaining = remaining.saturating_sub(length);
        fits
    });
    let mut causes: Vec<CauseOnWire> = fitting.collect();
    let left = findings.denials().count() - causes.len();
    if left > 0 {
        causes.push(CauseOnWire {
            reason: Cause::Invalid.reason(),
            message: format!(
                "and {left} more; correct these first, then apply again to see the rest [{AUTHOR}]"
            ),
            field: REMAINING_FIELD.to_owned(),
        });
    }
    causes
}

fn json_length(text: &str) -> usize {
    serde_json::to_string(text).map_or(0, |json| json.len())
}

/// Encodes a finding as a cause, without control characters: clients show it on terminals and in logs.
fn cause(finding: &Finding) -> CauseOnWire {
    CauseOnWire {
        reason: finding.cause.reason(),
        message: cut(one_line(&finding.text()), MAX_CAUSE_LENGTH, finding),
        field: one_line(&finding.path).chars().take(MAX_FIELD_LENGTH).collect(),
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

/// Returns the warnings, one line each, within the limits of the API server.
///
/// Rules that destroy data come first and notices last; otherwise the order is that of the findings.
fn warnings(findings: &Findings) -> Vec<String> {
    let mut ranked: Vec<&Finding> = findings.warnings().collect();
    ranked.sort_by_key(|finding| (!finding.rule.destroys, finding.rule.notice));
    let all: Vec<String> = ranked.into_iter().map(warning).collect();
    // The line that counts the omitted warnings has to fit too.
    let reserve = 64;
    let mut remaining = MAX_WARNINGS_LENGTH - reserve;
    let fitting = all.iter().take_while(|text| {
        let length = text.chars().count();
        let fits = length <= remaining;
        remaining = remaining.saturating_sub(length);
        fits
    });
    let mut kept: Vec<String> = fitting.cloned().collect();
    let left = all.len() - kept.len();
    if left > 0 {
        kept.push(format!("and {left} more warnings [{AUTHOR}]"));
    }
    kept
}

/// Returns a warning without control characters, because the API server silently drops a warning that has one.
///
/// A text that is too long is shortened and keeps its rule at the end.
fn warning(finding: &Finding) -> String {
    let whole = one_line(&format!("{}: {}", finding.path, finding.text()));
    if whole.chars().count() <= MAX_WARNING_LENGTH {
        return whole;
    }
    // Keep as many whole clauses as fit: the error comes first and the remedies last.
    let end = format!(" {}", finding.rule.mark());
    let available = MAX_WARNING_LENGTH - end.chars().count();
    let fitting = whole
        .match_indices("; ")
        .map(|(at, _)| at)
        .take_while(|at| {
            whole
                .get(..*at)
                .is_some_and(|head| head.chars().count() <= available)
        })
        .last();
    match fitting.and_then(|at| whole.get(..at)) {
        Some(head) => format!("{head}{end}"),
        None => cut(whole, MAX_WARNING_LENGTH, finding),
    }
}

fn cut(whole: String, longest: usize, finding: &Finding) -> String {
    if whole.chars().count() <= longest {
        return whole;
    }
    let end = format!("… {}", finding.rule.mark());
    let head: String = whole
        .chars()
        .take(longest.saturating_sub(end.chars().count()))
        .collect();
    head + &end
}

#[cfg(test)]
mod tests {
    use super::{
        AdmissionReview, AuditAnnotations, MAX_CAUSE_LENGTH, MAX_CAUSES_SIZE, MAX_FIELD_LENGTH,
        MAX_WARNING_LENGTH, MAX_WARNINGS_LENGTH, Response, admitted, causes, warnings,
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
        assert_eq!(texts[0].chars().count(), MAX_WARNING_LENGTH);
        assert!(
            texts[0].ends_with("… [cassgate secret-absent]") && !texts[0].contains(char::is_control),
            "{}",
            texts[0]
        );
    }

    #[test]
    fn a_long_warning_loses_its_last_clauses() {
        let clauses = format!("{}; {}; {}", "a".repeat(100), "b".repeat(50), "c".repeat(100));
        let texts = warnings(&[warn(&clauses)].into_iter().collect());
        assert!(texts[0].ends_with("bbb [cassgate secret-absent]"), "{}", texts[0]);
    }

    #[test]
    fn the_fast_path_equals_the_serialised_answer_without_findings() {
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
            assert_eq!(admitted(uid).unwrap(), serde_json::to_vec(&answer).unwrap());
        }
    }

    #[test]
    fn warnings_of_data_loss_come_first_and_notices_last() {
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
    fn the_causes_are_bounded_each_and_in_total() {
        let deny = |text: String| Finding::deny(&SECRET_ABSENT, "spec.secret", Cause::Required, text);
        let found: Findings = (0..500)
            .map(|n| deny(format!("{n} {}", "\"".repeat(2_000))))
            .collect();
        let causes = causes(&found);
        let (last, whole) = causes.split_last().unwrap();
        assert!(
            whole
                .iter()
                .all(|cause| cause.message.chars().count() == MAX_CAUSE_LENGTH)
        );
        assert!(
            whole
                .iter()
                .all(|cause| cause.message.ends_with("… [cassgate secret-absent]"))
        );
        let expected = format!(
            "and {} more; correct these first, then apply again to see the rest [cassgate]",
            500 - whole.len()
        );
        assert_eq!(last.message, expected);
        let size = serde_json::to_string(&causes).unwrap().len();
        assert!(2 * size < MAX_CAUSES_SIZE + 8_192, "{size}");
    }

    #[test]
    fn a_cause_has_no_control_character_and_a_bounded_field() {
        let field = format!("spec.rename[\u{1b}[2J{}]", "k".repeat(1_000));
        let found = Finding::deny(&SECRET_ABSENT, field, Cause::Required, "a\u{7f}b\nc");
        let causes = causes(&[found].into_iter().collect());
        assert_eq!(
            causes[0].message,
            "Required value: a b c [cassgate secret-absent]"
        );
        assert!(
            causes[0].field.starts_with("spec.rename[ [2Jkkk"),
            "{}",
            causes[0].field
        );
        assert_eq!(causes[0].field.chars().count(), MAX_FIELD_LENGTH);
    }

    #[test]
    fn all_warnings_together_stay_below_the_limit_of_the_api_server() {
        let many: Findings = (0..100)
            .map(|n| warn(&format!("{n} {}", "x".repeat(200))))
            .collect();
        let texts = warnings(&many);
        let total: usize = texts.iter().map(|text| text.chars().count()).sum();
        assert!(total <= MAX_WARNINGS_LENGTH, "{total}");
        let expected = format!("and {} more warnings [cassgate]", 100 - (texts.len() - 1));
        assert_eq!(texts.last().unwrap(), &expected);
    }
}
