//! The tools that fill in placeholders, and the forms of their placeholders.
//!
//! docs/placeholders.md lists them for users.

/// A tool and the form of its placeholders.
#[derive(Debug)]
pub(in crate::check) struct Tool {
    /// Its name.
    pub(in crate::check) name: &'static str,
    /// An example of a placeholder.
    pub(in crate::check) example: &'static str,
    /// The command that renders a file; empty if there is none.
    pub(in crate::check) render: &'static str,
    form: Form,
}

/// The form of a placeholder.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Any text between two marks.
    Between(&'static str, &'static str),
    /// A name without blanks between two marks.
    Name(&'static str, &'static str),
    /// Another form.
    Other(fn(&str) -> bool),
}

const fn tool(name: &'static str, example: &'static str, render: &'static str, form: Form) -> Tool {
    Tool {
        name,
        example,
        render,
        form,
    }
}

/// The placeholders that the flag `--placeholder` names.
pub(in crate::check) static OWN: Tool = tool("--placeholder", "", "", Form::Other(|_| false));

/// The placeholders `<key>` in an object with an annotation of argocd-vault-plugin.
pub(in crate::check) static ANNOTATED: Tool = tool(
    "argocd-vault-plugin",
    "<bucket>",
    "argocd-vault-plugin generate DIR",
    Form::Other(is_in_angles),
);

/// Every tool. If a text has placeholders of several, the first one counts.
pub(in crate::check) static TOOLS: [Tool; 20] = [
    tool(
        "Helm",
        "{{ .Values.bucket }}",
        "helm template CHART",
        Form::Between("{{", "}}"),
    ),
    tool("Jinja", "{% if x %}", "", Form::Between("{%", "%}")),
    tool("ERB", "<%= bucket %>", "", Form::Between("<%", "%>")),
    tool(
        "argocd-vault-plugin",
        "<path:kv/data/store#bucket>",
        "argocd-vault-plugin generate DIR",
        Form::Between("<path:", ">"),
    ),
    tool(
        "argocd-vault-replacer",
        "<secret:kv/data/store~bucket>",
        "",
        Form::Other(is_replaced),
    ),
    tool(
        "Kapitan",
        "?{vaultkv:store/bucket:key}",
        "kapitan refs --reveal -f FILE",
        Form::Between("?{", "}"),
    ),
    tool(
        "vals",
        "ref+vault://kv/store#/bucket",
        "vals eval -f FILE",
        Form::Other(is_vals),
    ),
    tool(
        "SOPS",
        "ENC[AES256_GCM,data:...]",
        "sops --decrypt FILE",
        Form::Between("ENC[", "]"),
    ),
    tool(
        "Flux",
        "${BUCKET}",
        "flux build kustomization NAME --path DIR",
        Form::Other(is_braced_variable),
    ),
    tool(
        "Azure Pipelines and kustomize vars",
        "$(BUCKET)",
        "",
        Form::Between("$(", ")"),
    ),
    tool("envsubst", "$BUCKET", "envsubst < FILE", Form::Other(is_variable)),
    tool("Octopus Deploy", "#{Bucket}", "", Form::Between("#{", "}")),
    tool("Terraform", "%{ if x }", "", Form::Between("%{", "}")),
    tool("jsonnet", "%(bucket)s", "", Form::Other(is_jsonnet)),
    tool(
        "ytt",
        "(@= data.values.bucket @)",
        "ytt -f FILE",
        Form::Between("(@", "@)"),
    ),
    tool(
        "Concourse and spruce",
        "((bucket))",
        "",
        Form::Between("((", "))"),
    ),
    tool(
        "consul-template and gomplate",
        "[[ .bucket ]]",
        "",
        Form::Between("[[", "]]"),
    ),
    tool("build tools", "%%BUCKET%%", "", Form::Name("%%", "%%")),
    tool("Maven and Bazel", "@bucket@", "", Form::Name("@", "@")),
    tool(
        "bank-vaults and 1Password",
        "vault:kv/data/store#bucket",
        "",
        Form::Other(is_injected),
    ),
];

/// The tools whose placeholders can make a document unreadable, with their marks.
const UNREADABLE: [(&str, &str); 5] = [("{{", "}}"), ("{%", "%}"), ("<%", "%>"), ("%%", "%%"), ("@", "@")];

/// The tools whose placeholders are comments in YAML, so that their values seem to be empty.
const COMMENTS: [(&str, &str); 2] = [
    (
        "#@",
        "the file is a template of ytt; render it: ytt -f FILE | cassgate check -",
    ),
    ("#{", "the file is a template of Octopus Deploy; render it first"),
];

/// Returns false for most texts that contain no placeholder of any tool, at little cost.
pub(super) fn may_contain_any(text: &str) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'{' | b'<' | b'+' | b'[' | b'$' | b'(' | b'%' | b'@' | b'#');
    text.bytes().any(is_mark) || text.starts_with("op://")
}

impl Tool {
    /// Returns true if a text contains a placeholder of this tool.
    pub(in crate::check) fn is_in(&self, text: &str) -> bool {
        match self.form {
            Form::Between(open, close) => text
                .split_once(open)
                .is_some_and(|(_, rest)| rest.find(close).is_some_and(|at| at > 0)),
            Form::Name(open, close) => names(text, open, close).next().is_some(),
            Form::Other(is_in) => is_in(text),
        }
    }
}

/// Returns the byte ranges of the names between two marks, with their marks.
fn names<'t>(
    text: &'t str,
    open: &'static str,
    close: &'static str,
) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
    text.match_indices(open).filter_map(move |(at, _)| {
        let inside = text.get(at + open.len()..)?;
        let end = inside.find(close)?;
        let name = inside.get(..end)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let is_whole =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_name);
        is_whole.then(|| at..at + open.len() + end + close.len())
    })
}

/// Returns true for `${VAR}`. Flux reads `$${VAR}` as the text `${VAR}`.
fn is_braced_variable(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| {
        let escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
        !escaped && text.get(at..).is_some_and(|rest| rest.contains('}'))
    })
}

/// Returns true for `$VAR` in upper case anywhere, and for `$name` as the whole text.
fn is_variable(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_whole = text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_part)
    });
    is_whole
        || text.match_indices('$').any(|(at, _)| {
            let escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
            let name = text.get(at + 1..).unwrap_or_default();
            let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
            let name = name.get(..end).unwrap_or_default();
            !escaped
                && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
                && !name.contains(|c: char| c.is_ascii_lowercase())
        })
}

/// Returns true for `ref+BACKEND://…`, also with `secretref+`.
fn is_vals(text: &str) -> bool {
    text.match_indices("ref+").any(|(at, mark)| {
        text.get(at + mark.len()..)
            .is_some_and(|rest| rest.contains("://"))
    })
}

/// Returns true for `<secret:PATH~KEY>` and `<vault:PATH~KEY>`.
fn is_replaced(text: &str) -> bool {
    ["<secret:", "<vault:"].iter().any(|open| {
        text.split_once(open)
            .is_some_and(|(_, rest)| rest.find('>').is_some_and(|at| at > 0))
    })
}

/// Returns true for `<key>`, which may contain a filter as in `<key | base64encode>`.
fn is_in_angles(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| {
        let inside = text.get(at + 1..).unwrap_or_default();
        let name = inside.split(['<', '>']).next().unwrap_or_default();
        let ends = inside.get(name.len()..).is_some_and(|rest| rest.starts_with('>'));
        ends && !name.trim().is_empty()
    })
}

/// Returns true for the forms that jsonnet leaves in a text: `%(name)s`, `std.extVar('x')`, `$.x`.
fn is_jsonnet(text: &str) -> bool {
    let formats = text
        .split_once("%(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.'));
    formats || text.contains("std.extVar(") || text.starts_with("$.") || text.starts_with("$._")
}

/// Returns true for the values that a webhook replaces in Secrets: `vault:PATH#KEY`, `op://VAULT/ITEM/FIELD`.
fn is_injected(text: &str) -> bool {
    let vault = text.strip_prefix(">>").unwrap_or(text).strip_prefix("vault:");
    vault.is_some_and(|path| path.contains('#')) || text.starts_with("op://")
}

/// Returns the positions of comments that may be placeholders, in their order, each with the reason that their file is not judged.
///
/// The comment begins at the mark: a mark inside another comment is none. Octopus Deploy replaces values, so its mark follows a
/// key or a dash.
pub(super) fn comments(text: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    let mut end = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let begin = end;
        end += line.len();
        let at = line.contains('#').then(|| comment(line)).flatten()?;
        let (before, comment) = line.split_at_checked(at)?;
        let (mark, reason) = COMMENTS.iter().find(|(mark, _)| comment.starts_with(mark))?;
        let is_placeholder = match *mark {
            "#{" => before.trim_end().ends_with([':', '-']) && comment.contains('}'),
            mark => is_ytt(comment.get(mark.len()..).unwrap_or_default()),
        };
        is_placeholder.then_some((begin + at, *reason))
    })
}

/// Returns the position of the first `#` in a line that begins a comment, or would outside of a value.
fn comment(line: &str) -> Option<usize> {
    let mut before = ' ';
    line.char_indices().find_map(|(at, c)| {
        let begins = c == '#' && before.is_whitespace();
        before = c;
        begins.then_some(at)
    })
}

/// Returns true for the text of a comment of ytt behind its mark: code behind a blank, or an annotation with `/` in its name.
///
/// Editors have comments such as `#@formatter:off`.
fn is_ytt(text: &str) -> bool {
    let name = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    let name = name.into_iter().next().unwrap_or_default();
    let behind = text.get(name.len()..).unwrap_or_default();
    if name.is_empty() {
        behind.is_empty() || behind.starts_with(char::is_whitespace)
    } else {
        behind.starts_with('/')
    }
}

/// Returns true if a line of a document begins with an expression, which can become any number of lines.
pub(super) fn has_block(document: &str) -> bool {
    document.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("{{") || line.starts_with("{%") || line.starts_with("<%")
    })
}

/// Replaces by a word each expression that can make a document unreadable. Returns `None` if there is none.
pub(super) fn without_expressions(document: &str) -> Option<String> {
    let mut text = document.to_owned();
    for (open, close) in UNREADABLE {
        text = if open == close {
            without_names(&text, open, close)
        } else {
            without_expressions_of(&text, open, close)
        };
    }
    (text != document).then_some(text)
}

fn without_expressions_of(document: &str, open: &str, close: &str) -> String {
    let mut text = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, (_, behind))) = rest
        .split_once(open)
        .and_then(|(before, inside)| Some((before, inside.split_once(close)?)))
    {
        text.extend([before, "x"]);
        rest = behind;
    }
    text + rest
}

fn without_names(document: &str, open: &'static str, close: &'static str) -> String {
    let mut text = String::with_capacity(document.len());
    let mut end = 0;
    for range in names(document, open, close) {
        if range.start >= end {
            text.push_str(document.get(end..range.start).unwrap_or_default());
            text.push('x');
            end = range.end;
        }
    }
    text.push_str(document.get(end..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::{TOOLS, may_contain_any};
    use std::fs;
    use std::path::Path;

    fn tool_of(text: &str) -> Option<&'static str> {
        let found = TOOLS.iter().find(|tool| tool.is_in(text)).map(|tool| tool.name);
        assert!(found.is_none() || may_contain_any(text), "{text}");
        found
    }

    #[test]
    fn the_placeholders_of_each_tool_are_recognized() {
        for tool in &TOOLS {
            assert_eq!(tool_of(tool.example), Some(tool.name), "{}", tool.example);
            assert_eq!(
                tool_of(&format!("s3://{}/x", tool.example)).is_some(),
                tool.name != "bank-vaults and 1Password",
                "{}",
                tool.example
            );
        }
        for (text, name) in [
            ("s3://${bucket:=b}/x", "Flux"),
            ("$bucket", "envsubst"),
            ("s3://$BUCKET-x", "envsubst"),
            ("secretref+awsssm://x", "vals"),
            ("a-{{x}}", "Helm"),
            ("std.extVar('bucket')", "jsonnet"),
            ("op://vault/item/field", "bank-vaults and 1Password"),
            ("a<vault:kv/s~k>", "argocd-vault-replacer"),
        ] {
            assert_eq!(tool_of(text), Some(name), "{text}");
        }
    }

    #[test]
    fn an_ordinary_text_has_no_placeholder() {
        for text in [
            "$${BUCKET}",
            "${",
            "{{",
            "}} {{",
            "{a}",
            "a$b",
            "price: 5$",
            "$",
            "@daily",
            "@every 6h",
            "a@b.c",
            "100%",
            "%%",
            "((",
            "()",
            "<b>",
            "<path:>",
            "<secret:>",
            "<secret>",
            "#1",
            "k1.t1",
            "0 3 * * *",
            "s3://bk",
            "ENC[]",
            "a ref+ b",
            "[[",
            "$5",
            "vault",
            "$$BUCKET",
        ] {
            assert_eq!(tool_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_page_lists_each_tool_with_its_form() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/placeholders.md");
        let page = fs::read_to_string(page).unwrap();
        for tool in &TOOLS {
            let row = format!("| {} | `{}` |", tool.name, tool.example);
            assert!(page.contains(&row), "{row}");
            assert!(page.contains(tool.render), "{}", tool.render);
        }
    }
}
