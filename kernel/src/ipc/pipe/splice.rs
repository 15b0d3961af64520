//! Moving bytes between a pipe and something else without a stop in user memory (splice(2), tee(2), sendfile(2)).
//!
//! A slot leaves the ring while it is filled or emptied elsewhere, so that no lock of the pipe is held across
//! another file's read or write. Between two pipes whole pages change hands.

use alloc::sync::Arc;

use abi::Errno;

use super::ring::{PAGE_BYTES, Ring};
use super::{Pipe, READABLE, State, WRITABLE};
use crate::sync::SpinGuard;

/// Empties up to `len` bytes of `pipe` through `write`, which says how many it took (`splice_from_pipe`). Stops
/// where `write` takes less than it was given. 0 at the end of file; `EAGAIN` if a writer may still come.
pub fn from_pipe(
    pipe: &Pipe,
    len: usize,
    mut write: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut moved = 0;
    while moved < len {
        let mut slot = {
            let mut state = pipe.state.lock();
            if state.first_is_out || (state.ring.is_empty() && state.writers > 0) {
                return if moved > 0 { Ok(moved) } else { Err(Errno::EAGAIN) };
            }
            let Some(slot) = state.ring.take_first() else { break };
            state.first_is_out = true;
            slot
        };
        let want = slot.bytes().len().min(len - moved);
        let taken = write(&slot.bytes()[..want]);
        slot.consume(taken.unwrap_or(0));
        let mut state = pipe.state.lock();
        state.first_is_out = false;
        state.ring.put_back(slot);
        drop(state);
        pipe.ready.wake(READABLE | WRITABLE);
        match taken {
            Ok(count) => {
                moved += count;
                if count < want {
                    break;
                }
            }
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(moved)
}

/// Fills `pipe` with up to `len` bytes through `read`, which says how many it gave (`splice_to_pipe`). Stops at
/// the first read that gives less than asked. `EPIPE` without readers, `EAGAIN` if there is no room.
pub fn into_pipe(
    pipe: &Pipe,
    len: usize,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut moved = 0;
    while moved < len {
        let slot = {
            let mut state = pipe.state.lock();
            if state.readers == 0 {
                return if moved > 0 { Ok(moved) } else { Err(Errno::EPIPE) };
            }
            state.ring.hand_out()
        };
        let Some(mut slot) = slot else {
            return if moved > 0 { Ok(moved) } else { Err(Errno::EAGAIN) };
        };
        let want = PAGE_BYTES.min(len - moved);
        let given = read(&mut slot.page_mut()[..want]);
        slot.set_filled(given.unwrap_or(0));
        pipe.state.lock().ring.append(slot);
        pipe.ready.wake(READABLE);
        match given {
            Ok(count) => {
                moved += count;
                if count < want {
                    break;
                }
            }
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(moved)
}

/// Moves up to `len` bytes from one pipe to another (`splice_pipe_to_pipe`). `EINVAL` if they are the same.
pub fn move_between(from: &Arc<Pipe>, to: &Arc<Pipe>, len: usize) -> Result<usize, Errno> {
    between(from, to, len, |from, to, moved| from.move_slot(to, len - moved))
}

/// Copies up to `len` bytes from one pipe to another; they stay to be read (`link_pipe`). `EINVAL` if they are
/// the same.
pub fn tee(from: &Arc<Pipe>, to: &Arc<Pipe>, len: usize) -> Result<usize, Errno> {
    let mut index = 0;
    between(from, to, len, |from, to, copied| {
        index += 1;
        to.copy_slot(from, index - 1, len - copied)
    })
}

/// Has `step` move slots from one ring to the other until `len` bytes are moved or it has nothing more to move.
fn between(
    from: &Arc<Pipe>,
    to: &Arc<Pipe>,
    len: usize,
    mut step: impl FnMut(&mut Ring, &mut Ring, usize) -> Option<usize>,
) -> Result<usize, Errno> {
    if Arc::ptr_eq(from, to) {
        return Err(Errno::EINVAL);
    }
    let mut moved = 0;
    {
        let (mut source, mut target) = lock_both(from, to);
        if target.readers == 0 {
            return Err(Errno::EPIPE);
        }
        if source.first_is_out || (source.ring.is_empty() && source.writers > 0) || target.ring.is_full() {
            return Err(Errno::EAGAIN);
        }
        while moved < len && !target.ring.is_full() {
            let Some(count) = step(&mut source.ring, &mut target.ring, moved) else { break };
            moved += count;
        }
    }
    if moved > 0 {
        from.ready.wake(WRITABLE);
        to.ready.wake(READABLE);
    }
    Ok(moved)
}

/// Locks two pipes, the one at the lower address first.
fn lock_both<'a>(from: &'a Arc<Pipe>, to: &'a Arc<Pipe>) -> (SpinGuard<'a, State>, SpinGuard<'a, State>) {
    if Arc::as_ptr(from) < Arc::as_ptr(to) {
        let source = from.state.lock();
        (source, to.state.lock_nested())
    } else {
        let target = to.state.lock();
        (from.state.lock_nested(), target)
    }
}
