//! The Merkle tree of RFC 9162, section 2.1, with SHA-256: making roots and proofs from kept nodes, and checking proofs.
//!
//! # Shape
//! A *node* at `(level, place)` is the hash over the `2^level` leaves from `place << level` on; only nodes whose leaves
//! are all there are kept. Whoever keeps them makes every root and every proof with O(log n) of them.
//!
//! # Source
//! SPEC [S16.2], RFC 9162, sections 2.1.1 to 2.1.4.

use crate::ids::Digest;
use crate::limits;
use crate::proof::digest;

/// Kept nodes.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;

    /// The hash over the `2^level` leaves from `place << level` on, all of which are there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn node(&self, level: u32, place: u64) -> Result<Digest, Self::Error>;
}

/// A node that has become whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its height; 0 is a leaf.
    pub level: u32,
    /// Its place among those of its height, from 0.
    pub place: u64,
    /// The hash.
    pub hash: Digest,
}

/// The hash of a leaf.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    digest(&[&[0], entry].concat())
}

/// The hash of two neighbours.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    digest(&[&[1][..], &left.0, &right.0].concat())
}

/// The nodes above a new leaf that become whole with it, upwards; the leaf itself is not among them.
///
/// # Errors
/// When a node that is there cannot be read.
pub fn completed<N: Nodes + ?Sized>(nodes: &N, size: u64, leaf: Digest) -> Result<Vec<Node>, N::Error> {
    let mut whole = Vec::new();
    let mut hash = leaf;
    for level in 0..size.trailing_ones() {
        let place = size >> level;
        hash = node_hash(&nodes.node(level, place - 1)?, &hash);
        whole.push(Node { level: level + 1, place: place >> 1, hash });
    }
    Ok(whole)
}

/// The root over the first `size` leaves.
///
/// # Errors
/// When a node cannot be read.
pub fn root<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Digest, N::Error> {
    if size == 0 { Ok(digest(b"")) } else { range(nodes, 0, size) }
}

/// How the leaf at `place` leads to the root over `size` leaves, upwards; nothing if it is not among them.
///
/// # Errors
/// When a node cannot be read.
pub fn inclusion<N: Nodes + ?Sized>(nodes: &N, place: u64, size: u64) -> Result<Vec<Digest>, N::Error> {
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    if place >= size {
        return Ok(path);
    }
    while to - from > 1 {
        let middle = from + half(to - from);
        if place < middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// That the root over `later` leaves has the one over `earlier` as its beginning; nothing is to be shown for none, or
/// for equal ones.
///
/// # Errors
/// When a node cannot be read.
pub fn consistency<N: Nodes + ?Sized>(nodes: &N, earlier: u64, later: u64) -> Result<Vec<Digest>, N::Error> {
    let (mut from, mut to) = (0, later);
    let mut proof = Vec::new();
    if earlier == 0 || earlier >= later {
        return Ok(proof);
    }
    while earlier != to {
        let middle = from + half(to - from);
        if earlier <= middle {
            proof.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    // The earlier tree's last part; if that is all of it, its root is known already.
    if from != 0 {
        proof.push(range(nodes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root to which a leaf leads by a path; `None` for a path of another length than the leaf's place demands.
pub fn root_of_inclusion(leaf: Digest, place: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if place >= size || path.len() > limits::LOG_PROOF_HASHES_MAX {
        return None;
    }
    let (mut own, mut last) = (place, size - 1);
    let mut hash = leaf;
    for other in path {
        if last == 0 {
            return None;
        }
        if own & 1 == 1 || own == last {
            hash = node_hash(other, &hash);
            let skipped = if own & 1 == 0 { own.trailing_zeros().min(63) } else { 0 };
            (own, last) = (own >> skipped, last >> skipped);
        } else {
            hash = node_hash(&hash, other);
        }
        (own, last) = (own >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Whether a proof shows that the later root has the earlier one as its beginning.
pub fn is_consistent(earlier: (u64, Digest), later: (u64, Digest), proof: &[Digest]) -> bool {
    let ((earlier, earlier_root), (later, later_root)) = (earlier, later);
    if earlier > later || proof.len() > limits::LOG_PROOF_HASHES_MAX {
        return false;
    }
    if earlier == later {
        return proof.is_empty() && earlier_root == later_root;
    }
    if earlier == 0 {
        return proof.is_empty() && earlier_root == digest(b"");
    }
    let mut steps = proof.iter();
    let first = if earlier.is_power_of_two() { Some(&earlier_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut own, mut last) = (earlier - 1, later - 1);
    let skipped = own.trailing_ones();
    (own, last) = (own >> skipped, last >> skipped);
    let (mut old, mut new) = (*first, *first);
    for other in steps {
        if last == 0 {
            return false;
        }
        if own & 1 == 1 || own == last {
            (old, new) = (node_hash(other, &old), node_hash(other, &new));
            let skipped = if own & 1 == 0 { own.trailing_zeros().min(63) } else { 0 };
            (own, last) = (own >> skipped, last >> skipped);
        } else {
            new = node_hash(&new, other);
        }
        (own, last) = (own >> 1, last >> 1);
    }
    last == 0 && old == earlier_root && new == later_root
}

/// The largest power of two below a number of leaves that is at least two.
fn half(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - (leaves - 1).leading_zeros())
}

/// The hash over the leaves from `from` to before `to`; where `from` is a multiple of the largest power of two that is
/// not above the number of leaves.
fn range<N: Nodes + ?Sized>(nodes: &N, from: u64, to: u64) -> Result<Digest, N::Error> {
    let leaves = to - from;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros();
        return nodes.node(level, from >> level);
    }
    let middle = from + half(leaves);
    Ok(node_hash(&range(nodes, from, middle)?, &range(nodes, middle, to)?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::*;

    #[derive(Default)]
    struct Kept {
        nodes: HashMap<(u32, u64), Digest>,
        size: u64,
        reads: Cell<u64>,
    }

    impl Nodes for Kept {
        type Error = Infallible;

        fn node(&self, level: u32, place: u64) -> Result<Digest, Infallible> {
            self.reads.set(self.reads.get() + 1);
            Ok(self.nodes[&(level, place)])
        }
    }

    impl Kept {
        fn push(&mut self, leaf: Digest) {
            let whole = completed(self, self.size, leaf).unwrap();
            self.nodes.insert((0, self.size), leaf);
            self.nodes.extend(whole.into_iter().map(|node| ((node.level, node.place), node.hash)));
            self.size += 1;
        }
    }

    /// RFC 9162, section 2.1.1, word by word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => digest(b""),
            [only] => *only,
            _ => {
                let mut half = 1;
                while half * 2 < leaves.len() {
                    half *= 2;
                }
                node_hash(&by_definition(&leaves[..half]), &by_definition(&leaves[half..]))
            }
        }
    }

    fn leaf(number: u64) -> Digest {
        leaf_hash(&number.to_be_bytes())
    }

    #[test] // [S16.2]
    fn every_root_and_every_proof_up_to_seventy_leaves() {
        let mut kept = Kept::default();
        let leaves: Vec<Digest> = (0..70).map(leaf).collect();
        for hash in &leaves {
            kept.push(*hash);
        }
        for size in 0..=70 {
            let whole = root(&kept, size).unwrap();
            assert_eq!(whole, by_definition(&leaves[..size as usize]));
            for place in 0..size {
                let path = inclusion(&kept, place, size).unwrap();
                assert_eq!(root_of_inclusion(leaf(place), place, size, &path), Some(whole));
                assert_ne!(root_of_inclusion(leaf(place + 1), place, size, &path), Some(whole));
                // Another place is another way, unless it is cut short before it matters.
                for other in (0..size).filter(|other| *other != place) {
                    assert_ne!(
                        root_of_inclusion(leaf(place), other, size, &path),
                        Some(whole),
                        "{place} {other} {size}"
                    );
                }
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(root_of_inclusion(leaf(place), place, size, shorter), None);
                }
                let longer = [&path[..], &[whole]].concat();
                assert_eq!(root_of_inclusion(leaf(place), place, size, &longer), None);
            }
            for earlier in 0..=size {
                let before = (earlier, root(&kept, earlier).unwrap());
                let proof = consistency(&kept, earlier, size).unwrap();
                assert!(is_consistent(before, (size, whole), &proof), "{earlier} {size}");
                for at in 0..proof.len() {
                    let mut altered = proof.clone();
                    altered[at].0[31] ^= 1;
                    assert!(!is_consistent(before, (size, whole), &altered), "{earlier} {size} {at}");
                    altered.remove(at);
                    assert!(!is_consistent(before, (size, whole), &altered), "{earlier} {size} {at}");
                }
                assert!(!is_consistent(before, (size, whole), &[&proof[..], &[whole]].concat()));
                assert!(!is_consistent((earlier, leaf(1000)), (size, whole), &proof), "{earlier} {size}");
                if earlier > 0 {
                    assert!(!is_consistent(before, (size, leaf(1000)), &proof), "{earlier} {size}");
                }
            }
            assert!(!is_consistent((size + 1, whole), (size, whole), &[]));
        }
    }

    #[test] // [S16.2]
    fn the_example_of_the_rfc() {
        // RFC 9162, section 2.1.5: seven leaves d0 to d6.
        let mut kept = Kept::default();
        (0..7).for_each(|number| kept.push(leaf(number)));
        let node = |level, place| kept.nodes[&(level, place)];
        let right = node_hash(&node(1, 2), &leaf(6));
        assert_eq!(inclusion(&kept, 0, 7).unwrap(), [leaf(1), node(1, 1), right]);
        assert_eq!(inclusion(&kept, 3, 7).unwrap(), [leaf(2), node(1, 0), right]);
        assert_eq!(inclusion(&kept, 4, 7).unwrap(), [leaf(5), leaf(6), node(2, 0)]);
        assert_eq!(inclusion(&kept, 6, 7).unwrap(), [node(1, 2), node(2, 0)]);
        assert_eq!(consistency(&kept, 3, 7).unwrap(), [leaf(2), leaf(3), node(1, 0), right]);
        assert_eq!(consistency(&kept, 4, 7).unwrap(), [right]);
        assert_eq!(consistency(&kept, 6, 7).unwrap(), [node(1, 2), leaf(6), node(2, 0)]);
    }

    #[test] // [S16.2]
    fn the_cost_grows_with_the_logarithm() {
        let mut kept = Kept::default();
        (0..100_000).for_each(|number| kept.push(leaf(number)));
        assert!(kept.reads.get() <= 100_000, "one node read for a leaf, on average");
        let cost = |work: &dyn Fn(&Kept) -> usize| {
            kept.reads.set(0);
            assert!(work(&kept) > 0);
            kept.reads.get()
        };
        assert!(cost(&|kept| root(kept, 99_999).unwrap().0.len()) <= 17);
        assert!(cost(&|kept| inclusion(kept, 51_234, 99_999).unwrap().len()) <= 34);
        assert!(cost(&|kept| consistency(kept, 51_233, 99_999).unwrap().len()) <= 34);
    }
}
