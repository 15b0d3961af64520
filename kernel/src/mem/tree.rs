//! [`VmaTree`]: the mappings of an address space, ordered by address.
//!
//! A treap: a search tree by address, a heap by random priorities, hence balanced with high probability and short to
//! write: everything is built from `split` and `join`. Each node knows where its subtree starts and ends and the
//! widest gap within, so that the search for free space, too, takes logarithmic time, and always finds the highest
//! (or lowest) gap as Linux does.

use alloc::boxed::Box;
use core::cmp::Ordering;
use core::ops::Range;

use super::vma::Vma;

/// The bytes that a mapping takes.
pub const MAPPING_BYTES: usize = size_of::<Node>();

type Link = Option<Box<Node>>;

struct Node {
    vma: Vma,
    priority: u32,
    left: Link,
    right: Link,
    /// The first taken address of the subtree, guard gaps included.
    first: u64,
    /// Past the last address of the subtree.
    last: u64,
    /// The widest gap between two neighbours of the subtree.
    widest_gap: u64,
}

/// Mappings ordered by address; they never overlap.
#[derive(Default)]
pub struct VmaTree {
    root: Link,
    len: usize,
    random: u32,
}

impl VmaTree {
    /// No mappings.
    pub const fn new() -> Self {
        Self { root: None, len: 0, random: 0x9e37_79b9 }
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first mapping that ends above `addr`: the one that holds `addr`, or the next.
    pub fn at_or_after(&self, addr: u64) -> Option<&Vma> {
        let mut best = None;
        let mut link = &self.root;
        while let Some(node) = link {
            if addr < node.vma.end {
                best = Some(&node.vma);
                if node.vma.start <= addr {
                    break;
                }
                link = &node.left;
            } else {
                link = &node.right;
            }
        }
        best
    }

    /// The mapping that holds `addr`.
    pub fn at(&self, addr: u64) -> Option<&Vma> {
        self.at_or_after(addr).filter(|vma| vma.start <= addr)
    }

    /// The last mapping that starts below `addr`.
    pub fn before(&self, addr: u64) -> Option<&Vma> {
        let mut best = None;
        let mut link = &self.root;
        while let Some(node) = link {
            if node.vma.start < addr {
                best = Some(&node.vma);
                link = &node.right;
            } else {
                link = &node.left;
            }
        }
        best
    }

    /// The mappings that touch `range`, in order.
    pub fn in_range(&self, range: Range<u64>) -> impl Iterator<Item = &Vma> {
        let mut cursor = range.start;
        core::iter::from_fn(move || {
            let vma = self.at_or_after(cursor).filter(|vma| vma.start < range.end && cursor < range.end)?;
            cursor = vma.end;
            Some(vma)
        })
    }

    /// All mappings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.in_range(0..u64::MAX)
    }

    /// Adds a mapping, which overlaps none.
    pub fn insert(&mut self, vma: Vma) {
        let priority = self.next_random();
        insert(&mut self.root, Node::new(vma, priority));
        self.len += 1;
    }

    /// Takes the mappings that start in `range` out.
    pub fn take_range(&mut self, range: Range<u64>) -> VmaTree {
        let (below, rest) = split(self.root.take(), range.start);
        let (taken, above) = split(rest, range.end);
        self.root = join(below, above);
        let len = count(&taken);
        self.len -= len;
        VmaTree { root: taken, len, random: self.random }
    }

    /// The same for one mapping, the one that starts at `start`.
    pub fn take_one(&mut self, start: u64) -> VmaTree {
        let root = remove(&mut self.root, start);
        let len = usize::from(root.is_some());
        self.len -= len;
        VmaTree { root, len, random: self.random }
    }

    /// Takes the mapping that starts at `start` out.
    pub fn remove(&mut self, start: u64) -> Option<Vma> {
        self.take_one(start).root.take().map(|node| node.vma)
    }

    /// Cuts the mapping that `addr` lies inside of in two, if there is one.
    pub fn split_at(&mut self, addr: u64) {
        if self.at(addr).is_none_or(|vma| vma.start == addr) {
            return;
        }
        if let Some(upper) = self.modify(addr, |vma| vma.split_off(addr)) {
            self.insert(upper);
        }
    }

    /// Changes the mapping that holds `addr`. It may shrink, or grow into free space, but not pass its neighbours.
    pub fn modify<R>(&mut self, addr: u64, change: impl FnOnce(&mut Vma) -> R) -> Option<R> {
        modify(&mut self.root, addr, change)
    }

    /// Joins the mappings around `addr` if one ends there, the other starts there, and they are alike.
    pub fn merge_at(&mut self, addr: u64) {
        let Some(upper) = self.at(addr).filter(|vma| vma.start == addr) else { return };
        let mergeable = self.before(addr).is_some_and(|lower| lower.can_merge(upper));
        if mergeable && let Some(upper) = self.remove(addr) {
            self.modify(addr - 1, |lower| {
                lower.end = upper.end;
                lower.flags |= upper.flags;
            });
        }
    }

    /// The highest address at which `len` bytes are free between `bounds`.
    pub fn highest_gap(&self, len: u64, bounds: Range<u64>) -> Option<u64> {
        let search = GapSearch { len, bounds };
        search.highest(&self.root, 0, u64::MAX)
    }

    /// The lowest address at which `len` bytes are free between `bounds`.
    pub fn lowest_gap(&self, len: u64, bounds: Range<u64>) -> Option<u64> {
        let search = GapSearch { len, bounds };
        search.lowest(&self.root, 0, u64::MAX)
    }

    fn next_random(&mut self) -> u32 {
        // Xorshift: priorities need to be unrelated to addresses, not secret.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl Node {
    fn new(vma: Vma, priority: u32) -> Box<Node> {
        let (first, last) = (vma.start_with_gap(), vma.end);
        Box::new(Node { vma, priority, left: None, right: None, first, last, widest_gap: 0 })
    }

    /// Recomputes what the node knows of its subtree.
    fn update(&mut self) {
        self.first = self.vma.start_with_gap();
        self.last = self.vma.end;
        self.widest_gap = 0;
        if let Some(left) = &self.left {
            // A guard gap may reach into the mapping below: a stack grown up to it.
            let gap = self.first.saturating_sub(left.last);
            self.widest_gap = gap.max(left.widest_gap);
            self.first = left.first;
        }
        if let Some(right) = &self.right {
            let gap = right.first.saturating_sub(self.vma.end);
            self.widest_gap = self.widest_gap.max(gap).max(right.widest_gap);
            self.last = right.last;
        }
    }
}

/// Puts a node where its priority belongs on the way to its address: only what lies below it is split.
fn insert(link: &mut Link, mut new: Box<Node>) {
    match link {
        Some(node) if node.priority >= new.priority => {
            insert(if new.vma.start < node.vma.start { &mut node.left } else { &mut node.right }, new);
            node.update();
        }
        _ => {
            (new.left, new.right) = split(link.take(), new.vma.start);
            new.update();
            *link = Some(new);
        }
    }
}

/// Takes the node that starts at `start` out; only what lies below it is joined.
fn remove(link: &mut Link, start: u64) -> Link {
    let node = link.as_mut()?;
    let taken = match start.cmp(&node.vma.start) {
        Ordering::Less => remove(&mut node.left, start),
        Ordering::Greater => remove(&mut node.right, start),
        Ordering::Equal => {
            let mut node = link.take()?;
            *link = join(node.left.take(), node.right.take());
            node.update();
            return Some(node);
        }
    };
    node.update();
    taken
}

/// Splits into the mappings that start below `addr` and the rest.
fn split(link: Link, addr: u64) -> (Link, Link) {
    let Some(mut node) = link else { return (None, None) };
    if node.vma.start < addr {
        let (below, above) = split(node.right.take(), addr);
        node.right = below;
        node.update();
        (Some(node), above)
    } else {
        let (below, above) = split(node.left.take(), addr);
        node.left = above;
        node.update();
        (below, Some(node))
    }
}

/// Joins two trees, all of `below` lying below all of `above`.
fn join(below: Link, above: Link) -> Link {
    match (below, above) {
        (None, tree) | (tree, None) => tree,
        (Some(mut below), Some(mut above)) => Some(if below.priority > above.priority {
            below.right = join(below.right.take(), Some(above));
            below.update();
            below
        } else {
            above.left = join(Some(below), above.left.take());
            above.update();
            above
        }),
    }
}

fn count(link: &Link) -> usize {
    link.as_ref().map_or(0, |node| 1 + count(&node.left) + count(&node.right))
}

fn modify<R>(link: &mut Link, addr: u64, change: impl FnOnce(&mut Vma) -> R) -> Option<R> {
    let node = link.as_mut()?;
    let result = if addr < node.vma.start {
        modify(&mut node.left, addr, change)
    } else if addr >= node.vma.end {
        modify(&mut node.right, addr, change)
    } else {
        Some(change(&mut node.vma))
    };
    node.update();
    result
}

/// A search for `len` free bytes within `bounds`.
struct GapSearch {
    len: u64,
    bounds: Range<u64>,
}

impl GapSearch {
    /// Searches the subtree that lies between `lower`, where its predecessor ends, and `upper`, where its successor
    /// starts, from the top down.
    fn highest(&self, link: &Link, lower: u64, upper: u64) -> Option<u64> {
        let Some(node) = link else { return self.clip(lower, upper).map(|gap| gap.end - self.len) };
        if !self.may_fit(node, lower, upper) {
            return None;
        }
        self.highest(&node.right, node.vma.end, upper)
            .or_else(|| self.highest(&node.left, lower, node.vma.start_with_gap()))
    }

    /// The same from the bottom up.
    fn lowest(&self, link: &Link, lower: u64, upper: u64) -> Option<u64> {
        let Some(node) = link else { return self.clip(lower, upper).map(|gap| gap.start) };
        if !self.may_fit(node, lower, upper) {
            return None;
        }
        self.lowest(&node.left, lower, node.vma.start_with_gap())
            .or_else(|| self.lowest(&node.right, node.vma.end, upper))
    }

    fn may_fit(&self, node: &Node, lower: u64, upper: u64) -> bool {
        let gap = node.widest_gap.max(node.first.saturating_sub(lower)).max(upper.saturating_sub(node.last));
        gap >= self.len && lower < self.bounds.end && self.bounds.start < upper
    }

    fn clip(&self, lower: u64, upper: u64) -> Option<Range<u64>> {
        let gap = lower.max(self.bounds.start)..upper.min(self.bounds.end);
        (gap.end.checked_sub(gap.start)? >= self.len).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::super::vma::{Prot, VmFlags};
    use super::*;

    fn vma(range: Range<u64>) -> Vma {
        Vma { start: range.start, end: range.end, prot: Prot::READ, flags: VmFlags::empty(), mapping: None }
    }

    #[test]
    fn random_changes_agree_with_a_btree_map() {
        let mut tree = VmaTree::new();
        let mut model: BTreeMap<u64, u64> = BTreeMap::new();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let start = (state >> 8) % 4000;
            let end = start + 1 + (state >> 30) % 20;
            let overlaps: Vec<u64> =
                model.range(..end).filter(|(_, model_end)| **model_end > start).map(|(key, _)| *key).collect();
            if overlaps.is_empty() {
                tree.insert(vma(start..end));
                model.insert(start, end);
            } else {
                tree.split_at(start);
                tree.split_at(end);
                let taken = tree.take_range(start..end);
                for key in overlaps {
                    let model_end = model.remove(&key).expect("a key");
                    if key < start {
                        model.insert(key, start);
                    }
                    if model_end > end {
                        model.insert(end, model_end);
                    }
                }
                assert!(taken.iter().all(|vma| start <= vma.start && vma.end <= end));
            }
            assert_eq!(tree.len(), model.len());
            let len = 1 + (state >> 40) % 60;
            let bounds = (state >> 20) % 3000..(state >> 20) % 3000 + 1000;
            let free = |at: u64| model.range(..at + len).next_back().is_none_or(|(_, end)| *end <= at);
            let mut places = (bounds.start..=bounds.end - len).filter(|at| free(*at));
            if state % 64 == 0 {
                assert_eq!(tree.lowest_gap(len, bounds.clone()), places.clone().next());
                assert_eq!(tree.highest_gap(len, bounds.clone()), places.next_back());
                assert!(tree.iter().map(|vma| (vma.start, vma.end)).eq(model.iter().map(|(a, b)| (*a, *b))));
            }
            let found = tree.at_or_after(start).map(|vma| (vma.start, vma.end));
            assert_eq!(found, model.iter().find(|(_, end)| **end > start).map(|(a, b)| (*a, *b)));
            let found = tree.before(start).map(|vma| vma.start);
            assert_eq!(found, model.range(..start).next_back().map(|(a, _)| *a));
        }
    }

    #[test]
    fn a_million_mappings_stay_shallow() {
        fn depth(link: &Link) -> usize {
            link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
        }
        let mut tree = VmaTree::new();
        for index in 0..1_000_000 {
            tree.insert(vma(index * 2..index * 2 + 1));
        }
        assert!(depth(&tree.root) < 80, "depth {}", depth(&tree.root));
        assert_eq!(tree.highest_gap(2, 0..u64::MAX), Some(u64::MAX - 2));
        assert_eq!(tree.highest_gap(2, 0..2_000_000), None);
        assert_eq!(tree.highest_gap(1, 0..1_000_000), Some(999_999));
    }
}
