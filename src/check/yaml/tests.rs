use super::strict::EXAMINED;
use super::{Reader, SpannedNode, YamlError};
use serde_json::{Value, json};

fn all(text: &str) -> Vec<SpannedNode> {
    Reader::new(text).map(|document| document.unwrap()).collect()
}

fn one(text: &str) -> Value {
    all(text)[0].node.to_json()
}

fn error(text: &str) -> YamlError {
    Reader::new(text).find_map(Result::err).unwrap()
}

fn position(text: &str, path: &str) -> (u32, u32) {
    let span = all(text)[0].node.span_of(path).unwrap();
    (span.line, span.column)
}

#[test]
fn documents_lists_maps_and_scalars_are_read() {
    let read: Vec<Value> = all("a: [1, x, null]\n---\n- {b: on}\n---\n# only a comment\n---\n\"text\"\n")
        .iter()
        .map(|document| document.node.to_json())
        .collect();
    assert_eq!(
        read,
        [
            json!({"a": [1, "x", null]}),
            json!([{"b": true}]),
            Value::Null,
            json!("text")
        ]
    );
}

#[test]
fn json_windows_line_ends_and_a_byte_order_mark_are_read() {
    assert_eq!(
        one("{\"a\":\t{\"b\": [\"\\u00e9\", 1.5]}}"),
        json!({"a": {"b": ["é", 1.5]}})
    );
    assert_eq!(
        one("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n"),
        json!({"a": 1, "b": "x\ny\n"})
    );
    assert_eq!(position("\u{feff}a: 1\r\nb: x\r\n", "b"), (2, 4));
}

#[test]
fn consecutive_json_objects_are_documents_as_in_kubectl() {
    let text = "{\"a\": \"é}{\"}{\"b\":\n  2}\n{\n\t\"c\": {\"d\": 3}\n} \n\n";
    let read: Vec<Value> = all(text).iter().map(|document| document.node.to_json()).collect();
    assert_eq!(
        read,
        [json!({"a": "é}{"}), json!({"b": 2}), json!({"c": {"d": 3}})]
    );
    let positions: Vec<_> = [(0, "a"), (1, "b"), (2, "c.d")]
        .into_iter()
        .map(|(document, path)| {
            let span = all(text)[document].node.span_of(path).unwrap();
            let (begin, end) = (span.begin as usize, span.end as usize);
            (span.line, span.column, &text[begin..end])
        })
        .collect();
    assert_eq!(positions, [(1, 7, "\"é}{\""), (2, 3, "2"), (4, 13, "3")]);
    let key = all(text)[1].node.entries()[0].key_span;
    assert_eq!((key.line, key.column), (1, 14));
    let open = error("{\"a\": 1}\n  {\"b\": 2");
    assert_eq!(open.line, 2, "{open:?}");
}

/// kubectl goes on with YAML behind one JSON object, and rejects it behind several.
#[test]
fn yaml_may_follow_one_json_object() {
    let read: Vec<Value> = all("{\"a\": \"b\\/c\"}\n---\ne: 4\n---\n{f: 5}\n")
        .iter()
        .map(|document| document.node.to_json())
        .collect();
    assert_eq!(read, [json!({"a": "b/c"}), json!({"e": 4}), json!({"f": 5})]);
    assert_eq!(all("{\"a\": 1}{b: 2}\n").len(), 2);
    let wrong = error("{\"a\": 1}{\"b\": 2}\n---\ne: 4\n");
    assert!(wrong.message.contains("behind several JSON objects"), "{wrong:?}");
    assert_eq!((wrong.line, wrong.column), (2, 1));
    for text in [
        "{\"a\": 1}\n---\nb: \"c\\/d\"\n",
        "a: 1\n---\n{\"b\": \"c\\/d\"}\n",
        "{a: 1, b: \"c\\/d\"}\n",
        "\u{feff}{\"b\": \"c\\/d\"}\n",
    ] {
        assert!(error(text).message.contains("without a backslash"), "{text:?}");
    }
    assert!(error("{\"a\": 1e999}\n").message.contains("too large"));
}

#[test]
fn a_document_may_begin_with_a_byte_order_mark() {
    let text = "\u{feff}a: 1\n--- # next\n\u{feff}b: x\nc: []\n---\r\n\u{feff}{\"d\": 2}\n";
    let read: Vec<Value> = all(text).iter().map(|document| document.node.to_json()).collect();
    assert_eq!(
        read,
        [json!({"a": 1}), json!({"b": "x", "c": []}), json!({"d": 2})]
    );
    let b = all(text)[1].node.span_of("b").unwrap();
    assert_eq!((b.line, b.column), (3, 4));
    assert_eq!(&text[b.begin as usize..b.end as usize], "x");
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let text = "base: &b {x: 1, z: 2}\nown: {<<: *b, z: 3}\ntwo: {<<: [{x: 7}, *b]}\nagain: *b\n";
    let expected = json!({"base": {"x": 1, "z": 2}, "own": {"x": 1, "z": 3}, "two": {"x": 7, "z": 2},
                          "again": {"x": 1, "z": 2}});
    assert_eq!(one(text), expected);
    assert_eq!(position(text, "own.z"), (2, 18));
    assert_eq!(position(text, "own.x"), (2, 11), "where it is merged");
    assert_eq!(
        position(text, "again.x"),
        (1, 14),
        "a value inside an alias has the span in the anchored node"
    );
}

/// kubectl sends the texts of booleans and numbers, and rejects null. `annotate --local` prints the same keys.
#[test]
fn a_key_is_what_kubectl_sends() {
    assert_eq!(
        one("{y: 2, 0x10: 3, 1.5: 4, 'no': 5, -1: 6}\n"),
        json!({"true": 2, "16": 3, "1.5": 4, "no": 5, "-1": 6})
    );
    for text in [
        "~: 1\n",
        "{: 1}\n",
        "? \n: 1\n",
        "18446744073709551616: 1\n",
        "18446744073709551615: 1\n",
        "9223372036854775808: 1\n",
        "1e6: 1\n",
        "1234567.5: 1\n",
    ] {
        assert!(error(text).message.contains("a key that is not a text"), "{text}");
    }
}

/// Each of these was compared with kubectl: see `tests/check/kubectl`.
#[test]
fn a_text_that_kubectl_reads_differently_is_an_error_at_its_position() {
    for (text, at, says) in [
        ("a: 1\n# x \u{2028}b: 2\n", (2, 5), "U+2028"),
        ("a: 1\n--- x\n", (2, 1), "goes on"),
        ("%YAML 1.1\n---\na: 1\n", (1, 1), "%YAML"),
        ("a: 1\n...\nb: 2\n", (3, 1), "behind ..."),
        ("a: \"b\\/c\"\n", (1, 4), "without a backslash"),
        ("a: \"\\ud83d\\ude00\"\n", (1, 4), "surrogate"),
        ("a: .nan\n", (1, 4), "no form in JSON"),
        ("a: {?b: 1}\n", (1, 5), "in quotes"),
        (
            "a: {b: 1, <<: {b: 2}}\n",
            (1, 15),
            "<< is behind another value of b",
        ),
        (
            "a: {<<: {b: 1}, <<: {b: 2}}\n",
            (1, 21),
            "<< is behind another value of b",
        ),
        ("a: !!int x\n", (1, 10), "not of this type"),
        ("a:\n- \tb\n", (2, 3), "a tab"),
        ("a: 1\n\t\nb: 2\n", (2, 1), "a tab"),
        ("...\na: 1\n", (1, 1), "before the first document"),
        ("{\"a\": 1}\n#\n", (2, 1), "so short a text"),
        ("a: !!seq 5\n", (1, 10), "not a list or a map"),
        ("a: .5_0\n", (1, 4), "as a number"),
        ("a: |\n\n  \tb\n  c\n", (3, 3), "a tab"),
        ("a: [b:]\n", (1, 6), "for a part of the text"),
        ("a: [b?c]\n", (1, 5), "in quotes"),
        ("a: b\n \tc\n", (1, 4), "a tab"),
        ("a: &b.c x\n", (1, 4), "the name of this anchor"),
        ("a: &\u{e9} x\n", (1, 4), "the name of this anchor"),
        ("a: b\rc: d\n", (1, 5), "carriage return"),
        ("a: !!int 1.5\n", (1, 10), "not of this type"),
        ("a: !!int 1e3\n", (1, 10), "not of this type"),
        ("a: !!float 18446744073709551615\n", (1, 12), "not of this type"),
        ("a: !!timestamp x\n", (1, 16), "!!timestamp"),
        ("a: {b\n  : 1}\n", (2, 3), "does not end on its line"),
        ("{\"a\n  b\": 1}\n", (1, 2), "does not end on its line"),
    ] {
        let wrong = error(text);
        assert!(wrong.message.contains(says), "{text:?}: {wrong:?}");
        assert_eq!((wrong.line, wrong.column), at, "{text:?}: {wrong:?}");
    }
    for text in [
        "{\"a\": \"b\\/c\", \"d\": \"\u{2028}\"}\n",
        "a: 1\n...\n---\nb: 2\n",
        "a: 1\n--- # c\nb: 2\n",
        "a: {<<: {b: 2}, b: 1}\n",
        "a: {b: 1, <<: {b: 1, c: 2}}\n",
        "a: {<<: [{b: 1}, {b: 2}]}\n",
        "a: ?{vaultkv:x}\n",
        "a: |\n  b\n   \tc\n  - \td\n",
        "a: [b: , c]\n",
        "a: \"b\n\tc\"\n",
        "? a\n: 1\n",
        "a: {? b\n : 1}\n",
        "a: &b-c_1 x\nd: [*b-c_1]\n",
        "a: b\r\nc: d\r\n",
    ] {
        assert!(!all(text).is_empty(), "{text:?}");
    }
    assert!(error("a: !!str\n").message.contains("a tag without a value"));
    assert_eq!(one("a: !!binary czM6Ly9iaw==\n"), json!({"a": "s3://bk"}));
}

/// The blanks at the beginning of a file were once read again for each text in quotes.
#[test]
fn every_byte_is_examined_at_most_once() {
    for unit in [
        "- \"a\\tb\"\n",
        "- [a, {b: c}, \"d\"]\n",
        "- |\n  a\n\n",
        "- &a x\n- *a # c\n",
    ] {
        let text = format!("{}{}", "\n".repeat(5000), unit.repeat(1000));
        EXAMINED.set(0);
        assert_eq!(all(&text).len(), 1);
        assert!(EXAMINED.get() <= text.len(), "{unit:?}: {}", EXAMINED.get());
    }
}

#[test]
fn the_last_value_of_a_repeated_key_is_kept() {
    assert_eq!(one("a: 1\nb: 2\na: 3\n"), json!({"a": 3, "b": 2}));
}

#[test]
fn a_missing_field_has_the_span_of_its_parent() {
    let text = "kind: X\nspec:\n  rename:\n    k1.t1: k1.t2\n  empty:\n  é: 'ü'\n";
    assert_eq!(position(text, "spec.rename[k1.t1]"), (4, 12));
    assert_eq!(position(text, "spec.rename[k1.t9]"), (3, 3));
    assert_eq!(position(text, "spec.secret"), (2, 1));
    assert_eq!(position(text, "spec.empty"), (5, 3));
    assert_eq!(position(text, "spec.é"), (6, 6));
    assert!(all(text)[0].node.span_of("status").is_none());
}

#[test]
fn an_error_has_a_position() {
    let wrong = error("a: 1\nb: [1, 2\nc: 3\n");
    assert!(wrong.line >= 2 && !wrong.message.is_empty(), "{wrong:?}");
    let template = error("name: {{ .Values.name }}\n");
    assert_eq!((template.line, template.column), (1, 8), "{template:?}");
    assert!(template.message.contains("quote a value"), "{template:?}");
    assert_eq!(
        error("a: {<<: 5}").message,
        "the value of << must be a map or a list of maps"
    );
}

#[test]
fn an_alias_inside_its_own_node_is_an_error() {
    let message = error("a: &a [*a]\n").message;
    assert_eq!(message, "this alias is inside the node that it refers to");
}

#[test]
fn aliases_that_expand_exponentially_are_an_error() {
    let mut bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let below = level - 1;
        bomb.extend([format!(
            "l{level}: &l{level} [{}]\n",
            vec![format!("*l{below}"); 9].join(", ")
        )]);
    }
    let wrong = error(&bomb);
    assert_eq!(
        wrong.message,
        "more than 1000000 values in one document, with aliases expanded; split it"
    );
    let mut merges = "m0: &m0 {a0: 1}\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        merges.extend([format!(
            "m{level}: &m{level} {{<<: [*m{below}, *m{below}], a{level}: 1}}\n"
        )]);
    }
    assert_eq!(error(&merges).message, wrong.message);
}

#[test]
fn the_depth_is_bounded_also_through_aliases() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(error(&deep).message, "nested more than 100 levels deep");
    let mut chain = format!("a0: &a0 {}{}\n", "[".repeat(60), "]".repeat(60));
    chain.extend([format!("a1: {}*a0{}\n", "[".repeat(60), "]".repeat(60))]);
    assert_eq!(error(&chain).message, "nested more than 100 levels deep");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_to_an_end(text in ".{0,200}") {
        let documents: Vec<_> = Reader::new(&text).collect();
        proptest::prop_assert!(documents.len() <= text.len() + 1);
    }
}
