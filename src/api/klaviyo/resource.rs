//! Single resources in texts that came from a file rather than from the API.

use serde::de::DeserializeSeed;

/// A text is not the resource it should be. Says where, and never what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Klaviyo {kind} (line {line}, column {column})")]
pub struct NotAResource {
    /// What it should be: `profile` or `event`.
    pub kind: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1; 0 at the beginning of a line.
    pub column: usize,
}

/// Reads the one resource that a text is.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    kind: &'static str,
    text: &'de str,
    seed: S,
) -> Result<S::Value, NotAResource> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = seed.deserialize(&mut json);
    let whole = read.and_then(|resource| json.end().map(|()| resource));
    whole.map_err(|error| NotAResource {
        kind,
        line: error.line(),
        column: error.column(),
    })
}
