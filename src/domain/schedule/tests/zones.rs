//! The time zones of `spec.timeZone`.

use proptest::prelude::*;

use crate::domain::schedule::{UnknownTimeZone, has_zone_prefix, time_zone};

fn nearest(name: &str) -> Vec<String> {
    time_zone(name).unwrap_err().nearest
}

#[test]
fn an_iana_zone_is_found_by_its_exact_name() {
    for name in [
        "UTC",
        "Etc/UTC",
        "Europe/Berlin",
        "Asia/Calcutta",
        "America/Argentina/Buenos_Aires",
    ] {
        assert_eq!(time_zone(name).unwrap().iana_name(), Some(name));
    }
    for name in [
        "",
        "Local",
        "utc",
        "Etc/Unknown",
        "+01:00",
        "posix/UTC",
        "../etc/passwd",
        "CET-1CEST",
    ] {
        assert!(time_zone(name).is_err(), "{name}");
    }
}

#[test]
fn the_nearest_zones_are_suggested_for_an_unknown_one() {
    for (name, meant) in [
        ("europe/berlin", "Europe/Berlin"),
        ("Europ/Berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("berln", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("America/Sao_Paolo", "America/Sao_Paulo"),
        ("utc", "Etc/UTC"),
        ("Asia/Calcuta", "Asia/Calcutta"),
    ] {
        assert_eq!(
            nearest(name).first().map(String::as_str),
            Some(meant),
            "{name}: {:?}",
            nearest(name)
        );
    }
    assert_eq!(nearest("europe/berlin"), ["Europe/Berlin"]);
    for name in ["", "Middle/Earth", "x", &"Europe/Berlin".repeat(300)] {
        assert_eq!(nearest(name), [""; 0], "{name}");
    }
}

#[test]
fn the_error_contains_the_suggestions() {
    assert_eq!(
        time_zone("Europ/Berlin").unwrap_err().to_string(),
        r#"unknown time zone "Europ/Berlin"; did you mean Europe/Berlin"#
    );
    assert_eq!(
        time_zone("Local").unwrap_err().to_string(),
        r#"unknown time zone "Local""#
    );
    let two = UnknownTimeZone {
        name: "a\nb".into(),
        nearest: vec!["A".into(), "B".into()],
    };
    assert_eq!(
        two.to_string(),
        r#"unknown time zone "a\nb"; did you mean A or B"#
    );
}

#[test]
fn a_prefix_is_found_even_if_it_is_not_used() {
    for text in [
        "TZ=UTC @daily",
        "CRON_TZ=Local 0 3 * * *",
        "TZ=Europe/Berlin @every 1h",
        "TZ=",
    ] {
        assert!(has_zone_prefix(text), "{text}");
    }
    for text in ["@daily", " 0 3 * * *"] {
        assert!(!has_zone_prefix(text), "{text}");
    }
}

proptest! {
    #[test]
    fn any_name_is_a_zone_or_an_error(name in any::<String>()) {
        if let Err(error) = time_zone(&name) {
            prop_assert!(error.nearest.len() <= 3 && !error.to_string().contains(char::is_control));
        }
    }
}
