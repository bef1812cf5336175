//! Deserializers for values written by Go, in which `null`, absent and empty are the same.

use serde::{Deserialize, Deserializer};

/// Deserializes `null` as the default of `T`. A value of the wrong type is an error.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Deserializes a value of the wrong type as the default of `T`, for fields that affect warnings only.
pub(super) fn unreadable_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}
