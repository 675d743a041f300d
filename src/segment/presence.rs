//! Fields that may be absent, `null`, or there. A definition goes back as it came, so all three are
//! told apart.

use serde::{Deserialize, Deserializer};

/// Absent, `null`, or a value.
pub type Nullable<T> = Option<Option<T>>;

/// Reads a field that is there: the inner `None` is `null`.
pub(super) fn present<'de, D, T>(field: D) -> Result<Nullable<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(field).map(Some)
}
