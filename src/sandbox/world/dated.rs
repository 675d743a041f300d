//! Records by id that are listed by an instant as well.

use crate::model::Moment;
use std::collections::BTreeMap;
use std::collections::btree_map::{IntoIter, Iter, IterMut};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

/// What has the instant that it is listed by.
pub trait Since {
    /// That instant.
    fn since(&self) -> Moment;
}

/// A map by id. Its order by instant is found when it is asked for first, and again once the map may have
/// changed: a page of a listing by time costs what is on it, however many there are.
#[derive(Clone, Debug)]
pub struct Dated<V> {
    records: BTreeMap<String, V>,
    order: OnceLock<Vec<(Moment, String)>>,
}

impl<V: Since> Dated<V> {
    /// All ids with their instants, by instant, then id.
    pub(in crate::sandbox) fn order(&self) -> &[(Moment, String)] {
        self.order.get_or_init(|| {
            let records = self.records.iter();
            let mut order: Vec<_> = records.map(|(id, one)| (one.since(), id.clone())).collect();
            order.sort_unstable();
            order
        })
    }
}

impl<V> Deref for Dated<V> {
    type Target = BTreeMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl<V> DerefMut for Dated<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.order.take();
        &mut self.records
    }
}

impl<V> Default for Dated<V> {
    fn default() -> Self {
        BTreeMap::default().into()
    }
}

impl<V> From<BTreeMap<String, V>> for Dated<V> {
    fn from(records: BTreeMap<String, V>) -> Self {
        let order = OnceLock::new();
        Self { records, order }
    }
}

impl<V> FromIterator<(String, V)> for Dated<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(records: I) -> Self {
        BTreeMap::from_iter(records).into()
    }
}

impl<V> IntoIterator for Dated<V> {
    type Item = (String, V);
    type IntoIter = IntoIter<String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Dated<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = Iter<'a, String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}

impl<'a, V> IntoIterator for &'a mut Dated<V> {
    type Item = (&'a String, &'a mut V);
    type IntoIter = IterMut<'a, String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_follows_whatever_changes_in_the_map() {
        let joined = [("b", 1), ("a", 2), ("c", 1)];
        let joined = joined.map(|(id, at)| (id.to_owned(), Moment(at)));
        let mut members = Dated::from_iter(joined);
        let order = |members: &Dated<Moment>| {
            let ids = members.order().iter().map(|(_, id)| id.as_str());
            ids.collect::<String>()
        };
        assert_eq!(order(&members), "bca");
        members.insert("d".to_owned(), Moment(0));
        assert_eq!(order(&members), "dbca");
        if let Some(at) = members.get_mut("b") {
            *at = Moment(3);
        }
        members.remove("c");
        assert_eq!(order(&members), "dab");
        for (_, at) in &mut members {
            *at = Moment(0);
        }
        assert_eq!(order(&members), "abd");
    }
}
