//! What message queues may take: the settings of /proc/sys/fs/mqueue, and each user's share (`RLIMIT_MSGQUEUE`).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::mqueue::{MQ_PRIO_MAX, MqAttr};

use crate::fs::{Capabilities, Cred};
use crate::sync::{Rank, Setting, SpinLock};

/// Bounds that nobody may pass (`HARD_MSGMAX`, `HARD_MSGSIZEMAX`).
const HARD_MESSAGES: i64 = 65_536;
const HARD_MESSAGE_BYTES: i64 = 16 << 20;
/// The least the second may be set to (`MIN_MSGSIZEMAX`).
const LEAST_MESSAGE_BYTES: i64 = 128;

/// `msg_default`: messages of a queue made without attributes.
pub static MESSAGES: Setting = Setting::new(10, 1..=HARD_MESSAGES);
/// `msg_max`: the most without privilege.
pub static MAX_MESSAGES: Setting = Setting::new(10, 1..=HARD_MESSAGES);
/// `msgsize_default`: bytes of a message of a queue made without attributes.
pub static MESSAGE_BYTES: Setting = Setting::new(8192, LEAST_MESSAGE_BYTES..=HARD_MESSAGE_BYTES);
/// `msgsize_max`: the most without privilege.
pub static MAX_MESSAGE_BYTES: Setting = Setting::new(8192, LEAST_MESSAGE_BYTES..=HARD_MESSAGE_BYTES);
/// `queues_max`: how many queues there may be without privilege.
pub static MAX_QUEUES: Setting = Setting::new(256, 0..=i32::MAX as i64);

/// Queues there are.
static QUEUES: AtomicU64 = AtomicU64::new(0);

/// Bytes Linux counts for a message's header and for a node of its tree (`struct msg_msg`, `posix_msg_tree_node`).
const HEADER_BYTES: u64 = 48;
const NODE_BYTES: u64 = 48;

/// The attributes of a queue made without any.
pub fn default_attributes() -> MqAttr {
    MqAttr {
        mq_maxmsg: MESSAGES.get().min(MAX_MESSAGES.get()),
        mq_msgsize: MESSAGE_BYTES.get().min(MAX_MESSAGE_BYTES.get()),
        ..MqAttr::default()
    }
}

/// A queue's place among all, and its bytes in its user's account; returned on drop.
pub struct Charge {
    account: Arc<AtomicU64>,
    bytes: u64,
}

impl Charge {
    /// The charge of a queue with these attributes, whose owner may take `limit_bytes` in all
    /// (`mqueue_create_attr()`, `mqueue_get_inode()`). `ENOSPC`, `EINVAL`, `EMFILE`.
    pub fn new(attributes: &MqAttr, cred: &Cred, limit_bytes: u64) -> Result<Self, Errno> {
        let is_privileged = cred.capable(Capabilities::SYS_RESOURCE);
        if QUEUES.load(Ordering::Relaxed) >= MAX_QUEUES.count() as u64 && !is_privileged {
            return Err(Errno::ENOSPC);
        }
        let (most, most_bytes) = match is_privileged {
            true => (HARD_MESSAGES, HARD_MESSAGE_BYTES),
            false => (MAX_MESSAGES.get(), MAX_MESSAGE_BYTES.get()),
        };
        if !(1..=most).contains(&attributes.mq_maxmsg) || !(1..=most_bytes).contains(&attributes.mq_msgsize) {
            return Err(Errno::EINVAL);
        }
        let (messages, size) = (attributes.mq_maxmsg.unsigned_abs(), attributes.mq_msgsize.unsigned_abs());
        let bytes = messages * (size + HEADER_BYTES) + messages.min(MQ_PRIO_MAX.into()) * NODE_BYTES;
        let account = account_of(cred.uid);
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit_bytes);
        account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Errno::EMFILE)?;
        QUEUES.fetch_add(1, Ordering::Relaxed);
        Ok(Self { account, bytes })
    }

    #[cfg(test)]
    pub fn for_tests() -> Self {
        let (attributes, cred) = (default_attributes(), Cred::root());
        Self::new(&attributes, &cred, u64::MAX).expect("root may")
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.fetch_sub(self.bytes, Ordering::Relaxed);
        QUEUES.fetch_sub(1, Ordering::Relaxed);
    }
}

fn account_of(uid: u32) -> Arc<AtomicU64> {
    static USERS: SpinLock<BTreeMap<u32, Arc<AtomicU64>>> = SpinLock::new(Rank::SysvTable, BTreeMap::new());
    USERS.lock().entry(uid).or_default().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_takes_no_more_than_its_limit_and_gets_it_back() {
        let cred = Cred { uid: 4711, ..Cred::root() };
        let attributes = MqAttr { mq_maxmsg: 10, mq_msgsize: 100, ..MqAttr::default() };
        let bytes = 10 * (100 + 48) + 10 * 48;
        let first = Charge::new(&attributes, &cred, bytes + 1).expect("it fits");
        assert_eq!(Charge::new(&attributes, &cred, bytes + 1).err(), Some(Errno::EMFILE));
        drop(first);
        assert!(Charge::new(&attributes, &cred, bytes).is_ok());
    }
}
