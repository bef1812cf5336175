//! The value of flags that are a length of time.

use std::time::Duration;

use jiff::SignedDuration;

/// Parses a duration with units: `5s`, `1m30s`, `500ms` or `0s`.
///
/// # Errors
/// A text for clap to print if `text` has no unit, is negative, or is not a duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "not a duration; write for example 5s, 1m30s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["5", "", "-5s", "soon"] {
            assert_eq!(
                duration(text),
                Err("not a duration; write for example 5s, 1m30s or 500ms".to_owned()),
                "{text}"
            );
        }
    }
}
