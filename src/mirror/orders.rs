//! Orders lie in their owner's book; an index says in whose.
//!
//! Both are sorted lists cut into values of bounded size: sled pays per key, and values over
//! about 7 KB end up in files of their own. The order that has no owner may have thousands of
//! siblings in one book.

use super::shelf::Shelf;
use super::slots::Identity;
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{Moment, Money, Order, OrderId, OrderOwner, Slot};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::ops::RangeInclusive;

/// An order without its owner, which its book tells.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    id: OrderId,
    processed: Moment,
    updated: Moment,
    total: Money,
    refunded: Money,
    cancelled: bool,
    test: bool,
}

/// In whose book an order lies.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Owned {
    id: OrderId,
    slot: Slot,
}

/// Something sorted into chunks by its order id.
trait ById: Serialize + DeserializeOwned {
    /// Keeps a chunk under 7 KB.
    const CHUNK: usize;
    fn id(&self) -> OrderId;
}

impl ById for Entry {
    const CHUNK: usize = 128;
    fn id(&self) -> OrderId {
        self.id
    }
}

impl ById for Owned {
    const CHUNK: usize = 256;
    fn id(&self) -> OrderId {
        self.id
    }
}

/// A run of ids in ascending order. Its key ends with an id not above its first.
struct Chunk<T> {
    key: Vec<u8>,
    entries: Vec<T>,
}

impl<T: ById> Chunk<T> {
    fn position(&self, id: OrderId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id, ById::id)
    }
}

impl Entry {
    fn of(order: &Order) -> Self {
        Self {
            id: order.id,
            processed: order.processed,
            updated: order.updated,
            total: order.total,
            refunded: order.refunded,
            cancelled: order.cancelled,
            test: order.test,
        }
    }

    fn owned_by(self, owner: OrderOwner) -> Order {
        Order {
            id: self.id,
            owner,
            processed: self.processed,
            updated: self.updated,
            total: self.total,
            refunded: self.refunded,
            cancelled: self.cancelled,
            test: self.test,
        }
    }
}

impl Mirror {
    /// All orders of one customer or guest, by id. A guest's address comes back in lower case.
    pub fn orders(&self, slot: Slot) -> Result<Vec<Order>, MirrorError> {
        let mut orders = Vec::new();
        let owner = self.owner_at(slot)?;
        for entries in self.store.scan_as::<Vec<Entry>>(&Shelf::Orders.slot(slot)) {
            let entries = entries?.into_iter();
            orders.extend(entries.map(|entry| entry.owned_by(owner.clone())));
        }
        Ok(orders)
    }

    /// One order, wherever it lies.
    pub fn order(&self, id: OrderId) -> Result<Option<Order>, MirrorError> {
        let Some(owned) = self.entry_of::<Owned>(&Shelf::Owners.key(&[]), id)? else {
            return Ok(None);
        };
        let owner = self.owner_at(owned.slot)?;
        let entry = self.entry_of::<Entry>(&Shelf::Orders.slot(owned.slot), id)?;
        Ok(entry.map(|entry| entry.owned_by(owner)))
    }

    /// Every order's id, ascending.
    pub fn order_ids(
        &self,
    ) -> impl DoubleEndedIterator<Item = Result<OrderId, MirrorError>> + use<> {
        let chunks = self.store.scan_as::<Vec<Owned>>(&Shelf::Owners.key(&[]));
        chunks.flat_map(ids_of)
    }

    /// The ids of the orders in a range, ascending.
    pub fn order_ids_within(
        &self,
        range: &RangeInclusive<OrderId>,
    ) -> Result<impl Iterator<Item = Result<OrderId, MirrorError>> + use<>, MirrorError> {
        let prefix = Shelf::Owners.key(&[]);
        let (from, to) = (
            wanted_key(&prefix, *range.start()),
            wanted_key(&prefix, *range.end()),
        );
        // The range may begin in the midst of a chunk.
        let first = self.store.last_between(&prefix, &from)?;
        let from = first.map_or(from, |(key, _)| key.to_vec());
        let chunks = self.store.between(&from, &to).map(|pair| {
            let (key, payload) = pair?;
            codec::decode(&key, &payload)
        });
        let range = range.clone();
        let is_within = move |id: &Result<OrderId, MirrorError>| {
            id.as_ref().map_or(true, |id| range.contains(id))
        };
        Ok(chunks.flat_map(ids_of).filter(is_within))
    }

    fn entry_of<T: ById>(&self, shelf: &[u8], id: OrderId) -> Result<Option<T>, MirrorError> {
        let found = self.store.last_between(shelf, &wanted_key(shelf, id))?;
        let Some((key, payload)) = found else {
            return Ok(None);
        };
        let mut entries: Vec<T> = codec::decode(&key, &payload)?;
        let position = entries.binary_search_by_key(&id, ById::id);
        Ok(position.ok().map(|at| entries.swap_remove(at)))
    }
}

/// The ids of a chunk, or why it cannot be read.
fn ids_of(
    chunk: Result<Vec<Owned>, MirrorError>,
) -> impl DoubleEndedIterator<Item = Result<OrderId, MirrorError>> {
    let (owned, error) = match chunk {
        Ok(owned) => (owned, None),
        Err(error) => (Vec::new(), Some(Err(error))),
    };
    owned.into_iter().map(|one| Ok(one.id)).chain(error)
}

impl Page<'_> {
    /// Stores an order in its owner's book unless a newer one is known; equally old replaces. An order
    /// whose owner changed (a guest became a customer, customers were merged) leaves the old book; nobody
    /// owns the orders of those who were forgotten. The slot whose book it is in afterwards.
    pub fn order(&mut self, order: Order) -> Result<Slot, MirrorError> {
        let mut index: Chunk<Owned> = self.chunk(Shelf::Owners.key(&[]), order.id)?;
        let known = index.position(order.id);
        if let Ok(at) = known {
            let home = index.entries[at].slot;
            if self.is_newer_in(home, &order)? {
                return Ok(home);
            }
        }
        let owner = Identity::of(&order.owner);
        let home = match self.mirror.vault.is_forgotten(owner.subject()) {
            true => self.slot_of_nobody()?,
            false => self.slot_for(owner)?,
        };
        let owned = Owned {
            id: order.id,
            slot: home,
        };
        match known {
            Ok(at) if index.entries[at] == owned => {}
            Ok(at) => {
                self.drop_from_book(index.entries[at].slot, order.id)?;
                index.entries[at] = owned;
                self.put_chunk(Shelf::Owners.key(&[]), index, at);
            }
            Err(at) => {
                self.tally.orders += 1;
                index.entries.insert(at, owned);
                self.put_chunk(Shelf::Owners.key(&[]), index, at);
            }
        }
        self.put_in_book(home, Entry::of(&order))?;
        Ok(home)
    }

    /// Removes an order; `false` when there is none.
    pub(super) fn drop_order(&mut self, id: OrderId) -> Result<bool, MirrorError> {
        let mut index: Chunk<Owned> = self.chunk(Shelf::Owners.key(&[]), id)?;
        let Ok(at) = index.position(id) else {
            return Ok(false);
        };
        let owned = index.entries.remove(at);
        // An emptied chunk stays here, too.
        self.put(index.key, &index.entries);
        self.drop_from_book(owned.slot, id)?;
        self.tally.orders -= 1;
        Ok(true)
    }

    /// The slot that owns ownerless orders, given now if there was none yet.
    pub fn slot_of_nobody(&mut self) -> Result<Slot, MirrorError> {
        self.slot_for(Identity::Guest(String::new()))
    }

    fn is_newer_in(&self, slot: Slot, order: &Order) -> Result<bool, MirrorError> {
        let book: Chunk<Entry> = self.chunk(Shelf::Orders.slot(slot), order.id)?;
        let stored = book.position(order.id).ok().map(|at| &book.entries[at]);
        Ok(stored.is_some_and(|entry| entry.updated > order.updated))
    }

    fn put_in_book(&mut self, slot: Slot, entry: Entry) -> Result<(), MirrorError> {
        let prefix = Shelf::Orders.slot(slot);
        let mut book: Chunk<Entry> = self.chunk(prefix.clone(), entry.id)?;
        let at = match book.position(entry.id) {
            Ok(at) if book.entries[at] == entry => return Ok(()),
            Ok(at) => {
                book.entries[at] = entry;
                at
            }
            Err(at) => {
                book.entries.insert(at, entry);
                at
            }
        };
        self.put_chunk(prefix, book, at);
        Ok(())
    }

    /// An emptied chunk stays: [`Page::last_between`] relies on chunks that never go.
    fn drop_from_book(&mut self, slot: Slot, id: OrderId) -> Result<(), MirrorError> {
        let prefix = Shelf::Orders.slot(slot);
        let mut book: Chunk<Entry> = self.chunk(prefix, id)?;
        if let Ok(at) = book.position(id) {
            book.entries.remove(at);
            self.put(book.key, &book.entries);
        }
        Ok(())
    }

    /// The chunk in which an id lies, or would lie.
    fn chunk<T: ById>(&self, prefix: Vec<u8>, id: OrderId) -> Result<Chunk<T>, MirrorError> {
        let found = self.last_between(&prefix, &wanted_key(&prefix, id))?;
        Ok(match found {
            Some((key, entries)) => Chunk { key, entries },
            None => Chunk {
                key: wanted_key(&prefix, OrderId(0)),
                entries: Vec::new(),
            },
        })
    }

    /// Writes a chunk back, in two when it grew too long. Growth at its end, the usual case, leaves
    /// the first one full.
    fn put_chunk<T: ById>(&mut self, prefix: Vec<u8>, mut chunk: Chunk<T>, grown_at: usize) {
        let length = chunk.entries.len();
        if length > T::CHUNK {
            let at_end = grown_at + 1 == length;
            let cut = if at_end { length - 1 } else { length / 2 };
            let rest = chunk.entries.split_off(cut);
            if let Some(first) = rest.first() {
                self.put(wanted_key(&prefix, first.id()), &rest);
            }
        }
        self.put(chunk.key, &chunk.entries);
    }
}

fn wanted_key(prefix: &[u8], id: OrderId) -> Vec<u8> {
    [prefix, &id.0.to_be_bytes()].concat()
}
