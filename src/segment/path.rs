//! Paths of profile properties, as definitions spell them (A17).

/// The built-in attributes at the top of a profile.
const BUILT_IN: [&str; 12] = [
    "email",
    "phone_number",
    "external_id",
    "first_name",
    "last_name",
    "organization",
    "locale",
    "title",
    "image",
    "created",
    "updated",
    "last_event_date",
];

/// The built-in attributes under `location`.
const LOCATION: [&str; 10] = [
    "address1",
    "address2",
    "city",
    "country",
    "latitude",
    "longitude",
    "region",
    "zip",
    "timezone",
    "ip",
];

/// Where a property lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// An attribute of Klaviyo's own, by its whole path.
    Attribute(&'a str),
    /// A custom property, by its name.
    Custom(&'a str),
}

impl<'a> Path<'a> {
    /// Reads `email`, `location['city']` or `properties['Name']`; `None` for any other path. A custom
    /// name is everything between the first `['` and the last `']`, taken literally.
    pub fn parse(path: &'a str) -> Option<Self> {
        let quoted = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
        if let Some(name) = quoted("properties['") {
            return (!name.is_empty()).then_some(Self::Custom(name));
        }
        let location = quoted("location['").is_some_and(|key| LOCATION.contains(&key));
        (location || BUILT_IN.contains(&path)).then_some(Self::Attribute(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_built_in_custom_or_nothing() {
        for path in ["email", "last_event_date", "location['zip']"] {
            assert_eq!(Path::parse(path), Some(Path::Attribute(path)));
        }
        let custom = |path| Path::parse(path);
        assert_eq!(
            custom("properties['it's ['odd']']"),
            Some(Path::Custom("it's ['odd']"))
        );
        assert_eq!(custom("properties['email']"), Some(Path::Custom("email")));
        for wrong in [
            "properties['']",
            "properties",
            "Email",
            "location['planet']",
            "location",
            "",
        ] {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }
}
