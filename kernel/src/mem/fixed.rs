//! [`FixedPages`]: frames of the kernel's that every process may map, read only: the vDSO and its data.

use alloc::sync::Arc;

use super::backing::{Backing, BackingIdentity, PageError};
use super::frame::Frame;
use super::rmap::Mappers;

/// A page that is always there. Never changes, so it has no lock.
pub struct FixedPages {
    frame: Frame,
    mappers: Mappers,
}

impl FixedPages {
    /// A page that shows `frame`.
    pub fn new(frame: Frame) -> Arc<Self> {
        Arc::new(Self { frame, mappers: Mappers::new() })
    }

    /// The frame.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Backing for FixedPages {
    fn page(&self, index: u64, write: bool) -> Result<Frame, PageError> {
        if index == 0 && !write { Ok(self.frame.clone()) } else { Err(PageError::PastEnd) }
    }

    fn is_resident(&self, index: u64) -> bool {
        index == 0
    }

    fn mappers(&self) -> &Mappers {
        &self.mappers
    }

    fn identity(&self) -> BackingIdentity {
        BackingIdentity::default()
    }
}
