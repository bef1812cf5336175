//! `cassgate explain`: prints the catalogue of rules.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::output::print;
use crate::rules::catalogue::{self, Rule, Severity};

/// The maximum width of a line, in characters.
const MAX_WIDTH: usize = 100;

/// The arguments of `cassgate explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The id of the rule, which is in square brackets at the end of a message, as in [cassgate entities-mixed]
    #[arg(value_name = "RULE", value_parser = PossibleValuesParser::new(catalogue::all().map(|rule| rule.id)), hide_possible_values = true)]
    rule: Option<String>,
}

/// Prints one rule, or the list of all rules.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    match &args.rule {
        Some(id) => print(&catalogue::find(id).map(one).unwrap_or_default()),
        None => print(&all()),
    }
}

/// Returns every rule, one a line.
fn all() -> String {
    let widest = catalogue::all()
        .map(|rule| rule.id.len())
        .max()
        .unwrap_or_default();
    let line =
        |rule: &'static Rule| format!("{:widest$}  {:10}  {}\n", rule.id, severities(rule), rule.summary);
    let rules: String = catalogue::all().map(line).collect();
    rules + "\n`cassgate explain RULE` prints the reason for a rule and its remedy.\n"
}

/// Returns the full description of one rule.
fn one(rule: &Rule) -> String {
    let destroys = if rule.destroys {
        "What it denies would destroy data.\n"
    } else {
        ""
    };
    let confirmable = if rule.confirmable {
        "The annotation cassgate.db.orange.com/confirm turns its denial into a warning.\n"
    } else {
        ""
    };
    let notice = if rule.notice {
        "It only informs, and applies only with --notices.\n"
    } else {
        ""
    };
    format!(
        "{}\n\n{}\n\nKinds:     {}\nSeverity:  {}\n{destroys}{confirmable}{notice}\nWhy\n{}\n\nWhat to do\n{}\n\n{}",
        rule.id,
        wrap(rule.summary, ""),
        rule.kinds.as_str(),
        severities(rule),
        wrap(rule.reason, "  "),
        wrap(rule.remedy, "  "),
        page(rule.body()),
    )
}

/// Formats the hand-written part of a rule's page: paragraphs are wrapped, headings lose their marks, code is indented.
fn page(body: &str) -> String {
    let (mut text, mut paragraph, mut fenced) = (String::new(), Vec::new(), false);
    for line in body.lines() {
        let marked = line.starts_with(['#', '<', '|', '-']) || line.starts_with("```");
        let prose = !(fenced || line.is_empty() || marked);
        if prose {
            paragraph.push(line);
            continue;
        }
        flush(&mut paragraph, &mut text);
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let shown = if fenced {
            format!("  {line}")
        } else if let Some(flags) = line.strip_prefix("<!-- flags: ") {
            format!("(with {})", flags.trim_end_matches(" -->"))
        } else {
            wrap(line.trim_start_matches('#').trim_start(), "")
        };
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    flush(&mut paragraph, &mut text);
    text
}

fn flush(paragraph: &mut Vec<&str>, text: &mut String) {
    if !paragraph.is_empty() {
        text.push_str(&wrap(&paragraph.join(" "), ""));
        text.push('\n');
        paragraph.clear();
    }
}

fn severities(rule: &Rule) -> String {
    rule.severities
        .iter()
        .copied()
        .map(Severity::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn wrap(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| {
            line.trim() != "" && line.chars().count() + 1 + word.chars().count() > MAX_WIDTH
        });
        if full {
            lines.push(indent.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{MAX_WIDTH, all, one};
    use crate::rules::catalogue::{self, ENTITIES_WIDER_THAN_BACKUP};

    #[test]
    fn the_list_has_every_rule() {
        let list = all();
        for rule in catalogue::all() {
            assert!(
                list.contains(&format!("{} ", rule.id)) && list.contains(rule.summary),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn a_rule_has_a_summary_a_reason_and_a_remedy() {
        insta::assert_snapshot!(one(&ENTITIES_WIDER_THAN_BACKUP));
    }

    #[test]
    fn no_line_of_an_explanation_is_too_wide() {
        for rule in catalogue::all() {
            for line in one(rule).lines() {
                assert!(line.chars().count() <= MAX_WIDTH, "{line}");
            }
        }
    }
}
