//! Tests of the frame allocator.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::buddy::{Buddy, MAX_ORDER};
use super::descriptor::Descriptors;
use super::*;

/// A buddy allocator of its own over `regions`, its descriptors in frames of the global one.
fn buddy_over(regions: &[Range<u32>]) -> Buddy {
    let count = regions.iter().map(|region| region.end).max().unwrap_or(0).next_multiple_of(CHUNK_FRAMES);
    let home = Block::of_bytes(u64::from(count) * DESCRIPTOR_BYTES).expect("the host has memory");
    // Whatever was there must not matter: descriptors are initialised as the frontier advances.
    // SAFETY: the block is ours.
    unsafe { home.pointer().write_bytes(0x5a, home.len_bytes() as usize) };
    let mut buddy = Buddy::empty();
    // SAFETY: the block is ours and never returned.
    let descriptors = unsafe { Descriptors::new(home.phys().0, count) };
    core::mem::forget(home);
    buddy.start(descriptors, regions.iter().cloned());
    buddy
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn blocks_are_aligned_disjoint_and_inside_the_regions() {
    let regions = [1..700, 1500..1501, 2047..9000];
    let mut buddy = buddy_over(&regions);
    let total = buddy.free_frames();
    let mut held: BTreeMap<u32, u32> = BTreeMap::new();
    let mut state = 0x1234_5678_9abc_def1;
    for _ in 0..20_000 {
        if random(&mut state) % 100 < 52 {
            let order = (random(&mut state).trailing_zeros()).min(MAX_ORDER);
            let Some(block) = buddy.allocate(order) else { continue };
            let size = 1 << order;
            assert_eq!(block % size, 0);
            assert!(regions.iter().any(|region| region.start <= block && block + size <= region.end));
            assert!(held.range(..block + size).next_back().is_none_or(|(start, order)| start + (1 << order) <= block));
            held.insert(block, order);
        } else if let Some(block) = held.keys().nth(random(&mut state) as usize % held.len().max(1)).copied() {
            let order = held.remove(&block).expect("a key");
            buddy.release(block, order);
        }
        let used: usize = held.values().map(|order| 1 << order).sum();
        assert_eq!(buddy.free_frames() + used, total);
    }
    for (block, order) in held {
        buddy.release(block, order);
    }
    let mut largest = 0;
    while buddy.allocate(MAX_ORDER).is_some() {
        largest += 1;
    }
    assert_eq!(largest, 6, "all 4 MiB blocks of 2048..8192 merge again");
}

#[test]
fn every_frame_can_be_had_once() {
    let mut buddy = buddy_over(&[5..2600]);
    let mut all: Vec<u32> = core::iter::from_fn(|| buddy.allocate(0)).collect();
    all.sort_unstable();
    assert_eq!(all, (5..2600).collect::<Vec<_>>());
    assert_eq!(buddy.free_frames(), 0);
}

#[test]
fn a_frame_is_freed_with_its_last_reference() {
    let frame = Frame::zeroed().expect("the host has memory");
    assert!(frame.is_unique());
    let other = frame.clone();
    assert!(!frame.is_unique());
    other.write(10, b"hello");
    drop(other);
    assert!(frame.is_unique());
    let mut bytes = [0; 7];
    frame.read(9, &mut bytes);
    assert_eq!(&bytes, b"\0hello\0");
}

#[test]
fn a_recycled_frame_is_clean() {
    for _ in 0..1000 {
        let frame = Frame::zeroed().expect("the host has memory");
        let mut bytes = [1; PAGE_SIZE as usize];
        frame.read(0, &mut bytes);
        assert!(bytes.iter().all(|byte| *byte == 0));
        frame.write(0, &[0xee; PAGE_SIZE as usize]);
    }
}

#[test]
#[should_panic(expected = "leaves the frame")]
fn access_outside_a_frame_is_refused() {
    Frame::zeroed().expect("the host has memory").read(4090, &mut [0; 7]);
}
