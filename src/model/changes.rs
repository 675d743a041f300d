//! The changes of one profile's properties, in as little memory as a plan for millions of them needs.

use super::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One property with its value before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyChange {
    /// The full property name, prefix included.
    pub key: String,
    /// What was read; `None` when it was not set.
    pub from: Option<Value>,
    /// What it should be; `None` unsets it.
    pub to: Option<Value>,
}

/// Some changes, encoded one after another in a single piece of memory.
#[derive(Clone, PartialEq, Default)]
pub struct PropertyChanges(Box<[u8]>);

impl PropertyChanges {
    /// The changes, in the order in which they were collected.
    pub fn iter(&self) -> impl Iterator<Item = PropertyChange> + '_ {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (change, after) =
                postcard::take_from_bytes(rest).expect("whole changes were encoded");
            rest = after;
            Some(change)
        })
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<PropertyChange> for PropertyChanges {
    fn from_iter<I: IntoIterator<Item = PropertyChange>>(changes: I) -> Self {
        let encoded = changes.into_iter().fold(Vec::new(), |encoded, change| {
            postcard::to_extend(&change, encoded).expect("memory takes whatever is written")
        });
        Self(encoded.into_boxed_slice())
    }
}

impl fmt::Debug for PropertyChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_as_they_were() {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            None,
            Some(Value::Bool(true)),
            Some(Value::Int(-3)),
            Some(Value::Float(0.5)),
            Some(text("lapsed")),
            Some(Value::List(vec![Value::Null, text("ü")])),
            Some(Value::Object("{\"a\":1}".to_owned())),
        ];
        let before = values.iter().cycle().skip(1);
        let changes: Vec<PropertyChange> = values
            .iter()
            .zip(before)
            .map(|(to, from)| PropertyChange {
                key: "dl_stage".to_owned(),
                from: from.clone(),
                to: to.clone(),
            })
            .collect();
        let kept: PropertyChanges = changes.iter().cloned().collect();
        assert_eq!(kept.iter().collect::<Vec<_>>(), changes);
        assert!(!kept.is_empty() && PropertyChanges::default().is_empty());
    }
}
