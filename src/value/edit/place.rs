//! Reaching a place in whichever representation holds it, and putting values in and taking them out.
//!
//! A leaf that has no room for a change is unpacked one level, and the walk goes on from there. Nothing
//! here records anything: that is the editor's.

use crate::value::Place;
use crate::value::leaf::{self, LeafRef, Splice};
use crate::value::names;
use crate::value::number::Number;
use crate::value::object::Object;
use crate::value::pack::{self, PackedNumber};
use crate::value::root::Root;
use crate::value::tree::{Array, Node, Value};
use crate::value::view::View;

/// What a walk to a place ends at.
pub(super) enum Spot<'v, 's> {
    /// A value of its own.
    Value(&'v mut Value),
    /// The root itself, which the document's tail holds.
    Tail(&'v mut Root),
    /// A node inside a leaf, with the steps that lead there.
    Packed(Home<'v>, &'s [u32]),
}

/// Where a leaf is.
pub(super) enum Home<'v> {
    /// It is this value's.
    Value(&'v mut Value),
    /// It is in this document's tail.
    Tail(&'v mut Root),
}

impl Home<'_> {
    #[inline]
    fn leaf(&self) -> LeafRef<'_> {
        match self {
            Home::Value(Value(Node::Leaf(leaf))) => leaf.get(),
            Home::Value(_) => unreachable!("a packed spot is a leaf"),
            Home::Tail(root) => root.leaf().expect("a packed spot is a leaf"),
        }
    }

    #[inline]
    fn splice(&mut self, splice: &Splice<'_>) {
        match self {
            Home::Value(Value(Node::Leaf(leaf))) => leaf.splice(splice),
            Home::Value(_) => unreachable!("a packed spot is a leaf"),
            Home::Tail(root) => root.splice(splice),
        }
    }

    /// Turns the leaf into a tree node whose children are values.
    fn unpack(self) {
        match self {
            Home::Value(value) => value.unpack_top(),
            Home::Tail(root) => root.unpack(),
        }
    }
}

pub(super) fn walk<'v, 's>(root: &'v mut Root, place: &'s [u32]) -> Spot<'v, 's> {
    try_walk(root, place).expect("the place exists")
}

/// `None` where a step leads through something that has no children.
pub(super) fn try_walk<'v, 's>(root: &'v mut Root, place: &'s [u32]) -> Option<Spot<'v, 's>> {
    if root.leaf().is_some() {
        return Some(match place {
            [] => Spot::Tail(root),
            steps => Spot::Packed(Home::Tail(root), steps),
        });
    }
    let mut value = root.own_mut().expect("what is not in the tail is a value");
    let mut rest = place;
    while let Some((position, deeper)) = rest.split_first() {
        if matches!(value.0, Node::Leaf(_)) {
            return Some(Spot::Packed(Home::Value(value), rest));
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

/// A container.
enum Container<'v, 's> {
    Array(&'v mut Array),
    Object(&'v mut Object),
    /// Inside a leaf, with the steps that lead there.
    Packed(Home<'v>, &'s [u32]),
}

fn walk_container<'v, 's>(root: &'v mut Root, place: &'s [u32]) -> Container<'v, 's> {
    let value = match walk(root, place) {
        Spot::Value(value) => value,
        Spot::Tail(root) => return Container::Packed(Home::Tail(root), &[]),
        Spot::Packed(home, steps) => return Container::Packed(home, steps),
    };
    if matches!(value.0, Node::Leaf(_)) {
        return Container::Packed(Home::Value(value), &[]);
    }
    match &mut value.0 {
        Node::Array(array) => Container::Array(array),
        Node::Object(object) => Container::Object(object),
        _ => unreachable!("the place is a container"),
    }
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
            Node::Leaf(leaf) => Packed::Node(leaf.get().node()),
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
    Tail(&'v mut Root),
    /// A node inside a leaf.
    Packed(Home<'v>, leaf::Spot),
}

impl<'v> Found<'v> {
    #[inline]
    pub(super) fn at(root: &'v mut Root, place: &[u32]) -> Found<'v> {
        match walk(root, place) {
            Spot::Value(value) => Found::Value(value),
            Spot::Tail(root) => Found::Tail(root),
            Spot::Packed(home, steps) => {
                let spot = home.leaf().locate(steps);
                Found::Packed(home, spot)
            }
        }
    }

    #[inline]
    pub(super) fn view(&mut self) -> View<'_> {
        match self {
            Found::Value(value) => value.view(),
            Found::Tail(root) => root.view(),
            Found::Packed(home, spot) => pack::view(home.leaf().node(), spot.value),
        }
    }

    /// Gives what was there; or `new` back where it does not fit the leaf.
    #[inline]
    pub(super) fn replace(self, new: Value) -> std::result::Result<Value, Value> {
        let (mut home, spot) = match self {
            Found::Value(value) => return Ok(std::mem::replace(value, new)),
            Found::Tail(root) => return Ok(root.replace(new)),
            Found::Packed(home, spot) => (home, spot),
        };
        let leaf = home.leaf();
        match Packed::new(&new) {
            Some(packed) if leaf.has_room(spot.end - spot.value, packed.as_bytes().len()) => {
                let old = Value::from_packed(&leaf.node()[spot.value..spot.end]);
                let bytes = packed.as_bytes();
                let (headers, start, end) = (&spot.headers, spot.value, spot.end);
                home.splice(&Splice { headers, start, end, bytes, count_change: 0 });
                Ok(old)
            }
            _ => Err(new),
        }
    }
}

/// Puts `new` at a place that exists and gives what was there.
pub(super) fn swap(root: &mut Root, place: &[u32], new: Value) -> Value {
    swap_counting(root, place, new).0
}

/// As [`swap`]; gives the number of leaves unpacked, too.
pub(super) fn swap_counting(root: &mut Root, place: &[u32], mut new: Value) -> (Value, u64) {
    let mut unpacked = 0;
    loop {
        match Found::at(root, place).replace(new) {
            Ok(old) => return (old, unpacked),
            Err(unfit) => new = unfit,
        }
        unpacked += 1;
        let Spot::Packed(home, _) = walk(root, place) else {
            unreachable!("only a leaf can be too small")
        };
        home.unpack();
    }
}

/// Appends a member to the object at `place`; gives its position, and the number of leaves unpacked.
pub(super) fn push_member(root: &mut Root, place: &[u32], name: &str, new: Value) -> (u32, u64) {
    let position = match walk_container(root, place) {
        Container::Object(object) => return (object.push(name, new), 0),
        Container::Array(_) => unreachable!("members are added to objects"),
        Container::Packed(home, steps) => {
            home.leaf().view_at(steps).as_object().expect("members are added to objects").len()
                as u32
        }
    };
    let unpacked = restore_member(root, place, position, name, new);
    (position, unpacked)
}

/// Puts a member at the position it had; a position at the end appends. Gives the number of leaves
/// unpacked.
pub(super) fn restore_member(
    root: &mut Root,
    place: &[u32],
    position: u32,
    name: &str,
    new: Value,
) -> u64 {
    let mut unpacked = 0;
    loop {
        match walk_container(root, place) {
            Container::Object(object) => {
                object.restore(position, name, new);
                return unpacked;
            }
            Container::Array(_) => unreachable!("members are added to objects"),
            Container::Packed(mut home, steps) => {
                let bytes = Packed::new(&new).map(|packed| packed_member(name, packed.as_bytes()));
                match bytes {
                    Some(bytes) if home.leaf().has_room(0, bytes.len()) => {
                        let gap = home.leaf().locate_gap(steps, position as usize);
                        home.splice(&fill(&gap, &bytes, 1));
                        return unpacked;
                    }
                    _ => {
                        unpacked += 1;
                        home.unpack();
                    }
                }
            }
        }
    }
}

/// Puts children into a gap.
fn fill<'s>(gap: &'s leaf::Spot, bytes: &'s [u8], count: usize) -> Splice<'s> {
    let (headers, start, end) = (&gap.headers, gap.start, gap.end);
    Splice { headers, start, end, bytes, count_change: count as isize }
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
pub(super) fn take_member(root: &mut Root, place: &[u32], position: u32) -> (Value, bool) {
    match walk_container(root, place) {
        Container::Object(object) => (object.remove(position).1, true),
        Container::Array(_) => unreachable!("members are taken from objects"),
        Container::Packed(mut home, steps) => (take_packed(&mut home, steps, position), false),
    }
}

fn take_packed(home: &mut Home<'_>, steps: &[u32], position: u32) -> Value {
    let mut inside: Place = steps.into();
    inside.push(position);
    let spot = home.leaf().locate(&inside);
    let old = Value::from_packed(&home.leaf().node()[spot.value..spot.end]);
    let (headers, start, end) = (&spot.headers, spot.start, spot.end);
    home.splice(&Splice { headers, start, end, bytes: &[], count_change: -1 });
    old
}

/// Inserts elements; gives the number of leaves unpacked.
pub(super) fn put_items(root: &mut Root, place: &[u32], index: usize, new: Vec<Value>) -> u64 {
    let mut unpacked = 0;
    loop {
        match walk_container(root, place) {
            Container::Array(array) => {
                array.insert(index, new);
                return unpacked;
            }
            Container::Object(_) => unreachable!("elements are added to arrays"),
            Container::Packed(mut home, steps) => match packed_items(&new) {
                Some(bytes) if home.leaf().has_room(0, bytes.len()) => {
                    let gap = home.leaf().locate_gap(steps, index);
                    home.splice(&fill(&gap, &bytes, new.len()));
                    return unpacked;
                }
                _ => {
                    unpacked += 1;
                    home.unpack();
                }
            },
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

pub(super) fn take_items(root: &mut Root, place: &[u32], index: usize, count: usize) -> Vec<Value> {
    match walk_container(root, place) {
        Container::Array(array) => array.remove(index, count),
        Container::Object(_) => unreachable!("elements are taken from arrays"),
        Container::Packed(mut home, steps) => {
            let leaf = home.leaf();
            let items = leaf.view_at(steps).as_array().expect("elements are taken from arrays");
            let old = items.iter().skip(index).take(count).map(View::to_value).collect();
            let from = leaf.locate_gap(steps, index);
            let end = leaf.locate_gap(steps, index + count).start;
            let (headers, start, count_change) = (&from.headers, from.start, -(count as isize));
            home.splice(&Splice { headers, start, end, bytes: &[], count_change });
            old
        }
    }
}

pub(super) fn take_each(root: &mut Root, place: &[u32], positions: &[u32]) -> Vec<Value> {
    match walk_container(root, place) {
        Container::Array(array) => array.remove_each(positions),
        Container::Object(_) => unreachable!("elements are taken from arrays"),
        Container::Packed(mut home, steps) => {
            let mut old: Vec<_> = positions
                .iter()
                .rev()
                .map(|position| take_packed(&mut home, steps, *position))
                .collect();
            old.reverse();
            old
        }
    }
}

pub(super) fn put_each_back(root: &mut Root, place: &[u32], positions: &[u32], old: Vec<Value>) {
    if let Container::Array(array) = walk_container(root, place) {
        return array.restore_each(positions, old);
    }
    for (position, value) in positions.iter().zip(old) {
        put_items(root, place, *position as usize, vec![value]);
    }
}
