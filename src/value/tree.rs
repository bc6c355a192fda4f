//! Owned values, and containers too large to be packed.

use std::collections::{VecDeque, vec_deque};

use super::leaf::{Leaf, LeafRef};
use super::number::Number;
use super::object::{Object, SlotName};
use super::pack;
use super::view::{ArrayView, ObjectView, Text, View};

/// An owned JSON value of any size: 24 bytes and what they point to.
///
/// Dropping one takes no recursion as deep as the document, touches no shared state, and may happen
/// on any thread.
#[derive(Clone)]
pub struct Value(pub(super) Node);

#[derive(Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite.
    Float(f64),
    Short(ShortString),
    Str(Box<str>),
    Leaf(Leaf),
    Array(Box<Array>),
    Object(Box<Object>),
}

const SHORT_BYTES: usize = 22;

/// A string held in the value itself. Always UTF-8.
#[derive(Clone)]
pub(super) struct ShortString {
    len: u8,
    bytes: [u8; SHORT_BYTES],
}

impl ShortString {
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
    pub const NULL: Value = Value(Node::Null);

    pub fn string(text: &str) -> Value {
        if text.len() <= SHORT_BYTES {
            let mut bytes = [0; SHORT_BYTES];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            return Value(Node::Short(ShortString { len: text.len() as u8, bytes }));
        }
        Value(Node::Str(text.into()))
    }

    pub fn empty_array() -> Value {
        Value(Node::Leaf(Leaf::empty(pack::ARRAY)))
    }

    pub fn empty_object() -> Value {
        Value(Node::Leaf(Leaf::empty(pack::OBJECT)))
    }

    /// Reads the value in place.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Node::Null => View::Null,
            Node::Bool(value) => View::Bool(*value),
            Node::Int(value) => View::Int(*value),
            Node::Float(value) => View::Float(*value),
            Node::Short(text) => View::Str(Text::new(text.as_bytes())),
            Node::Str(text) => View::Str(Text::new(text.as_bytes())),
            Node::Leaf(leaf) => leaf.get().view(),
            Node::Array(array) => View::Array(ArrayView::Tree(array)),
            Node::Object(object) => View::Object(ObjectView::Tree(object)),
        }
    }

    /// The bytes allocated for the value, not counting its own 24 and the allocator's rounding.
    pub fn heap_bytes(&self) -> usize {
        let mut total = 0;
        let mut stack = vec![self];
        while let Some(value) = stack.pop() {
            match &value.0 {
                Node::Str(text) => total += text.len(),
                Node::Leaf(leaf) => total += leaf.buffer_bytes(),
                Node::Array(array) => {
                    total += size_of::<Array>() + array.items.capacity() * size_of::<Value>();
                    stack.extend(array.items.iter());
                }
                Node::Object(object) => {
                    total += size_of::<Object>() + object.own_bytes();
                    stack.extend(object.slots.iter().map(|slot| &slot.value));
                }
                Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Short(_) => {}
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
                Node::Str(_) | Node::Leaf(_) => count += 1,
                Node::Array(array) => {
                    count += 2;
                    stack.extend(array.items.iter());
                }
                Node::Object(object) => {
                    count += 3;
                    stack.extend(object.slots.iter().map(|slot| &slot.value));
                }
                Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Short(_) => {}
            }
        }
        count.min(enough)
    }

    pub(super) fn is_tree(&self) -> bool {
        matches!(self.0, Node::Array(_) | Node::Object(_))
    }

    /// The owned value of one packed node.
    pub(super) fn from_packed(node: &[u8]) -> Value {
        match pack::view(node, 0) {
            View::Null => Value::NULL,
            View::Bool(value) => value.into(),
            View::Int(value) => value.into(),
            View::Float(value) => Value(Node::Float(value)),
            View::Str(text) => Value::string(text.as_str()),
            View::Array(_) | View::Object(_) => {
                Value(Node::Leaf(Leaf::new(&node[..pack::node_len(node, 0)])))
            }
        }
    }

    /// Turns a leaf at the top of this value into a tree node whose children are values.
    pub(super) fn unpack_top(&mut self) {
        let Node::Leaf(leaf) = &self.0 else { panic!("only a leaf can be unpacked") };
        *self = Value::unpacked(leaf.get());
    }

    /// A tree node whose children are those of the leaf, as values.
    pub(super) fn unpacked(leaf: LeafRef<'_>) -> Value {
        Value(match leaf.view() {
            View::Array(items) => {
                Node::Array(Box::new(Array { items: items.iter().map(View::to_value).collect() }))
            }
            View::Object(members) => {
                let mut object = Object::default();
                for (name, value) in members.iter() {
                    object.push(name.as_str(), value.to_value());
                }
                Node::Object(Box::new(object))
            }
            _ => unreachable!("a leaf is a container"),
        })
    }

    /// Lets `mover` move every buffer the value owns, from the node numbered `start` on, in a fixed
    /// order. Where the mover has to stop, gives the number of nodes visited: the next `start`.
    pub fn relocate(&mut self, mover: &mut impl Relocate, start: usize) -> Option<usize> {
        const BETWEEN_CHECKS: usize = 64;
        let mut stack = vec![self];
        let mut visited = 0;
        while let Some(value) = stack.pop() {
            if visited > start && visited.is_multiple_of(BETWEEN_CHECKS) && mover.should_stop() {
                return Some(visited);
            }
            let moves = visited >= start;
            visited += 1;
            match &mut value.0 {
                Node::Str(text) if moves => mover.boxed(text),
                Node::Leaf(leaf) if moves => mover.boxed(leaf.buffer_mut()),
                Node::Array(array) => {
                    if moves {
                        mover.boxed(array);
                        let mut items = Vec::from(std::mem::take(&mut array.items));
                        mover.vec(&mut items);
                        array.items = items.into();
                    }
                    stack.extend(array.items.iter_mut());
                }
                Node::Object(object) => {
                    if moves {
                        mover.boxed(object);
                        mover.vec(&mut object.slots);
                    }
                    for slot in &mut object.slots {
                        if moves && let SlotName::Text(name) = &mut slot.name {
                            mover.boxed(name);
                        }
                        stack.push(&mut slot.value);
                    }
                }
                _ => {}
            }
        }
        None
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
        Value(Node::Bool(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value(Node::Int(value))
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Int(value) => Value(Node::Int(value)),
            Number::Float(value) => {
                debug_assert!(value.is_finite());
                Value(Node::Float(value))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::string(text)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::print::to_string(self.view()))
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
pub struct Array {
    pub(super) items: VecDeque<Value>,
}

impl Array {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn get(&self, index: usize) -> Option<&Value> {
        self.items.get(index)
    }

    pub fn iter(&self) -> vec_deque::Iter<'_, Value> {
        self.items.iter()
    }

    /// Inserts in the middle at the cost of the shorter side.
    pub(super) fn insert(&mut self, index: usize, new: Vec<Value>) {
        // A rotation moves the shorter side of the ring in blocks and copies nothing aside: the gap is
        // turned to the end, filled, and turned back.
        let count = new.len();
        self.items.rotate_left(index);
        self.items.extend(new);
        self.items.rotate_right(index + count);
    }

    pub(super) fn remove(&mut self, index: usize, count: usize) -> Vec<Value> {
        self.items.drain(index..index + count).collect()
    }

    /// Takes out the elements at ascending positions.
    pub(super) fn remove_each(&mut self, positions: &[u32]) -> Vec<Value> {
        let mut wanted = positions.iter().copied().peekable();
        let mut removed = Vec::with_capacity(positions.len());
        let mut index = 0;
        self.items.retain_mut(|item| {
            let stays = wanted.next_if_eq(&index).is_none();
            index += 1;
            if !stays {
                removed.push(std::mem::take(item));
            }
            stays
        });
        removed
    }

    /// Puts back what [`Array::remove_each`] took out.
    pub(super) fn restore_each(&mut self, positions: &[u32], old: Vec<Value>) {
        let mut stayed = std::mem::take(&mut self.items).into_iter();
        for (position, value) in positions.iter().zip(old) {
            let between = *position as usize - self.items.len();
            self.items.extend(stayed.by_ref().take(between));
            self.items.push_back(value);
        }
        self.items.extend(stayed);
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        drop_flat(self.items.drain(..));
    }
}

/// Drops values without recursing into containers below containers.
pub(super) fn drop_flat(values: impl Iterator<Item = Value>) {
    let mut stack: Vec<Value> = values.filter(Value::is_tree).collect();
    while let Some(mut value) = stack.pop() {
        match &mut value.0 {
            Node::Array(array) => stack.extend(array.items.drain(..).filter(Value::is_tree)),
            Node::Object(object) => {
                stack.extend(object.slots.drain(..).map(|s| s.value).filter(Value::is_tree))
            }
            _ => unreachable!("only tree nodes are on the stack"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffer is neither rebuilt nor grown where there is room, at whichever place of the ring its
    /// first element stands, and undoing an insertion gives back what was there.
    #[test]
    fn elements_are_inserted_where_they_belong_and_in_place() {
        for (len, front, count) in
            (0..12).flat_map(|n| (0..=n).flat_map(move |f| (0..4).map(move |c| (n, f, c))))
        {
            for index in 0..=len {
                let mut array = Array { items: VecDeque::with_capacity(16) };
                (front..len).for_each(|n| array.items.push_back((n as i64).into()));
                (0..front).rev().for_each(|n| array.items.push_front((n as i64).into()));
                let capacity = array.items.capacity();
                let new: Vec<i64> = (100..100 + count as i64).collect();
                let mut expected: Vec<i64> = (0..len as i64).collect();
                expected.splice(index..index, new.iter().copied());
                let numbers = |array: &Array| -> Vec<i64> {
                    let int = |item: &Value| match item.view() {
                        View::Int(int) => int,
                        _ => unreachable!("only integers were put in"),
                    };
                    array.iter().map(int).collect()
                };
                array.insert(index, new.into_iter().map(Value::from).collect());
                assert_eq!(numbers(&array), expected, "{len} {front} {count} at {index}");
                assert_eq!(array.items.capacity(), capacity);
                array.remove(index, count);
                assert_eq!(numbers(&array), (0..len as i64).collect::<Vec<_>>());
            }
        }
    }
}
