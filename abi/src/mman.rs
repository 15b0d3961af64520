//! Memory maps: mmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mlock(2), memfd_create(2), membarrier(2).

flags! {
    /// Protection of a map. Bits Linux does not know make mprotect(2) fail and are ignored by mmap(2).
    Prot: u64 {
        PROT_READ = 0x1,
        PROT_WRITE = 0x2,
        PROT_EXEC = 0x4,
        PROT_SEM = 0x8,
        PROT_GROWSDOWN = 0x1000000,
        PROT_GROWSUP = 0x2000000,
    }
}

/// No access at all.
pub const PROT_NONE: Prot = Prot::empty();

flags! {
    /// Flags of mmap(2). The kind of map is the low four bits, see [`MAP_TYPE`].
    MapFlags: u64 {
        MAP_SHARED = 0x1,
        MAP_PRIVATE = 0x2,
        MAP_FIXED = 0x10,
        MAP_ANONYMOUS = 0x20,
        MAP_32BIT = 0x40,
        MAP_GROWSDOWN = 0x100,
        MAP_DENYWRITE = 0x800,
        MAP_EXECUTABLE = 0x1000,
        MAP_LOCKED = 0x2000,
        MAP_NORESERVE = 0x4000,
        MAP_POPULATE = 0x8000,
        MAP_NONBLOCK = 0x10000,
        MAP_STACK = 0x20000,
        MAP_HUGETLB = 0x40000,
        MAP_SYNC = 0x80000,
        MAP_FIXED_NOREPLACE = 0x100000,
        MAP_UNINITIALIZED = 0x4000000,
    }
}

// The field of the map's kind, a kind that is both bits of a flag at once, and the place of a huge page's size.
consts! {
    u64 {
        MAP_TYPE = 0xf,
        MAP_SHARED_VALIDATE = 0x3,
        MAP_HUGE_SHIFT = 0x1a,
        MAP_HUGE_MASK = 0x3f,
    }
}

flags! {
    /// Flags of mremap(2).
    MremapFlags: u64 {
        MREMAP_MAYMOVE = 0x1,
        MREMAP_FIXED = 0x2,
        MREMAP_DONTUNMAP = 0x4,
    }
}

flags! {
    /// Flags of msync(2).
    MsyncFlags: u32 {
        MS_ASYNC = 0x1,
        MS_INVALIDATE = 0x2,
        MS_SYNC = 0x4,
    }
}

flags! {
    /// Flags of mlockall(2).
    MlockallFlags: u32 {
        MCL_CURRENT = 0x1,
        MCL_FUTURE = 0x2,
        MCL_ONFAULT = 0x4,
    }
}

flags! {
    /// Flags of mlock2(2).
    Mlock2Flags: u32 {
        MLOCK_ONFAULT = 0x1,
    }
}

consts! {
    /// Advice of madvise(2).
    advice_name: u32 {
        MADV_NORMAL = 0,
        MADV_RANDOM = 1,
        MADV_SEQUENTIAL = 2,
        MADV_WILLNEED = 3,
        MADV_DONTNEED = 4,
        MADV_FREE = 8,
        MADV_REMOVE = 9,
        MADV_DONTFORK = 10,
        MADV_DOFORK = 11,
        MADV_HWPOISON = 100,
        MADV_SOFT_OFFLINE = 101,
        MADV_MERGEABLE = 12,
        MADV_UNMERGEABLE = 13,
        MADV_HUGEPAGE = 14,
        MADV_NOHUGEPAGE = 15,
        MADV_DONTDUMP = 16,
        MADV_DODUMP = 17,
        MADV_WIPEONFORK = 18,
        MADV_KEEPONFORK = 19,
        MADV_COLD = 20,
        MADV_PAGEOUT = 21,
        MADV_POPULATE_READ = 22,
        MADV_POPULATE_WRITE = 23,
        MADV_DONTNEED_LOCKED = 24,
        MADV_COLLAPSE = 25,
    }
}

flags! {
    /// Flags of memfd_create(2).
    MemfdFlags: u32 {
        MFD_CLOEXEC = 0x1,
        MFD_ALLOW_SEALING = 0x2,
        MFD_HUGETLB = 0x4,
    }
}

consts! {
    /// Commands of membarrier(2).
    membarrier_name: u32 {
        MEMBARRIER_CMD_QUERY = 0,
        MEMBARRIER_CMD_GLOBAL = 1,
        MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ = 128,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ = 256,
    }
}

// The one flag of membarrier(2).
consts! {
    u32 {
        MEMBARRIER_CMD_FLAG_CPU = 1,
    }
}

consts! {
    /// Memory policies (mbind(2), set_mempolicy(2)).
    mempolicy_name: u32 {
        MPOL_DEFAULT = 0,
        MPOL_PREFERRED = 1,
        MPOL_BIND = 2,
        MPOL_INTERLEAVE = 3,
        MPOL_LOCAL = 4,
        MPOL_PREFERRED_MANY = 5,
    }
}

/// The only page size programs see.
pub const PAGE_SIZE: usize = 4096;
