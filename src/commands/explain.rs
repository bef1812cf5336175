//! `cassgate explain`: prints the catalogue of rules.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::print;
use crate::rules::catalogue::{self, Rule, Severity};

/// The widest line, in characters.
const WIDTH: usize = 100;

/// The arguments of `cassgate explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The rule, as it stands in square brackets at the end of a message
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
    rules + "\n`cassgate explain RULE` tells why a rule is there and what to do.\n"
}

/// Returns the full description of one rule.
fn one(rule: &Rule) -> String {
    let destroys = if rule.destroys {
        "What it refuses destroys data.\n"
    } else {
        ""
    };
    let confirmable = if rule.confirmable {
        "Its refusal can be confirmed by the annotation cassgate.db.orange.com/confirm.\n"
    } else {
        ""
    };
    let notice = if rule.notice {
        "It only informs, and is silent unless --notices is given.\n"
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

/// The part of the page that is written by hand: paragraphs wrapped, headings bare, manifests as they stand.
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
        let full = lines
            .last()
            .is_some_and(|line| line.trim() != "" && line.chars().count() + 1 + word.chars().count() > WIDTH);
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
    use super::{WIDTH, all, one};
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
    fn a_rule_tells_what_why_and_what_to_do() {
        insta::assert_snapshot!(one(&ENTITIES_WIDER_THAN_BACKUP));
    }

    #[test]
    fn no_line_of_an_explanation_is_too_wide() {
        for rule in catalogue::all() {
            for line in one(rule).lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }
}
