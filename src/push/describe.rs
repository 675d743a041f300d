//! An effect in the vendors' ids: what journals and plan files say of it. Never an address.

use crate::mirror::{Mirror, MirrorError};
use crate::model::{Effect, EffectKind, PropertyChange, Value};
use crate::policy::{MetafieldMap, Policy};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// One effect, told by ids and values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// What guards count it as.
    pub kind: EffectKind,
    /// The Klaviyo profile id or Shopify customer gid; `None` for the creation of a list.
    pub subject: Option<String>,
    /// A list's id (or its name before it exists), property names, a tag prefix, a metafield.
    pub target: String,
    /// What was read.
    pub from: Json,
    /// What should be.
    pub to: Json,
    /// The rule behind it and its evidence, where somebody asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Resolves an effect's slots and indexes.
///
/// # Errors
/// Whatever the mirror meets.
pub fn describe(
    effect: &Effect,
    mirror: &Mirror,
    policy: &Policy,
) -> Result<Described, MirrorError> {
    let subject = match effect {
        Effect::ListExists { .. } => None,
        Effect::CustomerUnsubscribed { who, .. }
        | Effect::Tags { who, .. }
        | Effect::Metafield { who, .. } => mirror.customer_id(*who)?.map(|id| id.gid()),
        Effect::OnList { who, .. }
        | Effect::OffList { who, .. }
        | Effect::Properties { who, .. }
        | Effect::Suppressed { who }
        | Effect::Unsubscribed { who, .. } => mirror.profile_id(*who)?.map(|id| id.to_string()),
    };
    let (from, to) = values(effect);
    let (kind, target) = (effect.kind(), target(effect, mirror, policy)?);
    Ok(Described {
        kind,
        subject,
        target,
        from,
        to,
        why: String::new(),
    })
}

fn target(effect: &Effect, mirror: &Mirror, policy: &Policy) -> Result<String, MirrorError> {
    let name = |list: usize| policy.lists.get(list).map_or("", |list| list.name.as_str());
    Ok(match effect {
        Effect::ListExists { list } => name(*list).to_owned(),
        Effect::OnList { list, .. } | Effect::OffList { list, .. } => {
            let id = mirror.bindings()?.remove(name(*list));
            id.map_or_else(|| name(*list).to_owned(), |id| id.to_string())
        }
        Effect::Properties { changes, .. } => {
            let names: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
            names.join(",")
        }
        Effect::Suppressed { .. }
        | Effect::Unsubscribed { .. }
        | Effect::CustomerUnsubscribed { .. } => "email marketing".to_owned(),
        Effect::Tags { .. } => policy.tags.prefix.clone(),
        Effect::Metafield { .. } => {
            let map = policy.metafield.as_ref();
            map.map(MetafieldMap::name).unwrap_or_default()
        }
    })
}

/// The values before and after.
fn values(effect: &Effect) -> (Json, Json) {
    match effect {
        Effect::ListExists { .. } | Effect::OnList { .. } | Effect::Suppressed { .. } => {
            (json!(false), json!(true))
        }
        Effect::OffList { .. } => (json!(true), json!(false)),
        Effect::Unsubscribed { at, .. } | Effect::CustomerUnsubscribed { at, .. } => (
            json!("subscribed"),
            json!({ "unsubscribed": at.to_string() }),
        ),
        Effect::Properties { changes, .. } => (
            side(changes, |change| &change.from),
            side(changes, |change| &change.to),
        ),
        Effect::Tags { add, remove, .. } => (json!({ "had": remove }), json!({ "has": add })),
        Effect::Metafield { from, to, .. } => (json!(from), json!(to)),
    }
}

fn side(changes: &[PropertyChange], of: fn(&PropertyChange) -> &Option<Value>) -> Json {
    let pairs = changes.iter().map(|change| {
        let value = of(change).as_ref().map_or(Json::Null, Value::to_json);
        (change.key.clone(), value)
    });
    Json::Object(pairs.collect())
}
