//! System V semaphores and message queues (`ipc/sem.c`, `ipc/msg.c`).

use alloc::vec::Vec;

use abi::Errno;
use abi::ipc::*;
use abi::zerocopy::IntoBytes;

use super::args::{Flags, Pointer};
use super::poll::{deadline, from_timespec};
use super::{Cx, SyscallResult};
use crate::ipc::sysv::msg::{self, Choice, Message};
use crate::ipc::sysv::sem::{self, Figure};
use crate::mem::{UserIn, UserOut, UserSlice};
use crate::sync::executor;

/// A result that is no negative number.
fn encode(value: i32) -> SyscallResult {
    usize::try_from(value).map_err(|_| Errno::EINVAL)
}

/// semget(2). `EINVAL`, `ENOENT`, `EEXIST`, `EACCES`, `ENOSPC`.
pub fn sys_semget(cx: &mut Cx<'_>, key: i32, count: i32, flags: Flags) -> SyscallResult {
    encode(sem::get(key, count, flags.0, &cx.private.cred)?)
}

/// semop(2). Waits until all operations can be done.
pub async fn sys_semop(cx: &mut Cx<'_>, id: i32, operations: UserIn<Sembuf>, count: usize) -> SyscallResult {
    operate(cx, id, operations, count, None).await
}

/// semtimedop(2): as semop(2), with a limit of time. `EAGAIN` when it is over.
pub async fn sys_semtimedop(
    cx: &mut Cx<'_>,
    id: i32,
    operations: UserIn<Sembuf>,
    count: usize,
    timeout: Pointer,
) -> SyscallResult {
    let timeout_ns = from_timespec(timeout)?;
    operate(cx, id, operations, count, timeout_ns).await
}

/// `do_semtimedop`: `EINVAL`, `E2BIG`, `EFAULT`, `EFBIG`, `EACCES`, `ERANGE`, `EAGAIN`, `EIDRM`; `EINTR` whatever
/// the handler's flags.
async fn operate(
    cx: &mut Cx<'_>,
    id: i32,
    operations: UserIn<Sembuf>,
    count: usize,
    timeout_ns: Option<u64>,
) -> SyscallResult {
    if count == 0 || id < 0 {
        return Err(Errno::EINVAL);
    }
    if count as u64 > SEMOPM {
        return Err(Errno::E2BIG);
    }
    let mut list = Vec::new();
    for index in 0..count as u64 {
        list.push(operations.element(index).read()?);
    }
    let set = sem::SETS.find(id)?;
    let deadline_ns = deadline(timeout_ns).unwrap_or(u64::MAX);
    let (pid, cred) = (cx.process().pid, cx.private.cred.clone());
    let wait = executor::timeout_at(deadline_ns, set.operate(&list, pid, &cred));
    let done = cx.interruptible(wait).await.map_err(|_| Errno::EINTR)?;
    done.map_err(|_| Errno::EAGAIN)??;
    Ok(0)
}

/// semctl(2). `EINVAL`, `EFAULT`, `EACCES`, `EPERM`, `ERANGE`, `EIDRM`.
pub fn sys_semctl(cx: &mut Cx<'_>, id: i32, index: i32, command: u32, arg: u64) -> SyscallResult {
    let cred = cx.private.cred.clone();
    let pid = cx.process().pid;
    let figure = |which| sem::SETS.find(id)?.figure(index, which, &cred).and_then(encode);
    match command {
        IPC_RMID => sem::remove(id, &cred)?,
        IPC_SET => {
            let new = UserIn::<SemidDs>::new(arg).read()?;
            sem::SETS.find(id)?.set_permissions(&new.sem_perm, &cred)?;
        }
        IPC_STAT => UserOut::new(arg).write(&sem::SETS.find(id)?.status(false, &cred)?)?,
        IPC_INFO | SEM_INFO => {
            UserOut::new(arg).write(&sem::info(command == SEM_INFO))?;
            return encode(sem::SETS.highest_index());
        }
        SEM_STAT | SEM_STAT_ANY => {
            let (id, set) = sem::SETS.at_index(id)?;
            UserOut::new(arg).write(&set.status(command == SEM_STAT_ANY, &cred)?)?;
            return encode(id);
        }
        GETVAL => return figure(Figure::Value),
        GETPID => return figure(Figure::Pid),
        GETNCNT => return figure(Figure::WaitingGrowth),
        GETZCNT => return figure(Figure::WaitingZero),
        GETALL => {
            let values = sem::SETS.find(id)?.values(&cred)?;
            write_all(arg, values.as_bytes())?;
        }
        SETVAL => {
            // The value is an int, wherever its other half of the register points.
            let value = arg as i32;
            sem::SETS.find(id)?.set_values(index, &[value], pid, &cred)?;
        }
        SETALL => {
            let set = sem::SETS.find(id)?;
            let mut values = Vec::new();
            for at in 0..set.count() as u64 {
                values.push(i32::from(UserIn::<u16>::new(arg).element(at).read()?));
            }
            set.set_values(0, &values, pid, &cred)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn write_all(to: u64, bytes: &[u8]) -> Result<(), Errno> {
    let copied = UserSlice::new(to, bytes.len() as u64).write_at(0, bytes);
    if copied == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// msgget(2). `ENOENT`, `EEXIST`, `EACCES`, `ENOSPC`.
pub fn sys_msgget(cx: &mut Cx<'_>, key: i32, flags: Flags) -> SyscallResult {
    encode(msg::get(key, flags.0, &cx.private.cred)?)
}

/// Bytes of a message's type, which comes before its text.
const KIND_BYTES: u64 = size_of::<i64>() as u64;

/// msgsnd(2) (`do_msgsnd`). Waits for room. `EFAULT`, `EINVAL`, `EACCES`, `EIDRM`, `EAGAIN`.
pub async fn sys_msgsnd(cx: &mut Cx<'_>, id: i32, message: UserIn<i64>, len: usize, flags: Flags) -> SyscallResult {
    let kind = message.read()?;
    if len as u64 > MSGMAX || id < 0 || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let text = UserSlice::new(message.addr().0.wrapping_add(KIND_BYTES), len as u64).read_all()?;
    let queue = msg::QUEUES.find(id)?;
    let (pid, cred) = (cx.process().pid, cx.private.cred.clone());
    let wait = queue.send(Message { kind, text }, flags.0, pid, &cred);
    cx.interruptible(wait).await.map_err(|_| Errno::ERESTARTNOHAND)??;
    Ok(0)
}

/// msgrcv(2) (`do_msgrcv`). Waits for a message. `EINVAL`, `EACCES`, `EIDRM`, `ENOMSG`, `E2BIG`, `EFAULT`.
pub async fn sys_msgrcv(
    cx: &mut Cx<'_>,
    id: i32,
    message: UserOut<i64>,
    len: usize,
    kind: i64,
    flags: Flags,
) -> SyscallResult {
    if id < 0 || i64::try_from(len).is_err() {
        return Err(Errno::EINVAL);
    }
    let queue = msg::QUEUES.find(id)?;
    let (pid, cred) = (cx.process().pid, cx.private.cred.clone());
    if flags.0 & MSG_COPY != 0 {
        let copy = queue.peek(kind, len, flags.0, &cred)?;
        return give(message, &copy);
    }
    let wait = queue.receive(Choice::new(kind, flags.0), len, flags.0, pid, &cred);
    let received = cx.interruptible(wait).await.map_err(|_| Errno::ERESTARTNOHAND)??;
    give(message, &received)
}

/// Writes a message, and gives the length of its text. `EFAULT`.
fn give(to: UserOut<i64>, message: &Message) -> SyscallResult {
    to.write(&message.kind)?;
    write_all(to.addr().0.wrapping_add(KIND_BYTES), &message.text)?;
    Ok(message.text.len())
}

/// msgctl(2). `EINVAL`, `EFAULT`, `EACCES`, `EPERM`.
pub fn sys_msgctl(cx: &mut Cx<'_>, id: i32, command: u32, arg: u64) -> SyscallResult {
    let cred = &cx.private.cred;
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        IPC_RMID => msg::remove(id, cred)?,
        IPC_SET => {
            let new = UserIn::<MsqidDs>::new(arg).read()?;
            msg::QUEUES.find(id)?.set(&new, cred)?;
        }
        IPC_STAT => UserOut::new(arg).write(&msg::QUEUES.find(id)?.status(false, cred)?)?,
        IPC_INFO | MSG_INFO => {
            UserOut::new(arg).write(&msg::info(command == MSG_INFO))?;
            return encode(msg::QUEUES.highest_index());
        }
        MSG_STAT | MSG_STAT_ANY => {
            let (id, queue) = msg::QUEUES.at_index(id)?;
            UserOut::new(arg).write(&queue.status(command == MSG_STAT_ANY, cred)?)?;
            return encode(id);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
