//! System V message queues (msgop(2), `ipc/msg.c`).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::Errno;
use abi::ipc::{IpcFlags, IpcPerm, MSG_EXCEPT, MSG_NOERROR, MSGMAX, MSGMNB, MSGMNI, Msginfo, MsqidDs};

use super::{ALTER, Object, READ, Registry, check, check_owner, now_s, update};
use crate::fs::{Capabilities, Cred};
use crate::sync::{Rank, SpinLock, WaitQueue};

/// The queues.
pub static QUEUES: Registry<Queue> = Registry::new();

/// A queue of messages.
pub struct Queue {
    state: SpinLock<State>,
    changed: WaitQueue,
}

struct State {
    status: MsqidDs,
    messages: VecDeque<Message>,
    removed: bool,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Positive.
    pub kind: i64,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// Finds or makes a queue (msgget(2)).
pub fn get(key: i32, flags: u32, cred: &Cred) -> Result<i32, Errno> {
    QUEUES.get(key, flags, cred, MSGMNI, |_| Ok(()), |permissions| Ok(Queue::new(permissions)))
}

impl Object for Queue {
    fn permissions(&self) -> IpcPerm {
        self.state.lock().status.msg_perm
    }
}

/// Which message a receiver takes (msgrcv(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    kind: i64,
    except: bool,
}

impl Choice {
    /// By msgrcv's type and flags: 0 the first, positive the first of that type (or of any other), negative the
    /// lowest type up to its absolute value.
    pub fn new(kind: i64, flags: u32) -> Self {
        Self { kind, except: flags & MSG_EXCEPT != 0 }
    }

    fn find(&self, messages: &VecDeque<Message>) -> Option<usize> {
        match self.kind {
            0 => (!messages.is_empty()).then_some(0),
            kind if kind > 0 => messages.iter().position(|message| (message.kind == kind) != self.except),
            kind => {
                let highest = kind.checked_neg().unwrap_or(i64::MAX);
                let allowed = messages.iter().enumerate().filter(|(_, message)| message.kind <= highest);
                allowed.min_by_key(|(_, message)| message.kind).map(|(index, _)| index)
            }
        }
    }
}

impl Queue {
    fn new(permissions: IpcPerm) -> Self {
        let status = MsqidDs { msg_perm: permissions, msg_qbytes: MSGMNB, msg_ctime: now_s(), ..MsqidDs::default() };
        let state = State { status, messages: VecDeque::new(), removed: false };
        Self { state: SpinLock::new(Rank::Ipc, state), changed: WaitQueue::new() }
    }

    /// Sends, waiting for room unless `IPC_NOWAIT` (`do_msgsnd`). `EACCES`, `EIDRM`, `EAGAIN`.
    pub async fn send(&self, message: Message, flags: u32, pid: i32, cred: &Cred) -> Result<(), Errno> {
        let mut message = Some(message);
        self.changed
            .wait_until(|| match self.try_send(&mut message, pid, cred) {
                Err(Errno::EAGAIN) if flags & IpcFlags::IPC_NOWAIT.bits() == 0 => None,
                done => Some(done),
            })
            .await
    }

    fn try_send(&self, message: &mut Option<Message>, pid: i32, cred: &Cred) -> Result<(), Errno> {
        let mut state = self.state.lock();
        check(&state.status.msg_perm, ALTER, cred)?;
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let len = message.as_ref().map_or(0, |message| message.text.len() as u64);
        let status = &state.status;
        if status.msg_cbytes + len > status.msg_qbytes || status.msg_qnum + 1 > status.msg_qbytes {
            return Err(Errno::EAGAIN);
        }
        state.messages.extend(message.take());
        let status = &mut state.status;
        status.msg_cbytes += len;
        status.msg_qnum += 1;
        status.msg_lspid = pid;
        status.msg_stime = now_s();
        drop(state);
        self.changed.wake_all();
        Ok(())
    }

    /// Receives, waiting for a message unless `IPC_NOWAIT` (`do_msgrcv`): it has at most `limit` bytes, or is cut
    /// to them with `MSG_NOERROR`. `EACCES`, `EIDRM`, `ENOMSG`, `E2BIG`.
    pub async fn receive(
        &self,
        choice: Choice,
        limit: usize,
        flags: u32,
        pid: i32,
        cred: &Cred,
    ) -> Result<Message, Errno> {
        self.changed
            .wait_until(|| match self.try_receive(choice, limit, flags, pid, cred) {
                Err(Errno::ENOMSG) if flags & IpcFlags::IPC_NOWAIT.bits() == 0 => None,
                done => Some(done),
            })
            .await
    }

    fn try_receive(&self, choice: Choice, limit: usize, flags: u32, pid: i32, cred: &Cred) -> Result<Message, Errno> {
        let mut state = self.state.lock();
        check(&state.status.msg_perm, READ, cred)?;
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let index = choice.find(&state.messages).ok_or(Errno::ENOMSG)?;
        if state.messages[index].text.len() > limit && flags & MSG_NOERROR == 0 {
            return Err(Errno::E2BIG);
        }
        let mut message = state.messages.remove(index).ok_or(Errno::ENOMSG)?;
        let status = &mut state.status;
        status.msg_cbytes -= message.text.len() as u64;
        status.msg_qnum -= 1;
        status.msg_lrpid = pid;
        status.msg_rtime = now_s();
        drop(state);
        self.changed.wake_all();
        message.text.truncate(limit);
        Ok(message)
    }

    /// The message at that place of the queue, which stays there (`MSG_COPY`). `EACCES`, `EIDRM`, `ENOMSG`, `E2BIG`;
    /// `EINVAL` where it would have to be cut.
    pub fn peek(&self, index: i64, limit: usize, flags: u32, cred: &Cred) -> Result<Message, Errno> {
        if flags & MSG_EXCEPT != 0 || flags & IpcFlags::IPC_NOWAIT.bits() == 0 {
            return Err(Errno::EINVAL);
        }
        let state = self.state.lock();
        check(&state.status.msg_perm, READ, cred)?;
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let found = usize::try_from(index).ok().and_then(|index| state.messages.get(index)).ok_or(Errno::ENOMSG)?;
        match found.text.len() > limit {
            true if flags & MSG_NOERROR == 0 => Err(Errno::E2BIG),
            true => Err(Errno::EINVAL),
            false => Ok(found.clone()),
        }
    }

    /// `IPC_STAT`. `EACCES` unless `unchecked`.
    pub fn status(&self, unchecked: bool, cred: &Cred) -> Result<MsqidDs, Errno> {
        let state = self.state.lock();
        if !unchecked {
            check(&state.status.msg_perm, READ, cred)?;
        }
        Ok(state.status)
    }

    /// `IPC_SET`. `EPERM`, also for more bytes than the limit without privilege.
    pub fn set(&self, new: &MsqidDs, cred: &Cred) -> Result<(), Errno> {
        let mut state = self.state.lock();
        check_owner(&state.status.msg_perm, cred)?;
        if new.msg_qbytes > MSGMNB && !cred.capable(Capabilities::SYS_RESOURCE) {
            return Err(Errno::EPERM);
        }
        update(&mut state.status.msg_perm, &new.msg_perm);
        state.status.msg_qbytes = new.msg_qbytes;
        state.status.msg_ctime = now_s();
        drop(state);
        self.changed.wake_all();
        Ok(())
    }
}

/// `IPC_INFO`: the limits; `MSG_INFO`: with how much there is in three places (`msgctl_info`).
pub fn info(in_use: bool) -> Msginfo {
    let bounded = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
    let mut info = Msginfo {
        msgpool: bounded(MSGMNI * MSGMNB / 1024),
        msgmap: bounded(MSGMNB),
        msgmax: bounded(MSGMAX),
        msgmnb: bounded(MSGMNB),
        msgmni: bounded(MSGMNI),
        msgssz: 16,
        msgtql: bounded(MSGMNB),
        msgseg: u16::MAX,
        __pad: 0,
    };
    if in_use {
        let all = QUEUES.all();
        let sums = all
            .iter()
            .map(|queue| queue.state.lock().status)
            .fold((0, 0), |(messages, bytes), status| (messages + status.msg_qnum, bytes + status.msg_cbytes));
        (info.msgpool, info.msgmap, info.msgtql) = (bounded(all.len() as u64), bounded(sums.0), bounded(sums.1));
    }
    info
}

/// `IPC_RMID`: removes a queue; who waits on it learns of that. `EINVAL`, `EPERM`.
pub fn remove(id: i32, cred: &Cred) -> Result<(), Errno> {
    let queue = QUEUES.find(id)?;
    {
        let mut state = queue.state.lock();
        check_owner(&state.status.msg_perm, cred)?;
        state.removed = true;
    }
    QUEUES.remove(id);
    queue.changed.wake_all();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(kinds: &[i64]) -> Queue {
        let queue = Queue::new(IpcPerm { mode: 0o600, ..IpcPerm::default() });
        for kind in kinds {
            let mut message = Some(Message { kind: *kind, text: alloc::vec![0; *kind as usize] });
            queue.try_send(&mut message, 1, &Cred::root()).expect("there is room");
        }
        queue
    }

    fn take(queue: &Queue, kind: i64, flags: u32) -> Result<i64, Errno> {
        queue.try_receive(Choice::new(kind, flags), 100, flags, 1, &Cred::root()).map(|message| message.kind)
    }

    #[test]
    fn messages_are_chosen_by_type() {
        let queue = queue(&[5, 3, 4, 3]);
        assert_eq!(take(&queue, -4, 0), Ok(3));
        assert_eq!(take(&queue, 4, 0), Ok(4));
        assert_eq!(take(&queue, 5, MSG_EXCEPT), Ok(3));
        assert_eq!(take(&queue, -4, 0), Err(Errno::ENOMSG));
        assert_eq!(take(&queue, 0, 0), Ok(5));
    }

    #[test]
    fn a_message_that_is_too_long_stays_or_is_cut() {
        let queue = queue(&[9]);
        let limited = |flags| queue.try_receive(Choice::new(0, 0), 4, flags, 1, &Cred::root());
        assert_eq!(limited(0), Err(Errno::E2BIG));
        assert_eq!(limited(MSG_NOERROR).map(|message| message.text.len()), Ok(4));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let queue = queue(&[]);
        let mut sent = 0;
        while queue.try_send(&mut Some(Message { kind: 1, text: alloc::vec![0; 8192] }), 1, &Cred::root()).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 2);
    }
}
