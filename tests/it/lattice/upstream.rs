//! Both platforms' consent, and what each effect would do to it: nothing of the planner's is used.

use driftless::model::{Effect, Slot};
use driftless::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Properties that a form or an import gives a consent with.
const SUBSCRIBING: [&str; 3] = ["consent", "Accepts Marketing", "email_consent"];

/// What somebody agreed to; less is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreed {
    No,
    Unasked,
    Yes,
}

/// A Klaviyo profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Mailbox {
    pub email: Option<&'static str>,
    pub consent: Agreed,
    /// Since when, where the record says so.
    pub since: Option<i64>,
    /// A bounce, a complaint, an unsubscription, or somebody's decision.
    pub suppressed: bool,
}

/// A Shopify customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Buyer {
    pub email: Option<&'static str>,
    pub consent: Agreed,
    /// Since when, where the record says so.
    pub since: Option<i64>,
    pub tags: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upstream {
    pub mailboxes: BTreeMap<u32, Mailbox>,
    pub buyers: BTreeMap<u32, Buyer>,
    /// Members of the managed lists; `None` where there is no such list.
    pub lists: Vec<Option<BTreeSet<u32>>>,
}

impl Upstream {
    /// Carries out an effect as the vendors would; an error if it reaches for what it must not.
    pub fn carry_out(&mut self, effect: &Effect, policy: &Policy) -> Result<(), String> {
        let refused = || Err(format!("{effect:?} is of nobody there"));
        match effect {
            Effect::ListExists { list } => {
                self.lists[*list].get_or_insert_default();
            }
            Effect::OnList { list, who } => {
                if !self.mailboxes.contains_key(&who.0) {
                    return refused();
                }
                let Some(members) = &mut self.lists[*list] else {
                    return Err(format!("{effect:?} joins no list"));
                };
                members.insert(who.0);
            }
            Effect::OffList { list, who } => {
                if let Some(members) = &mut self.lists[*list] {
                    members.remove(&who.0);
                }
            }
            Effect::Properties { who, changes } => {
                let Some(mailbox) = self.mailboxes.get_mut(&who.0) else {
                    return refused();
                };
                for change in changes {
                    if SUBSCRIBING.contains(&change.key.as_str()) || change.key.starts_with('$') {
                        mailbox.consent = Agreed::Yes;
                    }
                    if !change.key.starts_with(&policy.properties.prefix) {
                        return Err(format!("{effect:?} writes what is not ours"));
                    }
                }
            }
            Effect::Suppressed { who } => {
                self.mailboxes_of(*who)?
                    .for_each(|mailbox| mailbox.suppressed = true);
            }
            Effect::Unsubscribed { who, .. } => {
                for mailbox in self.mailboxes_of(*who)? {
                    mailbox.consent = Agreed::No;
                    mailbox.suppressed = true;
                }
            }
            Effect::CustomerUnsubscribed { who, .. } => {
                let Some(buyer) = self.buyers.get_mut(&who.0) else {
                    return refused();
                };
                buyer.consent = Agreed::No;
            }
            Effect::Tags { who, add, remove } => {
                let Some(buyer) = self.buyers.get_mut(&who.0) else {
                    return refused();
                };
                let ours = |tag: &String| tag.to_lowercase().starts_with(&policy.tags.prefix);
                if !add.iter().chain(remove).all(ours) {
                    return Err(format!("{effect:?} touches a tag that is not ours"));
                }
                buyer.tags.retain(|tag| !remove.contains(tag));
                buyer.tags.extend(add.iter().cloned());
            }
            Effect::Metafield { who, .. } => {
                if !self.buyers.contains_key(&who.0) {
                    return refused();
                }
            }
        }
        Ok(())
    }

    /// Klaviyo suppresses and unsubscribes an address, whoever has it.
    fn mailboxes_of(&mut self, who: Slot) -> Result<impl Iterator<Item = &mut Mailbox>, String> {
        let address = self.mailboxes.get(&who.0).and_then(|known| known.email);
        let Some(address) = address else {
            return Err(format!("{who:?} is meant without an address"));
        };
        let mailboxes = self.mailboxes.values_mut();
        Ok(mailboxes.filter(move |known| known.email == Some(address)))
    }

    /// Whether marketing mail arrives there.
    pub fn reaches(&self, who: u32) -> bool {
        let mailbox = self.mailboxes.get(&who);
        mailbox.is_some_and(|known| known.email.is_some() && !known.suppressed)
    }

    /// Every consent that is higher than it was, and every no that was lost.
    pub fn raised_since(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (who, was) in &before.mailboxes {
            let is = &self.mailboxes[who];
            if is.consent > was.consent || (was.suppressed && !is.suppressed) {
                found.push(format!("{who}: {was:?} became {is:?}"));
            }
        }
        for (who, was) in &before.buyers {
            let is = &self.buyers[who];
            if is.consent > was.consent {
                found.push(format!("{who}: {was:?} became {is:?}"));
            }
        }
        let made = self.mailboxes.keys();
        let made = made.filter(|who| !before.mailboxes.contains_key(who));
        found.extend(made.map(|who| format!("{who} was made anew")));
        found
    }
}
