//! People who had themselves erased, here and by both vendors.

use super::others::Touched;
use crate::house::{House, files_with};
use crate::merchant;
use driftless::journal::Entry;
use driftless::model::{CustomerId, Moment};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Default)]
pub struct Erased {
    /// Since when, by the ids of their records.
    since: BTreeMap<String, Moment>,
    addresses: BTreeSet<String>,
}

impl Erased {
    /// Erases somebody, if there is one person of that name.
    pub fn erase(&mut self, house: &mut House, random: &mut Rng) -> Touched {
        let now = house.clock.now();
        let whom = {
            let state = house.world.state();
            random
                .choice(state.klaviyo.profiles.keys())
                .unwrap()
                .clone()
        };
        let meant = house.shop().belongings(&whom).unwrap();
        let [who] = meant.as_slice() else {
            return vec![];
        };
        house.shop().forget(who, false).unwrap();
        let mut profiles: BTreeSet<String> = who.profiles.iter().map(ToString::to_string).collect();
        let mut customers: BTreeSet<u64> = who.customers.iter().map(|id| id.0).collect();
        let state = &mut *house.world.state();
        let known = profiles
            .iter()
            .filter_map(|id| state.klaviyo.profiles.get(id));
        let addresses: BTreeSet<String> = known.filter_map(|one| one.email.clone()).collect();
        // A mirror that is being filled may lack some of them.
        let has_one = |email: &Option<String>| {
            let mut addresses = addresses.iter();
            email
                .as_ref()
                .is_some_and(|email| addresses.any(|one| one.eq_ignore_ascii_case(email)))
        };
        let more = state
            .klaviyo
            .profiles
            .iter()
            .filter(|(_, one)| has_one(&one.email));
        profiles.extend(more.map(|(id, _)| id.clone()));
        let more = state
            .shopify
            .customers
            .iter()
            .filter(|(_, one)| has_one(&one.email));
        customers.extend(more.map(|(number, _)| *number));
        merchant::erase(state, &profiles, &customers, now);
        self.addresses.extend(addresses);
        let gids = customers.iter().map(|number| CustomerId(*number).gid());
        let touched: Touched = profiles.into_iter().chain(gids).collect();
        self.since
            .extend(touched.iter().map(|id| (id.clone(), now)));
        touched
    }

    /// What was intended for somebody after they were forgotten.
    pub fn broken(&self, journal: &[Entry]) -> Option<String> {
        journal.iter().find_map(|entry| {
            let Entry::Intent(intent) = entry else {
                return None;
            };
            let subject = intent.subject.as_ref()?;
            let since = self.since.get(subject)?;
            (intent.at > *since)
                .then(|| format!("{subject} was forgotten at {since}, and then came {intent:?}"))
        })
    }

    /// Files that still hold an address of theirs.
    pub fn traces(&self, state_dir: &Path) -> Vec<String> {
        let addresses: Vec<String> = self.addresses.iter().cloned().collect();
        match addresses.is_empty() {
            true => Vec::new(),
            false => files_with(state_dir, &addresses),
        }
    }
}
