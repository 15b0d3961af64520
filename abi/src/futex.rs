//! Futexes: futex(2), futex_waitv(2), and the robust list of set_robust_list(2).

consts! {
    /// The command of futex(2), without its option bits (see [`FutexFlags`]).
    op_name: u32 {
        FUTEX_WAIT = 0,
        FUTEX_WAKE = 1,
        FUTEX_FD = 2,
        FUTEX_REQUEUE = 3,
        FUTEX_CMP_REQUEUE = 4,
        FUTEX_WAKE_OP = 5,
        FUTEX_LOCK_PI = 6,
        FUTEX_UNLOCK_PI = 7,
        FUTEX_TRYLOCK_PI = 8,
        FUTEX_WAIT_BITSET = 9,
        FUTEX_WAKE_BITSET = 10,
        FUTEX_WAIT_REQUEUE_PI = 11,
        FUTEX_CMP_REQUEUE_PI = 12,
        FUTEX_LOCK_PI2 = 13,
    }
}

flags! {
    /// The option bits of futex(2)'s operation word.
    FutexFlags: u32 {
        FUTEX_PRIVATE_FLAG = 0x80,
        FUTEX_CLOCK_REALTIME = 0x100,
    }
}

/// The part of the operation word that is the command.
pub const FUTEX_CMD_MASK: u32 = !(FutexFlags::all().bits());

// Bits of the futex word of a priority-inheritance or robust lock, and the bitset that matches all.
consts! {
    u32 {
        FUTEX_WAITERS = 0x80000000,
        FUTEX_OWNER_DIED = 0x40000000,
        FUTEX_TID_MASK = 0x3fffffff,
        FUTEX_BITSET_MATCH_ANY = 0xffffffff,
    }
}

// Limits: entries walked of a robust list, and entries of futex_waitv(2).
consts! {
    u32 {
        ROBUST_LIST_LIMIT = 2048,
        FUTEX_WAITV_MAX = 128,
    }
}

// The operation and comparison of `FUTEX_WAKE_OP`'s sixth argument: `op<<28 | cmp<<24 | oparg<<12 | cmparg`.
consts! {
    u32 {
        FUTEX_OP_SET = 0,
        FUTEX_OP_ADD = 1,
        FUTEX_OP_OR = 2,
        FUTEX_OP_ANDN = 3,
        FUTEX_OP_XOR = 4,
        FUTEX_OP_OPARG_SHIFT = 8,
        FUTEX_OP_CMP_EQ = 0,
        FUTEX_OP_CMP_NE = 1,
        FUTEX_OP_CMP_LT = 2,
        FUTEX_OP_CMP_LE = 3,
        FUTEX_OP_CMP_GT = 4,
        FUTEX_OP_CMP_GE = 5,
    }
}

// `FutexWaitv::flags`: the size of the word (only 32 bits on Linux 6.1), and `FUTEX_PRIVATE_FLAG`.
consts! {
    u32 {
        FUTEX_32 = 0x2,
    }
}

pods! {
    /// `struct robust_list`: a node, embedded in the lock. Bit 0 of `next` marks a PI lock.
    RobustList { next: u64, }

    /// `struct robust_list_head`: what set_robust_list(2) is given.
    RobustListHead { list: RobustList, futex_offset: i64, list_op_pending: u64, }

    /// `struct futex_waitv`.
    FutexWaitv { val: u64, uaddr: u64, flags: u32, __reserved: u32, }
}
