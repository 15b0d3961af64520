//! /proc/sysvipc: the objects of System V (`ipc/*.c`: the `sysvipc_*_proc_show` functions).

use alloc::sync::Arc;

use abi::ipc::IpcPerm;

use super::node::Text;
use crate::fs::Cred;
use crate::ipc::shm;
use crate::ipc::sysv::{msg, sem};
use crate::process::PidTable;

/// Owner and maker, as each line has them.
fn owners(text: &mut Text, permissions: &IpcPerm) {
    let IpcPerm { uid, gid, cuid, cgid, .. } = permissions;
    text.put(format_args!(" {uid:5} {gid:5} {cuid:5} {cgid:5}"));
}

fn head(text: &mut Text, permissions: &IpcPerm, id: i32) {
    text.put(format_args!("{:10} {id:10}  {:4o}", permissions.key, permissions.mode));
}

/// /proc/sysvipc/msg.
pub fn messages(text: &mut Text, _table: &Arc<PidTable>) {
    text.put(format_args!(
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
    ));
    for (id, queue) in msg::QUEUES.entries() {
        let Ok(now) = queue.status(true, &Cred::root()) else { continue };
        head(text, &now.msg_perm, id);
        text.put(format_args!("  {:10} {:10} {:5} {:5}", now.msg_cbytes, now.msg_qnum, now.msg_lspid, now.msg_lrpid));
        owners(text, &now.msg_perm);
        text.put(format_args!(" {:10} {:10} {:10}\n", now.msg_stime, now.msg_rtime, now.msg_ctime));
    }
}

/// /proc/sysvipc/sem.
pub fn semaphores(text: &mut Text, _table: &Arc<PidTable>) {
    text.put(format_args!("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"));
    for (id, set) in sem::SETS.entries() {
        let Ok(now) = set.status(true, &Cred::root()) else { continue };
        head(text, &now.sem_perm, id);
        text.put(format_args!(" {:10}", now.sem_nsems));
        owners(text, &now.sem_perm);
        text.put(format_args!(" {:10} {:10}\n", now.sem_otime, now.sem_ctime));
    }
}

/// /proc/sysvipc/shm. Nothing is ever swapped; what is resident is what was touched.
pub fn memory(text: &mut Text, _table: &Arc<PidTable>) {
    text.put(format_args!(
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
    ));
    let (_, highest) = shm::totals();
    for index in 0..=highest {
        let Ok(id) = shm::id_at(index) else { continue };
        let Ok(now) = shm::status(id, true, &Cred::root()) else { continue };
        head(text, &now.shm_perm, id);
        text.put(format_args!(" {:21} {:5} {:5}  {:5}", now.shm_segsz, now.shm_cpid, now.shm_lpid, now.shm_nattch));
        owners(text, &now.shm_perm);
        let times = (now.shm_atime, now.shm_dtime, now.shm_ctime);
        text.put(format_args!(" {:10} {:10} {:10} {:21} {:21}\n", times.0, times.1, times.2, 0, 0));
    }
}
