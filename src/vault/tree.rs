//! A key for every leaf of a tree, from one root; and any leaf's key destroyed without touching
//! another's.
//!
//! The tree of Goldreich, Goldwasser and Micali ("How to construct random functions", 1986), made
//! puncturable as by Boneh and Waters ("Constrained pseudorandom functions", 2013): a node gives its
//! children by hashing, and no child gives its parent. To destroy a leaf, the node above it is
//! replaced by all the siblings along the way down. So a million people cost 32 bytes, and each one
//! destroyed about 5 KiB.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Half bytes in a leaf's number: 48 bits, so that somebody among a million shares a leaf with one
/// given person once in 280 million times.
const DEPTH: u8 = 12;
const ARITY: u8 = 16;
/// Keys of this depth are kept ready: a quarter of the hashing for 128 KiB.
const READY: u8 = 3;

/// 256 bits, of a node or a leaf.
pub(super) type Key = [u8; 32];

/// The number of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf(u64);

impl Leaf {
    pub(super) const BYTES: usize = DEPTH as usize / 2;

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Self(number)
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [_, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    /// The first half bytes, as a number.
    fn prefix(self, depth: u8) -> u64 {
        self.0 >> (4 * (DEPTH - depth))
    }

    /// Which child of the node at this depth leads to it.
    fn child(self, depth: u8) -> u8 {
        (self.prefix(depth + 1) & u64::from(ARITY - 1)) as u8
    }
}

/// What is left of the tree: nodes of which none is below another.
#[derive(Clone)]
pub(super) struct Tree {
    /// By depth and prefix.
    nodes: BTreeMap<(u8, u64), Key>,
    /// The nodes at depth [`READY`], where all below is left.
    ready: Vec<Option<Key>>,
}

impl Tree {
    pub(super) fn new(root: Key) -> Self {
        Self::of([((0, 0), root)])
    }

    /// What [`Tree::nodes`] told.
    pub(super) fn of(nodes: impl IntoIterator<Item = ((u8, u64), Key)>) -> Self {
        let nodes = nodes.into_iter().collect();
        let mut tree = Self {
            nodes,
            ready: Vec::new(),
        };
        let below = 4 * (DEPTH - READY);
        let leaves = (0..1 << (4 * READY)).map(|prefix| Leaf(prefix << below));
        tree.ready = leaves.map(|leaf| tree.node(leaf, READY)).collect();
        tree
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = ((u8, u64), Key)> {
        self.nodes.iter().map(|(place, key)| (*place, *key))
    }

    /// A leaf's key; `None` once it was destroyed.
    pub(super) fn key(&self, leaf: Leaf) -> Option<Key> {
        let ready = self.ready.get(leaf.prefix(READY) as usize)?;
        match ready {
            Some(node) => Some(descend(*node, leaf, READY, DEPTH)),
            None => self.node(leaf, DEPTH),
        }
    }

    /// Destroys a leaf's key.
    pub(super) fn destroy(&mut self, leaf: Leaf) {
        let Some((depth, mut node)) = self.above(leaf, DEPTH) else {
            return;
        };
        self.nodes.remove(&(depth, leaf.prefix(depth)));
        for depth in depth..DEPTH {
            let first = leaf.prefix(depth) << 4;
            for sibling in (0..ARITY).filter(|child| *child != leaf.child(depth)) {
                let place = (depth + 1, first | u64::from(sibling));
                self.nodes.insert(place, child(&node, sibling));
            }
            node = child(&node, leaf.child(depth));
        }
        self.ready[leaf.prefix(READY) as usize] = None;
    }

    /// The node on the way to a leaf at some depth, if all below it is left.
    fn node(&self, leaf: Leaf, depth: u8) -> Option<Key> {
        let (from, node) = self.above(leaf, depth)?;
        Some(descend(node, leaf, from, depth))
    }

    /// The node that is left on the way to a leaf, and its depth.
    fn above(&self, leaf: Leaf, lowest: u8) -> Option<(u8, Key)> {
        let at = |depth| Some((depth, *self.nodes.get(&(depth, leaf.prefix(depth)))?));
        (0..=lowest).find_map(at)
    }
}

fn descend(node: Key, leaf: Leaf, from: u8, to: u8) -> Key {
    (from..to).fold(node, |node, depth| child(&node, leaf.child(depth)))
}

/// Hashing 33 bytes is one round of SHA-256, which processors have in hardware.
fn child(node: &Key, number: u8) -> Key {
    let mut hash = Sha256::new();
    hash.update(node);
    hash.update([number]);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn any_leaf() -> impl Strategy<Value = Leaf> {
        // Neighbours as well as strangers.
        prop_oneof![0..1_u64 << 48, 0..300_u64].prop_map(Leaf)
    }

    proptest! {
        #[test]
        fn destroying_some_keys_leaves_all_others(
            gone in btree_set(any_leaf(), 0..20),
            others in btree_set(any_leaf(), 0..20),
        ) {
            let whole = Tree::new([7; 32]);
            let mut tree = whole.clone();
            for leaf in &gone {
                tree.destroy(*leaf);
                tree.destroy(*leaf);
            }
            let stored = Tree::of(tree.nodes());
            for leaf in others.difference(&gone) {
                prop_assert!(whole.key(*leaf).is_some());
                prop_assert_eq!(tree.key(*leaf), whole.key(*leaf));
                prop_assert_eq!(stored.key(*leaf), whole.key(*leaf));
            }
            for leaf in gone {
                prop_assert_eq!(tree.key(leaf), None);
                prop_assert_eq!(stored.key(leaf), None);
                // What is left cannot be hashed down to it.
                let covers = |((depth, prefix), _)| leaf.prefix(depth) == prefix;
                prop_assert!(!tree.nodes().any(covers));
            }
        }

        #[test]
        fn a_leaf_comes_back_from_its_bytes(leaf in any_leaf()) {
            prop_assert_eq!(Leaf::from_bytes(leaf.to_bytes()), leaf);
        }
    }

    #[test]
    fn keys_differ_and_stay_the_same_from_version_to_version() {
        let tree = Tree::new([7; 32]);
        let (one, other) = (tree.key(Leaf(1)).unwrap(), tree.key(Leaf(2)).unwrap());
        assert_ne!(one, other);
        let by_hand = (0..DEPTH).fold([7; 32], |node, depth| child(&node, u8::from(depth == 11)));
        assert_eq!(one, by_hand);
    }
}
