//! Definitions in JSON files: alone, or in a segment as Klaviyo's API gives it.

use super::place::{Place, Step};
use crate::config::fault::Fault;
use crate::config::source::Source;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Range;

/// The JSON of a definition, where it stands in a file.
pub(super) struct Located<'a> {
    file: &'a str,
    definition: &'a RawValue,
}

impl<'a> Located<'a> {
    /// Finds the definition in a file's text.
    ///
    /// # Errors
    /// The text is no JSON, or there is no one definition in it.
    pub fn find(source: &'a Source<'_>) -> Result<Self, Box<Fault>> {
        let file = source.text;
        let mut here: &RawValue = serde_json::from_str(file).map_err(|error| {
            let at = source.offset(error.line(), error.column());
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let message = format!("this is not JSON: {text}");
            Box::new(source.fault(at..at, "", &message, None))
        })?;
        loop {
            let fields = fields(here);
            if fields.contains_key("condition_groups") {
                return Ok(Self {
                    file,
                    definition: here,
                });
            }
            let wraps = ["definition", "attributes", "data"];
            let inner = wraps.iter().find_map(|key| fields.get(*key).copied());
            let inner = inner.map(|inner| match items(inner).as_slice() {
                [one] => one,
                _ => inner,
            });
            here = inner.ok_or_else(|| Box::new(nothing(source, here)))?;
        }
    }

    /// The text of the definition.
    pub fn text(&self) -> &'a str {
        self.definition.get()
    }

    /// Where in the file a place of the definition is; as near as there is something.
    pub fn span(&self, place: &Place) -> Range<usize> {
        let mut here = self.definition;
        for step in &place.0 {
            let inner = match step {
                Step::Key(key) => fields(here).get(key).copied(),
                Step::Index(index) => items(here).get(*index).copied(),
            };
            match inner {
                Some(inner) => here = inner,
                None => break,
            }
        }
        span(self.file, here)
    }
}

/// Both are parts of one text.
fn span(file: &str, part: &RawValue) -> Range<usize> {
    let start = part
        .get()
        .as_ptr()
        .addr()
        .saturating_sub(file.as_ptr().addr());
    start..start + part.get().len()
}

fn nothing(source: &Source<'_>, here: &RawValue) -> Fault {
    let (message, help) = match here.get() {
        "null" => (
            "the definition is null: Klaviyo's API cannot express this segment",
            None,
        ),
        text if text.starts_with('[') => ("there are several segments here, or none", None),
        _ => (
            "there is no segment definition here: `condition_groups` is missing",
            Some("save what Klaviyo's API answers for one segment, or its `definition` alone"),
        ),
    };
    source.fault(span(source.text, here), "", message, help)
}

fn fields(value: &RawValue) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn items(value: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}
