//! Generated YAML: values of every kind in files of every form, some of them damaged.

use fastrand::Rng;

use super::{HEAD, PARTS};

/// The separators between two documents of a file.
const SEPARATORS: [&str; 12] = [
    "---\n",
    "--- # c\n",
    "--- \t\n",
    "---\r\n",
    "...\n---\n",
    "...\n",
    "---\n\u{feff}",
    "---\r",
    "\r---\n",
    " ---\n",
    "\n",
    "",
];

/// The texts that damage a file, at any place in it.
const DAMAGE: [&str; 34] = [
    "\t", "\t\n", "\n\t\n", "  \t\n", "\n  \t", "\r", "\r\n", "\n", " ", "  ", "#", " #", "# ", "'", "\"",
    ":", ": ", "-", "- ", ",", "?", "? ", "[", "]", "{", "}", "&a.b ", "*a", "!!int ", "\\", "\\/",
    "\u{feff}", "\u{85}", "\u{7f}",
];

/// The tags before a scalar.
const TAGS: [&str; 12] = [
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!str",
    "!!binary",
    "!!timestamp",
    "!!seq",
    "!foo",
    "!",
    "!<tag:yaml.org,2002:float>",
    "!!merge",
];

/// Returns one of `all`.
fn one<'a>(random: &mut Rng, all: &[&'a str]) -> &'a str {
    random.choice(all).copied().unwrap_or_default()
}

fn of<'a>(random: &mut Rng, all: &'a [String]) -> &'a str {
    random.choice(all).map(String::as_str).unwrap_or_default()
}

/// Returns up to `most` of these characters, at least one.
fn word(random: &mut Rng, characters: &str, most: usize) -> String {
    let characters: Vec<char> = characters.chars().collect();
    let length = random.usize(1..=most);
    (0..length)
        .filter_map(|_| random.choice(&characters).copied())
        .collect()
}

/// Returns a text that resembles a number.
fn number(random: &mut Rng) -> String {
    let sign = one(random, &["", "", "", "-", "+"]);
    let base = one(random, &["", "", "", "", "0", "0x", "0o", "0b", "."]);
    let digits = match random.u8(..6) {
        0 => "18446744073709551615".to_owned(),
        1 => "9223372036854775808".to_owned(),
        2 => word(random, "0123456789abef_.:-+", 12),
        _ => word(random, "0123456789", 22),
    };
    let rest = one(random, &["", "", "", ".", ".5", "e3", "E-7", "e+400", "_0"]);
    format!("{sign}{base}{digits}{rest}")
}

/// Returns a text in quotes, with an escape.
fn quoted(random: &mut Rng) -> String {
    let escape = word(
        random,
        " !\"#$%&'()*+,-./0123456789:;<=>?@ABELNPQUX[\\]^_`abefnrtuvx{|}~\n\t",
        1,
    );
    let digits = word(random, "0189adefAF", 8);
    let quote = one(random, &["\"", "\"", "'"]);
    format!("{quote}a\\{escape}{digits}{quote}")
}

fn scalar(random: &mut Rng) -> String {
    let plain = of(random, &PARTS.scalars).to_owned();
    match random.u8(..10) {
        0 => number(random),
        1 => quoted(random),
        2 => format!("{} {plain}", one(random, &TAGS)),
        3 => format!("{} {}", one(random, &TAGS), number(random)),
        4 => format!("&{} {plain}", word(random, "abZ019-_.:/+é=*&!,", 4)),
        5 => word(random, "ab01 .,:;-_#'\"!?&*|>%@`{}[]\\/~=<\t", 6),
        _ => plain,
    }
}

fn key(random: &mut Rng) -> String {
    match random.u8(..4) {
        0 => scalar(random).replace('\n', " "),
        1 => number(random),
        _ => of(random, &PARTS.keys).to_owned(),
    }
}

/// Returns an entry of a block map.
fn entry(random: &mut Rng, number: usize) -> String {
    let (scalar, other, key) = (scalar(random), scalar(random), key(random));
    match random.u8(..11) {
        0 => format!("k{number}: {scalar}\n"),
        1 => format!("k{number}:\n  {key}: {scalar}\n"),
        2 => format!("k{number}: [{scalar}, {other}]\n"),
        3 => format!("k{number}: {{{key}: {scalar}}}\n"),
        4 => format!("k{number}:\n- {scalar}\n- {other}\n"),
        5 => format!("k{number}: &a{number} {{x: {scalar}}}\nl{number}: {{<<: *a{number}, y: {other}}}\n"),
        6 => format!("k{number}: # {other}\n  {scalar}\n"),
        7 => format!("k{number}: |\n  {}\n  x\n", scalar.replace('\n', "\n  ")),
        8 => format!("k{number}:\n  - {key}: {scalar}\n    b: {other}\n"),
        9 => format!("{key}: {scalar}\n"),
        _ => format!("k{number}: {scalar} # {other}\n"),
    }
}

/// Returns a document in the notation of blocks, of flows or of JSON.
fn document(random: &mut Rng) -> String {
    let name = one(random, &["a", "b", "c"]);
    match random.u8(..8) {
        0 => {
            let entries: Vec<String> = (0..random.usize(0..3))
                .map(|_| format!(", {}: {}", key(random), scalar(random)))
                .collect();
            let entries = entries.concat();
            format!("{{apiVersion: v1, kind: C, metadata: {{name: {name}}}{entries}}}\n")
        }
        1 | 2 => {
            let value = if random.bool() {
                quoted(random)
            } else {
                number(random)
            };
            let head =
                format!("\"apiVersion\": \"v1\", \"kind\": \"C\", \"metadata\": {{\"name\": \"{name}\"}}");
            format!(
                "{{{head}, \"d\": {value}}}{}",
                one(random, &["\n", "", " ", "\r\n", "\t\n", "\n\n"])
            )
        }
        _ => {
            let entries: String = (0..random.usize(1..6))
                .map(|number| entry(random, number))
                .collect();
            format!("{HEAD}{entries}")
        }
    }
}

/// Inserts a text, or removes a character, at any place.
fn damage(random: &mut Rng, text: &mut String) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let at = if random.bool() { &places } else { &lines };
    let Some(&at) = random.choice(at) else {
        return;
    };
    if at < text.len() && random.u8(..6) == 0 {
        text.remove(at);
    } else {
        text.insert_str(at, one(random, &DAMAGE));
    }
}

/// Returns a generated file. The same random numbers give the same file.
pub(super) fn file(random: &mut Rng) -> String {
    let mut text = document(random);
    if random.u8(..4) == 0 {
        for _ in 0..random.usize(1..4) {
            text += one(random, &SEPARATORS);
            text += &document(random);
        }
    }
    if random.u8(..3) == 0 {
        for _ in 0..random.usize(1..3) {
            damage(random, &mut text);
        }
    }
    text
}
