//! The initrd, where the loader left it.

use bootloader_api::BootInfo;

/// What the loader left as ramdisk; nothing if it left none.
pub(super) fn bytes(boot_info: &BootInfo) -> &'static [u8] {
    let len = boot_info.ramdisk_len as usize;
    match boot_info.ramdisk_addr.into_option() {
        // SAFETY: the loader put it there; its frames are not the allocator's, and nothing writes to them.
        Some(start) => unsafe { core::slice::from_raw_parts(start as *const u8, len) },
        None => &[],
    }
}
