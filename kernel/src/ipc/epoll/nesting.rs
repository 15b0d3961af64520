//! Which epoll instances watch which: the graph that may have no cycles and no deep chains (`ep_loop_check`,
//! `reverse_path_check`).
//!
//! Nested instances are rare, so the graph is one list of edges, and walking it needs no cleverness.
//!
//! Lock: the list (rank `EpollItems`), held alone.

use alloc::vec::Vec;

use abi::Errno;

use crate::sync::{Rank, SpinLock};

/// Instances below a watched one at most (`EP_MAX_NESTS`), and instances in a chain at most.
const MAX_NESTS: usize = 4;

/// An instance that watches, and the one it watches.
type Edge = (u64, u64);

static EDGES: SpinLock<Vec<Edge>> = SpinLock::new(Rank::EpollItems, Vec::new());

/// `outer` is about to watch `inner`: `ELOOP` for a cycle or too deep a chain below, `EINVAL` for too long a chain
/// on the whole.
pub(super) fn enter(outer: u64, inner: u64) -> Result<(), Errno> {
    let mut edges = EDGES.lock();
    let below = height(&edges, inner, outer, 0)?;
    if depth(&edges, outer) + 1 + below > MAX_NESTS + 1 {
        return Err(Errno::EINVAL);
    }
    edges.push((outer, inner));
    Ok(())
}

/// `outer` no longer watches `inner` (through one of its items).
pub(super) fn leave(outer: u64, inner: u64) {
    let mut edges = EDGES.lock();
    if let Some(index) = edges.iter().position(|edge| *edge == (outer, inner)) {
        edges.swap_remove(index);
    }
}

/// An instance is gone.
pub(super) fn forget(id: u64) {
    EDGES.lock().retain(|(outer, inner)| *outer != id && *inner != id);
}

/// The longest chain below `id`; `ELOOP` if it meets `forbidden` or gets too long.
fn height(edges: &[Edge], id: u64, forbidden: u64, level: usize) -> Result<usize, Errno> {
    if id == forbidden || level > MAX_NESTS {
        return Err(Errno::ELOOP);
    }
    let mut longest = 0;
    for (_, inner) in edges.iter().filter(|(outer, _)| *outer == id) {
        longest = longest.max(1 + height(edges, *inner, forbidden, level + 1)?);
    }
    Ok(longest)
}

/// The longest chain above `id`. There are no cycles, and chains are short.
fn depth(edges: &[Edge], id: u64) -> usize {
    edges.iter().filter(|(_, inner)| *inner == id).map(|(outer, _)| 1 + depth(edges, *outer)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_refused_however_long() {
        assert_eq!(enter(1001, 1002), Ok(()));
        assert_eq!(enter(1002, 1003), Ok(()));
        assert_eq!(enter(1003, 1001), Err(Errno::ELOOP));
        assert_eq!(enter(1002, 1001), Err(Errno::ELOOP));
        leave(1002, 1003);
        assert_eq!(enter(1003, 1001), Ok(()));
        (1001..1004).for_each(forget);
    }

    #[test]
    fn a_chain_may_not_grow_past_its_limit_at_either_end() {
        for id in 2001..2006 {
            assert_eq!(enter(id, id + 1), Ok(()), "{id}");
        }
        assert_eq!(enter(2006, 2007), Err(Errno::EINVAL));
        assert_eq!(enter(2000, 2001), Err(Errno::ELOOP));
        (2000..2008).for_each(forget);
    }
}
