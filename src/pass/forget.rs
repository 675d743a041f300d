//! Forgetting a person: everything of them goes, here and, if that is asked for, at Klaviyo, and
//! nothing of them is taken in again.

use super::evaluate::unify;
use super::{PassError, Shop};
use crate::api::WriteGrant;
use crate::journal::{EffectId, Forgetting, JournalError};
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
    /// Everything there is of the people whom somebody means by a profile id, a Shopify customer id, an
    /// e-mail address, a phone number or an external id.
    pub fn belongings(&self, text: &str) -> Result<Belongings, MirrorError> {
        let mut slots = self.slots_named(text)?;
        let people = unify(&self.mirror, &self.config.policy.identity)?;
        for person in people.iter() {
            if person.slots.iter().any(|slot| slots.contains(slot)) {
                slots.extend(person.slots);
            }
        }
        let mut found = Belongings::default();
        for slot in slots {
            self.gather(slot, &mut found)?;
        }
        Ok(found)
    }

    fn slots_named(&self, text: &str) -> Result<BTreeSet<Slot>, MirrorError> {
        let mut slots = BTreeSet::new();
        slots.extend(self.mirror.slot_of_profile(&ProfileId::from(text))?);
        if let Some(id) = CustomerId::parse(text) {
            slots.extend(self.mirror.slot_of_customer(id)?);
        }
        for record in self.mirror.records() {
            let (slot, record) = record?;
            if record.is_named(text) {
                slots.insert(slot);
            }
        }
        Ok(slots)
    }

    fn gather(&self, slot: Slot, found: &mut Belongings) -> Result<(), MirrorError> {
        let email = match self.mirror.record(slot)? {
            Some(Record::Profile(profile)) => profile.email,
            Some(Record::Customer(customer)) => customer.email,
            Some(Record::Guest(email)) => {
                found.guests += 1;
                Some(email)
            }
            Some(Record::Unseen) | None => None,
        };
        found
            .addresses
            .extend(email.map(|email| email.to_lowercase()));
        found.profiles.extend(self.mirror.profile_id(slot)?);
        found.customers.extend(self.mirror.customer_id(slot)?);
        found.events += self.mirror.timeline(slot)?.events.len();
        found.orders += self.mirror.orders(slot)?.len();
        Ok(())
    }

    /// Forgets a person. Once the keys are destroyed, a kill changes nothing: opening the shop goes on.
    ///
    /// With `at_klaviyo` Klaviyo is first asked to delete their profiles, which is for good, too. Killed
    /// or refused in between, the person is still here, and all can be asked for again.
    pub async fn forget(&mut self, who: &Belongings, at_klaviyo: bool) -> Result<(), PassError> {
        let marks = who.marks(self.mirror.vault());
        let profiles = match at_klaviyo {
            true => who.profiles.as_slice(),
            false => &[],
        };
        let forgetting = Forgetting {
            marks: marks.clone(),
            at_klaviyo: profiles.iter().map(ToString::to_string).collect(),
            at: self.clock.now(),
        };
        self.journal.forget(forgetting).map_err(PushError::from)?;
        let grant = WriteGrant::mint();
        for profile in profiles {
            let asked = self.vendors.klaviyo.delete_profile(&grant, profile).await;
            asked.map_err(PushError::from)?;
        }
        self.withdraw(&who.subjects())?;
        let vault = self.mirror.vault();
        let forgotten = vault.forget(&marks, self.clock.now());
        forgotten.map_err(MirrorError::from)?;
        self.mirror.forget()?;
        self.remove_papers()?;
        let ended = self.journal.forgotten(&marks, self.clock.now());
        Ok(ended.map_err(PushError::from)?)
    }

    /// Ends what was begun and not ended, as far as the keys are destroyed; how many are not.
    pub(super) fn end_forgetting(&mut self) -> Result<usize, JournalError> {
        let (vault, now) = (self.mirror.vault().clone(), self.clock.now());
        let begun: BTreeSet<Vec<Mark>> = self
            .journal
            .forgetting()
            .iter()
            .map(|one| one.marks.clone())
            .collect();
        let mut left = 0;
        for marks in begun {
            match marks.iter().all(|mark| vault.forgotten(*mark).is_some()) {
                true => self.journal.forgotten(&marks, now)?,
                false => left += 1,
            }
        }
        Ok(left)
    }

    /// Nobody will ever see what became of these intents.
    fn withdraw(&mut self, subjects: &BTreeSet<String>) -> Result<(), PassError> {
        let open = self.journal.open_intents();
        let theirs = open.filter(|intent| {
            let subject = intent.subject.as_ref();
            subject.is_some_and(|subject| subjects.contains(subject))
        });
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
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(PassError::File { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
