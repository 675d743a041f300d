//! `[properties]`, `[shopify_tags]`, `[shopify_metafield]`: which facts are written where.

use super::reader::{Complaint, Section};
use super::value::{choice, quoted, word};
use crate::policy::{Fact, MetafieldMap, PropertyMap, TagMap};
use std::collections::BTreeSet;

/// Facts with few values; any other would make a tag of its own for every customer.
const TAG_FACTS: [Fact; 4] = [Fact::Stage, Fact::Tier, Fact::Stale, Fact::Bouncing];

pub(super) fn properties(section: &Section<'_>) -> PropertyMap {
    // Klaviyo keeps names with a dollar sign for itself.
    let prefix = word("a prefix of 2 to 64 characters, without `$`", |prefix| {
        (2..=64).contains(&prefix.chars().count()) && !prefix.contains('$')
    });
    let name = word("a name of up to 128 characters, without `$`", |name| {
        name.chars().count() <= 128 && !name.contains('$')
    });
    let prefix = section.read("prefix", prefix);
    let field = |fact: Fact| Some((fact, section.read(fact.as_str(), &name)?));
    let fields: Vec<_> = Fact::ALL.into_iter().filter_map(field).collect();
    let mut names = BTreeSet::new();
    for (fact, name) in &fields {
        if !names.insert(name.as_str()) {
            let message = format!("two facts would be written to {}", quoted(name));
            section.complain(fact.as_str(), &Complaint::new(message));
        }
    }
    PropertyMap {
        prefix: prefix.unwrap_or_else(|| "driftless_".to_owned()),
        fields,
    }
}

pub(super) fn tags(section: &Section<'_>) -> TagMap {
    // Shopify separates tags with commas and allows 255 characters, the fact's value included.
    let prefix = word(
        "a prefix of 2 to 64 characters, without a comma",
        |prefix| (2..=64).contains(&prefix.chars().count()) && !prefix.contains(','),
    );
    let prefix = section.read("prefix", prefix);
    TagMap {
        prefix: prefix.unwrap_or_else(|| "driftless:".to_owned()),
        facts: facts(section, "fact for tags", &TAG_FACTS),
    }
}

/// The metafield, when the section names facts for it.
pub(super) fn metafield(section: &Section<'_>) -> Option<MetafieldMap> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let namespace = word("`$app`, or 3 to 255 letters, digits, `-` or `_`", |name| {
        let own = name
            .strip_prefix("$app")
            .map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        match own {
            Some(rest) => rest.chars().all(plain),
            None => (3..=255).contains(&name.len()) && name.chars().all(plain),
        }
    });
    let key = word("2 to 64 letters, digits, `-` or `_`", |key| {
        (2..=64).contains(&key.len()) && key.chars().all(plain)
    });
    let namespace = section.read("namespace", namespace);
    let key = section.read("key", key);
    if section.is_here() && !section.holds("facts") {
        section.missing("facts", "[\"stage\", \"orders\", \"spent\"]");
    }
    let facts = facts(section, "fact", &Fact::ALL);
    (!facts.is_empty()).then(|| MetafieldMap {
        namespace: namespace.unwrap_or_else(|| "$app".to_owned()),
        key: key.unwrap_or_else(|| "driftless".to_owned()),
        facts,
    })
}

fn facts(section: &Section<'_>, noun: &'static str, all: &[Fact]) -> Vec<Fact> {
    let found = section.each("facts", choice(noun, all, Fact::as_str));
    // In one fixed order, so that reordering the config changes no rule.
    let found: BTreeSet<Fact> = found.into_iter().flatten().collect();
    found.into_iter().collect()
}
