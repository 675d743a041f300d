//! Klaviyo's two regions, by what profiles call their country (A28).

use super::condition::RegionName;

/// The 27 member states: ISO 3166 alpha-2 and alpha-3, and English names. The United Kingdom is none
/// (klaviyo.md, section 11.4).
const EUROPEAN_UNION: [(&str, &str, &[&str]); 27] = [
    ("at", "aut", &["austria"]),
    ("be", "bel", &["belgium"]),
    ("bg", "bgr", &["bulgaria"]),
    ("cy", "cyp", &["cyprus"]),
    ("cz", "cze", &["czechia", "czech republic"]),
    ("de", "deu", &["germany"]),
    ("dk", "dnk", &["denmark"]),
    ("ee", "est", &["estonia"]),
    ("es", "esp", &["spain"]),
    ("fi", "fin", &["finland"]),
    ("fr", "fra", &["france"]),
    ("gr", "grc", &["greece"]),
    ("hr", "hrv", &["croatia"]),
    ("hu", "hun", &["hungary"]),
    ("ie", "irl", &["ireland"]),
    ("it", "ita", &["italy"]),
    ("lt", "ltu", &["lithuania"]),
    ("lu", "lux", &["luxembourg"]),
    ("lv", "lva", &["latvia"]),
    ("mt", "mlt", &["malta"]),
    ("nl", "nld", &["netherlands", "the netherlands"]),
    ("pl", "pol", &["poland"]),
    ("pt", "prt", &["portugal"]),
    ("ro", "rou", &["romania"]),
    ("se", "swe", &["sweden"]),
    ("si", "svn", &["slovenia"]),
    ("sk", "svk", &["slovakia"]),
];

const UNITED_STATES: [(&str, &str, &[&str]); 1] =
    [("us", "usa", &["united states", "united states of america"])];

impl RegionName {
    /// Whether a country, as the profile spells it, lies in the region.
    pub(super) fn holds(self, country: &str) -> bool {
        let country = country.trim().to_lowercase();
        let states: &[(&str, &str, &[&str])] = match self {
            Self::EuropeanUnion => &EUROPEAN_UNION,
            Self::UnitedStates => &UNITED_STATES,
        };
        states.iter().any(|(alpha2, alpha3, names)| {
            country == *alpha2 || country == *alpha3 || names.contains(&country.as_str())
        })
    }
}
