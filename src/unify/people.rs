//! Records that describe the same human, united.

use super::clusters::{Clusters, CustomerNumber};
use super::{Keys, Kind};
use crate::model::{Code, Evidence, Finding, Person, PersonId, Slot, Subject};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Every person of a shop, twelve bytes per record and four per person.
#[derive(Debug, Default)]
pub struct People {
    /// All slots, grouped by person, ascending within; persons ascend by id.
    slots: Vec<Slot>,
    /// Where each person's slots begin.
    starts: Vec<u32>,
    /// Whose each slot is, ascending by slot.
    owners: Vec<(Slot, PersonId)>,
    findings: Vec<Finding>,
}

impl People {
    /// Unites records that share a key and do not contradict each other. The result does not depend
    /// on the order of the keys; a slot given twice counts once.
    pub fn unite(keys: impl IntoIterator<Item = Keys>) -> Self {
        let evidence = Evidences::collect(keys);
        let mut union = Union::new(&evidence.records);
        union.by_key(evidence.customers);
        union.by_key(evidence.emails);
        union.by_phone(evidence.phones);
        union.into_people(&evidence.records)
    }

    /// The person that a record describes; `None` for records not seen by [`People::unite`] and for
    /// the stand-in of ownerless orders.
    pub fn person_of(&self, slot: Slot) -> Option<PersonId> {
        let at = self.owners.binary_search_by_key(&slot, |(slot, _)| *slot);
        self.owners.get(at.ok()?).map(|(_, person)| *person)
    }

    /// Every person, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = Person> + '_ {
        let ends = self.starts.iter().skip(1).map(|start| *start as usize);
        let ends = ends.chain([self.slots.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| {
            let slots = self.slots[*start as usize..end].to_vec();
            Person {
                id: PersonId(slots[0].0),
                slots,
            }
        })
    }

    /// How many persons there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// What uniting came across: [`Code::IdentityConflict`], once per pair of persons that were kept
    /// apart though they share a key, and [`Code::DuplicateProfiles`]; ascending by subject.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// What a person is made of, apart from the keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    slot: Slot,
    kind: Kind,
    has_email: bool,
    customer: Option<CustomerNumber>,
}

/// A key of 64 bits in halves, as millions of them would else be padded by a third.
type Halves = [u32; 2];

/// Keys as sorted lists of (key, index of the record). E-mail addresses and phone numbers are
/// hashed to 64 bits: among three million keys two different ones meet with odds of 1 in 4 million.
struct Evidences {
    records: Vec<Row>,
    customers: Vec<(Halves, u32)>,
    emails: Vec<(Halves, u32)>,
    phones: Vec<(Halves, u32)>,
}

impl Evidences {
    fn collect(keys: impl IntoIterator<Item = Keys>) -> Self {
        let mut all = Self {
            records: Vec::new(),
            customers: Vec::new(),
            emails: Vec::new(),
            phones: Vec::new(),
        };
        for keys in keys {
            all.add(&keys);
        }
        all.records.sort_unstable();
        all.records.dedup_by_key(|row| row.slot);
        let records = &all.records;
        for list in [&mut all.customers, &mut all.emails, &mut all.phones] {
            for (_, slot) in list.iter_mut() {
                let at = records.binary_search_by_key(&Slot(*slot), |row| row.slot);
                let index = at.expect("every key was added together with its record");
                *slot = u32::try_from(index).expect("there are no more records than slots");
            }
        }
        all.number_customers();
        all
    }

    /// Numbers the customers that records claim to be, once keys tell of records by index. A profile that
    /// claims to be a customer nobody has seen gets none and contradicts no other: its external id may be
    /// of another system. Profiles with the same claim are still the same human.
    fn number_customers(&mut self) {
        self.customers.sort_unstable();
        let alike = self.customers.chunk_by(|a, b| a.0 == b.0);
        for (number, alike) in (1..).zip(alike) {
            let kind = |index: &u32| self.records[*index as usize].kind;
            let is_known = alike.iter().any(|(_, index)| kind(index) == Kind::Customer);
            for (_, index) in alike {
                let row = &mut self.records[*index as usize];
                if is_known || row.kind != Kind::Profile {
                    row.customer = row.customer.or(CustomerNumber::new(number));
                }
            }
        }
    }

    fn add(&mut self, keys: &Keys) {
        if keys.kind == Kind::Ownerless {
            return;
        }
        self.records.push(Row {
            slot: keys.slot,
            kind: keys.kind,
            has_email: keys.email.is_some(),
            customer: None,
        });
        let slot = keys.slot.0;
        let hashed = |key: &Option<String>| key.as_deref().map(|key| (halves(hash(key)), slot));
        let customer = keys.customer.map(|id| (halves(id.0), slot));
        self.customers.extend(customer);
        self.emails.extend(hashed(&keys.email));
        self.phones.extend(hashed(&keys.phone));
    }
}

fn halves(key: u64) -> Halves {
    [(key >> 32) as u32, key as u32]
}

/// The first eight bytes of SHA-256.
fn hash(key: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The work in progress: clusters of record indexes, and the pairs that were refused.
struct Union {
    clusters: Clusters,
    refused: Vec<(u32, u32)>,
}

impl Union {
    fn new(records: &[Row]) -> Self {
        let rows = records.iter();
        Self {
            clusters: Clusters::alone(rows.map(|row| (row.customer, row.has_email))),
            refused: Vec::new(),
        }
    }

    fn by_key(&mut self, mut list: Vec<(Halves, u32)>) {
        list.sort_unstable();
        for group in list.chunk_by(|a, b| a.0 == b.0) {
            self.gather(group);
        }
    }

    /// A phone unites only those whom e-mail does not tell apart. Where it would bring two of them
    /// together it belongs to a household and says nothing about anybody.
    fn by_phone(&mut self, mut list: Vec<(Halves, u32)>) {
        list.sort_unstable();
        for group in list.chunk_by(|a, b| a.0 == b.0) {
            let roots = group.iter().map(|(_, index)| self.clusters.root(*index));
            let mut told_apart: Vec<u32> = roots
                .filter(|root| self.clusters.traits(*root).has_email)
                .collect();
            told_apart.sort_unstable();
            told_apart.dedup();
            if told_apart.len() < 2 {
                self.gather(group);
            }
        }
    }

    /// Unites the records of a group, in order, each with the first it does not contradict.
    fn gather(&mut self, group: &[(Halves, u32)]) {
        let mut heads: Vec<u32> = Vec::new();
        for (_, index) in group {
            let joins = |head: &u32| self.clusters.unite(*head, *index).is_ok();
            if heads.iter().any(joins) {
                continue;
            }
            // One line to the first tells of the contradiction; all pairs would drown it.
            self.refused
                .extend(heads.first().map(|head| (*head, *index)));
            heads.push(*index);
        }
    }

    fn into_people(self, records: &[Row]) -> People {
        let slot = |index: u32| records[index as usize].slot;
        let person = |index: u32| PersonId(slot(self.clusters.root(index)).0);
        let indexes = 0u32..records.len() as u32;
        let mut order: Vec<(PersonId, u32)> = indexes.map(|at| (person(at), at)).collect();
        let owners = order.iter().map(|(id, at)| (slot(*at), *id)).collect();
        order.sort_unstable();

        let mut people = People {
            owners,
            ..People::default()
        };
        for group in order.chunk_by(|a, b| a.0 == b.0) {
            people.starts.push(people.slots.len() as u32);
            people.slots.extend(group.iter().map(|(_, at)| slot(*at)));
            let rows = group.iter().map(|(_, at)| records[*at as usize]);
            people.findings.extend(duplicates(group[0].0, rows));
        }
        people
            .findings
            .extend(conflicts(&self.refused, person, slot));
        people.findings.sort_by(|a, b| a.subject.cmp(&b.subject));
        people
    }
}

fn duplicates(id: PersonId, rows: impl Iterator<Item = Row>) -> Option<Finding> {
    let profiles = rows.filter(|row| row.kind == Kind::Profile);
    let profiles: Vec<Slot> = profiles.map(|row| row.slot).collect();
    (profiles.len() >= 2).then(|| Finding {
        code: Code::DuplicateProfiles,
        subject: Subject::Person(id, profiles[0]),
        evidence: Evidence::Records(profiles),
    })
}

fn conflicts(
    refused: &[(u32, u32)],
    person: impl Fn(u32) -> PersonId,
    slot: impl Fn(u32) -> Slot,
) -> Vec<Finding> {
    let mut pairs: BTreeMap<(PersonId, PersonId), (Slot, Slot)> = BTreeMap::new();
    for (a, b) in refused {
        let (mut one, mut other) = ((person(*a), slot(*a)), (person(*b), slot(*b)));
        if other < one {
            std::mem::swap(&mut one, &mut other);
        }
        let records = (one.1, other.1);
        let known = pairs.entry((one.0, other.0)).or_insert(records);
        *known = records.min(*known);
    }
    let finding = |((id, _), (a, b))| Finding {
        code: Code::IdentityConflict,
        subject: Subject::Person(id, a),
        evidence: Evidence::Records(vec![a, b]),
    };
    pairs.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests;
