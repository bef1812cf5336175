//! The fast reader compared with the parser.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::steps;
use crate::check::yaml::Reader;

/// Asserts that both ways to read a text have the same documents, with the same spans, or the same error.
fn assert_same(text: &str) {
    let all = |reader: Reader<'_>| format!("{:?}", reader.collect::<Vec<_>>());
    assert_eq!(all(Reader::new(text)), all(Reader::with_parser(text)), "{text:?}");
}

const PLAIN: &str = "# The backups.
apiVersion: db.orange.com/v2
kind: CassandraBackup
metadata:
  name: b1 # the first one
  labels: {app: \"a b\", 'team': x-1, list: [a, -1, {b: s3://bk/x}], none: [], no: {}}
  annotations:

    # Not now.
    a/b: ''
spec:
  entities: k1.t1,k1.t2
  schedule: \"0 3 * * *\"   
  on: y
  empty:
  nodes:
  - id: 1
    more: [x]
  -
    id: 2
  -
  - last
  args:
    - --flag=a b
    -   deep:
          - - 1
            - '2'
          - 3
---
- a
- b: c
  d: e
- f
---
last: ~";

#[test]
fn a_plain_text_is_read_without_the_parser() {
    assert!(steps(PLAIN).is_some());
    assert_same(PLAIN);
    assert_eq!(Reader::new(PLAIN).flatten().count(), 3);
}

#[test]
fn a_text_with_anything_else_is_left_to_the_parser() {
    for other in [
        "",
        "# x\n",
        "text",
        "{a: 1}",
        "---\n",
        "a: 1\n---\n",
        "a: 1\n---\n---\nb: 1\n",
        "a: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "--- # x\na: 1\n",
        "--- {a: 1}\n",
        "a: |\n  b\n",
        "a: b\n  c\n",
        "a: &x b\n",
        "a: *x\n",
        "a: !!str b\n",
        "a: \"b\\n\"\n",
        "a: 'b''c'\n",
        "a: \"b\n  c\"\n",
        "a: [b,\n  c]\n",
        "a: [b: c]\n",
        "a: {b}\n",
        "a: {b: }\n",
        "a: {b:c}\n",
        "a: {\"b\":c}\n",
        "a: [b, ]\n",
        "a: [b c]\n",
        "a: b: c\n",
        "a: b:\n",
        "a: - b\n",
        "a: 'b' c\n",
        "a: 'b'#c\n",
        "? a\n: b\n",
        "<<: {a: 1}\n",
        "a: 1\n b: 2\n",
        "  a: 1\nb: 2\n",
        "a:\n    b: 1\n  c: 2\n",
        "- a\nb: 1\n",
        "a: 1\n- b\n",
        "- \n  a: 1\n",
        "- # x\n  a: 1\n",
        "a:\tb\n",
        "a: b\r\n",
        "a: \u{e9}\n",
        "a: @b\n",
        "a: `b`\n",
        "a b: c\n",
        "a:\n- b\n  - c\n",
    ] {
        assert!(steps(other).is_none(), "{other:?}");
        assert_same(other);
    }
}

#[test]
fn a_long_line_and_a_long_text_are_left_to_the_parser() {
    let line = |length: usize| format!("a: {}\n", "x".repeat(length - 3));
    assert!(steps(&line(1000)).is_some() && steps(&line(1001)).is_none());
    assert!(steps(&"a: 1\n---\n".repeat(1 << 17)).is_none());
}

/// Texts with which the lines of the generated files begin.
const BEGINNINGS: [&str; 17] = [
    "a:", "b:", "c:", "'d':", "\"e\":", "a: ", "b: ", "c: ", "- ", "-", "- a: ", "- - ", "-   b:", "# ",
    "---", "", "- c:",
];

/// Values, most of them plain.
const VALUES: [&str; 36] = [
    "",
    "",
    "",
    "1",
    "x",
    "x y",
    "x # y",
    "x#y",
    "'q'",
    "\"q\"",
    "'q' # y",
    "''",
    "[]",
    "{}",
    "[a, b]",
    "{a: b}",
    "{a: [b, {c: \"d\"}], 'e': -1}",
    "{a: b, a: c}",
    "s3://bk/x",
    "a:b",
    "-1",
    "--x",
    "~",
    "null",
    "on",
    "1e3",
    "0x1f",
    "[a, 'b', \"c\"] # d",
    " x ",
    "x ",
    "{a:b}",
    "|",
    "a: b",
    "[a",
    "- x",
    "&x y",
];

fn line() -> impl Strategy<Value = String> {
    let beginning = prop::sample::select(BEGINNINGS.to_vec());
    let value = prop::sample::select(VALUES.to_vec());
    (0..5_usize, beginning, value).prop_map(|(indent, beginning, value)| {
        // A key without a blank has its value on the next lines.
        let value = if beginning.ends_with(' ') { value } else { "" };
        let indent = if beginning == "---" { 0 } else { indent };
        format!("{}{beginning}{value}", " ".repeat(indent * 2 % 7))
    })
}

fn file() -> impl Strategy<Value = String> {
    let lines = prop::collection::vec(line(), 0..7);
    (lines, any::<bool>()).prop_map(|(lines, ends)| lines.join("\n") + if ends { "\n" } else { "" })
}

#[test]
fn many_generated_files_are_plain() {
    let mut runner = TestRunner::deterministic();
    let texts = (0..2000).map(|_| file().new_tree(&mut runner).unwrap().current());
    let plain = texts.filter(|text| steps(text).is_some()).count();
    assert!((300..1700).contains(&plain), "{plain}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn generated_files_are_read_as_by_the_parser(text in file()) {
        assert_same(&text);
    }

    #[test]
    fn a_damaged_plain_text_is_read_as_by_the_parser(
        at in 0..PLAIN.len(),
        byte in prop::sample::select(b" \n:-#'\"[]{},&*!|>a1.\\%\t?".to_vec()),
        inserts in any::<bool>(),
    ) {
        let mut bytes = PLAIN.as_bytes().to_vec();
        if inserts { bytes.insert(at, byte) } else { bytes[at] = byte }
        assert_same(&String::from_utf8(bytes).unwrap());
    }
}

/// Adds the YAML files of a folder and those below it.
fn collect(folder: &Path, texts: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, texts);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "json")
        {
            texts.extend(fs::read_to_string(&path).ok().filter(|text| text.len() < 100_000));
        }
    }
}

/// Every line of every file is removed once, so that other lines come next to each other.
#[test]
fn the_files_of_the_repository_are_read_as_by_the_parser() {
    let mut texts = Vec::new();
    for folder in [
        "examples",
        "manifests",
        "tests/check/verdicts",
        "tests/corpus",
        "tests/gitops",
    ] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
    }
    let mut plain = 0;
    for text in &texts {
        plain += usize::from(steps(text).is_some());
        assert_same(text);
        if text.len() < 3000 {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for at in 0..lines.len() {
                let less: Vec<&str> = [&lines[..at], &lines[at + 1..]].concat();
                assert_same(&less.concat());
            }
        }
    }
    assert!(
        texts.len() > 200 && 3 * plain > texts.len(),
        "{plain} of {}",
        texts.len()
    );
}
