//! Where the members of a large object are, by their names.
//!
//! Few members are read one after the other. Up to some hundreds have a byte of their name's hash each, in one
//! vector, which is searched sixteen and more at a time: that takes a tenth of the memory that a table does, which
//! would be more than short members take themselves. More have a table. What the index gives are candidates; the
//! caller compares names.

use hashbrown::HashTable;

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

impl MemberIndex {
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
