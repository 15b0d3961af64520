//! The randomised test: random calls on a few related address spaces, held against a model that knows pages only.
//!
//! Every step compares the call's result, and what a few pages hold; now and then everything is compared: which pages
//! are mapped and how, their contents, the number of mappings (they must be merged as far as possible) and the counts.
//! `RUSTOS_MODEL_STEPS` makes it long, `RUSTOS_MODEL_SEED` another one.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::mem::user::{copy_in_partial, copy_out_partial};
use crate::mem::{Backing, SharedMemory, UserAddr};

const BASE: u64 = 0x4000_0000 - 16 * PAGE_SIZE;
/// Pages in play; they straddle a table's end.
const WORLD_PAGES: u64 = 64;
const OBJECTS: usize = 2;
const SPACES_MAX: usize = 5;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Page {
    prot: Prot,
    flags: VmFlags,
    /// The object and its page; objects from `OBJECTS` on are those of shared anonymous mappings.
    object: Option<(usize, u64)>,
    /// What a private page holds; `None`: what the object holds.
    own: Option<u8>,
}

impl Page {
    /// Whether `self`, directly below `above`, belongs to one mapping with it.
    fn joins(&self, above: &Page) -> bool {
        let next = self.object.map(|(object, index)| (object, index + 1));
        self.prot == above.prot && self.flags == above.flags && next == above.object
    }
}

type Pages = BTreeMap<u64, Page>;

struct World {
    random: u64,
    objects: Vec<Arc<SharedMemory>>,
    /// What each page of each object holds.
    contents: BTreeMap<(usize, u64), u8>,
    /// The size of each object in pages, those of shared anonymous mappings included.
    sizes: Vec<u64>,
    spaces: Vec<(Arc<AddressSpace>, Pages)>,
}

impl World {
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % limit
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn prot(&mut self) -> Prot {
        [Prot::empty(), Prot::READ, Prot::READ | Prot::WRITE, Prot::READ | Prot::WRITE, Prot::all()]
            [self.below(5) as usize]
    }

    fn range(&mut self) -> Range<u64> {
        let start = self.below(WORLD_PAGES);
        let len = 1 + self.below(12);
        start..(start + len).min(WORLD_PAGES)
    }

    fn step(&mut self) {
        let which = self.below(self.spaces.len() as u64) as usize;
        let (space, mut pages) = self.spaces.swap_remove(which);
        space.activate();
        let range = self.range();
        match self.below(20) {
            0..=3 => self.map(&space, &mut pages, range),
            4..=5 => unmap(&space, &mut pages, range),
            6..=7 => self.protect(&space, &mut pages, range),
            8 if self.chance(3) => self.resize(&space, &mut pages, range),
            8 => self.remap(&space, &mut pages, range),
            9 => self.advise(&space, &mut pages, range),
            10 => lock(&space, &mut pages, range, self.chance(2)),
            11 if self.chance(4) => self.fork(&space, &pages),
            12 if self.chance(8) && !self.spaces.is_empty() => return drop(space),
            _ => {
                for _ in 0..4 {
                    self.touch(&mut pages);
                }
            }
        }
        if self.chance(50) {
            self.check(&space, &pages);
        }
        self.spaces.push((space, pages));
    }

    fn map(&mut self, space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
        let prot = self.prot();
        let shared = self.chance(3);
        let object = self.chance(2).then(|| (self.below(OBJECTS as u64) as usize, self.below(8)));
        let placement = if self.chance(4) { Placement::FixedNoReplace } else { Placement::Fixed };
        let populate = self.chance(4);
        let flags = if shared { VmFlags::SHARED } else { VmFlags::empty() };
        let backing = object.map(|(object, first_page)| BackingAt { object: self.objects[object].clone(), first_page });
        let len = (range.end - range.start) * PAGE_SIZE;
        let request =
            MapRequest { addr: addr(range.start), len, prot, placement, backing, flags, populate, may_lock: true };
        let taken = placement == Placement::FixedNoReplace && pages.range(range.clone()).next().is_some();
        let expected = if taken { Err(Errno::EEXIST) } else { Ok(addr(range.start)) };
        assert_eq!(space.map(&request), expected);
        if taken {
            return;
        }
        let object = object.or_else(|| {
            shared.then(|| {
                self.sizes.push(range.end - range.start);
                (self.sizes.len() - 1, 0)
            })
        });
        for page in range.clone() {
            let object = object.map(|(object, index)| (object, index + page - range.start));
            let mut own = object.is_none().then_some(0);
            // Populating a private writable mapping makes the copies at once.
            if let Some(place) = object.filter(|_| populate && !shared && prot.contains(Prot::WRITE)) {
                let exists = place.1 < self.sizes[place.0];
                own = exists.then(|| self.contents.get(&place).copied().unwrap_or(0));
            }
            pages.insert(page, Page { prot, flags, object, own });
        }
    }

    fn protect(&mut self, space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
        let prot = self.prot();
        let mapped = range.clone().take_while(|page| pages.contains_key(page)).count() as u64;
        let expected = if mapped == range.end - range.start { Ok(()) } else { Err(Errno::ENOMEM) };
        assert_eq!(space.protect(addr(range.start), bytes(&range), prot), expected);
        for (_, page) in pages.range_mut(range.start..range.start + mapped) {
            page.prot = prot;
        }
    }

    fn remap(&mut self, space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
        let target = self.below(WORLD_PAGES - 16);
        let keep_old = self.chance(4);
        let grown = range.end - range.start + if keep_old { 0 } else { self.below(4) };
        let to = target..target + grown;
        if range.start < to.end && to.start < range.end {
            return;
        }
        let request = RemapRequest {
            addr: addr(range.start),
            old_len: bytes(&range),
            new_len: bytes(&to),
            may_move: true,
            fixed: Some(addr(to.start)),
            keep_old: keep_old.then_some(addr(to.start)),
        };
        let result = space.remap(&request);
        if !pages.contains_key(&range.start) {
            return assert_eq!(result, Err(Errno::EFAULT));
        }
        pages.retain(|page, _| !to.contains(page));
        let run: Vec<Page> = range.clone().map_while(|page| pages.get(&page).copied()).collect();
        let is_one = run.len() as u64 == range.end - range.start && run.windows(2).all(|two| two[0].joins(&two[1]));
        assert_eq!(result, if is_one { Ok(addr(to.start)) } else { Err(Errno::EFAULT) });
        if !is_one {
            return;
        }
        match keep_old {
            true => pages.range_mut(range).for_each(|(_, page)| {
                page.flags -= VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT;
                page.own = page.own.and(page.object.is_none().then_some(0));
            }),
            false => pages.retain(|page, _| !range.contains(page)),
        }
        for (index, page) in to.enumerate() {
            let object = run[0].object.map(|(object, first)| (object, first + index as u64));
            let fresh = Page { object, own: object.is_none().then_some(0), ..run[0] };
            pages.insert(page, run.get(index).copied().unwrap_or(fresh));
        }
    }

    /// mremap in place.
    fn resize(&mut self, space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
        let old_len = range.end - range.start;
        let to = range.start..(range.start + 1 + self.below(old_len + 3)).min(WORLD_PAGES);
        let request = RemapRequest {
            addr: addr(range.start),
            old_len: bytes(&range),
            new_len: bytes(&to),
            ..RemapRequest::default()
        };
        let result = space.remap(&request);
        let run: Vec<Page> = range.clone().map_while(|page| pages.get(&page).copied()).collect();
        let is_one = run.len() as u64 == old_len && run.windows(2).all(|two| two[0].joins(&two[1]));
        let has_room = pages.range(range.end..to.end.max(range.end)).next().is_none();
        let expected = match () {
            () if run.is_empty() => Err(Errno::EFAULT),
            () if to.end <= range.end => Ok(addr(range.start)),
            () if !is_one => Err(Errno::EFAULT),
            () if !has_room => Err(Errno::ENOMEM),
            () => Ok(addr(range.start)),
        };
        assert_eq!(result, expected, "{range:?} to {to:?}");
        if result.is_err() {
            return;
        }
        pages.retain(|page, _| !(to.end..range.end).contains(page));
        for page in range.end..to.end {
            let object = run[0].object.map(|(object, first)| (object, first + page - range.start));
            pages.insert(page, Page { object, own: object.is_none().then_some(0), ..run[0] });
        }
    }

    fn advise(&mut self, space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
        let flags = |set, clear| {
            let only = if set == VmFlags::WIPE_ON_FORK { Only::PrivateAnonymous } else { Only::All };
            Advice::Flags { set, clear, only }
        };
        let none = VmFlags::empty();
        let advice = [
            Advice::DontNeed { even_locked: true },
            flags(VmFlags::DONT_FORK, none),
            flags(none, VmFlags::DONT_FORK),
            flags(VmFlags::WIPE_ON_FORK, none),
            flags(none, VmFlags::WIPE_ON_FORK),
        ][self.below(5) as usize];
        let result = space.advise(addr(range.start), bytes(&range), advice);
        let hole = range.clone().any(|page| !pages.contains_key(&page));
        let mut refused = false;
        for (_, page) in pages.range_mut(range) {
            match advice {
                Advice::DontNeed { .. } => page.own = page.own.and(page.object.is_none().then_some(0)),
                Advice::Flags { only: Only::PrivateAnonymous, .. } if page.object.is_some() => {
                    refused = true;
                    break;
                }
                Advice::Flags { set, clear, .. } => page.flags = (page.flags - clear) | set,
                _ => {}
            }
        }
        let expected = match (refused, hole) {
            (true, _) => Err(Errno::EINVAL),
            (false, true) => Err(Errno::ENOMEM),
            (false, false) => Ok(()),
        };
        assert_eq!(result, expected);
    }

    fn fork(&mut self, space: &AddressSpace, pages: &Pages) {
        if self.spaces.len() + 1 >= SPACES_MAX {
            return;
        }
        let child = space.fork().expect("the host has memory");
        let inherited = |page: &Page| {
            let own = if page.flags.contains(VmFlags::WIPE_ON_FORK) { page.own.map(|_| 0) } else { page.own };
            Page { flags: page.flags - (VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT), own, ..*page }
        };
        let kept = pages.iter().filter(|(_, page)| !page.flags.contains(VmFlags::DONT_FORK));
        self.spaces.push((child, kept.map(|(number, page)| (*number, inherited(page))).collect()));
    }

    /// Writes to or reads from a random page.
    fn touch(&mut self, pages: &mut Pages) {
        let number = self.below(WORLD_PAGES);
        let at = UserAddr(addr(number) + self.below(PAGE_SIZE));
        let at = UserAddr(at.0 & !0xfff | 8);
        let byte = self.below(256) as u8;
        if !self.chance(3) {
            return self.expect_read(pages, number);
        }
        let written = copy_out_partial(at, &[byte]) == 1;
        let Some(page) = pages.get_mut(&number) else { return assert!(!written) };
        assert_eq!(written, page.prot.contains(Prot::WRITE) && self.in_object(page), "page {number} {page:?}");
        if !written {
            return;
        }
        match page.object {
            Some(place) if page.flags.contains(VmFlags::SHARED) => drop(self.contents.insert(place, byte)),
            _ => page.own = Some(byte),
        }
    }

    fn in_object(&self, page: &Page) -> bool {
        match page.object {
            Some((object, index)) if page.own.is_none() => index < self.sizes[object],
            _ => true,
        }
    }

    fn expect_read(&self, pages: &Pages, number: u64) {
        let mut byte = [0];
        let found = (copy_in_partial(UserAddr(addr(number) + 8), &mut byte) == 1).then_some(byte[0]);
        let expected = pages.get(&number).filter(|page| !page.prot.is_empty() && self.in_object(page));
        let content = |page: &Page| {
            page.own.or_else(|| page.object.map(|place| self.contents.get(&place).copied().unwrap_or(0))).unwrap_or(0)
        };
        assert_eq!(found, expected.map(content), "page {number} {:?}", pages.get(&number));
    }

    /// Compares everything.
    fn check(&self, space: &AddressSpace, pages: &Pages) {
        (0..WORLD_PAGES).for_each(|number| self.expect_read(pages, number));
        let lines = space.maps();
        let mapped: Vec<_> = lines
            .iter()
            .flat_map(|line| line.range.clone().step_by(PAGE_SIZE as usize).map(|at| (at, line.prot)))
            .collect();
        assert!(mapped.iter().copied().eq(pages.iter().map(|(number, page)| (addr(*number), page.prot))));
        let joined = |(number, page): (&u64, &Page)| {
            number.checked_sub(1).and_then(|below| pages.get(&below)).is_some_and(|below| below.joins(page))
        };
        let runs = pages.iter().filter(|page| !joined(*page)).count();
        assert_eq!(space.map_count(), runs, "mappings are merged as far as they can be");
        let counts = space.counts();
        let count = |wanted: &dyn Fn(&Page) -> bool| pages.values().filter(|page| wanted(page)).count() as u64;
        let is_shared = |page: &Page| page.flags.contains(VmFlags::SHARED);
        assert_eq!(counts.total_pages, count(&|_| true));
        assert_eq!(counts.data_pages, count(&|page| page.prot.contains(Prot::WRITE) && !is_shared(page)));
        assert_eq!(counts.locked_pages, count(&|page| page.flags.contains(VmFlags::LOCKED)));
        let totals = space.smaps(0..USER_END);
        let pages_of = |bytes: u64| bytes / PAGE_SIZE;
        assert_eq!(pages_of(totals.resident), counts.resident_pages());
        assert_eq!(pages_of(totals.anonymous), counts.anonymous_pages);
        let parts = [totals.shared_clean, totals.shared_dirty, totals.private_clean, totals.private_dirty];
        assert_eq!(parts.iter().sum::<u64>(), totals.resident);
    }
}

fn unmap(space: &AddressSpace, pages: &mut Pages, range: Range<u64>) {
    assert_eq!(space.unmap(addr(range.start), bytes(&range)), Ok(()));
    pages.retain(|page, _| !range.contains(page));
}

fn lock(space: &AddressSpace, pages: &mut Pages, range: Range<u64>, locks: bool) {
    let mapped = range.clone().take_while(|page| pages.contains_key(page)).count() as u64;
    let result = match locks {
        true => space.lock(addr(range.start), bytes(&range), true, true),
        false => space.unlock(addr(range.start), bytes(&range)),
    };
    assert_eq!(result, if mapped == range.end - range.start { Ok(()) } else { Err(Errno::ENOMEM) });
    for (_, page) in pages.range_mut(range.start..range.start + mapped) {
        page.flags.set(VmFlags::LOCKED | VmFlags::LOCK_ON_FAULT, locks);
    }
}

fn addr(page: u64) -> u64 {
    BASE + page * PAGE_SIZE
}

fn bytes(range: &Range<u64>) -> u64 {
    (range.end - range.start) * PAGE_SIZE
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn random_calls_agree_with_a_model_of_pages() {
    let objects: Vec<_> = (0..OBJECTS).map(|_| SharedMemory::anonymous(12).expect("memory")).collect();
    let mut world = World {
        random: variable("RUSTOS_MODEL_SEED", 0x2545_f491_4f6c_dd1d),
        objects: objects.clone(),
        contents: BTreeMap::new(),
        sizes: objects.iter().map(|object| object.pages()).collect(),
        spaces: Vec::from([(AddressSpace::new().expect("memory"), Pages::new())]),
    };
    for _ in 0..variable("RUSTOS_MODEL_STEPS", 1_000_000) {
        world.step();
    }
    for (space, pages) in &world.spaces {
        space.activate();
        world.check(space, pages);
    }
    drop(world);
    for object in objects {
        assert!(object.mappers().is_empty());
        for index in 0..object.pages() {
            // The object's own and the one just taken.
            assert_eq!(object.page(index, false).expect("inside").references(), 2);
        }
    }
}
