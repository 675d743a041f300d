//! What must be true of the world and the journal together, whatever ended in between.
//!
//! The numbers are those of the promise (reliability.md, section 5). Nothing of the product is called
//! here but its nouns, so that no mistake of it can hide: the vendors' own history of writes on one
//! side, the journal's records as a person reads them on the other.

mod deeds;
mod rest;
#[cfg(test)]
mod tests;

pub use deeds::{Deed, deeds_of, written};
pub use rest::{Rest, at_rest};

use deeds::Wish;
use driftless::journal::{self, Entry};
use driftless::model::{CustomerId, End, Moment};
use driftless::sandbox::world::{Customer, JobKind, Profile, State, Suppression};
use driftless::vault::Vault;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// One promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// 1: no write without an earlier intent of its own.
    Intended,
    /// 2: what was confirmed stays so; only a change by others makes a new intent.
    Lasting,
    /// 3: upstream has the last value that was confirmed.
    LastWord,
    /// 4: nothing that cannot be undone.
    Undoable,
    /// 5: a mirror that was filled through crashes holds what an undisturbed one does.
    SameMirror,
    /// 8: a tripped guard writes nothing at all.
    Guarded,
    /// 11: nobody is subscribed, brought back to life or made anew.
    ConsentKept,
    /// 12: every intent ends once.
    OneEnd,
    /// 14: once the faults are over the plan is soon empty.
    Settled,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub broken: Invariant,
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.broken, self.how)
    }
}

fn violation(broken: Invariant, how: impl Into<String>) -> Violation {
    let how = how.into();
    Violation { broken, how }
}

/// What can be looked at in any moment, also right after a crash.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// Both vendors, and every write that they accepted.
    pub world: &'a State,
    /// Every record, in order.
    pub journal: &'a [Entry],
    /// Whether answers were lost on the way, so that a request may have been sent more than once.
    pub resent: bool,
    /// Method and path of whatever was asked.
    pub asked: &'a BTreeSet<(String, String)>,
    /// Consents as they would be without us.
    pub consents: &'a BTreeMap<String, Consents>,
    /// When others changed a record that we write to, too, by its id.
    pub others: &'a [(Moment, String)],
    /// Stretches of the history in which a guard had stopped the plan.
    pub stopped: &'a [Range<usize>],
}

/// What one profile or customer agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consents {
    channels: [&'static str; 4],
    suppressions: Vec<Suppression>,
}

impl From<&Profile> for Consents {
    fn from(profile: &Profile) -> Self {
        let channels = [&profile.sms, &profile.push, &profile.whatsapp];
        let [sms, push, whatsapp] = channels.map(|channel| channel.consent);
        Self {
            channels: [profile.consent, sms, push, whatsapp],
            suppressions: profile.suppressions.clone(),
        }
    }
}

impl From<&Customer> for Consents {
    fn from(customer: &Customer) -> Self {
        let never = "NEVER_SUBSCRIBED";
        Self {
            channels: [customer.email_state, never, never, never],
            suppressions: Vec::new(),
        }
    }
}

/// The consents of everybody.
pub fn consents(world: &State) -> BTreeMap<String, Consents> {
    let profiles = world.klaviyo.profiles.iter();
    let profiles = profiles.map(|(id, profile)| (id.clone(), profile.into()));
    let customers = world.shopify.customers.iter();
    let customers = customers.map(|(number, customer)| (gid(*number), customer.into()));
    profiles.chain(customers).collect()
}

fn gid(number: u64) -> String {
    CustomerId(number).gid()
}

/// The records of a shop's journal, which may be written to meanwhile; none before there is one.
pub fn entries(state_dir: &Path) -> Vec<Entry> {
    let dir = state_dir.join("journal");
    if !dir.exists() {
        return Vec::new();
    }
    let vault = Vault::open(state_dir, None).unwrap();
    let mut entries = Vec::new();
    let each = |entry| {
        entries.push(entry);
        Ok(())
    };
    journal::read(&dir, &vault, each).unwrap();
    entries
}

/// What is wrong in any moment, or with the rest that was come to; `None` when all is well.
pub fn broken(evidence: &Evidence<'_>, rest: Option<&Rest<'_>>) -> Option<String> {
    let broken = match rest {
        None => always(evidence),
        Some(rest) => at_rest(evidence, rest),
    };
    let broken: Vec<String> = broken.iter().map(Violation::to_string).collect();
    (!broken.is_empty()).then(|| broken.join("\n"))
}

/// Every promise that is kept at any time, and was not.
pub fn always(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = intended(evidence);
    found.extend(lasting(evidence));
    found.extend(undoable(evidence));
    found.extend(guarded(evidence));
    found.extend(consent_kept(evidence));
    found.extend(no_second_end(evidence.journal));
    found
}

/// Each write has an intent of its own before it: the second of a kind needs a second. Where answers
/// were lost, an intent may have been sent again, but only until its end was known.
fn intended(evidence: &Evidence<'_>) -> Vec<Violation> {
    let intents = spans(evidence.journal);
    let closed = closed(evidence.journal);
    let mut found = Vec::new();
    let mut writes: BTreeMap<Deed, usize> = BTreeMap::new();
    for write in &evidence.world.history {
        let deeds = written(write, evidence.world).into_iter();
        for deed in deeds.filter(|deed| !closed.contains(deed.subject.as_str())) {
            let nth = writes.entry(deed.clone()).or_default();
            let begun = |(from, _): &(Moment, Moment)| *from <= write.at;
            let mut intents = intents.get(&deed).into_iter().flatten();
            let has_own = match evidence.resent {
                true => intents.any(|span| begun(span) && write.at <= span.1),
                false => intents.nth(*nth).is_some_and(begun),
            };
            *nth += 1;
            if !has_own {
                let how = format!("no intent before write {nth} at {}: {deed:?}", write.at);
                found.push(violation(Invariant::Intended, how));
            }
        }
    }
    found
}

/// Whoever was forgotten since something was wanted of them: what it was cannot be read any more.
fn closed(journal: &[Entry]) -> BTreeSet<&str> {
    let intents = journal.iter().filter_map(|entry| match entry {
        Entry::Intent(intent) if intent.is_closed() => intent.subject.as_deref(),
        _ => None,
    });
    intents.collect()
}

/// From when to when each thing was intended, in order.
fn spans(journal: &[Entry]) -> BTreeMap<Deed, Vec<(Moment, Moment)>> {
    let ends = journal.iter().filter_map(|entry| match entry {
        Entry::Outcome(end) => Some((end.effect.to_string(), end.at)),
        _ => None,
    });
    let ends: BTreeMap<String, Moment> = ends.collect();
    let mut spans: BTreeMap<Deed, Vec<(Moment, Moment)>> = BTreeMap::new();
    for entry in journal {
        if let Entry::Intent(intent) = entry {
            let end = ends.get(&intent.id.to_string()).copied();
            let span = (intent.at, end.unwrap_or(Moment(i64::MAX)));
            for deed in deeds_of(intent) {
                spans.entry(deed).or_default().push(span);
            }
        }
    }
    spans
}

/// An intent that repeats a confirmed one needs somebody else who undid it.
fn lasting(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (place, wishes) in wishes(evidence.journal) {
        for pair in wishes.windows(2) {
            let [before, again] = pair else { continue };
            let Some(confirmed) = before.confirmed else {
                continue;
            };
            let undone = evidence
                .others
                .iter()
                .any(|(at, who)| *who == place.0 && (before.at..=again.at).contains(at));
            if before.to == again.to && !undone {
                let how = format!(
                    "{place:?} was confirmed at {confirmed} and wanted anew at {}",
                    again.at
                );
                found.push(violation(Invariant::Lasting, how));
            }
        }
    }
    found
}

/// Only what a plan may hold was written, and only there was anything posted to.
fn undoable(evidence: &Evidence<'_>) -> Vec<Violation> {
    let history = evidence.world.history.iter();
    let foreign = history.filter(|write| !deeds::KINDS.contains(&write.kind));
    let foreign = foreign.map(|write| format!("a write `{}` at {}", write.kind, write.at));
    let asked = evidence.asked.iter();
    let closed = asked.filter(|(method, path)| method != "GET" && !deeds::is_open(method, path));
    let closed = closed.map(|(method, path)| format!("{method} {path}"));
    let how = foreign.chain(closed);
    how.map(|how| violation(Invariant::Undoable, how)).collect()
}

fn guarded(evidence: &Evidence<'_>) -> Vec<Violation> {
    let is_stopped = |at: usize| evidence.stopped.iter().any(|stretch| stretch.contains(&at));
    let history = evidence.world.history.iter().enumerate();
    let written = history.filter(|(at, _)| is_stopped(*at));
    let how = written.map(|(_, write)| format!("`{}` at {}", write.kind, write.at));
    how.map(|how| violation(Invariant::Guarded, how)).collect()
}

/// No consent was moved but by an unsubscription, no suppression lifted, nobody created, and no import
/// tried to.
fn consent_kept(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut breach = |how| found.push(violation(Invariant::ConsentKept, how));
    for (id, profile) in &evidence.world.klaviyo.profiles {
        let Some(before) = evidence.consents.get(id) else {
            breach(format!("{id} was made by an import"));
            continue;
        };
        let now = Consents::from(profile);
        let email = profile.email.as_ref();
        let withdrawn = email.is_some_and(|email| was_written(evidence, "unsubscribe", email));
        if let Some(how) = moved(id, before, &now, withdrawn) {
            breach(how);
        }
        let mut lost = before.suppressions.iter();
        if lost.any(|known| !now.suppressions.contains(known)) {
            breach(format!("a suppression of {id} was lifted"));
        }
    }
    for (number, customer) in &evidence.world.shopify.customers {
        let id = gid(*number);
        let withdrawn = was_written(evidence, "customerEmailMarketingConsentUpdate", &id);
        // Shoppers make customers.
        let before = evidence.consents.get(&id);
        if let Some(how) = before.and_then(|was| moved(&id, was, &customer.into(), withdrawn)) {
            breach(how);
        }
    }
    for (id, job) in &evidence.world.klaviyo.jobs {
        let subscribes = |row: &serde_json::Value| {
            row["id"].is_null() || row["attributes"]["subscriptions"].is_object()
        };
        let reaches = !job.lists.is_empty() || job.rows.iter().any(subscribes);
        if job.kind == JobKind::Import && reaches {
            breach(format!(
                "import {id} names no profile, or more than properties"
            ));
        }
    }
    found
}

fn was_written(evidence: &Evidence<'_>, kind: &str, subject: &String) -> bool {
    let mut history = evidence.world.history.iter();
    history.any(|write| write.kind == kind && write.subjects.contains(subject))
}

/// How consents changed, unless all that happened is that the one to e-mail was withdrawn by us.
fn moved(id: &str, before: &Consents, now: &Consents, withdrawn: bool) -> Option<String> {
    let (was, is) = (before.channels, now.channels);
    let by_us = withdrawn && is[0] == "UNSUBSCRIBED" && is[1..] == was[1..];
    let how = format!("the consents of {id} went from {was:?} to {is:?}");
    (was != is && !by_us).then_some(how)
}

/// No intent ends twice, and nothing ends that was not intended.
fn no_second_end(journal: &[Entry]) -> Vec<Violation> {
    let ends = ends(journal).into_iter();
    let wrong = ends.filter(|(_, (intents, ends))| *intents != 1 || *ends > 1);
    wrong
        .map(|(id, (intents, ends))| {
            let how = format!("{id} has {intents} intents and {ends} ends");
            violation(Invariant::OneEnd, how)
        })
        .collect()
}

/// How many intents and ends each effect has, by its id.
fn ends(journal: &[Entry]) -> BTreeMap<String, (u32, u32)> {
    let mut found: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for entry in journal {
        match entry {
            Entry::Intent(intent) => found.entry(intent.id.to_string()).or_default().0 += 1,
            Entry::Outcome(end) => found.entry(end.effect.to_string()).or_default().1 += 1,
            _ => {}
        }
    }
    found
}

/// What was wanted of each place upstream, in order.
fn wishes(journal: &[Entry]) -> BTreeMap<deeds::Place, Vec<Wish>> {
    let mut confirmed = BTreeMap::new();
    for entry in journal {
        if let Entry::Outcome(end) = entry
            && end.end == End::Confirmed
        {
            confirmed.insert(end.effect.to_string(), end.at);
        }
    }
    let mut found: BTreeMap<deeds::Place, Vec<Wish>> = BTreeMap::new();
    for entry in journal {
        let Entry::Intent(intent) = entry else {
            continue;
        };
        for (place, to) in deeds::wanted(intent) {
            let (at, confirmed) = (intent.at, confirmed.get(&intent.id.to_string()).copied());
            found
                .entry(place)
                .or_default()
                .push(Wish { at, to, confirmed });
        }
    }
    found
}
