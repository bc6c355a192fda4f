//! Reaching a place in whichever representation holds it, and putting values in and taking them out.
//!
//! A leaf that has no room for a change is unpacked one level, and the walk goes on from there. Nothing
//! here records anything: that is the editor's.

use crate::value::Place;
use crate::value::names;
use crate::value::number::Number;
use crate::value::pack::{self, Leaf, PackedNumber};
use crate::value::tree::{Node, Value};
use crate::value::view::View;

/// What a walk to a place ends at.
pub(super) enum Spot<'v, 's> {
    /// A value of its own.
    Value(&'v mut Value),
    /// A node inside the leaf that is this value's, with the steps that lead there.
    Packed(&'v mut Value, &'s [u32]),
}

pub(super) fn walk<'v, 's>(root: &'v mut Value, place: &'s [u32]) -> Spot<'v, 's> {
    try_walk(root, place).expect("the place exists")
}

/// `None` where a step leads through something that has no children.
pub(super) fn try_walk<'v, 's>(root: &'v mut Value, place: &'s [u32]) -> Option<Spot<'v, 's>> {
    let mut value = root;
    let mut rest = place;
    while let Some((position, deeper)) = rest.split_first() {
        if matches!(value.0, Node::Leaf(_)) {
            return Some(Spot::Packed(value, rest));
        }
        value = match &mut value.0 {
            Node::Array(array) => array.items.get_mut(*position as usize)?,
            Node::Object(object) if object.member(*position).is_some() => {
                object.member_mut(*position)
            }
            _ => return None,
        };
        rest = deeper;
    }
    Some(Spot::Value(value))
}

/// The container at `place`: a tree node, or a leaf and the steps inside it.
fn walk_container<'v, 's>(root: &'v mut Value, place: &'s [u32]) -> Spot<'v, 's> {
    match walk(root, place) {
        Spot::Value(value) if matches!(value.0, Node::Leaf(_)) => Spot::Packed(value, &[]),
        spot => spot,
    }
}

fn leaf_of(value: &mut Value) -> &mut Leaf {
    let Node::Leaf(leaf) = &mut value.0 else { unreachable!("a packed spot is a leaf") };
    leaf
}

/// The packed bytes of a value small enough to stand inside a leaf.
enum Packed<'v> {
    Number(PackedNumber),
    Node(&'v [u8]),
    Written(Vec<u8>),
}

impl Packed<'_> {
    fn new(value: &Value) -> Option<Packed<'_>> {
        Some(match &value.0 {
            Node::Int(number) => Packed::Number(PackedNumber::new(Number::Int(*number))),
            Node::Float(number) => Packed::Number(PackedNumber::new(Number::Float(*number))),
            Node::Leaf(leaf) => Packed::Node(leaf.node()),
            Node::Array(_) | Node::Object(_) => return None,
            _ => {
                let mut out = Vec::new();
                match value.view() {
                    View::Null => pack::write_null(&mut out),
                    View::Bool(value) => pack::write_bool(value, &mut out),
                    View::Str(text) if text.as_bytes().len() <= pack::STRING_BYTES_MAX => {
                        pack::write_string(text.as_bytes(), &mut out);
                    }
                    _ => return None,
                }
                Packed::Written(out)
            }
        })
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Packed::Number(number) => number.as_bytes(),
            Packed::Node(bytes) => bytes,
            Packed::Written(bytes) => bytes,
        }
    }
}

/// What stands at a place that exists, to be read and then replaced.
pub(super) enum Found<'v> {
    Value(&'v mut Value),
    /// A node inside the leaf that is this value's.
    Packed(&'v mut Value, pack::Spot),
}

impl<'v> Found<'v> {
    #[inline]
    pub(super) fn at(root: &'v mut Value, place: &[u32]) -> Found<'v> {
        match walk(root, place) {
            Spot::Value(value) => Found::Value(value),
            Spot::Packed(value, steps) => {
                let spot = leaf_of(value).locate(steps);
                Found::Packed(value, spot)
            }
        }
    }

    #[inline]
    pub(super) fn view(&mut self) -> View<'_> {
        match self {
            Found::Value(value) => value.view(),
            Found::Packed(value, spot) => pack::view(leaf_of(value).node(), spot.value),
        }
    }

    /// Gives what was there; or `new` back where it does not fit the leaf.
    #[inline]
    pub(super) fn replace(self, new: Value) -> std::result::Result<Value, Value> {
        let (leaf, spot) = match self {
            Found::Value(value) => return Ok(std::mem::replace(value, new)),
            Found::Packed(value, spot) => (leaf_of(value), spot),
        };
        match Packed::new(&new) {
            Some(packed) if leaf.has_room(spot.end - spot.value, packed.as_bytes().len()) => {
                let old = Value::from_packed(&leaf.node()[spot.value..spot.end]);
                leaf.splice(&spot.headers, spot.value, spot.end, packed.as_bytes(), 0);
                Ok(old)
            }
            _ => Err(new),
        }
    }
}

/// Puts `new` at a place that exists and gives what was there.
pub(super) fn swap(root: &mut Value, place: &[u32], mut new: Value) -> Value {
    loop {
        match Found::at(root, place).replace(new) {
            Ok(old) => return old,
            Err(unfit) => new = unfit,
        }
        let Spot::Packed(value, _) = walk(root, place) else {
            unreachable!("only a leaf can be too small")
        };
        value.unpack_top();
    }
}

/// Appends a member to the object at `place`; gives its position.
pub(super) fn push_member(root: &mut Value, place: &[u32], name: &str, new: Value) -> u32 {
    let position = match walk_container(root, place) {
        Spot::Value(Value(Node::Object(object))) => return object.push(name, new),
        Spot::Value(_) => unreachable!("members are added to objects"),
        Spot::Packed(value, steps) => {
            leaf_of(value).view_at(steps).as_object().expect("members are added to objects").len()
                as u32
        }
    };
    restore_member(root, place, position, name, new);
    position
}

/// Puts a member at the position it had; a position at the end appends.
pub(super) fn restore_member(
    root: &mut Value,
    place: &[u32],
    position: u32,
    name: &str,
    new: Value,
) {
    loop {
        match walk_container(root, place) {
            Spot::Value(Value(Node::Object(object))) => return object.restore(position, name, new),
            Spot::Value(_) => unreachable!("members are added to objects"),
            Spot::Packed(value, steps) => {
                let leaf = leaf_of(value);
                let bytes = Packed::new(&new).map(|packed| packed_member(name, packed.as_bytes()));
                match bytes {
                    Some(bytes) if leaf.has_room(0, bytes.len()) => {
                        let gap = leaf.locate_gap(steps, position as usize);
                        return leaf.splice(&gap.headers, gap.start, gap.end, &bytes, 1);
                    }
                    _ => value.unpack_top(),
                }
            }
        }
    }
}

fn packed_member(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + name.len() + value.len());
    match names::admit(name) {
        Some(id) => pack::write_name_id(id, &mut out),
        // A name this long leaves no room anyway: the bytes are not used.
        None if name.len() > pack::LEAF_BYTES_MAX => out.resize(pack::LEAF_BYTES_MAX + 1, 0),
        None => pack::write_name_text(name.as_bytes(), &mut out),
    }
    out.extend_from_slice(value);
    out
}

/// Takes a member out; also says whether the object may have holes now.
pub(super) fn take_member(root: &mut Value, place: &[u32], position: u32) -> (Value, bool) {
    match walk_container(root, place) {
        Spot::Value(Value(Node::Object(object))) => (object.remove(position).1, true),
        Spot::Value(_) => unreachable!("members are taken from objects"),
        Spot::Packed(value, steps) => (take_packed(leaf_of(value), steps, position), false),
    }
}

fn take_packed(leaf: &mut Leaf, steps: &[u32], position: u32) -> Value {
    let mut inside: Place = steps.into();
    inside.push(position);
    let spot = leaf.locate(&inside);
    let old = Value::from_packed(&leaf.node()[spot.value..spot.end]);
    leaf.splice(&spot.headers, spot.start, spot.end, &[], -1);
    old
}

pub(super) fn put_items(root: &mut Value, place: &[u32], index: usize, mut new: Vec<Value>) {
    loop {
        match walk_container(root, place) {
            Spot::Value(Value(Node::Array(array))) => {
                return array.insert(index, std::mem::take(&mut new));
            }
            Spot::Value(_) => unreachable!("elements are added to arrays"),
            Spot::Packed(value, steps) => {
                let leaf = leaf_of(value);
                match packed_items(&new) {
                    Some(bytes) if leaf.has_room(0, bytes.len()) => {
                        let gap = leaf.locate_gap(steps, index);
                        return leaf.splice(
                            &gap.headers,
                            gap.start,
                            gap.end,
                            &bytes,
                            new.len() as isize,
                        );
                    }
                    _ => value.unpack_top(),
                }
            }
        }
    }
}

/// `None` as soon as they cannot fit a leaf.
fn packed_items(items: &[Value]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for item in items {
        out.extend_from_slice(Packed::new(item)?.as_bytes());
        if out.len() > pack::LEAF_BYTES_MAX {
            return None;
        }
    }
    Some(out)
}

pub(super) fn take_items(
    root: &mut Value,
    place: &[u32],
    index: usize,
    count: usize,
) -> Vec<Value> {
    match walk_container(root, place) {
        Spot::Value(Value(Node::Array(array))) => array.remove(index, count),
        Spot::Value(_) => unreachable!("elements are taken from arrays"),
        Spot::Packed(value, steps) => {
            let leaf = leaf_of(value);
            let items = leaf.view_at(steps).as_array().expect("elements are taken from arrays");
            let old = items.iter().skip(index).take(count).map(View::to_value).collect();
            let start = leaf.locate_gap(steps, index);
            let end = leaf.locate_gap(steps, index + count).start;
            leaf.splice(&start.headers, start.start, end, &[], -(count as isize));
            old
        }
    }
}

pub(super) fn take_each(root: &mut Value, place: &[u32], positions: &[u32]) -> Vec<Value> {
    match walk_container(root, place) {
        Spot::Value(Value(Node::Array(array))) => array.remove_each(positions),
        Spot::Value(_) => unreachable!("elements are taken from arrays"),
        Spot::Packed(value, steps) => {
            let leaf = leaf_of(value);
            let mut old: Vec<_> = positions
                .iter()
                .rev()
                .map(|position| take_packed(leaf, steps, *position))
                .collect();
            old.reverse();
            old
        }
    }
}

pub(super) fn put_each_back(root: &mut Value, place: &[u32], positions: &[u32], old: Vec<Value>) {
    if let Spot::Value(Value(Node::Array(array))) = walk_container(root, place) {
        return array.restore_each(positions, old);
    }
    for (position, value) in positions.iter().zip(old) {
        put_items(root, place, *position as usize, vec![value]);
    }
}
