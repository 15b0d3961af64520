//! The machine as every loader's description ends up: a `bootloader_api::BootInfo` with a memory map in which what is in
//! use is no longer usable.

use core::slice;

use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind, MemoryRegions, Optional};

use crate::arch::DIRECT_MAP;

/// Room for the memory map; QEMU's has about ten entries, that of a UEFI some dozens.
const REGIONS_MAX: usize = 128;

static REGIONS: spin::Mutex<[MemoryRegion; REGIONS_MAX]> = spin::Mutex::new([MemoryRegion::empty(); REGIONS_MAX]);
static BOOT_INFO: spin::Mutex<Option<BootInfo>> = spin::Mutex::new(None);

/// What a loader tells besides the memory map; addresses are physical.
#[derive(Default)]
pub(super) struct Told {
    /// ACPI's root pointer, 0 if there is none.
    pub(super) rsdp: u64,
    /// The ramdisk's address and length, if there is one.
    pub(super) ramdisk: Option<(u64, u64)>,
}

/// Finishes the map, and makes the description. Called once.
pub(super) fn boot_info(mut list: RegionList, told: &Told) -> &'static mut BootInfo {
    list.reserve(0, 1 << 20);
    let (image_start, image_end) = crate::arch::image_range();
    list.reserve(image_start, image_end);
    if let Some((start, len)) = told.ramdisk {
        list.reserve(start, start + len);
    }
    let mut boot_info = BootInfo::new(list.into_regions());
    boot_info.physical_memory_offset = Optional::Some(DIRECT_MAP);
    boot_info.rsdp_addr = if told.rsdp == 0 { Optional::None } else { Optional::Some(told.rsdp) };
    boot_info.ramdisk_addr = told.ramdisk.map_or(Optional::None, |(start, _)| Optional::Some(DIRECT_MAP + start));
    boot_info.ramdisk_len = told.ramdisk.map_or(0, |(_, len)| len);
    (boot_info.kernel_addr, boot_info.kernel_len) = (image_start, image_end - image_start);
    let mut place = BOOT_INFO.lock();
    let boot_info: *mut BootInfo = place.insert(boot_info);
    // SAFETY: the static is filled once, here, and used through this reference alone.
    unsafe { &mut *boot_info }
}

/// A memory map under construction.
pub(super) struct RegionList {
    regions: *mut MemoryRegion,
    count: usize,
}

impl RegionList {
    /// An empty map. There is one a boot.
    pub(super) fn new() -> Self {
        Self { regions: REGIONS.lock().as_mut_slice().as_mut_ptr(), count: 0 }
    }

    fn slice(&mut self) -> &'static mut [MemoryRegion] {
        // SAFETY: the array is a static that only this list uses, and `count` stays within it.
        unsafe { slice::from_raw_parts_mut(self.regions, self.count) }
    }

    pub(super) fn add(&mut self, start: u64, end: u64, kind: MemoryRegionKind) {
        if start >= end {
            return;
        }
        assert!(self.count < REGIONS_MAX, "the memory map has at most {REGIONS_MAX} regions");
        self.count += 1;
        self.slice()[self.count - 1] = MemoryRegion { start, end, kind };
    }

    /// Takes the pages that `start..end` touches out of the usable regions.
    pub(super) fn reserve(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (start, end) = (start & !0xfff, (end + 0xfff) & !0xfff);
        for index in 0..self.count {
            let region = self.slice()[index];
            if region.kind != MemoryRegionKind::Usable || region.end <= start || end <= region.start {
                continue;
            }
            self.slice()[index].end = start.max(region.start);
            self.add(end, region.end, MemoryRegionKind::Usable);
        }
    }

    fn into_regions(mut self) -> MemoryRegions {
        self.slice().into()
    }
}
