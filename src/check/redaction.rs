//! Credentials that a backup, restore or cluster contains by mistake, which no report shows.
//!
//! A key of a Secret may stand in the wrong object, and a URL may contain a password: `s3://user:password@bucket`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::domain::credentials::Key;
use crate::domain::object_name::is_object_name;

use super::yaml::{NodeKind, Reader, Span, SpannedNode};

/// The text that stands for a credential.
const MASK: &str = "***";

/// The minimum length of a part of a credential that is replaced on its own. A message shows long values in part.
const MIN_PART: usize = 8;

/// The minimum length of a credential that is replaced as a whole.
const MIN_LENGTH: usize = 4;

/// Words in the names of fields with credentials, in lower case and without separators.
const WORDS: [&str; 16] = [
    "accesskey",
    "accountkey",
    "apikey",
    "awssecret",
    "connectionstring",
    "credential",
    "encryptionkey",
    "password",
    "passwd",
    "passphrase",
    "privatekey",
    "secretaccess",
    "secretkey",
    "sharedkey",
    "signature",
    "storagekey",
];

/// Whole names of fields with credentials, in the same form.
const NAMES: [&str; 6] = ["gcp", "pass", "pwd", "sas", "sig", "token"];

/// Fields that hold the values of a Secret.
const SECRET_FIELDS: [&str; 4] = ["data", "stringData", "binaryData", "encryptedData"];

/// The part of a URL between `//` and `@`. A password may contain `/`.
static USER_INFO: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"://([^/\s"'@]*(?:@[^/\s"'@]*)*|[^\s"'/:@]*:[^\s"']*)@"#).ok());

/// The name of a parameter and the separator behind it, as in `?sig=…` of a URL, `AccountKey=…` of a connection string, or YAML.
static PARAMETER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[=:]\s*["']?"#).ok());

/// The identifier of an access key of AWS.
static ACCESS_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b").ok());

/// The maps whose keys users choose.
const FREE_MAPS: [&str; 3] = ["annotations", "labels", "rename"];

/// The credentials in an object, which are removed from its report.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    texts: Vec<String>,
    /// The spans of the values that contain them.
    spans: Vec<Span>,
}

impl Redaction {
    /// Finds the credentials in an object.
    pub(super) fn of(object: &SpannedNode) -> Self {
        let mut found = Self::default();
        found.collect(object, "", object.span, false);
        found
    }

    /// Collects the credentials below a node. `outer` is the span of the text that contains the node, if it is written in one.
    fn collect(&mut self, node: &SpannedNode, key: &str, outer: Span, is_credential: bool) {
        let is_credential = is_credential || names_credential(key);
        match &node.node.kind {
            NodeKind::Text(text) => {
                let seems_value = text.len() >= 2 * MIN_PART || seems_value(text, key);
                let is_no_name = key == "secret" && seems_value && !is_object_name(text);
                self.add_text(text, outer_or(node.span, outer), is_credential || is_no_name);
            }
            NodeKind::Number(number) if is_credential => {
                self.add(&number.to_string(), outer_or(node.span, outer));
            }
            NodeKind::List(items) => {
                for item in items {
                    self.collect(item, key, outer, is_credential);
                }
            }
            NodeKind::Map(entries) => {
                for entry in entries {
                    let span = outer_or(entry.key_span, outer);
                    self.add_text(&entry.key, span, seems_value(&entry.key, key));
                    let own = outer_or(entry.value.span, outer);
                    self.collect(&entry.value, &entry.key, own, is_credential);
                }
            }
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) => {}
        }
    }

    fn add_text(&mut self, text: &str, span: Span, is_credential: bool) {
        if is_credential {
            return self.add(text, span);
        }
        for expression in [&USER_INFO, &ACCESS_KEY] {
            let matches = expression
                .iter()
                .flat_map(|expression| expression.captures_iter(text));
            let found: Vec<String> = matches
                .filter_map(|all| Some(all.get(1).or_else(|| all.get(0))?.as_str().to_owned()))
                .collect();
            for user_info in found {
                let password = user_info.split_once(':').map_or("", |(_, password)| password);
                self.add(password, span);
                self.add(&user_info, span);
            }
        }
        for value in parameters(text) {
            self.add(text.get(value).unwrap_or_default(), span);
        }
        // Another object as a text: kubectl writes one into an annotation.
        if text.contains(':') && contains_word(&plain(text)) {
            self.spans.push(span);
            for document in Reader::new(text).flatten() {
                if !matches!(document.node.kind, NodeKind::Text(_)) {
                    self.collect(&document, "", span, false);
                }
            }
        }
    }

    fn add(&mut self, text: &str, span: Span) {
        if text.is_empty() {
            return;
        }
        self.spans.push(span);
        if text.chars().count() >= MIN_LENGTH {
            self.texts.push(text.to_owned());
            // Messages quote values.
            let escaped = text.escape_debug().to_string();
            if escaped != text {
                self.texts.push(escaped);
            }
        }
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
        let long = parts.filter(|part| part.len() >= MIN_PART && part.len() < text.len());
        self.texts.extend(long.map(ToOwned::to_owned));
    }

    /// Returns true if a credential is at least partly in this range of bytes.
    pub(super) fn overlap(&self, range: &Range<usize>) -> bool {
        let offset = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        self.spans.iter().any(|span| {
            offset(span.begin) < range.end && range.start < offset(span.end).max(offset(span.begin) + 1)
        })
    }

    /// Returns a text without the credentials.
    pub(super) fn redacted(&self, text: &str) -> String {
        let mut text = redacted_urls(text);
        for own in &self.texts {
            text = masked(&text, own);
        }
        text
    }
}

/// Returns true for a key that is more likely a misplaced value, such as a password or an access key, than a name.
///
/// The names of fields have few digits and capital letters, and only the characters of a key of a Secret. A key in one of
/// [`FREE_MAPS`] may have more of them.
fn seems_value(key: &str, parent: &str) -> bool {
    if key.chars().count() < MIN_LENGTH {
        return false;
    }
    let count = |is_counted: fn(&char) -> bool| key.chars().filter(is_counted).count();
    let capitals = count(char::is_ascii_uppercase);
    let digits = count(char::is_ascii_digit);
    let alternations = alternations(key);
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if FREE_MAPS.contains(&parent) {
        let is_mixed = capitals > 0 && digits > 0 && capitals + digits < key.len();
        let has_other = !key.chars().all(|c| is_of_key(c) || matches!(c, '/' | '+' | '='));
        return is_mixed && (alternations > 3 || has_other);
    }
    !key.chars().all(is_of_key)
        || alternations > 2
        || digits > 2
        || (key.len() >= MIN_PART && 3 * capitals > key.len())
}

/// Characters of passwords that are rare in other words of a manifest.
const MARKS: &str = "!#$%^&*+=~?@|\\<>;";

/// Returns true if a word of a text seems to be a password or an access key: small and capital letters, and digits or [`MARKS`] among
/// them.
///
/// A text that cannot be read has no keys and values, and a part of a value can be a word of its own.
pub(super) fn has_mixed_word(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || MARKS.contains(c);
    let is_mixed = |word: &str| {
        let has = |is_kind: fn(&u8) -> bool| word.bytes().any(|byte| is_kind(&byte));
        word.len() > MIN_LENGTH
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit)
            && (alternations(word) > 1 || word.contains(|c| MARKS.contains(c)))
    };
    text.split(|c| !is_part(c)).any(is_mixed)
}

/// Returns how often a letter follows a digit, or a digit a letter.
fn alternations(key: &str) -> usize {
    let kinds = key.bytes().filter(u8::is_ascii_alphanumeric);
    let kinds: Vec<bool> = kinds.map(|byte| byte.is_ascii_digit()).collect();
    kinds
        .iter()
        .zip(kinds.iter().skip(1))
        .filter(|(own, next)| own != next)
        .count()
}

/// Returns the span in the file: a node in a text has none of its own.
fn outer_or(own: Span, outer: Span) -> Span {
    let is_within = outer.begin <= own.begin && own.end <= outer.end;
    if is_within { own } else { outer }
}

/// Returns true if the name of a field announces a credential.
fn names_credential(name: &str) -> bool {
    let plain = plain(name);
    let is_named = NAMES.contains(&plain.as_str()) || SECRET_FIELDS.contains(&name);
    is_named
        || (plain != "secret" && ["secret", "token"].iter().any(|end| plain.ends_with(end)))
        || contains_word(&plain)
}

/// Returns true if a name without separators contains the name of a key of a Secret, or another word for a credential.
fn contains_word(plain: &str) -> bool {
    let is_key = |key: Key| {
        !matches!(key, Key::AwsRegion | Key::AwsEndpoint | Key::Gcp) && plain.contains(key.as_str())
    };
    WORDS.iter().any(|word| plain.contains(word)) || Key::ALL.into_iter().any(is_key)
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns the ranges of the values of parameters that are credentials.
fn parameters(text: &str) -> impl Iterator<Item = Range<usize>> {
    let all = PARAMETER
        .iter()
        .flat_map(|expression| expression.captures_iter(text));
    all.filter(|found| found.get(1).is_some_and(|name| names_credential(name.as_str())))
        .filter_map(|found| {
            let begin = found.get(0)?.end();
            let rest = text.get(begin..)?;
            let ends = |c: char| c.is_whitespace() || "&;,\"'[]{}".contains(c);
            let end = begin + rest.find(ends).unwrap_or(rest.len());
            (begin < end).then_some(begin..end)
        })
}

/// Returns true if a text may contain a credential.
pub(super) fn may_be_in(text: &str) -> bool {
    let matches = |expression: &Option<Regex>| expression.as_ref().is_none_or(|own| own.is_match(text));
    contains_word(&plain(text))
        || parameters(text).next().is_some()
        || matches(&USER_INFO)
        || matches(&ACCESS_KEY)
}

/// Returns a text without the users, passwords and signatures of URLs.
pub(super) fn redacted_urls(text: &str) -> String {
    let text = USER_INFO.as_ref().map_or_else(
        || text.to_owned(),
        |expression| expression.replace_all(text, "://***@").into_owned(),
    );
    if !text.contains("://") {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for value in parameters(&text) {
        let is_of_url = text
            .get(..value.start)
            .is_some_and(|before| before.ends_with('='));
        if is_of_url && value.start >= end {
            shown.extend([text.get(end..value.start).unwrap_or_default(), MASK]);
            end = value.end;
        }
    }
    shown + text.get(end..).unwrap_or_default()
}

/// Replaces each occurrence of a credential, also of its beginning if the text has no more of it.
fn masked(text: &str, credential: &str) -> String {
    let begin: String = credential.chars().take(MIN_PART).collect();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(begin.as_str()) {
        let more = credential.get(begin.len()..).unwrap_or_default();
        let common: usize = more
            .chars()
            .zip(behind.chars())
            .take_while(|(own, other)| own == other)
            .map(|(own, _)| own.len_utf8())
            .sum();
        shown.extend([before, MASK]);
        rest = behind.get(common..).unwrap_or_default();
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::{Redaction, has_mixed_word, may_be_in, redacted_urls, seems_value};
    use crate::check::yaml::Reader;

    fn redacted(object: &str, message: &str) -> String {
        let document = Reader::new(object).next().unwrap().unwrap();
        Redaction::of(&document).redacted(message)
    }

    #[test]
    fn a_url_is_shown_without_its_user() {
        assert_eq!(
            redacted_urls("s3://u:p@ss@bk/x and s3://bk"),
            "s3://***@bk/x and s3://bk"
        );
        assert_eq!(
            redacted_urls("mail a@b.c, https://h/a@b"),
            "mail a@b.c, https://h/a@b"
        );
    }

    #[test]
    fn a_credential_in_a_wrong_place_is_not_shown() {
        for object in [
            "spec: {awssecretaccesskey: Zx7QqV3wJ8pK}",
            "spec: {aws_secret_access_key: Zx7QqV3wJ8pK}",
            "spec: {stringData: {a: [Zx7QqV3wJ8pK]}}",
            "spec: {storageLocation: 's3://user:Zx7QqV3wJ8pK@bk'}",
            "spec: {secret: AKID/Zx7QqV3wJ8pK/x}",
            "spec: {secret: Zx7QqV3wJ8pK}",
            "spec: {'azurestoragekey=Zx7QqV3wJ8pK': null}",
            "metadata: {annotations: {last: '{\"spec\": {\"password\": \"Zx7QqV3wJ8pK\"}}'}}",
            "spec: {env: 'AWS_SECRET_ACCESS_KEY=Zx7QqV3wJ8pK'}",
            "spec: {storageLocation: 's3://AKID:Zx7QqV3wJ8pK/Zx7QqV3wJ8pK@bk'}",
            "spec: {storageLocation: 'https://h/c?sv=1&sig=Zx7QqV3wJ8pK'}",
            "spec: {location: 'a=b;AccountKey=Zx7QqV3wJ8pK;c=d'}",
            "spec: {token: Zx7QqV3wJ8pK}",
            "spec: {auth: {user: a, pass: Zx7QqV3wJ8pK}}",
            "spec: {client-secret: Zx7QqV3wJ8pK}",
            "spec: {awsaccesskeyid Zx7QqV3wJ8pK: 1, password: Zx7QqV3wJ8pK}",
            "spec: {Zx7QqV3wJ8pK: x}",
            "Zx7QqV3wJ8pK: {}",
            "metadata: {labels: {Zx7QqV3wJ8pK: '!'}}",
            "spec: {secret: {Zx7QqV3wJ8pK: x}}",
        ] {
            let text = redacted(object, "\"Zx7QqV3wJ8pK\" and Zx7QqV3wJ… are wrong, Zx7 is not");
            assert_eq!(text, "\"***\" and ***… are wrong, Zx7 is not", "{object}");
        }
        for (object, message) in [
            ("spec: {secret: s3, bandwidth: fast}", "\"fast\" of s3"),
            ("spec: {secret: My_Secret}", "\"My_Secret\""),
        ] {
            assert_eq!(redacted(object, message), message);
        }
    }

    #[test]
    fn a_key_with_characters_of_a_password_is_not_shown() {
        for object in [
            "spec: {'Zx7!QqV3': x}",
            "'Zx7!QqV3': x",
            "metadata: {annotations: {'Zx7!QqV3': x}}",
            "spec: {rename: {'Zx7!QqV3': k1}}",
        ] {
            let text = redacted(object, "spec.Zx7!QqV3 and \"Zx7!QqV3\" are wrong, Zx7 is not");
            assert_eq!(text, "spec.*** and \"***\" are wrong, Zx7 is not", "{object}");
        }
        let message = format!("{:?} is wrong", "a\"b\\c\u{e9}\t");
        let text = redacted(r#"spec: {"a\"b\\c\u00e9\t": x}"#, &message);
        assert_eq!(text, "\"***\" is wrong");
    }

    #[test]
    fn a_key_that_seems_a_name_is_shown() {
        for (key, parent) in [
            ("shedule", "spec"),
            ("storageLocation", "spec"),
            ("cassandracluster", "spec"),
            ("s3Bucket", "spec"),
            ("deletePVC", "spec"),
            ("snapshot_tag", "spec"),
            ("k1.t1", "rename"),
            ("Shop1.Orders2", "rename"),
            ("app.kubernetes.io/name", "labels"),
            ("cassgate.db.orange.com/allow", "annotations"),
            ("k8s-app1.v2", "labels"),
            ("shop orders", "rename"),
            ("k1.t1,k1.t2", "rename"),
        ] {
            assert!(!seems_value(key, parent), "{key}");
        }
        for key in [
            "wJalrXUtnFEMI",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AKIAIOSFODNN7EXAMPLE",
            "Zx7QqV3wJ8pK",
            "0123456789abcdef",
            "c2VjcmV0LXZhbHVl==",
            "correct horse battery",
            "pass:word",
            "gehe\u{ed}m",
        ] {
            assert!(seems_value(key, "spec"), "{key}");
        }
    }

    #[test]
    fn every_part_of_a_password_is_a_mixed_word() {
        for password in ["Zx7QqV3wJ8pK", "Zx7!QqV3", r"Zx7\Q4q%V3<w"] {
            for at in 0..=password.len() - 5 {
                let part = &password[at..at + 5];
                assert!(has_mixed_word(&format!("  [{part}: x")), "{part}");
            }
        }
        for text in [
            "image: cassandra:3.11.19",
            "at: 2026-11-24T00:00:00Z",
            "storageLocation: s3://bk-1/Backups",
            "entities: k1.t1,k2.t2",
            "schedule: '0 3 * * *'",
            "x: sha256:0123abcdef4567",
        ] {
            assert!(!has_mixed_word(text), "{text}");
        }
    }

    #[test]
    fn a_line_with_a_credential_is_recognized() {
        for line in [
            "  awssecretaccesskey: x",
            "  \"aws-access-key-id\": x",
            "secret: s3 # AKIAIOSFODNN7EXAMPLE",
            "storageLocation: s3://u:p@bk",
            "PASSWORD=x",
            "  token: x",
            "  'pwd' : x",
            "  aws_secret: x",
            "x: 1 # pass: y",
        ] {
            assert!(may_be_in(line), "{line}");
        }
        for line in [
            "  secret: s3",
            "storageLocation: s3://bk",
            "bandwidth: fast",
            "schedule: '@daily'",
            "  entities: k1",
        ] {
            assert!(!may_be_in(line), "{line}");
        }
    }
}
