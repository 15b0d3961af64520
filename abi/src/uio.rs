//! Vectors of buffers: readv(2), preadv2(2), process_vm_readv(2).

flags! {
    /// Flags of preadv2(2) and pwritev2(2).
    RwFlags: u32 {
        RWF_HIPRI = 0x1,
        RWF_DSYNC = 0x2,
        RWF_SYNC = 0x4,
        RWF_NOWAIT = 0x8,
        RWF_APPEND = 0x10,
    }
}

// The most buffers of one call, and the most bytes of one call (`MAX_RW_COUNT`).
consts! {
    usize {
        UIO_MAXIOV = 1024,
        MAX_RW_COUNT = 0x7fff_f000,
    }
}

pods! {
    /// `struct iovec`.
    Iovec { iov_base: u64, iov_len: u64, }
}
