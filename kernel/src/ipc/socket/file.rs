//! [`SocketFile`]: an open file of a socket.

use alloc::sync::Arc;

use abi::Errno;
use abi::poll::PollEvents;
use abi::socket::{AF_UNIX, MsgFlags, SIOCATMARK, SIOCINQ, SIOCOUTQ, Ucred};

use super::{Caller, Files, Kind, Outgoing, Socket};
use crate::fs::{self, Cred, File, FileOps, FileTraits, FsContext, ReadyQueue, Sink, Source};
use crate::ipc::inet::interface;
use crate::mem::UserOut;

/// The object behind a socket's descriptor.
pub struct SocketFile {
    /// The socket.
    pub socket: Arc<dyn Socket>,
    /// Who made it: whom write(2) sends for.
    cred: Arc<Cred>,
    fs: Arc<FsContext>,
    pid: i32,
}

impl SocketFile {
    /// An open file of `socket`, made by `caller`.
    pub fn new(socket: Arc<dyn Socket>, cred: &Arc<Cred>, fs: &Arc<FsContext>, pid: i32) -> Arc<Self> {
        Arc::new(Self { socket, cred: cred.clone(), fs: fs.clone(), pid })
    }

    fn maker(&self) -> Caller<'_> {
        Caller { fs: &self.fs, cred: &self.cred, pid: self.pid }
    }
}

impl FileOps for SocketFile {
    fn traits(&self) -> FileTraits {
        if self.socket.kind() == Kind::Stream { FileTraits::STREAM } else { FileTraits::STREAM | FileTraits::ONE_ACT }
    }

    /// recv(2) without flags. Open files handed over with the bytes are closed, as on Linux.
    fn try_read(&self, _file: &File, sink: &mut dyn Sink, _offset: u64) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        self.socket.receive(sink, MsgFlags::empty()).map(|received| received.len)
    }

    fn read_patience(&self, _file: &File) -> Option<(u64, Result<usize, Errno>)> {
        self.socket.settings().receive_timeout_ns().map(|patience_ns| (patience_ns, Err(Errno::EAGAIN)))
    }

    /// send(2) without flags, in the name of the socket's maker.
    fn try_write(&self, _file: &File, source: &mut dyn Source, _offset: u64) -> Result<usize, Errno> {
        let caller = self.maker();
        let credentials: Ucred = caller.identity();
        let mut message = Outgoing { address: None, files: Files::default(), credentials, caller };
        self.socket.send(source, &mut message)
    }

    fn readiness(&self, _file: &File) -> PollEvents {
        self.socket.readiness()
    }

    fn wait_queue(&self) -> Option<&ReadyQueue> {
        Some(self.socket.ready())
    }

    fn ioctl(&self, _file: &File, _caller: &dyn fs::Caller, request: u32, arg: u64) -> Result<usize, Errno> {
        let bytes = match request {
            SIOCINQ => self.socket.receivable()?,
            SIOCOUTQ => self.socket.unreceived(),
            // Nothing is ever urgent, so no mark is reached.
            SIOCATMARK if self.socket.kind() == Kind::Stream && self.socket.family() != AF_UNIX => 0,
            _ => return interface::ioctl(request, arg).unwrap_or(Err(Errno::ENOTTY)),
        };
        UserOut::<i32>::new(arg).write(&i32::try_from(bytes).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn release(&self, _file: &File) {
        self.socket.close();
    }
}
