//! Sockets: socket(2), sendmsg(2), unix(7), getsockopt(2).

consts! {
    /// Address families.
    family_name: u32 {
        AF_UNSPEC = 0,
        AF_UNIX = 1,
        AF_INET = 2,
        AF_INET6 = 10,
        AF_NETLINK = 16,
        AF_PACKET = 17,
        AF_VSOCK = 40,
    }
}

consts! {
    /// Kinds of socket: the low four bits of the type.
    socket_type_name: u32 {
        SOCK_STREAM = 1,
        SOCK_DGRAM = 2,
        SOCK_RAW = 3,
        SOCK_RDM = 4,
        SOCK_SEQPACKET = 5,
    }
}

// The part of the type that is the kind; the longest name; the longest queue of a listener.
consts! {
    u32 {
        SOCK_TYPE_MASK = 15,
        SOMAXCONN = 4096,
    }
}

flags! {
    /// Flags in socket(2)'s type, and of accept4(2).
    SockFlags: u32 {
        SOCK_NONBLOCK = 0x800,
        SOCK_CLOEXEC = 0x80000,
    }
}

flags! {
    /// Flags of sendmsg(2) and recvmsg(2).
    MsgFlags: u32 {
        MSG_OOB = 0x1,
        MSG_PEEK = 0x2,
        MSG_DONTROUTE = 0x4,
        MSG_CTRUNC = 0x8,
        MSG_PROXY = 0x10,
        MSG_TRUNC = 0x20,
        MSG_DONTWAIT = 0x40,
        MSG_EOR = 0x80,
        MSG_WAITALL = 0x100,
        MSG_CONFIRM = 0x800,
        MSG_ERRQUEUE = 0x2000,
        MSG_NOSIGNAL = 0x4000,
        MSG_MORE = 0x8000,
        MSG_WAITFORONE = 0x10000,
        MSG_CMSG_CLOEXEC = 0x40000000,
    }
}

// How shutdown(2) shuts.
consts! {
    u32 {
        SHUT_RD = 0,
        SHUT_WR = 1,
        SHUT_RDWR = 2,
    }
}

// Levels of getsockopt(2) and of control messages.
consts! {
    u32 {
        SOL_SOCKET = 1,
        SOL_TCP = 6,
        IPPROTO_IP = 0,
        IPPROTO_TCP = 6,
        IPPROTO_UDP = 17,
        IPPROTO_IPV6 = 41,
    }
}

consts! {
    /// Options of `SOL_SOCKET`.
    so_name: u32 {
        SO_DEBUG = 1,
        SO_REUSEADDR = 2,
        SO_TYPE = 3,
        SO_ERROR = 4,
        SO_DONTROUTE = 5,
        SO_BROADCAST = 6,
        SO_SNDBUF = 7,
        SO_RCVBUF = 8,
        SO_KEEPALIVE = 9,
        SO_OOBINLINE = 10,
        SO_NO_CHECK = 11,
        SO_PRIORITY = 12,
        SO_LINGER = 13,
        SO_BSDCOMPAT = 14,
        SO_REUSEPORT = 15,
        SO_PASSCRED = 16,
        SO_PEERCRED = 17,
        SO_RCVLOWAT = 18,
        SO_SNDLOWAT = 19,
        SO_RCVTIMEO = 20,
        SO_SNDTIMEO = 21,
        SO_PEERNAME = 28,
        SO_TIMESTAMP = 29,
        SO_ACCEPTCONN = 30,
        SO_PEERSEC = 31,
        SO_SNDBUFFORCE = 32,
        SO_RCVBUFFORCE = 33,
        SO_PASSSEC = 34,
        SO_PROTOCOL = 38,
        SO_DOMAIN = 39,
        SO_PEEK_OFF = 42,
        SO_PEERGROUPS = 59,
    }
}

// Control messages of `SOL_SOCKET`, the most descriptors of one, and `TCP_NODELAY`.
consts! {
    u32 {
        SCM_RIGHTS = 1,
        SCM_CREDENTIALS = 2,
        SCM_MAX_FD = 253,
        TCP_NODELAY = 1,
    }
}

// Options of tcp(7), ip(7) and ipv6(7).
consts! {
    u32 {
        TCP_MAXSEG = 2,
        TCP_CORK = 3,
        TCP_KEEPIDLE = 4,
        TCP_KEEPINTVL = 5,
        TCP_KEEPCNT = 6,
        TCP_SYNCNT = 7,
        TCP_LINGER2 = 8,
        TCP_DEFER_ACCEPT = 9,
        TCP_QUICKACK = 12,
        TCP_USER_TIMEOUT = 18,
        IP_TOS = 1,
        IP_TTL = 2,
        IP_MTU_DISCOVER = 10,
        IP_RECVERR = 11,
        IP_FREEBIND = 15,
        IP_BIND_ADDRESS_NO_PORT = 24,
        IP_MULTICAST_TTL = 33,
        IP_MULTICAST_LOOP = 34,
        IPV6_UNICAST_HOPS = 16,
        IPV6_MTU_DISCOVER = 23,
        IPV6_RECVERR = 25,
        IPV6_V6ONLY = 26,
        IPV6_TCLASS = 67,
    }
}

// Requests of ioctl(2) on a socket.
consts! {
    u32 {
        SIOCINQ = 0x541b,
        SIOCOUTQ = 0x5411,
        SIOCATMARK = 0x8905,
        SIOCGIFNAME = 0x8910,
        SIOCGIFCONF = 0x8912,
        SIOCGIFFLAGS = 0x8913,
        SIOCGIFADDR = 0x8915,
        SIOCGIFBRDADDR = 0x8919,
        SIOCGIFNETMASK = 0x891b,
        SIOCGIFMETRIC = 0x891d,
        SIOCGIFMTU = 0x8921,
        SIOCGIFHWADDR = 0x8927,
        SIOCGIFINDEX = 0x8933,
        SIOCGIFTXQLEN = 0x8942,
    }
}

/// The bytes of a path in a unix socket's address.
pub const UNIX_PATH_MAX: usize = 108;

pods! {
    /// `struct sockaddr_un`. An abstract name starts with a zero byte and ends where the length says.
    SockaddrUn { sun_family: u16, sun_path: [u8; 108], }

    /// `struct sockaddr_in`, port and address in network order.
    SockaddrIn { sin_family: u16, sin_port: [u8; 2], sin_addr: [u8; 4], sin_zero: [u8; 8], }

    /// `struct sockaddr_in6`.
    SockaddrIn6 {
        sin6_family: u16,
        sin6_port: [u8; 2],
        sin6_flowinfo: [u8; 4],
        sin6_addr: [u8; 16],
        sin6_scope_id: u32,
    }

    /// `struct user_msghdr`.
    Msghdr {
        msg_name: u64,
        msg_namelen: i32,
        __pad0: u32,
        msg_iov: u64,
        msg_iovlen: u64,
        msg_control: u64,
        msg_controllen: u64,
        msg_flags: u32,
        __pad1: u32,
    }

    /// `struct mmsghdr`.
    Mmsghdr { msg_hdr: Msghdr, msg_len: u32, __pad: u32, }

    /// `struct cmsghdr`: the head of a control message; messages start at multiples of 8.
    Cmsghdr { cmsg_len: u64, cmsg_level: i32, cmsg_type: i32, }

    /// `struct ucred`.
    Ucred { pid: i32, uid: u32, gid: u32, }

    /// `struct ifreq`: an interface's name, and what was asked about it.
    Ifreq { ifr_name: [u8; 16], ifr_data: [u8; 24], }

    /// `struct ifconf`.
    Ifconf { ifc_len: i32, __pad: u32, ifc_buf: u64, }

    /// `struct linger`.
    Linger { l_onoff: i32, l_linger: i32, }
}
