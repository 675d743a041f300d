//! Intents and writes in one language: what was done to which place of which record.

use driftless::journal::Intent;
use driftless::model::{EffectKind, Moment};
use driftless::sandbox::world::{State, Write};
use serde_json::{Value as Json, json};

/// Writes that some effect stands for. Everything else is none of our business.
pub(super) const KINDS: [&str; 11] = [
    "list create",
    "list add",
    "list remove",
    "import",
    "suppress",
    "unsubscribe",
    "customerEmailMarketingConsentUpdate",
    "tagsAdd",
    "tagsRemove",
    "metafieldsSet",
    "metafieldsDelete",
];

/// The places that may be asked with anything but GET. Subscribing profiles, lifting suppressions, merging and
/// deleting have endpoints of their own, which are not among them.
pub(super) fn is_open(method: &str, path: &str) -> bool {
    let open = [
        ("POST", "/api/lists"),
        ("POST", "/api/lists/{id}/relationships/profiles"),
        ("DELETE", "/api/lists/{id}/relationships/profiles"),
        ("POST", "/api/profile-bulk-import-jobs"),
        ("POST", "/api/profile-suppression-bulk-create-jobs"),
        ("POST", "/api/profile-subscription-bulk-delete-jobs"),
        ("POST", "/api/segment-values-reports"),
        ("POST", "/api/metric-aggregates"),
        ("POST", "/staged"),
    ];
    // Of GraphQL's mutations the history tells.
    open.contains(&(method, path)) || (method == "POST" && path.ends_with("/graphql.json"))
}

/// One thing done to one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deed {
    pub kind: EffectKind,
    pub subject: String,
    pub aspect: Aspect,
}

/// The profile's id or the customer's gid, and what about it; no subject where a list is made.
pub(super) type Place = (String, Aspect);

/// What about a record is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// That a list of this name exists.
    List(String),
    /// Membership in the list of this id.
    Member(String),
    /// A property by its name.
    Property(String),
    /// A tag, in lower case.
    Tag(String),
    /// The one metafield.
    Metafield,
    /// The suppression of marketing mail.
    Suppression,
    /// The consent to marketing mail, which can only be withdrawn.
    Consent,
}

/// What an intent wanted of a place.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// When it was journaled.
    pub at: Moment,
    /// What should be there.
    pub to: Json,
    /// When that was confirmed, if it was.
    pub confirmed: Option<Moment>,
}

/// What one intent may write.
pub fn deeds_of(intent: &Intent) -> Vec<Deed> {
    let kind = intent.kind;
    let wanted = wanted(intent).into_iter();
    let deeds = wanted.map(|((subject, aspect), _)| Deed {
        kind,
        subject,
        aspect,
    });
    deeds.collect()
}

/// Every place that an intent is about, and what should be there.
pub(super) fn wanted(intent: &Intent) -> Vec<(Place, Json)> {
    // What was wanted of somebody who was forgotten since, nobody can read any more.
    if intent.is_closed() {
        return Vec::new();
    }
    let target = intent.target.clone();
    let aspects = match intent.kind {
        EffectKind::ListCreate => vec![(Aspect::List(target), json!(true))],
        EffectKind::ListAdd => vec![(Aspect::Member(target), json!(true))],
        EffectKind::ListRemove => vec![(Aspect::Member(target), json!(false))],
        EffectKind::Suppression => vec![(Aspect::Suppression, json!(true))],
        EffectKind::Unsubscription | EffectKind::CustomerUnsubscription => {
            vec![(Aspect::Consent, json!(false))]
        }
        EffectKind::Metafield => vec![(Aspect::Metafield, intent.to.clone())],
        EffectKind::Property => {
            let pairs = intent.to.as_object().unwrap().iter();
            let pairs = pairs.map(|(name, to)| (Aspect::Property(name.clone()), to.clone()));
            pairs.collect()
        }
        EffectKind::Tag => {
            let gone = tags(&intent.from["had"]).map(|tag| (Aspect::Tag(tag), json!(false)));
            let there = tags(&intent.to["has"]).map(|tag| (Aspect::Tag(tag), json!(true)));
            gone.chain(there).collect()
        }
    };
    let subject = intent.subject.clone().unwrap_or_default();
    let places = aspects.into_iter();
    places
        .map(|(aspect, to)| ((subject.clone(), aspect), to))
        .collect()
}

fn tags(list: &Json) -> impl Iterator<Item = String> {
    let tags = list.as_array().into_iter().flatten();
    tags.filter_map(|tag| Some(tag.as_str()?.to_lowercase()))
}

/// What one write did. The rows of an import are those of its job.
pub fn written(write: &Write, world: &State) -> Vec<Deed> {
    let each = |kind: EffectKind, aspects: &[Aspect]| -> Vec<Deed> {
        let subjects = write.subjects.iter();
        let pairs = subjects.flat_map(|subject| aspects.iter().map(move |a| (subject, a)));
        let deeds = pairs.map(|(subject, aspect)| Deed {
            kind,
            subject: subject.clone(),
            aspect: aspect.clone(),
        });
        deeds.collect()
    };
    let member = [Aspect::Member(write.target.clone())];
    match write.kind {
        "list create" => {
            // Of one that others have deleted since, nobody knows the name.
            let list = world.klaviyo.lists.get(&write.target);
            let deed = list.map(|list| Deed {
                kind: EffectKind::ListCreate,
                subject: String::new(),
                aspect: Aspect::List(list.name.clone()),
            });
            deed.into_iter().collect()
        }
        "list add" => each(EffectKind::ListAdd, &member),
        "list remove" => each(EffectKind::ListRemove, &member),
        "import" => imported(write, world),
        "suppress" => addressed(write, world, EffectKind::Suppression, &Aspect::Suppression),
        "unsubscribe" => addressed(write, world, EffectKind::Unsubscription, &Aspect::Consent),
        "customerEmailMarketingConsentUpdate" if write.target == "UNSUBSCRIBED" => {
            each(EffectKind::CustomerUnsubscription, &[Aspect::Consent])
        }
        "tagsAdd" | "tagsRemove" => {
            let tags = write.target.split(',');
            let tags: Vec<Aspect> = tags.map(|tag| Aspect::Tag(tag.to_lowercase())).collect();
            each(EffectKind::Tag, &tags)
        }
        "metafieldsSet" | "metafieldsDelete" => each(EffectKind::Metafield, &[Aspect::Metafield]),
        // Not to be planned at all, which is told elsewhere.
        _ => Vec::new(),
    }
}

fn imported(write: &Write, world: &State) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for row in &world.klaviyo.jobs[&write.target].rows {
        let set = row["attributes"]["properties"].as_object().into_iter();
        let set = set.flat_map(|properties| properties.keys().cloned());
        let unset = row["meta"]["patch_properties"]["unset"].as_array();
        let unset = unset.into_iter().flatten().filter_map(Json::as_str);
        for name in set.chain(unset.map(str::to_owned)) {
            deeds.push(Deed {
                kind: EffectKind::Property,
                subject: row["id"].as_str().unwrap_or_default().to_owned(),
                aspect: Aspect::Property(name),
            });
        }
    }
    deeds
}

/// Suppressions and unsubscriptions name addresses.
fn addressed(write: &Write, world: &State, kind: EffectKind, aspect: &Aspect) -> Vec<Deed> {
    let profiles = world.klaviyo.profiles.iter();
    let named = profiles.filter(|(_, profile)| {
        let email = profile.email.as_ref();
        email.is_some_and(|email| write.subjects.contains(email))
    });
    let deeds = named.map(|(id, _)| Deed {
        kind,
        subject: id.clone(),
        aspect: aspect.clone(),
    });
    deeds.collect()
}
