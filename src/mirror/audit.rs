//! Whether the mirror still holds what was put into it: every value sound, every profile and customer
//! under its own id, every counter right.

use super::shelf::Shelf;
use super::slots::{CUSTOMER, PROFILE};
use super::{EventBuffer, Mirror, MirrorError, MirrorTotals, pack};
use crate::model::{Customer, Profile, Slot};
use std::collections::BTreeMap;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Sound values.
    pub values: u64,
    /// What the mirror's counters say.
    pub totals: MirrorTotals,
    /// What is wrong, a line each, never with an id or an address; empty when nothing is.
    pub faults: Vec<String>,
}

impl Mirror {
    /// Checks every value's checksum, and that records, orders and timelines can be read, are found by
    /// their ids and are as many as the counters say. What was derived from them is not recomputed.
    ///
    /// # Errors
    /// When the store cannot be read at all; damage that was found is no error but a fault.
    pub fn audit(&self) -> Result<Audit, MirrorError> {
        let (values, mut faults) = self.audit_values()?;
        let mut totals = MirrorTotals::default();
        // Records on damaged values cannot be counted.
        if faults.is_empty() {
            totals = self.totals()?;
            match self.audit_records(&totals) {
                Ok(found) => faults = found,
                Err(MirrorError::BadValue { shelf }) => {
                    faults.push(format!("{shelf}: a sound value that cannot be understood"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Audit {
            values,
            totals,
            faults,
        })
    }

    /// Every value's checksum and version: how many are sound, and what is wrong with the others.
    fn audit_values(&self) -> Result<(u64, Vec<String>), MirrorError> {
        let mut sound = 0;
        let mut damaged: BTreeMap<&str, u64> = BTreeMap::new();
        for pair in self.store.scan(&[]) {
            match pair {
                Ok(_) => sound += 1,
                Err(MirrorError::BadValue { shelf }) => *damaged.entry(shelf).or_default() += 1,
                Err(error) => return Err(error),
            }
        }
        let lines = damaged.into_iter();
        let lines = lines.map(|(shelf, count)| format!("{shelf}: {count} damaged values"));
        Ok((sound, lines.collect()))
    }

    fn audit_records(&self, totals: &MirrorTotals) -> Result<Vec<String>, MirrorError> {
        let counted = MirrorTotals {
            profiles: count(self.all_sealed::<Profile>())?,
            customers: count(self.all_sealed::<Customer>())?,
            guests: count(self.all_guests())?,
            orders: self.count_orders()?,
            events: self.count_events()?,
            ..*totals
        };
        let pairs = [
            ("profiles", counted.profiles, totals.profiles),
            ("customers", counted.customers, totals.customers),
            ("guests", counted.guests, totals.guests),
            ("orders", counted.orders, totals.orders),
            ("events", counted.events, totals.events),
        ];
        let wrong = pairs.iter().filter(|(_, there, said)| there != said);
        let mut faults: Vec<String> = wrong
            .map(|(what, there, said)| format!("{what}: {there} there, the counter says {said}"))
            .collect();
        match self.wrong_days()?.len() {
            0 => {}
            wrong => faults.push(format!("event counts: {wrong} days of metrics are wrong")),
        }
        for (what, strays) in [
            ("profiles", self.stray_profiles()?),
            ("customers", self.stray_customers()?),
        ] {
            if strays > 0 {
                faults.push(format!(
                    "{what}: {strays} ids lead to another record, or to none"
                ));
            }
        }
        Ok(faults)
    }

    fn count_orders(&self) -> Result<u64, MirrorError> {
        let mut count = 0;
        for id in self.order_ids() {
            count += u64::from(self.order(id?)?.is_some());
        }
        Ok(count)
    }

    fn count_events(&self) -> Result<u64, MirrorError> {
        let mut buffer = EventBuffer::default();
        let (mut count, mut before) = (0, None);
        for piece in self.pieces(Shelf::Timelines, pack::EVERYBODY) {
            let slot = piece?.0;
            // A long timeline comes in several pieces.
            if before.replace(slot) != Some(slot) {
                self.timeline_into(slot, &mut buffer)?;
                count += buffer.events().len() as u64;
            }
        }
        Ok(count)
    }

    fn stray_profiles(&self) -> Result<u64, MirrorError> {
        self.strays(PROFILE, |slot| {
            let id = self.profile_id(slot)?;
            Ok(id.map(|id| id.as_str().as_bytes().to_vec()))
        })
    }

    fn stray_customers(&self) -> Result<u64, MirrorError> {
        self.strays(CUSTOMER, |slot| {
            let id = self.customer_id(slot)?;
            Ok(id.map(|id| id.0.to_be_bytes().to_vec()))
        })
    }

    /// How many ids of a kind do not lead to a record with this id.
    fn strays(
        &self,
        kind: u8,
        id_of: impl Fn(Slot) -> Result<Option<Vec<u8>>, MirrorError>,
    ) -> Result<u64, MirrorError> {
        let mut strays = 0;
        for found in self.slots_by_id(kind) {
            let (id, slot) = found?;
            strays += u64::from(id_of(slot)? != Some(id));
        }
        Ok(strays)
    }
}

fn count<T>(mut all: impl Iterator<Item = Result<T, MirrorError>>) -> Result<u64, MirrorError> {
    all.try_fold(0, |count, one| one.map(|_| count + 1))
}
