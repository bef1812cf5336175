//! The types of plain scalars, as kubectl resolves them.
//!
//! kubectl, Flux and Argo CD read YAML with `sigs.k8s.io/yaml`, whose parser has the booleans of YAML 1.1: `on` is true,
//! and the API server then rejects it where a string is expected. A reader with other booleans would give other
//! verdicts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Number;

use super::node::NodeKind;

/// Resolves a scalar that is neither quoted nor tagged.
///
/// # Errors
/// Returns an error for infinity and for what is not a number: JSON has neither, so kubectl rejects them.
pub(super) fn plain(text: &str) -> Result<NodeKind, String> {
    Ok(match text {
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => {
            return Err(format!(
                "kubectl rejects {text}, which has no form in JSON; put the value in quotes"
            ));
        }
        "" | "~" | "null" | "Null" | "NULL" => NodeKind::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            NodeKind::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            NodeKind::Bool(false)
        }
        _ => number(text).map_or_else(|| NodeKind::Text(text.into()), NodeKind::Number),
    })
}

/// Decodes the base64 of a value with the tag `!!binary`, as kubectl does.
///
/// # Errors
/// Returns an error if it is not base64, or not a text.
pub(super) fn binary(text: &str) -> Result<NodeKind, String> {
    let bare: String = text.split_ascii_whitespace().collect();
    let decoded = STANDARD
        .decode(bare)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(text) => Ok(NodeKind::Text(text.into())),
        None => Err("the value of !!binary is not the base64 of a text; write the text itself".to_owned()),
    }
}

/// Parses an integer as Go's `strconv.ParseInt` with base 0 does, or a float of YAML. Underscores are removed first.
fn number(text: &str) -> Option<Number> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    // Go reads a number that begins with a point as it is written.
    if first == b'.' && text.contains('_') {
        return None;
    }
    let bare = text.replace('_', "");
    integer(&bare).or_else(|| float(&bare))
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(base)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(magnitude.into())
    }
}

/// Parses a float: `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`. Infinity and NaN have no form in JSON and stay
/// text.
///
/// kubectl sends a whole number without point and exponent, so the API server reads `1e+06`, as Helm writes a million,
/// as an integer.
fn float(text: &str) -> Option<Number> {
    let known = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.contains(|c: char| c.is_ascii_digit()) || !text.chars().all(known) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let whole = (value.fract() == 0.0).then(|| format!("{value:.0}").parse::<i64>().ok());
    // The smallest integer may be a rounded float.
    whole
        .flatten()
        .filter(|whole| *whole != i64::MIN)
        .map_or_else(|| Number::from_f64(value), |whole| Some(whole.into()))
}

#[cfg(test)]
mod tests {
    use super::{binary, plain};
    use crate::check::yaml::NodeKind;
    use serde_json::{Value, json};

    fn read(text: &str) -> Value {
        match plain(text).unwrap() {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => json!(truth),
            NodeKind::Number(number) => Value::Number(number),
            NodeKind::Text(text) => json!(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_have_the_types_that_kubectl_gives_them() {
        for (text, expected) in [
            ("on", json!(true)),
            ("No", json!(false)),
            ("", Value::Null),
            ("~", Value::Null),
            ("10", json!(10)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("017", json!(15)),
            ("1_000", json!(1000)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            ("1e+06", json!(1_000_000)),
            ("10.0", json!(10)),
            ("-2.", json!(-2)),
            ("-0.0", json!(0)),
            ("1e18", json!(1_000_000_000_000_000_000_i64)),
            ("1e19", json!(1e19)),
            ("1.5e-3", json!(0.0015)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn infinity_and_nan_are_rejected_and_binary_is_decoded() {
        for text in [".nan", ".NaN", ".inf", "-.INF", "+.Inf"] {
            assert!(plain(text).is_err(), "{text}");
        }
        let decoded =
            |text: &str| binary(text).map(|kind| matches!(kind, NodeKind::Text(text) if *text == *"s3://bk"));
        assert_eq!(decoded("czM6Ly9i\n  aw=="), Ok(true));
        assert!(decoded("s3://bk").is_err() && decoded("/w==").is_err());
    }

    #[test]
    fn a_text_that_only_looks_like_a_number_stays_a_text() {
        for text in [
            "k1.t1",
            "1.1.3",
            "2026-11-24",
            "0 3 * * *",
            "089x",
            "-",
            "+",
            ".",
            "1e",
            "0x",
            "._5",
            "._",
            "+-1",
            "1:30",
            "-x",
        ] {
            assert_eq!(read(text), json!(text), "{text}");
        }
    }
}
