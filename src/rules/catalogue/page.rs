//! A rule's page: the part of `docs/rules/RULE.md` that is made of the table.

use std::fmt::Write as _;

use super::{BODY_BEGINS, Rule, Severity};

/// The head of the page of `rule` in Markdown, down to the line that ends it.
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
    for (holds, line) in [
        (
            rule.destroys,
            "| Destroys data | yes: never lowered on a restore that has not started |\n",
        ),
        (
            rule.confirmable,
            "| Can be confirmed | by the annotation `cassgate.db.orange.com/confirm` |\n",
        ),
        (rule.notice, "| Notice | silent unless `--notices` is given |\n"),
    ] {
        if holds {
            text.push_str(line);
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n**Why.** {}\n\n**What to do.** {}\n\n{BODY_BEGINS}\n",
        rule.reason, rule.remedy
    );
    text
}
