//! The generated head of a rule's page, `docs/rules/RULE.md`.

use std::fmt::Write as _;

use super::{BODY_MARKER, Rule, Severity};

/// Returns the head of the page of `rule` in Markdown, including [`BODY_MARKER`] as its last line.
#[must_use]
pub fn head(rule: &Rule) -> String {
    let severities: Vec<&str> = rule.severities.iter().copied().map(Severity::as_str).collect();
    let mut text = format!(
        "# {}\n\n{}\n\n| | |\n|---|---|\n| Kinds | {} |\n| Severity | {} |\n",
        rule.id,
        rule.summary,
        rule.kinds.as_str(),
        severities.join(", ")
    );
    for (applies, line) in [
        (
            rule.destroys,
            "| Protects data | yes: a denial is never lowered on a restore that has not started |\n",
        ),
        (
            rule.confirmable,
            "| Can be confirmed | yes, with the annotation `cassgate.db.orange.com/confirm` |\n",
        ),
        (rule.notice, "| Notice | yes: reported only with `--notices` |\n"),
    ] {
        if applies {
            text.push_str(line);
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n**Why.** {}\n\n**What to do.** {}\n\n{BODY_MARKER}\n",
        rule.reason, rule.remedy
    );
    text
}
