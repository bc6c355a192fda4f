//! The children of a large container, in order, in chunks.
//!
//! A chunk is a *run*, a packed container that holds several small children, or *one* child that is too large
//! to be packed. So a large container takes little more memory than a packed one, and a change in it
//! touches one run: a run that has no room for a change is divided, two neighbours with little in them
//! are joined. Each chunk knows the number of its first child; a search among those numbers finds a position.
//! The numbers begin anywhere and wrap around, so that nothing is renumbered by a change at either end, and
//! only the chunks of the shorter side by one in the middle.

use std::borrow::Cow;
use std::collections::{VecDeque, vec_deque};

use super::leaf::{Leaf, LeafRef, Splice};
use super::names;
use super::number::Number;
use super::object::SlotName;
use super::pack::{self, HEADER_BYTES, LEAF_BYTES_MAX, PackedScalar};
use super::tree::{Repr, Value};
use super::view::{Text, View};

/// A run of more than one child takes at most this many bytes.
pub const RUN_BYTES_MAX: usize = 512;
/// Two neighbouring runs that take at most this many bytes together become one: well below the largest, so
/// that a run just divided stays so.
const JOINED_BYTES_MAX: usize = RUN_BYTES_MAX / 4 * 3;

/// The part of a child before its value: nothing in an array, a name in an object.
pub trait ChildName: Clone {
    /// Tag of the packed container that such children are in.
    const TAG: u8;
    /// The length of the packed name at `at`.
    fn len_at(bytes: &[u8], at: usize) -> usize;
    fn read(bytes: &[u8]) -> Self;
    /// At least as many bytes as its text has.
    fn text_len(&self) -> usize;
    fn write(&self, out: &mut Vec<u8>);
}

impl ChildName for () {
    const TAG: u8 = pack::ARRAY;

    #[inline]
    fn len_at(_: &[u8], _: usize) -> usize {
        0
    }

    fn read(_: &[u8]) {}

    fn text_len(&self) -> usize {
        0
    }

    fn write(&self, _: &mut Vec<u8>) {}
}

impl ChildName for SlotName {
    const TAG: u8 = pack::OBJECT;

    #[inline]
    fn len_at(bytes: &[u8], at: usize) -> usize {
        pack::name_len(bytes, at)
    }

    fn read(bytes: &[u8]) -> SlotName {
        pack::name_at(bytes, 0).0.into()
    }

    fn text_len(&self) -> usize {
        match self {
            SlotName::Shared(_) => names::NAME_BYTES_MAX,
            SlotName::Text(text) => text.len(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            SlotName::Shared(id) => pack::write_name_id(*id, out),
            SlotName::Text(text) => pack::write_name_text(text.as_bytes(), out),
        }
    }
}

/// Children in chunks.
#[derive(Clone)]
pub struct Chunks<N> {
    chunks: VecDeque<Chunk<N>>,
}

#[derive(Clone)]
struct Chunk<N> {
    /// The number of its first child.
    first: u32,
    part: ChunkContent<N>,
}

/// The content of a chunk.
#[derive(Clone)]
pub enum ChunkContent<N> {
    /// At least one child, packed.
    Run(Leaf),
    One(N, Value),
}

const _: () = assert!(size_of::<Chunk<()>>() == 32 && size_of::<Chunk<SlotName>>() == 48);

impl<N> ChunkContent<N> {
    #[inline]
    pub fn count(&self) -> usize {
        match self {
            ChunkContent::Run(leaf) => leaf.get().body().len(),
            ChunkContent::One(..) => 1,
        }
    }

    /// The value of a chunk of one child.
    pub fn one(&self) -> Option<&Value> {
        if let ChunkContent::One(_, value) = self { Some(value) } else { None }
    }

    /// The value of a chunk of one child that is a tree node.
    pub fn into_tree(self) -> Option<Value> {
        match self {
            ChunkContent::One(_, value) if value.is_tree() => Some(value),
            _ => None,
        }
    }
}

/// One child on its way in or out.
pub enum Child<'a, N> {
    /// Its name and its value in packed form, short enough for a run.
    Packed(Cow<'a, [u8]>),
    One(N, Value),
}

impl<N: ChildName> Child<'_, N> {
    pub fn new(name: N, value: Value) -> Child<'static, N> {
        let packed = Packed::new(&value).filter(|_| name.text_len() <= LEAF_BYTES_MAX);
        let Some(packed) = packed else { return Child::One(name, value) };
        let mut bytes = Vec::with_capacity(packed.as_bytes().len() + 4);
        name.write(&mut bytes);
        bytes.extend_from_slice(packed.as_bytes());
        match HEADER_BYTES + bytes.len() <= LEAF_BYTES_MAX {
            true => Child::Packed(bytes.into()),
            false => Child::One(name, value),
        }
    }

    /// The same child in memory of its own.
    pub fn into_owned(self) -> Child<'static, N> {
        match self {
            Child::Packed(bytes) => Child::Packed(bytes.into_owned().into()),
            Child::One(name, value) => Child::One(name, value),
        }
    }

    fn into_part(self) -> ChunkContent<N> {
        match self {
            Child::Packed(bytes) => ChunkContent::Run(Leaf::of_children(N::TAG, &bytes, 1)),
            Child::One(name, value) => ChunkContent::One(name, value),
        }
    }
}

/// The packed bytes of a value small enough to be part of a packed container.
pub enum Packed<'v> {
    Scalar(PackedScalar),
    Node(&'v [u8]),
    Written(Vec<u8>),
}

impl Packed<'_> {
    #[inline]
    pub fn new(value: &Value) -> Option<Packed<'_>> {
        Some(match value.view() {
            View::Int(number) => Packed::Scalar(PackedScalar::number(Number::Int(number))),
            View::Float(number) => Packed::Scalar(PackedScalar::number(Number::Float(number))),
            View::Null => Packed::Scalar(PackedScalar::null()),
            View::Bool(value) => Packed::Scalar(PackedScalar::bool(value)),
            View::Str(text) => match PackedScalar::string(text.as_bytes()) {
                Some(packed) => Packed::Scalar(packed),
                None => Packed::Written(packed_text(text)?),
            },
            View::Array(_) | View::Object(_) => match &value.0 {
                Repr::Leaf(leaf) => Packed::Node(leaf.get().node()),
                _ => return None,
            },
        })
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Packed::Scalar(scalar) => scalar.as_bytes(),
            Packed::Node(bytes) => bytes,
            Packed::Written(bytes) => bytes,
        }
    }
}

/// A text that is not too long to be packed.
fn packed_text(text: Text<'_>) -> Option<Vec<u8>> {
    if text.as_bytes().len() > pack::STRING_BYTES_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(text.as_bytes().len() + 3);
    pack::write_string(text.as_bytes(), &mut out);
    Some(out)
}

/// Where the child behind `offset` others of a run begins.
fn child_start<N: ChildName>(run: LeafRef<'_>, offset: usize) -> usize {
    let node = run.node();
    (0..offset).fold(HEADER_BYTES, |at, _| child_end::<N>(node, at))
}

#[inline]
fn child_end<N: ChildName>(node: &[u8], at: usize) -> usize {
    let value = at + N::len_at(node, at);
    value + pack::node_len(node, value)
}

/// Returns true if a run may replace `removed` by these bytes, with `count_change` children more.
fn has_room(run: LeafRef<'_>, removed: usize, added: usize, count_change: usize) -> bool {
    let after = run.used() - removed + added;
    let most = if run.body().len() + count_change == 1 { LEAF_BYTES_MAX } else { RUN_BYTES_MAX };
    after <= most
}

/// The last number of `low..high` for which it is true, as it is for the first one and all up to that last one.
fn last_where(mut low: usize, mut high: usize, is_true: impl Fn(usize) -> bool) -> usize {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_true(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

impl<N> Default for Chunks<N> {
    fn default() -> Chunks<N> {
        Chunks { chunks: VecDeque::new() }
    }
}

impl<N> Chunks<N> {
    #[inline]
    pub fn len(&self) -> usize {
        match self.chunks.back() {
            Some(last) => last.first.wrapping_sub(self.start()) as usize + last.part.count(),
            None => 0,
        }
    }

    #[inline]
    pub fn parts(&self) -> ContentIter<'_, N> {
        ContentIter(self.chunks.iter())
    }

    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut ChunkContent<N>> {
        self.chunks.iter_mut().map(|chunk| &mut chunk.part)
    }

    /// Returns true if both have the same packed bytes, chunk by chunk, and nothing else: then they are identical. Bytes
    /// are compared many times faster than children. Adds the steps that it took.
    pub fn are_stored_as(&self, other: &Chunks<N>, count: &mut u64) -> bool {
        self.chunks.len() == other.chunks.len()
            && self.parts().zip(other.parts()).all(|parts| match parts {
                (ChunkContent::Run(a), ChunkContent::Run(b)) => {
                    a.get().body().is_stored_as(b.get().body(), count)
                }
                _ => false,
            })
    }

    /// Takes out every part.
    pub fn drain(&mut self) -> impl Iterator<Item = ChunkContent<N>> {
        self.chunks.drain(..).map(|chunk| chunk.part)
    }

    /// The bytes allocated for the chunks, not counting their contents.
    pub fn table_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk<N>>()
    }

    /// Moves the table of chunks.
    pub fn relocate_table(&mut self, mover: &mut impl super::Relocate) {
        let mut chunks = Vec::from(std::mem::take(&mut self.chunks));
        mover.vec(&mut chunks);
        self.chunks = chunks.into();
    }

    #[inline]
    fn start(&self) -> u32 {
        self.chunks.front().map_or(0, |first| first.first)
    }

    /// The chunk that holds the child at a position, and how many children of it stand before. At the end, or
    /// beyond it, the last chunk.
    ///
    /// Chunks hold about as many children each, so the search begins where the position would be if all held equally
    /// many, and mostly ends beside it: in a table of a thousand chunks it reads two or three entries that are close
    /// together, where a binary search waits for ten that are not.
    #[inline]
    pub fn locate(&self, position: usize) -> Option<(usize, usize)> {
        let last = self.chunks.len().checked_sub(1)?;
        let start = self.start();
        let before = |nth: usize| self.chunks[nth].first.wrapping_sub(start) as usize;
        if last == 0 {
            return Some((0, position));
        }
        let guess = (position * last / before(last).max(1)).min(last);
        let (low, high) = if before(guess) <= position {
            let (mut low, mut step) = (guess, 1);
            while low + step <= last && before(low + step) <= position {
                low += step;
                step *= 2;
            }
            (low, (low + step).min(last + 1))
        } else {
            let (mut high, mut step) = (guess, 1);
            while step <= high && before(high - step) > position {
                high -= step;
                step *= 2;
            }
            (high.saturating_sub(step), high)
        };
        let nth = last_where(low, high, |nth| before(nth) <= position);
        Some((nth, position - before(nth)))
    }

    #[inline]
    pub fn part(&self, nth: usize) -> &ChunkContent<N> {
        &self.chunks[nth].part
    }

    #[inline]
    pub fn part_mut(&mut self, nth: usize) -> &mut ChunkContent<N> {
        &mut self.chunks[nth].part
    }

    /// Makes room in the numbers for `count` children more before chunk `nth`, or closes the gap of as many
    /// less: the shorter side is renumbered.
    fn renumber(&mut self, nth: usize, count: i64) {
        let by = count as u32;
        if nth <= self.chunks.len() / 2 {
            self.chunks
                .range_mut(..nth)
                .for_each(|chunk| chunk.first = chunk.first.wrapping_sub(by));
        } else {
            self.chunks
                .range_mut(nth..)
                .for_each(|chunk| chunk.first = chunk.first.wrapping_add(by));
        }
    }

    /// Gives back memory when most of the table is unused.
    fn shrink_table(&mut self) {
        if self.chunks.capacity() > 2 * self.chunks.len() + 8 {
            self.chunks.shrink_to(self.chunks.len() * 5 / 4);
        }
    }
}

impl<N: ChildName> Chunks<N> {
    /// The packed form of all children where it is short enough for a packed container: its bytes and
    /// their number.
    pub fn packed(&self) -> Option<(Cow<'_, [u8]>, usize)> {
        let mut all = Cow::Borrowed(&[][..]);
        for part in self.parts() {
            let ChunkContent::Run(leaf) = part else { return None };
            let bytes = leaf.get().body().bytes();
            if all.is_empty() {
                all = bytes.into();
            } else {
                all.to_mut().extend_from_slice(bytes);
            }
            if all.len() > LEAF_BYTES_MAX - HEADER_BYTES {
                return None;
            }
        }
        Some((all, self.len()))
    }

    /// Adds a child behind all others.
    pub fn push(&mut self, child: Child<'_, N>) {
        if let Child::Packed(bytes) = &child
            && let Some(Chunk { part: ChunkContent::Run(leaf), .. }) = self.chunks.back_mut()
            && has_room(leaf.get(), 0, bytes.len(), 1)
        {
            let end = leaf.get().used();
            return leaf.splice(&Splice { headers: &[0], start: end, end, bytes, count_change: 1 });
        }
        let first = self.start().wrapping_add(self.len() as u32);
        self.chunks.push_back(Chunk { first, part: child.into_part() });
    }

    /// Puts another child in the place of the one at a position.
    pub fn put(&mut self, position: usize, child: Child<'_, N>) {
        loop {
            let (nth, offset) = self.locate(position).expect("the child is there");
            match (&mut self.chunks[nth].part, &child) {
                (ChunkContent::Run(leaf), Child::Packed(bytes)) => {
                    let start = child_start::<N>(leaf.get(), offset);
                    let end = child_end::<N>(leaf.get().node(), start);
                    if has_room(leaf.get(), end - start, bytes.len(), 0) {
                        let headers = &[0];
                        leaf.splice(&Splice { headers, start, end, bytes, count_change: 0 });
                        return self.join_around(nth);
                    }
                    self.make_room(nth, offset, false);
                }
                (ChunkContent::Run(_), Child::One(..)) => self.make_room(nth, offset, true),
                (part @ ChunkContent::One(..), _) => {
                    *part = child.into_part();
                    return self.join_around(nth);
                }
            }
        }
    }

    /// Puts packed children before a position where a run has room for them; says whether one has.
    pub fn insert_packed(&mut self, position: usize, bytes: &[u8], count: usize) -> bool {
        let Some((nth, offset)) = self.locate(position) else { return false };
        let here = self.insert_in_run((nth, offset), bytes, count);
        // Between two chunks the end of the one in front is the same place.
        here || offset == 0
            && nth > 0
            && self.insert_in_run((nth - 1, self.part(nth - 1).count()), bytes, count)
    }

    fn insert_in_run(&mut self, (nth, offset): (usize, usize), bytes: &[u8], count: usize) -> bool {
        let ChunkContent::Run(leaf) = &mut self.chunks[nth].part else { return false };
        if !has_room(leaf.get(), 0, bytes.len(), count) {
            return false;
        }
        let start = match offset == leaf.get().body().len() {
            true => leaf.get().used(),
            false => child_start::<N>(leaf.get(), offset),
        };
        let count_change = count as isize;
        leaf.splice(&Splice { headers: &[0], start, end: start, bytes, count_change });
        self.renumber(nth + 1, count as i64);
        true
    }

    /// Puts children before a position; at the end, behind all others.
    pub fn insert(&mut self, position: usize, new: Chunks<N>) {
        if let (1, Some(ChunkContent::Run(leaf))) = (new.chunks.len(), new.parts().next()) {
            let body = leaf.get().body();
            if self.insert_packed(position, body.bytes(), body.len()) {
                return;
            }
        }
        let nth = self.divide_at(position);
        let (count, added) = (new.len(), new.chunks.len());
        self.renumber(nth, count as i64);
        let mut first = match nth.checked_sub(1) {
            Some(before) => {
                self.chunks[before].first.wrapping_add(self.part(before).count() as u32)
            }
            None => self.start().wrapping_sub(count as u32),
        };
        // A rotation moves the shorter side: the gap is turned to the end, filled, and turned back.
        self.chunks.rotate_left(nth);
        for Chunk { part, .. } in new.chunks {
            let count = part.count() as u32;
            self.chunks.push_back(Chunk { first, part });
            first = first.wrapping_add(count);
        }
        self.chunks.rotate_right(nth + added);
        self.join(nth + added - 1);
        if nth > 0 {
            self.join(nth - 1);
        }
    }

    /// Takes `count` children out from a position on.
    pub fn take(&mut self, position: usize, count: usize) -> Chunks<N> {
        if let Some(run) = self.take_from_run(position, count) {
            return Chunks {
                chunks: VecDeque::from([Chunk { first: 0, part: ChunkContent::Run(run) }]),
            };
        }
        let start = self.divide_at(position);
        let end = self.divide_at(position + count);
        let taken = self.chunks.drain(start..end).collect();
        self.renumber(start, -(count as i64));
        if start > 0 {
            self.join(start - 1);
        }
        self.shrink_table();
        Chunks { chunks: taken }
    }

    /// Takes out children that are not all of one run.
    fn take_from_run(&mut self, position: usize, count: usize) -> Option<Leaf> {
        self.take_part(position, count, |bytes| Leaf::of_children(N::TAG, bytes, count))
    }

    /// As [`Chunks::take_from_run`]; `read` makes of the packed children what is given.
    fn take_part<T>(
        &mut self,
        position: usize,
        count: usize,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let (nth, offset) = self.locate(position)?;
        let ChunkContent::Run(leaf) = &mut self.chunks[nth].part else { return None };
        if count == leaf.get().body().len() || offset + count > leaf.get().body().len() {
            return None;
        }
        let node = leaf.get().node();
        let start = child_start::<N>(leaf.get(), offset);
        let end = (0..count).fold(start, |at, _| child_end::<N>(node, at));
        let taken = read(&node[start..end]);
        let count_change = -(count as isize);
        leaf.splice(&Splice { headers: &[0], start, end, bytes: &[], count_change });
        self.renumber(nth + 1, -(count as i64));
        self.join_around(nth);
        Some(taken)
    }

    /// Makes a chunk begin at a position; gives its number, that of chunks at the end.
    fn divide_at(&mut self, position: usize) -> usize {
        if position == self.len() {
            return self.chunks.len();
        }
        match self.locate(position).expect("the position is inside") {
            (nth, 0) => nth,
            (nth, offset) => {
                self.divide(nth, offset);
                nth + 1
            }
        }
    }

    /// Divides a run before the child at `offset`.
    fn divide(&mut self, nth: usize, offset: usize) {
        let Chunk { first, part: ChunkContent::Run(leaf) } = &mut self.chunks[nth] else {
            panic!("only runs are divided")
        };
        let (node, count) = (leaf.get().node(), leaf.get().body().len());
        let at = child_start::<N>(leaf.get(), offset);
        let front = Leaf::of_children(N::TAG, &node[HEADER_BYTES..at], offset);
        let back = Leaf::of_children(N::TAG, &node[at..], count - offset);
        let first = first.wrapping_add(offset as u32);
        *leaf = front;
        self.chunks.insert(nth + 1, Chunk { first, part: ChunkContent::Run(back) });
    }

    /// Divides a run in halves, the front not empty and the back neither.
    fn halve(&mut self, nth: usize) {
        let ChunkContent::Run(leaf) = self.part(nth) else { panic!("only runs are divided") };
        let (node, count) = (leaf.get().node(), leaf.get().body().len());
        let (mut at, mut offset) = (HEADER_BYTES, 0);
        while offset == 0 || (at < node.len() / 2 && offset < count - 1) {
            at = child_end::<N>(node, at);
            offset += 1;
        }
        self.divide(nth, offset);
    }

    /// Changes the run so that the child at `offset` of it has more room; where a value that cannot be packed is
    /// to be put, so that the child is a chunk of its own.
    fn make_room(&mut self, nth: usize, offset: usize, alone: bool) {
        let count = self.part(nth).count();
        if count > 1 && !alone {
            return self.halve(nth);
        }
        if offset + 1 < count {
            self.divide(nth, offset + 1);
        }
        let nth = match offset {
            0 => nth,
            _ => {
                self.divide(nth, offset);
                nth + 1
            }
        };
        let part = &mut self.chunks[nth].part;
        let ChunkContent::Run(leaf) = part else {
            panic!("only a run has children with too little room")
        };
        *part = one_of(&leaf.get().node()[HEADER_BYTES..]);
    }

    fn join_around(&mut self, nth: usize) {
        self.join(nth);
        if nth > 0 {
            self.join(nth - 1);
        }
    }

    /// Joins a run and the one behind it where there is little in them.
    fn join(&mut self, nth: usize) {
        let Some(ChunkContent::Run(back)) = self.chunks.get(nth + 1).map(|chunk| &chunk.part)
        else {
            return;
        };
        let ChunkContent::Run(front) = self.part(nth) else { return };
        let (front, back) = (front.get(), back.get());
        if front.used() + back.body().bytes().len() > JOINED_BYTES_MAX {
            return;
        }
        let bytes = [front.body().bytes(), back.body().bytes()].concat();
        let joined = Leaf::of_children(N::TAG, &bytes, front.body().len() + back.body().len());
        self.chunks[nth].part = ChunkContent::Run(joined);
        self.chunks.remove(nth + 1);
        self.shrink_table();
    }
}

impl Chunks<()> {
    /// Takes out one element of a run that holds others, too; none where there is no such run.
    pub fn take_packed(&mut self, position: usize) -> Option<Value> {
        self.take_part(position, 1, Value::from_packed)
    }
}

/// The only child of a run as a chunk of its own.
fn one_of<N: ChildName>(child: &[u8]) -> ChunkContent<N> {
    ChunkContent::One(N::read(child), Value::from_packed(&child[N::len_at(child, 0)..]))
}

/// Iterates the contents of chunks, in order.
pub struct ContentIter<'a, N>(vec_deque::Iter<'a, Chunk<N>>);

impl<N> Clone for ContentIter<'_, N> {
    fn clone(&self) -> Self {
        ContentIter(self.0.clone())
    }
}

impl<'a, N> Iterator for ContentIter<'a, N> {
    type Item = &'a ChunkContent<N>;

    #[inline]
    fn next(&mut self) -> Option<&'a ChunkContent<N>> {
        self.0.next().map(|chunk| &chunk.part)
    }
}

impl<N> ExactSizeIterator for ContentIter<'_, N> {
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<N> DoubleEndedIterator for ContentIter<'_, N> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|chunk| &chunk.part)
    }
}

/// The chunks of a container, whichever kind it is of, as a walk to a place needs them.
pub trait Runs {
    /// The run that a chunk is.
    fn run(&self, nth: usize) -> LeafRef<'_>;
    /// Returns true if replacing `removed` bytes by `added` inside a child keeps the run within its size.
    fn has_room(&self, nth: usize, removed: usize, added: usize) -> bool;
    /// Changes a run inside one of its children. There is room.
    fn splice(&mut self, nth: usize, splice: &Splice<'_>);
    /// Gives the child at `offset` of a run more room; `alone`: as a chunk of its own.
    fn make_room(&mut self, nth: usize, offset: usize, alone: bool);
    /// The child that a chunk of one child is.
    fn one_mut(&mut self, nth: usize) -> &mut Value;
    /// Puts another value in its place; gives what was there.
    fn replace_one(&mut self, nth: usize, new: Value) -> Value;
}

impl<N: ChildName> Runs for Chunks<N> {
    #[inline]
    fn run(&self, nth: usize) -> LeafRef<'_> {
        match self.part(nth) {
            ChunkContent::Run(leaf) => leaf.get(),
            ChunkContent::One(..) => unreachable!("the chunk is a run"),
        }
    }

    #[inline]
    fn has_room(&self, nth: usize, removed: usize, added: usize) -> bool {
        has_room(self.run(nth), removed, added, 0)
    }

    #[inline]
    fn splice(&mut self, nth: usize, splice: &Splice<'_>) {
        let ChunkContent::Run(leaf) = self.part_mut(nth) else {
            unreachable!("the chunk is a run")
        };
        leaf.splice(splice);
        if splice.bytes.len() < splice.end - splice.start {
            self.join_around(nth);
        }
    }

    fn make_room(&mut self, nth: usize, offset: usize, alone: bool) {
        Chunks::make_room(self, nth, offset, alone);
    }

    #[inline]
    fn one_mut(&mut self, nth: usize) -> &mut Value {
        match self.part_mut(nth) {
            ChunkContent::One(_, value) => value,
            ChunkContent::Run(_) => unreachable!("the chunk is one child"),
        }
    }

    fn replace_one(&mut self, nth: usize, new: Value) -> Value {
        let ChunkContent::One(name, value) = self.part_mut(nth) else {
            unreachable!("the chunk is one child")
        };
        let old = std::mem::replace(value, new);
        if !value.is_tree() {
            let child = Child::new(name.clone(), std::mem::take(value));
            *self.part_mut(nth) = child.into_part();
            self.join_around(nth);
        }
        old
    }
}

/// Puts children together in runs that are as full as they may be.
pub struct Gather<N> {
    chunks: VecDeque<Chunk<N>>,
    count: u32,
    /// The children of the run to come, packed.
    pending: Vec<u8>,
    pending_count: usize,
}

impl<N: ChildName> Gather<N> {
    pub fn new() -> Gather<N> {
        Gather { chunks: VecDeque::new(), count: 0, pending: Vec::new(), pending_count: 0 }
    }

    pub fn len(&self) -> usize {
        self.count as usize + self.pending_count
    }

    pub fn push(&mut self, child: Child<'_, N>) {
        match child {
            Child::Packed(bytes) => {
                if HEADER_BYTES + self.pending.len() + bytes.len() > RUN_BYTES_MAX {
                    self.end_run();
                }
                self.pending.extend_from_slice(&bytes);
                self.pending_count += 1;
            }
            Child::One(name, value) => {
                self.end_run();
                self.push_part(ChunkContent::One(name, value));
            }
        }
    }

    /// Adds packed children: all of `bytes`.
    pub fn push_packed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let end = child_end::<N>(bytes, at);
            self.push_child(&bytes[at..end]);
            at = end;
        }
    }

    fn push_child(&mut self, bytes: &[u8]) {
        if HEADER_BYTES + bytes.len() > LEAF_BYTES_MAX {
            self.end_run();
            self.push_part(one_of(bytes));
        } else {
            self.push(Child::Packed(bytes.into()));
        }
    }

    /// Adds packed children that are to be one run.
    pub fn push_run(&mut self, bytes: &[u8], count: usize) {
        self.end_run();
        if count == 1 {
            return self.push_child(bytes);
        }
        debug_assert!(HEADER_BYTES + bytes.len() <= RUN_BYTES_MAX);
        self.push_part(ChunkContent::Run(Leaf::of_children(N::TAG, bytes, count)));
    }

    fn end_run(&mut self) {
        if self.pending_count > 0 {
            let run = Leaf::of_children(N::TAG, &self.pending, self.pending_count);
            self.pending.clear();
            self.pending_count = 0;
            self.push_part(ChunkContent::Run(run));
        }
    }

    fn push_part(&mut self, part: ChunkContent<N>) {
        let first = self.count;
        self.count += part.count() as u32;
        self.chunks.push_back(Chunk { first, part });
    }

    pub fn finish(mut self) -> Chunks<N> {
        self.end_run();
        self.chunks.shrink_to_fit();
        Chunks { chunks: self.chunks }
    }
}

/// Gives the children of chunks one by one.
pub struct IntoChildren<N> {
    chunks: vec_deque::IntoIter<Chunk<N>>,
    run: Option<Leaf>,
    /// Where the next child of the run begins.
    at: usize,
}

impl<N: ChildName> IntoChildren<N> {
    pub fn new(chunks: Chunks<N>) -> IntoChildren<N> {
        IntoChildren { chunks: chunks.chunks.into_iter(), run: None, at: 0 }
    }

    pub fn next(&mut self) -> Option<Child<'_, N>> {
        if self.run.as_ref().is_none_or(|run| self.at == run.get().used()) {
            match self.chunks.next()?.part {
                ChunkContent::One(name, value) => {
                    self.run = None;
                    return Some(Child::One(name, value));
                }
                ChunkContent::Run(leaf) => self.run = Some(leaf),
            }
            self.at = HEADER_BYTES;
        }
        let node = self.run.as_ref()?.get().node();
        let start = self.at;
        self.at = child_end::<N>(node, start);
        Some(Child::Packed(node[start..self.at].into()))
    }
}
