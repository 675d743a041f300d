//! Definitions from a file: by name, or as the API lists segments.

use crate::segment::Definition;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::path::Path;

/// Definitions with their names, in the order of the file.
#[derive(Debug)]
pub(super) struct Named(pub(super) Vec<(String, Definition)>);

/// Reads a file of definitions.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(path: &Path) -> Result<Named, String> {
    let at = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{at}: {error}"))?;
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    parse(&text, stem.unwrap_or_default()).map_err(|error| {
        format!(
            "{at}:{}:{}: not definitions by name, nor segments as the API gives them\n  \
             remedy: give {{\"NAME\": {{\"condition_groups\": …}}}}, or what GET /api/segments answers",
            error.line(),
            error.column()
        )
    })
}

/// A file with one definition alone goes by the file's name.
fn parse(text: &str, stem: String) -> Result<Named, serde_json::Error> {
    let named: Named = serde_json::from_str(text)?;
    if named.0.iter().any(|(name, _)| name == "condition_groups") {
        return Ok(Named(vec![(stem, serde_json::from_str(text)?)]));
    }
    let Some((_, data)) = named.0.iter().find(|(name, _)| name == "data") else {
        return Ok(named);
    };
    if data.groups().is_some() {
        return Ok(named);
    }
    let Listing { data } = serde_json::from_str(text)?;
    let resources = data.into_iter().map(|resource| {
        let SegmentAttributes { name, definition } = resource.attributes;
        let definition = match definition {
            Some(definition) => definition,
            None => Definition::parse("null").map_err(serde_json::Error::custom)?,
        };
        Ok((name.unwrap_or(resource.id), definition))
    });
    resources.collect::<Result<_, _>>().map(Named)
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<SegmentResource>,
}

#[derive(Deserialize)]
struct SegmentResource {
    id: String,
    attributes: SegmentAttributes,
}

#[derive(Deserialize)]
struct SegmentAttributes {
    name: Option<String>,
    definition: Option<Definition>,
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InOrder)
    }
}

/// A map would sort the names.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of definitions by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
        let mut named = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let text = map.next_value::<&RawValue>()?;
            let definition = Definition::parse(text.get()).map_err(A::Error::custom)?;
            named.push((name, definition));
        }
        Ok(Named(named))
    }
}
