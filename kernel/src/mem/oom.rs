//! What happens when memory runs out: some process is killed, the kernel lives.
//!
//! User frames are refused while the kernel still has a reserve (see [`super::frame`]). Whoever is refused calls [`kill`],
//! which asks the process room, registered here at boot, to kill the process with the worst score; its memory is freed
//! as it dies, and the caller tries again after a while.

use spin::Once;

/// What the process room does for this one.
pub struct Killer {
    /// Kills the process with the worst score; `false` if there is none left to kill.
    pub kill: fn() -> bool,
    /// Whether the calling thread has to end (`fatal_signal_pending`).
    pub is_caller_dying: fn() -> bool,
}

static KILLER: Once<Killer> = Once::new();

/// Registers who picks and kills. Called once, at boot.
pub fn set_killer(killer: Killer) {
    KILLER.call_once(|| killer);
}

/// Has the process with the worst score killed; `false` if there is none left, or nobody to pick one.
pub fn kill() -> bool {
    KILLER.get().is_some_and(|killer| (killer.kill)())
}

/// Whether the calling thread has to end, and what takes long is to be left. Called without locks.
pub fn is_caller_dying() -> bool {
    KILLER.get().is_some_and(|killer| (killer.is_caller_dying)())
}

/// A process's badness in thousandths of all memory (`oom_badness`): its resident memory and page tables, shifted by
/// its `oom_score_adj` (-1000..=1000). `None`: never killed (-1000).
pub fn badness(resident_pages: u64, table_bytes: u64, score_adjust: i64) -> Option<u64> {
    if score_adjust == -1000 {
        return None;
    }
    let total = super::frame::total() as i64;
    let points = resident_pages as i64 + (table_bytes >> super::PAGE_SHIFT) as i64 + score_adjust * total / 1000;
    Some(points.max(1) as u64)
}
