//! Disjoint sets of records, with what must not be united.

use std::num::NonZeroU32;

/// A customer's number among all that are claimed, from one on: of millions of records, those without one
/// take no more room.
pub(super) type CustomerNumber = NonZeroU32;

/// More records than this never describe one human; such keys are shared or made up.
const MAX_RECORDS: u8 = 8;

/// A union-find forest. The root of a tree is its lowest index.
pub(super) struct Clusters {
    parents: Vec<u32>,
    /// Of roots only.
    traits: Vec<Traits>,
}

/// What a cluster has in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) customer: Option<CustomerNumber>,
    pub(super) has_email: bool,
    pub(super) records: u8,
}

/// The two sides contradict each other, or would be too many together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Clusters {
    /// Every record alone.
    pub(super) fn alone(records: impl Iterator<Item = (Option<CustomerNumber>, bool)>) -> Self {
        let traits: Vec<Traits> = records
            .map(|(customer, has_email)| Traits {
                customer,
                has_email,
                records: 1,
            })
            .collect();
        let parents = (0u32..).take(traits.len()).collect();
        Self { parents, traits }
    }

    /// The lowest index of the cluster. Trees hold at most eight records, so the way up is short.
    pub(super) fn root(&self, mut index: u32) -> u32 {
        while self.parents[index as usize] != index {
            index = self.parents[index as usize];
        }
        index
    }

    /// What the cluster of a root has.
    pub(super) fn traits(&self, root: u32) -> Traits {
        self.traits[root as usize]
    }

    /// Unites the clusters of two records.
    pub(super) fn unite(&mut self, a: u32, b: u32) -> Result<(), Refused> {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return Ok(());
        }
        let (one, other) = (self.traits(a), self.traits(b));
        let records = one.records.saturating_add(other.records);
        let contradict = matches!((one.customer, other.customer), (Some(x), Some(y)) if x != y);
        if contradict || records > MAX_RECORDS {
            return Err(Refused);
        }
        let (low, high) = (a.min(b), a.max(b));
        self.parents[high as usize] = low;
        self.traits[low as usize] = Traits {
            customer: one.customer.or(other.customer),
            has_email: one.has_email || other.has_email,
            records,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(customers: &[Option<u32>]) -> Clusters {
        Clusters::alone(
            customers
                .iter()
                .map(|id| (id.and_then(CustomerNumber::new), false)),
        )
    }

    #[test]
    fn a_contradiction_is_inherited_by_the_whole_cluster() {
        let mut clusters = alone(&[None, Some(1), None, Some(2)]);
        assert_eq!(clusters.unite(0, 1), Ok(()));
        assert_eq!(clusters.unite(2, 3), Ok(()));
        assert_eq!(clusters.unite(0, 2), Err(Refused));
        assert_eq!((clusters.root(1), clusters.root(3)), (0, 2));
    }

    #[test]
    fn a_ninth_record_is_refused() {
        let mut clusters = alone(&[None; 9]);
        for index in 1..8 {
            assert_eq!(clusters.unite(index, 0), Ok(()));
        }
        assert_eq!(clusters.unite(0, 8), Err(Refused));
    }
}
