//! Reading what Go has written: there, `null`, absent and empty are one.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the empty value of `T`. A value of the wrong type stays an error.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads what does not fit `T` as the empty value of `T`: for parts that only warnings rest on.
pub(super) fn unreadable_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}
