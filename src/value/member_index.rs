//! Where the members of a large object are, by their names.
//!
//! Few members are read one after the other. Up to some hundreds have a byte of their name's hash each, in one
//! vector, which is searched sixteen and more at a time: that takes a tenth of the memory that a table does, which
//! would be more than short members take themselves. More have a table. What the index gives are candidates; the
//! caller compares names.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::names::Mark;

/// From so many members on each has a byte in the index.
const MARKED_FROM: usize = 32;
/// From so many members on there is a table.
const TABLE_FROM: usize = 512;
/// Bytes that a table takes for an entry when it is full: a position and a control byte, at seven eighths.
const TABLE_ENTRY_BYTES: usize = 6;

/// The index of one object. Positions are of slots: members and holes.
#[derive(Clone, Default)]
pub enum MemberIndex {
    /// All members are read.
    #[default]
    None,
    /// One byte for each slot, whatever for a hole.
    Marks(Vec<u8>),
    Table(HashTable<u32>),
}

fn hash(mark: Mark) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    u64::from(mark.get()).wrapping_mul(SPREAD)
}

fn byte(mark: Mark) -> u8 {
    (mark.get() >> 24) as u8
}

/// Positions of two members whose names have one mark, the first one with that mark in front.
pub type AlikeMembers = (u32, u32);

impl MemberIndex {
    /// The index of an object without holes, by the marks of its members. Adds those that have the mark of another
    /// member before them, and leaves them out: [`MemberIndex::add_alike`] adds one.
    pub fn of_marks(marks: &[Mark], alike: &mut Vec<AlikeMembers>) -> MemberIndex {
        if marks.len() >= TABLE_FROM {
            return MemberIndex::Table(table_of(marks, alike));
        }
        if has_alike(marks) {
            table_of(marks, alike);
        }
        match marks.len() {
            0..MARKED_FROM => MemberIndex::None,
            _ => MemberIndex::Marks(marks.iter().map(|mark| byte(*mark)).collect()),
        }
    }

    /// Adds a member that was left out and has another name than all others.
    pub fn add_alike(&mut self, position: u32, mark: Mark) {
        if let MemberIndex::Table(table) = self {
            let rehash = |_: &u32| unreachable!("the table has room");
            table.insert_unique(hash(mark), position, rehash);
        }
    }

    /// The index of an object of `live` members in `slots`. `members` gives their positions and marks.
    pub fn new(
        live: usize,
        slots: usize,
        members: impl Iterator<Item = (u32, Mark)>,
    ) -> MemberIndex {
        match live {
            0..MARKED_FROM => MemberIndex::None,
            MARKED_FROM..TABLE_FROM => {
                let mut marks = vec![0; slots];
                members.for_each(|(position, mark)| marks[position as usize] = byte(mark));
                MemberIndex::Marks(marks)
            }
            _ => {
                let mut table = HashTable::with_capacity(live + 1);
                for (position, mark) in members {
                    let rehash = |_: &u32| unreachable!("the table has room");
                    table.insert_unique(hash(mark), position, rehash);
                }
                MemberIndex::Table(table)
            }
        }
    }

    /// Calls with the positions at which a member of this mark may be, until one is it; `None` where there is no
    /// index.
    #[inline]
    pub fn find(&self, mark: Mark, mut is_it: impl FnMut(u32) -> bool) -> Option<Option<u32>> {
        match self {
            MemberIndex::None => None,
            MemberIndex::Marks(marks) => {
                let mut candidates = memchr::memchr_iter(byte(mark), marks);
                Some(candidates.find(|at| is_it(*at as u32)).map(|at| at as u32))
            }
            MemberIndex::Table(table) => Some(table.find(hash(mark), |at| is_it(*at)).copied()),
        }
    }

    /// Adds a member that was put into the slot at `position`, of `live` members now. Returns false if the index has
    /// to be made anew instead.
    pub fn add(&mut self, position: u32, mark: Mark, live: usize) -> bool {
        match self {
            MemberIndex::None => live < MARKED_FROM,
            MemberIndex::Marks(_) if live >= TABLE_FROM => false,
            MemberIndex::Marks(marks) => {
                let at = position as usize;
                if at >= marks.len() {
                    // An eighth more than is needed, and not twice as much.
                    marks.reserve_exact(at + 1 + at / 8 - marks.len());
                    marks.resize(at + 1, 0);
                }
                marks[at] = byte(mark);
                true
            }
            MemberIndex::Table(table) if table.len() == table.capacity() => false,
            MemberIndex::Table(table) => {
                let rehash = |_: &u32| unreachable!("the table has room");
                table.insert_unique(hash(mark), position, rehash);
                true
            }
        }
    }

    /// Takes out the member at `position`, before it is removed.
    pub fn remove(&mut self, position: u32, mark: impl FnOnce() -> Mark) {
        if let MemberIndex::Table(table) = self {
            let entry = table.find_entry(hash(mark()), |at| *at == position);
            entry.expect("every member is in the index").remove();
        }
    }

    /// Cuts off slots that are no more. Returns false if the index takes far more memory than it needs, so that it
    /// is to be made anew.
    pub fn shrink(&mut self, live: usize, slots: usize) -> bool {
        match self {
            MemberIndex::None => true,
            MemberIndex::Marks(marks) => {
                marks.truncate(slots);
                live >= MARKED_FROM / 2 && marks.capacity() <= 4 * slots + 64
            }
            // The bytes, and not the capacity: removed entries lower that, and their room is kept all the same.
            MemberIndex::Table(table) => {
                table.allocation_size() <= TABLE_ENTRY_BYTES * (4 * live + 64)
            }
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            MemberIndex::None => 0,
            MemberIndex::Marks(marks) => marks.capacity(),
            MemberIndex::Table(table) => table.allocation_size(),
        }
    }
}

/// The first position of each mark.
fn table_of(marks: &[Mark], alike: &mut Vec<AlikeMembers>) -> HashTable<u32> {
    let mut table = HashTable::with_capacity(marks.len() + 1);
    for (position, mark) in (0..).zip(marks) {
        let is_it = |at: &u32| {
            count_compared(1);
            marks[*at as usize] == *mark
        };
        let rehash = |_: &u32| unreachable!("the table has room");
        match table.entry(hash(*mark), is_it, rehash) {
            Entry::Vacant(vacant) => drop(vacant.insert(position)),
            Entry::Occupied(first) => alike.push((*first.get(), position)),
        }
    }
    table
}

/// Returns true if two of the marks, fewer than those of a table, are equal.
pub fn has_alike(marks: &[Mark]) -> bool {
    match marks.len() {
        0..=64 => has_alike_within::<128>(marks),
        _ => has_alike_within::<{ 2 * TABLE_FROM }>(marks),
    }
}

/// Open addressing in `SLOTS` slots, a power of two, of positions counted from one.
fn has_alike_within<const SLOTS: usize>(marks: &[Mark]) -> bool {
    let mut table = [0_u16; SLOTS];
    for (nth, mark) in (1..).zip(marks) {
        let mut slot = mark.get() as usize % SLOTS;
        while table[slot] != 0 {
            count_compared(1);
            if marks[usize::from(table[slot]) - 1] == *mark {
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = nth;
    }
    false
}

#[cfg(test)]
thread_local! {
    /// Comparisons of two marks while objects were built.
    pub static COMPARED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts comparisons of marks, for tests.
#[inline(always)]
pub fn count_compared(_count: usize) {
    #[cfg(test)]
    COMPARED.with(|compared| compared.set(compared.get() + _count as u64));
}
