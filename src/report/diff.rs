//! A plan as people read it: who changes how, a few of each kind.

use crate::model::{EffectKind, ListId};
use crate::push::Described;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;

/// So many of each kind are shown; the file has them all.
const SHOWN: usize = 10;

/// A plan's effects, as far as they are shown.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The names of managed lists.
    lists: BTreeMap<String, String>,
    kinds: BTreeMap<EffectKind, Kind>,
}

#[derive(Clone, Debug, Default)]
struct Kind {
    lines: Vec<String>,
    count: usize,
}

impl Diff {
    /// Of nothing yet. `lists` are the managed lists by name.
    pub fn new(lists: BTreeMap<String, ListId>) -> Self {
        let lists = lists.into_iter();
        Self {
            lists: lists.map(|(name, id)| (id.to_string(), name)).collect(),
            kinds: BTreeMap::new(),
        }
    }

    /// Adds one effect.
    pub fn note(&mut self, effect: &Described) {
        let line = self.line(effect);
        let kind = self.kinds.entry(effect.kind).or_default();
        kind.count += 1;
        if kind.lines.len() < SHOWN {
            kind.lines.push(line);
        }
    }

    fn line(&self, effect: &Described) -> String {
        let who = effect.subject.as_deref().unwrap_or_default();
        let target = self.lists.get(&effect.target).unwrap_or(&effect.target);
        change(effect.kind, who, target, (&effect.from, &effect.to))
    }
}

/// One change in a line: who, what, from what to what.
pub fn change(kind: EffectKind, who: &str, target: &str, (from, to): (&Json, &Json)) -> String {
    match kind {
        EffectKind::ListCreate => format!("+ list `{target}`"),
        EffectKind::ListAdd => format!("+ profile {who} on list `{target}`"),
        EffectKind::ListRemove => format!("- profile {who} off list `{target}`"),
        EffectKind::Suppression => format!("- profile {who} suppressed for marketing e-mail"),
        EffectKind::Unsubscription => format!("- profile {who} unsubscribed from marketing e-mail"),
        EffectKind::CustomerUnsubscription => {
            format!("- customer {who} unsubscribed from marketing e-mail")
        }
        EffectKind::Property => format!("~ profile {who}  {}", properties(from, to)),
        EffectKind::Tag => format!("~ customer {who}  {}", tags(from, to)),
        EffectKind::Metafield => format!("~ customer {who}  {target}: {from} -> {to}"),
    }
}

fn properties(from: &Json, to: &Json) -> String {
    let changes = to.as_object().into_iter().flatten();
    let changes = changes.map(|(key, to)| format!("{key}: {} -> {to}", from[key]));
    changes.collect::<Vec<_>>().join(", ")
}

fn tags(from: &Json, to: &Json) -> String {
    let signed = |sign: char, tags: &Json| {
        let tags = tags.as_array().into_iter().flatten();
        let tags = tags.map(|tag| format!("{sign}{tag}"));
        tags.collect::<Vec<_>>()
    };
    let mut all = signed('-', &from["had"]);
    all.extend(signed('+', &to["has"]));
    all.join(" ")
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Kind { lines, count }) in &self.kinds {
            writeln!(f, "  {kind}: {count}")?;
            for line in lines {
                writeln!(f, "    {line}")?;
            }
            if *count > lines.len() {
                writeln!(f, "    ... and {} more", count - lines.len())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn effect(kind: EffectKind, target: &str, from: Json, to: Json) -> Described {
        Described {
            kind,
            subject: Some("P1".to_owned()),
            target: target.to_owned(),
            from,
            to,
            why: String::new(),
        }
    }

    #[test]
    fn every_kind_has_its_words_and_many_are_counted() {
        let mut diff = Diff::new(BTreeMap::from([("VIP".to_owned(), "L1".into())]));
        diff.note(&effect(
            EffectKind::ListAdd,
            "L1",
            json!(false),
            json!(true),
        ));
        let (from, to) = (
            json!({"stage": "new"}),
            json!({"stage": "active", "n": null}),
        );
        diff.note(&effect(EffectKind::Property, "stage,n", from, to));
        let (had, has) = (json!({"had": ["a"]}), json!({"has": ["b"]}));
        diff.note(&effect(EffectKind::Tag, "a", had, has));
        for _ in 0..SHOWN + 2 {
            diff.note(&effect(
                EffectKind::ListRemove,
                "L2",
                json!(true),
                json!(false),
            ));
        }
        let text = diff.to_string();
        let expected = [
            "+ profile P1 on list `VIP`",
            "~ profile P1  n: null -> null, stage: \"new\" -> \"active\"",
            "~ customer P1  -\"a\" +\"b\"",
            "- profile P1 off list `L2`",
            "  list_remove: 12\n",
            "    ... and 2 more\n",
        ];
        for line in expected {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("- profile P1").count(), SHOWN);
    }
}
