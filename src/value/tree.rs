//! Owned values, and containers too large to be packed.

use super::chunks::{Child, ChunkContent, Chunks, ContentIter, Gather, IntoChildren};
use super::leaf::{Leaf, LeafRef};
use super::number::Number;
use super::object::{LargeObject, SlotName};
use super::pack::{self, PackedItems};
use super::view::{ArrayView, ObjectView, Text, View};

/// An owned JSON value of any size: 24 bytes and what they point to.
///
/// Dropping one takes no recursion as deep as the document, touches no shared state, and may happen
/// on any thread.
#[derive(Clone)]
pub struct Value(pub(super) Repr);

#[derive(Clone)]
pub(super) enum Repr {
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite.
    Float(f64),
    Short(ShortString),
    Str(Box<str>),
    Leaf(Leaf),
    Array(Box<LargeArray>),
    Object(Box<LargeObject>),
}

const SHORT_BYTES: usize = 22;

/// A string held in the value itself. Always UTF-8.
#[derive(Clone)]
pub(super) struct ShortString {
    len: u8,
    bytes: [u8; SHORT_BYTES],
}

impl ShortString {
    /// None of a longer text, which is UTF-8.
    #[inline]
    fn new(text: &[u8]) -> Option<ShortString> {
        let mut bytes = [0; SHORT_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(ShortString { len: text.len() as u8, bytes })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

const _: () = assert!(size_of::<Value>() == 24, "values are packed side by side in trees");

impl Default for Value {
    /// JSON null.
    fn default() -> Value {
        Value::NULL
    }
}

impl Value {
    pub const NULL: Value = Value(Repr::Null);

    pub fn string(text: &str) -> Value {
        match ShortString::new(text.as_bytes()) {
            Some(short) => Value(Repr::Short(short)),
            None => Value(Repr::Str(text.into())),
        }
    }

    pub fn empty_array() -> Value {
        Value(Repr::Leaf(Leaf::empty(pack::ARRAY)))
    }

    pub fn empty_object() -> Value {
        Value(Repr::Leaf(Leaf::empty(pack::OBJECT)))
    }

    /// Reads the value in place.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Repr::Null => View::Null,
            Repr::Bool(value) => View::Bool(*value),
            Repr::Int(value) => View::Int(*value),
            Repr::Float(value) => View::Float(*value),
            Repr::Short(text) => View::Str(Text::new(text.as_bytes())),
            Repr::Str(text) => View::Str(Text::new(text.as_bytes())),
            Repr::Leaf(leaf) => leaf.get().view(),
            Repr::Array(array) => View::Array(ArrayView::Tree(array)),
            Repr::Object(object) => View::Object(ObjectView::Tree(object)),
        }
    }

    /// The bytes allocated for the value, not counting its own 24 and the allocator's rounding.
    pub fn heap_bytes(&self) -> usize {
        let mut total = 0;
        let mut stack = vec![self];
        while let Some(value) = stack.pop() {
            match &value.0 {
                Repr::Str(text) => total += text.len(),
                Repr::Leaf(leaf) => total += leaf.buffer_bytes(),
                Repr::Array(array) => {
                    total += size_of::<LargeArray>() + array.chunks.table_bytes();
                    total += add_parts(array.chunks.parts(), &mut stack);
                }
                Repr::Object(object) => {
                    total += size_of::<LargeObject>() + object.own_bytes();
                    total += add_parts(object.chunks.parts(), &mut stack);
                }
                Repr::Null | Repr::Bool(_) | Repr::Int(_) | Repr::Float(_) | Repr::Short(_) => {}
            }
        }
        total
    }

    /// How many allocations a drop has to free, counted no further than `enough`.
    pub fn allocations(&self, enough: usize) -> usize {
        let mut count = 0;
        let mut stack = vec![self];
        while let Some(value) = stack.pop() {
            if count >= enough {
                break;
            }
            match &value.0 {
                Repr::Str(_) | Repr::Leaf(_) => count += 1,
                Repr::Array(array) => {
                    count += 2 + array.chunks.parts().len();
                    stack.extend(array.chunks.parts().filter_map(ChunkContent::one));
                }
                Repr::Object(object) => {
                    count += 3 + object.chunks.parts().len();
                    stack.extend(object.chunks.parts().filter_map(ChunkContent::one));
                }
                Repr::Null | Repr::Bool(_) | Repr::Int(_) | Repr::Float(_) | Repr::Short(_) => {}
            }
        }
        count.min(enough)
    }

    pub(super) fn is_tree(&self) -> bool {
        matches!(self.0, Repr::Array(_) | Repr::Object(_))
    }

    /// The number that the value is, if it is one.
    #[inline]
    pub(super) fn number(&self) -> Option<Number> {
        match self.0 {
            Repr::Int(value) => Some(Number::Int(value)),
            Repr::Float(value) => Some(Number::Float(value)),
            _ => None,
        }
    }

    /// The owned value of one packed node.
    pub(super) fn from_packed(node: &[u8]) -> Value {
        Value::of_packed(pack::view(node, 0))
    }

    /// The owned value of one packed node, which was read.
    #[inline]
    pub(super) fn of_packed(node: View<'_>) -> Value {
        match node {
            View::Null => Value::NULL,
            View::Bool(value) => value.into(),
            View::Int(value) => value.into(),
            View::Float(value) => Value(Repr::Float(value)),
            View::Str(text) => match ShortString::new(text.as_bytes()) {
                Some(short) => Value(Repr::Short(short)),
                None => Value::string(text.as_str()),
            },
            View::Array(ArrayView::Packed(body)) => {
                Value(Repr::Leaf(Leaf::from_body(pack::ARRAY, body)))
            }
            View::Object(ObjectView::Packed(body)) => {
                Value(Repr::Leaf(Leaf::from_body(pack::OBJECT, body)))
            }
            View::Array(_) | View::Object(_) => {
                unreachable!("a packed node has packed ones inside")
            }
        }
    }

    /// Turns a leaf at the top of this value into a tree node whose children are values.
    pub(super) fn unpack_top(&mut self) {
        let Repr::Leaf(leaf) = &self.0 else { panic!("only a leaf can be unpacked") };
        *self = Value::unpacked(leaf.get());
    }

    /// The leaf of an object's tree node that is small enough to be packed.
    pub(super) fn packed_again(&self) -> Option<Leaf> {
        let Repr::Object(object) = &self.0 else { return None };
        let (bytes, count) = object.chunks.packed()?;
        Some(Leaf::of_children(pack::OBJECT, &bytes, count))
    }

    /// A tree node whose children are those of the leaf.
    pub(super) fn unpacked(leaf: LeafRef<'_>) -> Value {
        let body = leaf.body();
        Value(match leaf.view() {
            View::Array(_) => {
                let mut items = Gather::new();
                items.push_packed(body.bytes());
                Repr::Array(Box::new(LargeArray { chunks: items.finish() }))
            }
            View::Object(_) => {
                let mut members = Gather::new();
                members.push_packed(body.bytes());
                Repr::Object(Box::new(LargeObject::new(members.finish())))
            }
            _ => unreachable!("a leaf is a container"),
        })
    }

    /// Lets `mover` move every buffer the value owns, from the one numbered `start` on, in a fixed
    /// order. Where the mover has to stop, gives the number of buffers visited: the next `start`.
    pub fn relocate(&mut self, mover: &mut impl Relocate, start: usize) -> Option<usize> {
        const BETWEEN_CHECKS: usize = 64;
        let mut stack = vec![Buffer::Value(self)];
        let mut visited = 0;
        while let Some(buffer) = stack.pop() {
            if visited > start && visited.is_multiple_of(BETWEEN_CHECKS) && mover.should_stop() {
                return Some(visited);
            }
            let moves = visited >= start;
            visited += 1;
            let value = match buffer {
                Buffer::Leaf(leaf) => {
                    if moves {
                        mover.boxed(leaf.buffer_mut());
                    }
                    continue;
                }
                Buffer::Value(value) => value,
            };
            match &mut value.0 {
                Repr::Str(text) if moves => mover.boxed(text),
                Repr::Leaf(leaf) if moves => mover.boxed(leaf.buffer_mut()),
                Repr::Array(array) => {
                    if moves {
                        mover.boxed(array);
                        array.chunks.relocate_table(mover);
                    }
                    stack.extend(array.chunks.parts_mut().map(Buffer::of));
                }
                Repr::Object(object) => {
                    if moves {
                        mover.boxed(object);
                        object.chunks.relocate_table(mover);
                    }
                    for part in object.chunks.parts_mut() {
                        if moves && let ChunkContent::One(SlotName::Text(name), _) = part {
                            mover.boxed(name);
                        }
                        stack.push(Buffer::of(part));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// The bytes of runs; what is a chunk of its own is put on the stack.
fn add_parts<'v, N: 'v>(parts: ContentIter<'v, N>, stack: &mut Vec<&'v Value>) -> usize {
    let mut bytes = 0;
    for part in parts {
        match part {
            ChunkContent::Run(leaf) => bytes += leaf.buffer_bytes(),
            ChunkContent::One(_, value) => stack.push(value),
        }
    }
    bytes
}

/// A buffer that can be moved, or a value that owns some.
enum Buffer<'v> {
    Value(&'v mut Value),
    Leaf(&'v mut Leaf),
}

impl<'v> Buffer<'v> {
    fn of<N>(part: &'v mut ChunkContent<N>) -> Buffer<'v> {
        match part {
            ChunkContent::Run(leaf) => Buffer::Leaf(leaf),
            ChunkContent::One(_, value) => Buffer::Value(value),
        }
    }
}

/// Moves buffers to better places in memory, content and all. The buffer of an object's index by
/// name is a hash table's and stays where it is.
pub trait Relocate {
    fn boxed<T: ?Sized>(&mut self, owner: &mut Box<T>);
    fn vec<T>(&mut self, owner: &mut Vec<T>);
    fn should_stop(&mut self) -> bool;
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value(Repr::Bool(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value(Repr::Int(value))
    }
}

impl From<Number> for Value {
    #[inline]
    fn from(number: Number) -> Value {
        match number {
            Number::Int(value) => Value(Repr::Int(value)),
            Number::Float(value) => {
                debug_assert!(value.is_finite());
                Value(Repr::Float(value))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::string(text)
    }
}

impl View<'_> {
    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            View::Null => Value::NULL,
            View::Bool(value) => value.into(),
            View::Int(value) => value.into(),
            View::Float(value) => Value(Repr::Float(value)),
            View::Str(text) => Value::string(text.as_str()),
            View::Array(ArrayView::Packed(body)) => {
                Value(Repr::Leaf(Leaf::from_body(pack::ARRAY, body)))
            }
            View::Object(ObjectView::Packed(body)) => {
                Value(Repr::Leaf(Leaf::from_body(pack::OBJECT, body)))
            }
            View::Array(ArrayView::Tree(array)) => Value(Repr::Array(Box::new(array.clone()))),
            View::Object(ObjectView::Tree(object)) => Value(Repr::Object(Box::new(object.clone()))),
        }
    }
}

/// Deep JSON equality, see [`View::equals`].
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.view().equals(other.view())
    }
}

// --- Arrays ----------------------------------------------------------------------------------

/// A large array. Cheap to change at both ends.
#[derive(Clone, Default)]
pub struct LargeArray {
    pub(super) chunks: Chunks<()>,
}

impl From<Chunks<()>> for LargeArray {
    fn from(chunks: Chunks<()>) -> LargeArray {
        LargeArray { chunks }
    }
}

impl LargeArray {
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<View<'_>> {
        let (nth, offset) = self.chunks.locate(index)?;
        match self.chunks.part(nth) {
            ChunkContent::Run(leaf) => leaf.get().body().item(offset),
            ChunkContent::One((), value) => (offset == 0).then(|| value.view()),
        }
    }

    pub fn iter(&self) -> LargeItems<'_> {
        LargeItems { parts: self.chunks.parts(), run: PackedItems::default() }
    }

    pub(super) fn of(values: impl IntoIterator<Item = Value>) -> LargeArray {
        let mut items = Gather::new();
        values.into_iter().for_each(|value| items.push(Child::new((), value)));
        LargeArray { chunks: items.finish() }
    }

    /// The array of packed elements.
    pub(super) fn of_packed(bytes: &[u8]) -> LargeArray {
        let mut items = Gather::new();
        items.push_packed(bytes);
        LargeArray { chunks: items.finish() }
    }

    pub(super) fn insert(&mut self, index: usize, mut new: LargeArray) {
        self.chunks.insert(index, std::mem::take(&mut new.chunks));
    }

    pub(super) fn remove(&mut self, index: usize, count: usize) -> LargeArray {
        LargeArray { chunks: self.chunks.take(index, count) }
    }

    /// As [`LargeArray::remove`], of one element that is packed with others; none where it is not, or if these are several.
    pub(super) fn remove_packed(&mut self, index: usize, count: usize) -> Option<Value> {
        if count == 1 { self.chunks.take_packed(index) } else { None }
    }

    /// Takes out the elements at ascending positions.
    pub(super) fn remove_each(&mut self, positions: &[u32]) -> LargeArray {
        let mut wanted = positions.iter().copied().peekable();
        let mut all = IntoChildren::new(std::mem::take(&mut self.chunks));
        let (mut kept, mut removed) = (Gather::new(), Gather::new());
        let mut index = 0;
        while let Some(item) = all.next() {
            match wanted.next_if_eq(&index) {
                Some(_) => removed.push(item),
                None => kept.push(item),
            }
            index += 1;
        }
        self.chunks = kept.finish();
        LargeArray { chunks: removed.finish() }
    }

    /// Puts back what [`LargeArray::remove_each`] took out.
    pub(super) fn restore_each(&mut self, positions: &[u32], mut old: LargeArray) {
        let mut stayed = IntoChildren::new(std::mem::take(&mut self.chunks));
        let mut old = IntoChildren::new(std::mem::take(&mut old.chunks));
        let mut all = Gather::new();
        for position in positions {
            while all.len() < *position as usize {
                all.push(stayed.next().expect("positions are inside"));
            }
            all.push(old.next().expect("each position has an element"));
        }
        while let Some(item) = stayed.next() {
            all.push(item);
        }
        self.chunks = all.finish();
    }
}

impl Drop for LargeArray {
    fn drop(&mut self) {
        drop_flat(self.chunks.drain());
    }
}

/// Iterates the elements of a large array.
#[derive(Clone)]
pub struct LargeItems<'a> {
    parts: ContentIter<'a, ()>,
    /// The rest of the current run.
    run: PackedItems<'a>,
}

impl<'a> Iterator for LargeItems<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        loop {
            if let Some(item) = self.run.next() {
                return Some(item);
            }
            match self.parts.next()? {
                ChunkContent::Run(leaf) => self.run = leaf.get().body().items(),
                ChunkContent::One((), value) => return Some(value.view()),
            }
        }
    }
}

/// Drops the parts of a container without recursing into containers below containers.
pub(super) fn drop_flat<N>(parts: impl Iterator<Item = ChunkContent<N>>) {
    let mut stack: Vec<Value> = parts.filter_map(ChunkContent::into_tree).collect();
    while let Some(mut value) = stack.pop() {
        match &mut value.0 {
            Repr::Array(array) => {
                stack.extend(array.chunks.drain().filter_map(ChunkContent::into_tree))
            }
            Repr::Object(object) => {
                stack.extend(object.chunks.drain().filter_map(ChunkContent::into_tree))
            }
            _ => unreachable!("only tree nodes are on the stack"),
        }
    }
}
