//! The types of plain scalars, as kubectl resolves them.
//!
//! kubectl, Flux and Argo CD read YAML with `sigs.k8s.io/yaml`, whose parser has the booleans of YAML 1.1: `on` is true,
//! and the API server then rejects it where a string is expected. A reader with other booleans would give other
//! verdicts.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Number;
use smol_str::{SmolStr, ToSmolStr};

use super::node::NodeKind;

/// A scalar with its type.
pub(super) struct Resolved {
    pub(super) kind: NodeKind,
    /// True if kubectl reads it as a float, which may be a whole number.
    is_float: bool,
}

impl Resolved {
    /// Returns the key that it is in a map; `None` if kubectl rejects it, or writes the number in another way.
    ///
    /// kubectl writes booleans and integers as texts, and a float with the digits of 32 bits, with an exponent from a million on.
    pub(super) fn key(&self) -> Option<SmolStr> {
        match &self.kind {
            NodeKind::Text(text) => Some(text.clone()),
            NodeKind::Bool(truth) => Some(SmolStr::new_static(if *truth { "true" } else { "false" })),
            NodeKind::Number(number) if self.is_float => float_key(number),
            NodeKind::Number(number) => number.as_i64().map(|number| number.to_smolstr()),
            NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
        }
    }
}

fn float_key(number: &Number) -> Option<SmolStr> {
    let value = number.as_f64()?;
    // kubectl writes the sign of zero, which the number does not have.
    let has_exponent = !(1e-4..1e6).contains(&value.abs());
    let text = value.to_smolstr();
    let is_exact = text.parse::<f32>().is_ok_and(|float| float.to_smolstr() == text);
    (is_exact && !has_exponent).then_some(text)
}

/// Resolves a scalar. `tag` is the name of its tag, if that is one of YAML's own.
///
/// # Errors
/// Returns why kubectl rejects it.
pub(super) fn resolve(text: &str, is_plain: bool, tag: Option<&str>) -> Result<Resolved, String> {
    let typed = |name: &str, is_expected: fn(&Resolved) -> bool| {
        Some(plain(text)?)
            .filter(is_expected)
            .ok_or_else(|| format!("the value of !!{name} is not of this type; kubectl rejects it"))
    };
    let as_text = || Resolved {
        kind: NodeKind::Text(text.into()),
        is_float: false,
    };
    match tag {
        Some("int") => typed(
            "int",
            |read| matches!(&read.kind, NodeKind::Number(_) if !read.is_float),
        ),
        Some("float") => typed("float", |read| {
            // kubectl does not convert an integer of 64 bits without a sign.
            matches!(&read.kind, NodeKind::Number(number) if read.is_float || number.is_i64())
        })
        .map(as_float),
        Some("bool") => typed("bool", |read| matches!(read.kind, NodeKind::Bool(_))),
        Some("null") => typed("null", |read| matches!(read.kind, NodeKind::Null)),
        Some("binary") => binary(text).map(|kind| Resolved {
            kind,
            is_float: false,
        }),
        Some("timestamp") => Err(
            "kubectl rejects a !!timestamp that is not a time; write the value in quotes, without the tag"
                .to_owned(),
        ),
        Some(name @ ("seq" | "map" | "omap" | "pairs" | "set")) => Err(format!(
            "the value of !!{name} is not a list or a map; kubectl rejects it"
        )),
        None if is_plain => plain(text),
        _ => Ok(as_text()),
    }
}

/// Resolves a scalar that is neither quoted nor tagged.
///
/// # Errors
/// Returns an error for infinity and for what is not a number: JSON has neither, so kubectl rejects them.
fn plain(text: &str) -> Result<Resolved, String> {
    // Most texts are names, and only these characters begin a value of another type.
    let may_be_typed = |first: &u8| first.is_ascii_digit() || b"~.+-nNyYtTfFoO".contains(first);
    if !text.as_bytes().first().is_none_or(may_be_typed) {
        return Ok(Resolved {
            kind: NodeKind::Text(text.into()),
            is_float: false,
        });
    }
    let kind = match text {
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
        // Go reads some of them as numbers.
        _ if text.starts_with('.')
            && text.contains('_')
            && float(&text.replace('_', "")).is_some()
            && !text.starts_with("._") =>
        {
            return Err(
                "kubectl may read this text as a number; put it in quotes, or remove the _".to_owned(),
            );
        }
        _ => {
            return Ok(number(text).unwrap_or_else(|| Resolved {
                kind: NodeKind::Text(text.into()),
                is_float: false,
            }));
        }
    };
    Ok(Resolved {
        kind,
        is_float: false,
    })
}

/// Decodes the base64 of a value with the tag `!!binary`, as kubectl does.
///
/// # Errors
/// Returns an error if it is not base64, or not a text.
fn binary(text: &str) -> Result<NodeKind, String> {
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
fn number(text: &str) -> Option<Resolved> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    // Go reads a number that begins with a point as it is written.
    if first == b'.' && text.contains('_') {
        return None;
    }
    let bare: Cow<'_, str> = if text.contains('_') {
        text.replace('_', "").into()
    } else {
        text.into()
    };
    let resolved = |is_float: bool| {
        move |number: Number| Resolved {
            kind: NodeKind::Number(number),
            is_float,
        }
    };
    let integer = integer(&bare).map(resolved(false));
    integer.or_else(|| float(&bare).map(resolved(true)))
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
    if text.starts_with('+') {
        // Go takes a larger number with a + for a float.
        i64::try_from(magnitude).ok().map(Number::from)
    } else if negative {
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
    number_of(text.parse().ok()?)
}

/// Returns an integer with the tag `!!float` as kubectl reads it: rounded to a float of 64 bits.
fn as_float(resolved: Resolved) -> Resolved {
    let number = match &resolved.kind {
        NodeKind::Number(number) => number.as_f64().and_then(number_of),
        _ => None,
    };
    Resolved {
        kind: number.map_or(resolved.kind, NodeKind::Number),
        is_float: true,
    }
}

/// Returns a float as a number of JSON, and a whole one as an integer.
fn number_of(value: f64) -> Option<Number> {
    let whole = (value.fract() == 0.0).then(|| value.to_string().parse::<i64>().ok());
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
        match plain(text).unwrap().kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => json!(truth),
            NodeKind::Number(number) => Value::Number(number),
            NodeKind::Text(text) => json!(text.as_str()),
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
            |text: &str| binary(text).map(|kind| matches!(kind, NodeKind::Text(text) if text == "s3://bk"));
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
