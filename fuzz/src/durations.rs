//! The target for `spec.duration` and `spec.bandwidth`.

use cassgate::domain::bandwidth::Bandwidth;
use cassgate::domain::go_duration::GoDuration;

/// Parses two texts separated by a zero byte, each on its own and both concatenated.
pub fn durations(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let (first, second) = text.split_once('\0').unwrap_or((text, "1h30m"));
    for text in [first, second] {
        duration(text);
        bandwidth(text);
    }
    check_sum(first, second);
}

fn duration(text: &str) {
    match GoDuration::parse(text) {
        Ok(parsed) => {
            let nanoseconds = parsed.nanoseconds();
            assert_eq!(parsed.signed().as_nanos(), i128::from(nanoseconds));
            assert_eq!(GoDuration::parse(&format!("{nanoseconds}ns")), Ok(parsed));
            assert!(nanoseconds <= 0 || !text.starts_with('-'));
            let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
            let negated = GoDuration::parse(&format!("-{unsigned}"));
            assert_eq!(
                negated.map(|negated| negated.nanoseconds().unsigned_abs()),
                Ok(nanoseconds.unsigned_abs())
            );
        }
        Err(error) => {
            let words = error.to_string();
            assert!(words.starts_with("time: "), "{words:?}");
        }
    }
}

/// Checks that two concatenated durations are their sum, because Go adds up the parts.
fn check_sum(first: &str, second: &str) {
    let (Ok(a), Ok(b)) = (GoDuration::parse(first), GoDuration::parse(second)) else {
        return;
    };
    let number_alone = |text: &str| text.strip_prefix(['-', '+']).unwrap_or(text) == "0";
    if number_alone(first) || number_alone(second) || second.starts_with(['-', '+']) || first.starts_with('-')
    {
        return;
    }
    let sum = a.nanoseconds().checked_add(b.nanoseconds());
    match GoDuration::parse(&format!("{first}{second}")) {
        Ok(both) => assert_eq!(Some(both.nanoseconds()), sum),
        // Twice the limit wraps to zero, as in Go, but only in a text longer than this.
        Err(_) => assert!(sum.is_none() || first.len() + second.len() > 40),
    }
}

fn bandwidth(text: &str) {
    match Bandwidth::parse(text) {
        Ok(parsed) => {
            let bytes = parsed.bytes_per_second();
            assert!((1..=2_147_483_647 * 1_000_000_000).contains(&bytes));
            assert_eq!(
                Bandwidth::parse(&format!(" {} ", text.to_uppercase())),
                Ok(parsed)
            );
            if i32::try_from(bytes).is_ok() {
                assert_eq!(Bandwidth::parse(&bytes.to_string()), Ok(parsed));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
