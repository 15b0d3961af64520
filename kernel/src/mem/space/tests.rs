//! Tests of address spaces: the calls one by one, and faults seen through user access. `model` holds them together.

use std::vec::Vec;

use super::*;
use crate::mem::user::{copy_in_partial, copy_out_partial};
use crate::mem::{Backing, SharedMemory, UserAddr};

const RW: Prot = Prot::READ.union(Prot::WRITE);

fn space() -> Arc<AddressSpace> {
    let space = AddressSpace::new().expect("memory");
    space.activate();
    space
}

fn anonymous(addr: u64, pages: u64) -> MapRequest {
    MapRequest { addr, len: pages * PAGE_SIZE, prot: RW, placement: Placement::Fixed, ..MapRequest::default() }
}

fn read(addr: u64) -> Option<u8> {
    let mut byte = [0];
    (copy_in_partial(UserAddr(addr), &mut byte) == 1).then_some(byte[0])
}

fn write(addr: u64, byte: u8) -> bool {
    copy_out_partial(UserAddr(addr), &[byte]) == 1
}

fn ranges(space: &AddressSpace) -> Vec<Range<u64>> {
    space.maps().into_iter().map(|line| line.range).collect()
}

#[test]
fn memory_is_zero_until_written_and_gone_when_unmapped() {
    let space = space();
    let addr = space.map(&MapRequest { placement: Placement::Hint, ..anonymous(0, 4) }).expect("room");
    assert_eq!(read(addr + 5000), Some(0));
    assert_eq!(space.counts().resident_pages(), 0, "reads share the zero page");
    assert!(write(addr + 5000, 7));
    assert_eq!((read(addr + 5000), space.counts().resident_pages()), (Some(7), 1));
    assert_eq!(space.unmap(addr + PAGE_SIZE, PAGE_SIZE), Ok(()));
    assert_eq!(read(addr + 5000), None);
    assert_eq!(space.counts().resident_pages(), 0);
    assert_eq!(ranges(&space), [addr..addr + PAGE_SIZE, addr + 2 * PAGE_SIZE..addr + 4 * PAGE_SIZE]);
}

#[test]
fn mappings_go_top_down_and_merge() {
    let space = space();
    let request = MapRequest { len: PAGE_SIZE, prot: RW, ..MapRequest::default() };
    let first = space.map(&request).expect("room");
    let second = space.map(&request).expect("room");
    assert_eq!(second, first - PAGE_SIZE);
    assert_eq!(ranges(&space), [second..first + PAGE_SIZE]);
}

#[test]
fn protection_splits_hides_and_merges_again() {
    let space = space();
    space.map(&anonymous(0x10_0000, 3)).expect("room");
    assert!(write(0x10_1000, 1));
    assert_eq!(space.protect(0x10_1000, PAGE_SIZE, Prot::empty()), Ok(()));
    assert_eq!(space.map_count(), 3);
    assert_eq!((read(0x10_1000), write(0x10_1000, 2)), (None, false));
    assert_eq!(space.fault(0x10_1000, Access::Read), Err(FaultError::NotAllowed));
    assert_eq!(space.protect(0x10_1000, PAGE_SIZE, Prot::READ), Ok(()));
    assert_eq!((read(0x10_1000), write(0x10_1000, 2)), (Some(1), false));
    assert_eq!(space.protect(0x10_1000, PAGE_SIZE, RW), Ok(()));
    assert!(write(0x10_1000, 3));
    assert_eq!(ranges(&space), [0x10_0000..0x10_3000]);
    assert_eq!(space.protect(0x10_2000, 2 * PAGE_SIZE, RW), Err(Errno::ENOMEM));
}

#[test]
fn fork_shares_until_either_side_writes() {
    let parent = space();
    parent.map(&anonymous(0x10_0000, 2)).expect("room");
    assert!(write(0x10_0000, 1) && write(0x10_1000, 1));
    let child = parent.fork().expect("memory");
    assert!(write(0x10_0000, 2));
    child.activate();
    assert_eq!((read(0x10_0000), read(0x10_1000)), (Some(1), Some(1)));
    assert!(write(0x10_1000, 3));
    parent.activate();
    assert_eq!((read(0x10_0000), read(0x10_1000)), (Some(2), Some(1)));
    // The child is gone: the parent owns its pages again and copies nothing.
    drop(child);
    let before = parent.frame_at(0x10_1000, Access::Read).map(|frame| frame.phys());
    assert!(write(0x10_1000, 4));
    assert_eq!(parent.frame_at(0x10_1000, Access::Read).map(|frame| frame.phys()), before);
}

#[test]
fn fork_honours_advice_and_keeps_shared_mappings_shared() {
    let parent = space();
    let flags = |set| Advice::Flags { set, clear: VmFlags::empty(), only: Only::All };
    parent.map(&anonymous(0x10_0000, 1)).expect("room");
    parent.map(&anonymous(0x20_0000, 1)).expect("room");
    parent.map(&MapRequest { flags: VmFlags::SHARED, ..anonymous(0x30_0000, 1) }).expect("room");
    assert!([0x10_0000, 0x20_0000, 0x30_0000].iter().all(|addr| write(*addr, 9)));
    parent.advise(0x10_0000, PAGE_SIZE, flags(VmFlags::DONT_FORK)).expect("mapped");
    parent.advise(0x20_0000, PAGE_SIZE, flags(VmFlags::WIPE_ON_FORK)).expect("mapped");
    let child = parent.fork().expect("memory");
    child.activate();
    assert_eq!((read(0x10_0000), read(0x20_0000), read(0x30_0000)), (None, Some(0), Some(9)));
    assert!(write(0x30_0000, 10));
    parent.activate();
    assert_eq!(read(0x30_0000), Some(10));
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_gap() {
    let space = space();
    let top = 0x7000_0000_0000;
    let stack = MapRequest { flags: VmFlags::GROWS_DOWN, ..anonymous(top - PAGE_SIZE, 1) };
    space.map(&stack).expect("room");
    space.set_limits(SpaceLimits { stack: 1 << 20, ..SpaceLimits::default() });
    assert!(write(top - (1 << 20), 1));
    assert!(!write(top - (1 << 20) - 1, 1), "RLIMIT_STACK");
    let space = super::tests::space();
    space.map(&stack).expect("room");
    space.map(&anonymous(top - (3 << 20), 1)).expect("room");
    assert!(!write(top - (3 << 20) + 2 * PAGE_SIZE, 1), "the guard gap");
    assert!(write(top - (1 << 20), 1));
    assert_eq!(space.counts().stack_pages, 256);
}

#[test]
fn brk_moves_within_its_limits() {
    let space = space();
    space.set_brk_start(0x50_0800);
    assert_eq!(space.brk(0), 0x50_1000);
    assert_eq!(space.brk(0x50_3001), 0x50_3001);
    assert!(write(0x50_3fff, 1) && !write(0x50_4000, 1));
    assert_eq!(space.brk(0x50_1800), 0x50_1800);
    assert_eq!(read(0x50_2000), None);
    space.map(&anonymous(0x50_4000, 1)).expect("room");
    assert_eq!(space.brk(0x50_4000), 0x50_1800, "a mapping is in the way, or its gap");
    assert_eq!(space.brk(0x50_3000), 0x50_3000);
    assert_eq!(space.maps_line(0x50_1000).and_then(|line| line.label), Some("[heap]"));
}

#[test]
fn mremap_grows_in_place_moves_and_keeps_contents() {
    let space = space();
    space.map(&anonymous(0x10_0000, 2)).expect("room");
    space.map(&anonymous(0x10_4000, 1)).expect("room");
    assert!(write(0x10_1000, 5));
    let request =
        RemapRequest { addr: 0x10_0000, old_len: 2 * PAGE_SIZE, new_len: 4 * PAGE_SIZE, ..Default::default() };
    assert_eq!(space.remap(&request), Ok(0x10_0000));
    assert_eq!(ranges(&space), [0x10_0000..0x10_5000]);
    let request = RemapRequest { old_len: 5 * PAGE_SIZE, new_len: 6 * PAGE_SIZE, ..request };
    space.map(&MapRequest { prot: Prot::READ, ..anonymous(0x10_5000, 1) }).expect("room");
    assert_eq!(space.remap(&request), Err(Errno::ENOMEM));
    let moved = space.remap(&RemapRequest { may_move: true, ..request }).expect("room");
    assert_eq!((read(0x10_1000), read(moved + PAGE_SIZE), read(moved + 5 * PAGE_SIZE)), (None, Some(5), Some(0)));
    let fixed = RemapRequest { addr: moved, old_len: 6 * PAGE_SIZE, new_len: PAGE_SIZE, may_move: true, ..request };
    assert_eq!(space.remap(&RemapRequest { fixed: Some(0x40_0000), ..fixed }), Ok(0x40_0000));
    assert_eq!(ranges(&space), [0x10_5000..0x10_6000, 0x40_0000..0x40_1000]);
    let absent = RemapRequest { addr: 0x90_0000, old_len: PAGE_SIZE, new_len: PAGE_SIZE, ..Default::default() };
    assert_eq!(space.remap(&absent), Err(Errno::EFAULT));
}

#[test]
fn a_map_that_moves_within_a_table_keeps_its_pages() {
    let space = space();
    let (from, to) = (0x40_0000_0000 + 16 * PAGE_SIZE, 0x40_0000_0000);
    assert_eq!(space.map(&anonymous(from, 2)), Ok(from));
    assert!(write(from, 5) && write(from + PAGE_SIZE, 6));
    let request = RemapRequest {
        addr: from,
        old_len: 2 * PAGE_SIZE,
        new_len: 4 * PAGE_SIZE,
        may_move: true,
        fixed: Some(to),
        keep_old: None,
    };
    assert_eq!(space.remap(&request), Ok(to));
    assert_eq!(
        (read(to), read(to + PAGE_SIZE), read(to + 3 * PAGE_SIZE), read(from)),
        (Some(5), Some(6), Some(0), None)
    );
    assert_eq!((ranges(&space), space.counts().resident_pages()), (std::vec![to..to + 4 * PAGE_SIZE], 2));
}

#[test]
fn private_file_pages_are_copied_on_write_and_shared_ones_are_not() {
    let space = space();
    let object = SharedMemory::anonymous(2).expect("memory");
    let at = BackingAt { object: object.clone(), first_page: 0 };
    space.map(&MapRequest { backing: Some(at.clone()), ..anonymous(0x10_0000, 4) }).expect("room");
    let shared = MapRequest { backing: Some(at), flags: VmFlags::SHARED, ..anonymous(0x20_0000, 2) };
    space.map(&shared).expect("room");
    assert!(write(0x20_0000, 1));
    assert_eq!(read(0x10_0000), Some(1));
    assert!(write(0x20_0000, 2));
    assert_eq!(read(0x10_0000), Some(2));
    assert!(write(0x10_0000, 3) && write(0x20_0000, 4));
    assert_eq!((read(0x10_0000), read(0x20_0000)), (Some(3), Some(4)));
    assert_eq!(space.fault(0x10_2000, Access::Read), Err(FaultError::PastEnd));
    assert_eq!(space.counts().anonymous_pages, 1);
    object.punch(0..1).expect("can be punched");
    assert_eq!((read(0x10_0000), read(0x20_0000)), (Some(0), Some(0)));
    space.clear();
    assert!(object.mappers().is_empty());
}

#[test]
fn limits_and_errors_are_those_of_linux() {
    let space = space();
    assert_eq!(space.map(&MapRequest::default()), Err(Errno::EINVAL));
    assert_eq!(space.map(&anonymous(0x1001, 1)), Err(Errno::EINVAL));
    assert_eq!(space.map(&anonymous(0x1000, 1)), Err(Errno::EPERM));
    assert_eq!(space.map(&anonymous(USER_END, 1)), Err(Errno::ENOMEM));
    assert_eq!(space.map(&MapRequest { len: u64::MAX, ..anonymous(0x10_0000, 1) }), Err(Errno::ENOMEM));
    space.map(&anonymous(0x10_0000, 1)).expect("room");
    let no_replace = MapRequest { placement: Placement::FixedNoReplace, ..anonymous(0x10_0000, 1) };
    assert_eq!(space.map(&no_replace), Err(Errno::EEXIST));
    space.set_limits(SpaceLimits { address_space: 4 * PAGE_SIZE, data: 2 * PAGE_SIZE, ..SpaceLimits::default() });
    assert_eq!(space.map(&anonymous(0x20_0000, 2)), Err(Errno::ENOMEM), "RLIMIT_DATA");
    assert_eq!(space.map(&anonymous(0x10_0000, 2)), Ok(0x10_0000), "what is replaced counts as gone");
    assert_eq!(space.map(&MapRequest { prot: Prot::READ, ..anonymous(0x20_0000, 3) }), Err(Errno::ENOMEM), "RLIMIT_AS");
    assert_eq!(space.unmap(0x10_0001, 1), Err(Errno::EINVAL));
    assert_eq!(space.unmap(0x10_0000, 0), Err(Errno::EINVAL));
    assert_eq!(space.unmap(0x90_0000, PAGE_SIZE), Ok(()));
    assert_eq!(space.advise(0x90_0000, PAGE_SIZE, Advice::WillNeed), Err(Errno::ENOMEM));
}

#[test]
fn locked_memory_is_resident_and_counted() {
    let space = space();
    space.map(&anonymous(0x10_0000, 4)).expect("room");
    assert_eq!(space.lock(0x10_0800, PAGE_SIZE, false, false), Ok(()));
    assert_eq!((space.counts().locked_pages, space.counts().resident_pages()), (2, 2));
    assert_eq!(space.advise(0x10_0000, PAGE_SIZE, Advice::DontNeed { even_locked: false }), Err(Errno::EINVAL));
    assert_eq!(space.unlock(0x10_0000, 4 * PAGE_SIZE), Ok(()));
    assert_eq!((space.counts().locked_pages, space.map_count()), (0, 1));
    space.set_limits(SpaceLimits { locked: PAGE_SIZE, ..SpaceLimits::default() });
    assert_eq!(space.lock(0x10_0000, 2 * PAGE_SIZE, false, false), Err(Errno::ENOMEM));
    assert_eq!(space.lock(0x10_0000, 5 * PAGE_SIZE, false, true), Err(Errno::ENOMEM));
    assert_eq!(space.lock_all(false, true, false, true), Ok(()));
    assert_eq!(space.map(&anonymous(0x20_0000, 1)).err(), Some(Errno::EAGAIN));
}

#[test]
fn dropping_a_loaded_space_frees_its_memory_and_leaves_the_cpu_safe() {
    let space = space();
    space.map(&anonymous(0x10_0000, 64)).expect("room");
    space.populate(0x10_0000..0x14_0000).expect("memory");
    let frame = space.frame_at(0x10_0000, Access::Read).expect("present");
    drop(space);
    assert!(frame.is_unique());
    assert!(crate::mem::current_space().is_none());
    assert_eq!(read(0x10_0000), None);
}

#[test]
fn a_debugger_writes_where_the_program_may_not() {
    let space = space();
    space.map(&anonymous(0x10_0000, 1)).expect("room");
    assert!(write(0x10_0000, 1));
    space.protect(0x10_0000, PAGE_SIZE, Prot::READ | Prot::EXEC).expect("mapped");
    let child = space.fork().expect("memory");
    assert_eq!(child.write_remote(0x10_0000, &[2]), 0);
    assert_eq!(child.write_forced(0x10_0000, &[2]), 1);
    let mut byte = [0];
    assert_eq!((child.read_remote(0x10_0000, &mut byte), byte), (1, [2]));
    assert_eq!((read(0x10_0000), write(0x10_0000, 3)), (Some(1), false));
}
