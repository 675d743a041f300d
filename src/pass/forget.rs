//! Forgetting a person: everything of them goes, here and, if that is asked for, at Klaviyo, and
//! nothing of them is taken in again.

use super::evaluate::unify;
use super::{PassError, Shop, unblocked};
use crate::api::WriteGrant;
use crate::journal::{EffectId, Forgetting, Intent};
use crate::mirror::MirrorError;
use crate::model::{CustomerId, End, ProfileId, Record, Slot};
use crate::push::PushError;
use crate::vault::{Mark, Subject, Vault};
use std::collections::BTreeSet;
use std::io::ErrorKind;

/// What a shop holds of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Klaviyo profiles.
    pub profiles: Vec<ProfileId>,
    /// Shopify customers.
    pub customers: Vec<CustomerId>,
    /// Addresses that bought as guests.
    pub guests: usize,
    /// Events of all profiles.
    pub events: usize,
    /// Orders of all customers and guests. They stay, as nobody's.
    pub orders: usize,
    /// Of all records, in lower case.
    addresses: BTreeSet<String>,
}

impl Belongings {
    /// Profiles, customers and guests.
    pub fn records(&self) -> usize {
        self.profiles.len() + self.customers.len() + self.guests
    }

    fn marks(&self, vault: &Vault) -> Vec<Mark> {
        let profiles = self.profiles.iter().map(Subject::Profile);
        let customers = self.customers.iter().map(|id| Subject::Customer(*id));
        let addresses = self.addresses.iter().map(|email| Subject::Address(email));
        let subjects = profiles.chain(customers).chain(addresses);
        subjects.map(|subject| vault.mark(subject)).collect()
    }

    /// As intents name them.
    fn subjects(&self) -> BTreeSet<String> {
        let profiles = self.profiles.iter().map(ToString::to_string);
        let customers = self.customers.iter().map(|id| id.gid());
        profiles.chain(customers).collect()
    }
}

impl Shop {
    /// Everything there is of each of the people whom somebody may mean by a profile id, a Shopify customer
    /// id, an e-mail address, a phone number or an external id.
    pub fn belongings(&self, text: &str) -> Result<Vec<Belongings>, MirrorError> {
        let mut named = self.slots_named(|record| record.is_named(text))?;
        named.extend(self.mirror.slot_of_profile(&ProfileId::from(text))?);
        if let Some(id) = CustomerId::parse(text) {
            named.extend(self.mirror.slot_of_customer(id)?);
        }
        self.people_of(named)
    }

    /// Everything there is of each of the people to whom these records belong.
    pub(super) fn people_of(
        &self,
        mut named: BTreeSet<Slot>,
    ) -> Result<Vec<Belongings>, MirrorError> {
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let people = unify(&self.mirror, &self.config.policy.identity)?;
        let mut meant: Vec<BTreeSet<Slot>> = Vec::new();
        for person in people.iter() {
            if person.slots.iter().any(|slot| named.contains(slot)) {
                meant.push(person.slots.into_iter().collect());
            }
        }
        // Who was only named, by a list or an event, is nobody's record yet.
        named.retain(|slot| !meant.iter().any(|slots| slots.contains(slot)));
        meant.extend(named.into_iter().map(|slot| [slot].into()));
        meant
            .into_iter()
            .map(|slots| self.gathered(slots))
            .collect()
    }

    pub(super) fn slots_named(
        &self,
        is_meant: impl Fn(&Record) -> bool,
    ) -> Result<BTreeSet<Slot>, MirrorError> {
        let mut slots = BTreeSet::new();
        for record in self.mirror.records().chain(self.mirror.gone_records()) {
            let (slot, record) = record?;
            if is_meant(&record) {
                slots.insert(slot);
            }
        }
        Ok(slots)
    }

    /// What belongs to a person, and whatever else has one of their addresses: nothing with these will be
    /// taken in again.
    pub(super) fn gathered(&self, mut slots: BTreeSet<Slot>) -> Result<Belongings, MirrorError> {
        let mut addresses = BTreeSet::new();
        for slot in &slots {
            let record = match self.mirror.record(*slot)? {
                None => self.mirror.gone_record(*slot)?,
                record => record,
            };
            let email = record.as_ref().and_then(Record::email);
            addresses.extend(email.map(str::to_lowercase));
        }
        let has_one = |record: &Record| {
            let email = record.email().map(str::to_lowercase);
            email.is_some_and(|email| addresses.contains(&email))
        };
        slots.extend(self.slots_named(has_one)?);
        let mut found = Belongings::default();
        for slot in slots {
            let is_guest = matches!(self.mirror.record(slot)?, Some(Record::Guest(_)));
            found.guests += usize::from(is_guest);
            found.profiles.extend(self.mirror.profile_id(slot)?);
            found.customers.extend(self.mirror.customer_id(slot)?);
            found.events += self.mirror.timeline(slot)?.events.len();
            found.orders += self.mirror.orders(slot)?.len();
        }
        found.addresses = addresses;
        Ok(found)
    }

    /// Whether somebody was forgotten whom these words may mean.
    pub fn was_forgotten(&self, text: &str) -> bool {
        let (vault, address) = (self.mirror.vault(), text.to_lowercase());
        let customer = CustomerId::parse(text).map(Subject::Customer);
        let profile = ProfileId::from(text);
        let subjects = [Subject::Profile(&profile), Subject::Address(&address)];
        let mut subjects = subjects.into_iter().chain(customer);
        subjects.any(|subject| vault.is_forgotten(subject))
    }

    /// Forgets a person here; with `at_klaviyo` Klaviyo is to delete their profiles, which is for good, too
    /// ([`Shop::forget_at_klaviyo`]). Once it is journaled it will be done: opening the shop and every pass go
    /// on where a kill, or Klaviyo's refusal, left it.
    pub fn forget(&mut self, who: &Belongings, at_klaviyo: bool) -> Result<(), PassError> {
        self.forget_all(std::slice::from_ref(who), &[], at_klaviyo)
    }

    /// Forgets people, and whoever has one of these marks. What was asked before is not asked again.
    pub(super) fn forget_all(
        &mut self,
        people: &[Belongings],
        more: &[Mark],
        at_klaviyo: bool,
    ) -> Result<(), PassError> {
        let vault = self.mirror.vault();
        let marks = people.iter().flat_map(|who| who.marks(vault));
        let marks: BTreeSet<Mark> = marks.chain(more.iter().copied()).collect();
        let known: BTreeSet<Mark> = self.journal.all_forgotten().collect();
        if !marks.is_subset(&known) || at_klaviyo {
            let profiles = people.iter().flat_map(|who| &who.profiles);
            let profiles = profiles.filter(|_| at_klaviyo);
            let forgetting = Forgetting {
                marks: marks.into_iter().collect(),
                at_klaviyo: profiles.map(ToString::to_string).collect(),
                at: self.clock.now(),
            };
            self.journal.forget(forgetting).map_err(PushError::from)?;
        }
        let subjects: BTreeSet<String> = people.iter().flat_map(Belongings::subjects).collect();
        unblocked(|| {
            self.withdraw(|intent| {
                let subject = intent.subject.as_ref();
                subject.is_some_and(|subject| subjects.contains(subject))
            })?;
            self.go_on_forgetting()
        })
    }

    /// Does here whatever the journal says was to be forgotten and is not: after a kill, or with an older
    /// copy of vault or mirror.
    pub(super) fn go_on_forgetting(&mut self) -> Result<(), PassError> {
        let vault = self.mirror.vault().clone();
        let all = self.journal.all_forgotten();
        let left: Vec<Mark> = all.filter(|mark| !vault.is_gone(*mark)).collect();
        if !left.is_empty() {
            let forgotten = vault.forget(&left, self.clock.now());
            forgotten.map_err(MirrorError::from)?;
        }
        self.mirror.forget()?;
        if self.journal.forgetting().is_empty() {
            return Ok(());
        }
        self.withdraw(Intent::is_closed)?;
        self.remove_papers()?;
        self.end_forgetting(|one| one.at_klaviyo.is_empty())
    }

    /// Asks Klaviyo for the deletions that it has not accepted yet.
    pub async fn forget_at_klaviyo(&mut self) -> Result<(), PassError> {
        let grant = WriteGrant::mint();
        for Forgetting {
            marks, at_klaviyo, ..
        } in self.journal.forgetting().to_vec()
        {
            for profile in at_klaviyo {
                let profile = ProfileId::from(profile.as_str());
                let asked = self.vendors.klaviyo.delete_profile(&grant, &profile).await;
                asked.map_err(PushError::from)?;
            }
            self.end_forgetting(|one| one.marks == marks)?;
        }
        Ok(())
    }

    fn end_forgetting(&mut self, is_done: impl Fn(&Forgetting) -> bool) -> Result<(), PassError> {
        let done = self.journal.forgetting().iter().filter(|one| is_done(one));
        let done: BTreeSet<Vec<Mark>> = done.map(|one| one.marks.clone()).collect();
        for marks in done {
            let ended = self.journal.forgotten(&marks, self.clock.now());
            ended.map_err(PushError::from)?;
        }
        Ok(())
    }

    /// Nobody will ever see what became of these intents.
    fn withdraw(&mut self, is_theirs: impl Fn(&Intent) -> bool) -> Result<(), PassError> {
        let theirs = self
            .journal
            .open_intents()
            .filter(|intent| is_theirs(intent));
        let code = || Some("forgotten".to_owned());
        let ends: Vec<(EffectId, End, Option<String>)> = theirs
            .map(|intent| (intent.id, End::Withdrawn, code()))
            .collect();
        let ended = self.journal.conclude(&ends, self.clock.now());
        Ok(ended.map_err(PushError::from)?)
    }

    /// Plan, findings and disagreements name people; the next pass writes new ones.
    fn remove_papers(&self) -> Result<(), PassError> {
        for path in [self.plan_path(), self.findings_path(), self.parity_path()] {
            for path in [path.with_extension("new"), path] {
                match std::fs::remove_file(&path) {
                    Err(source) if source.kind() != ErrorKind::NotFound => {
                        return Err(PassError::File { path, source });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
