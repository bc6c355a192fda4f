//! Reaching a place in whichever representation holds it, and putting values in and taking them out.
//!
//! A leaf that has no room for a change is unpacked one level, and the walk goes on from there. Nothing
//! here records anything: that is the editor's.

use super::kept_way::WayTo;
use super::leaf_site::LeafSite;
use crate::budget::weight;
use crate::value::Place;
use crate::value::chunks::{ChildName, ChunkContent, Chunks, Packed, Runs};
use crate::value::leaf::{LeafRef, NodeRange, PackedWay, Splice, Steps};
use crate::value::names;
use crate::value::number::Number;
use crate::value::object::LargeObject;
use crate::value::pack::{self, PackedBody, PackedScalar};
use crate::value::root::Root;
use crate::value::tree::{LargeArray, Repr, Value};
use crate::value::view::View;

/// The end of a walk to a place.
pub(super) enum WalkEnd<'v, 's> {
    /// The root, which is a value of its own.
    Value(&'v mut Value),
    /// The root, which the document's tail holds.
    Tail(&'v mut Root),
    /// A chunk of one child.
    One(&'v mut dyn Runs, usize),
    /// A node inside a leaf, with the steps that lead there.
    Packed(Home<'v>, Steps<'s>),
}

/// The owner of a leaf.
pub(super) enum Home<'v> {
    /// The leaf is this value's.
    Value(&'v mut Value),
    /// The leaf is in this document's tail.
    Tail(&'v mut Root),
    /// The leaf is this run of a large container.
    Run(&'v mut dyn Runs, usize),
}

/// Whatever a leaf is in, to change it there.
trait LeafHome {
    fn leaf(&self) -> LeafRef<'_>;

    /// Returns true if replacing `removed` bytes by `added` keeps the leaf within its size.
    fn has_room(&self, removed: usize, added: usize) -> bool {
        self.leaf().has_room(removed, added)
    }

    /// Makes a change for which there is room.
    fn splice(&mut self, splice: &Splice<'_>);
}

/// The leaf that a root is, in its tail or not.
impl LeafHome for Root {
    #[inline]
    fn leaf(&self) -> LeafRef<'_> {
        self.leaf_of_root()
    }

    #[inline]
    fn splice(&mut self, splice: &Splice<'_>) {
        Root::splice(self, splice);
    }
}

impl LeafHome for Home<'_> {
    #[inline]
    fn leaf(&self) -> LeafRef<'_> {
        match self {
            Home::Value(Value(Repr::Leaf(leaf))) => leaf.get(),
            Home::Value(_) => unreachable!("a packed spot is a leaf"),
            Home::Tail(root) => root.leaf().expect("a packed spot is a leaf"),
            Home::Run(runs, nth) => runs.run(*nth),
        }
    }

    #[inline]
    fn has_room(&self, removed: usize, added: usize) -> bool {
        match self {
            Home::Run(runs, nth) => runs.has_room(*nth, removed, added),
            _ => self.leaf().has_room(removed, added),
        }
    }

    #[inline]
    fn splice(&mut self, splice: &Splice<'_>) {
        match self {
            Home::Value(Value(Repr::Leaf(leaf))) => leaf.splice(splice),
            Home::Value(_) => unreachable!("a packed spot is a leaf"),
            Home::Tail(root) => root.splice(splice),
            Home::Run(runs, nth) => runs.splice(*nth, splice),
        }
    }
}

impl Home<'_> {
    /// Makes room at the place the steps lead to. `alone`: for a value that cannot be packed at all, in the
    /// place of the one there.
    fn make_room(self, steps: Steps<'_>, alone: bool) {
        match self {
            Home::Value(value) => value.unpack_top(),
            Home::Tail(root) => root.unpack(),
            Home::Run(runs, nth) => {
                let child = steps.rest.first().expect("a run is no place");
                let alone = alone && steps.rest.len() == 1;
                runs.make_room(nth, (child - steps.before) as usize, alone);
            }
        }
    }
}

pub(super) fn walk<'v, 's>(root: &'v mut Root, to: WayTo<'s>) -> WalkEnd<'v, 's> {
    try_walk(root, to).expect("the place exists")
}

/// `None` where a step leads through something that has no children.
pub(super) fn try_walk<'v, 's>(root: &'v mut Root, to: WayTo<'s>) -> Option<WalkEnd<'v, 's>> {
    if root.leaf().is_some() {
        let known = to.known(LeafSite::of_value(0));
        return Some(match to.place {
            [] => WalkEnd::Tail(root),
            rest => WalkEnd::Packed(Home::Tail(root), Steps { before: 0, rest, known }),
        });
    }
    let mut value = root.own_mut().expect("what is not in the tail is a value");
    let mut rest = to.place;
    while let Some((position, deeper)) = rest.split_first() {
        let steps = to.place.len() - rest.len();
        if matches!(value.0, Repr::Leaf(_)) {
            let known = to.known(LeafSite::of_value(steps));
            return Some(WalkEnd::Packed(Home::Value(value), Steps { before: 0, rest, known }));
        }
        let at = *position as usize;
        let (runs, (nth, offset), is_run) = match &mut value.0 {
            Repr::Array(array) => located(&mut array.chunks, at)?,
            Repr::Object(object) => located(&mut object.chunks, at)?,
            _ => return None,
        };
        if is_run {
            let site = LeafSite::of_run(steps, nth, *position, offset);
            let (before, known) = (site.before, to.known(site));
            return Some(WalkEnd::Packed(Home::Run(runs, nth), Steps { before, rest, known }));
        }
        if deeper.is_empty() {
            return Some(WalkEnd::One(runs, nth));
        }
        value = runs.one_mut(nth);
        rest = deeper;
    }
    Some(WalkEnd::Value(value))
}

/// The chunk of the child at a position, how many of its children stand before that, and whether it is a run.
fn located<N: ChildName>(
    chunks: &mut Chunks<N>,
    position: usize,
) -> Option<(&mut dyn Runs, (usize, usize), bool)> {
    let (nth, offset) = chunks.locate(position)?;
    let is_run = match chunks.part(nth) {
        ChunkContent::Run(leaf) if offset < leaf.get().body().len() => true,
        ChunkContent::One(..) if offset == 0 => false,
        _ => return None,
    };
    Some((chunks, (nth, offset), is_run))
}

/// A container.
enum Container<'v, 's> {
    Array(&'v mut LargeArray),
    Object(&'v mut LargeObject),
    /// Inside a leaf, with the steps that lead there.
    Packed(Home<'v>, Steps<'s>),
}

fn walk_container<'v, 's>(root: &'v mut Root, to: WayTo<'s>) -> Container<'v, 's> {
    let here =
        || Steps { before: 0, rest: &[], known: to.known(LeafSite::of_value(to.place.len())) };
    let value = match walk(root, to) {
        WalkEnd::Value(value) => value,
        WalkEnd::One(runs, nth) => runs.one_mut(nth),
        WalkEnd::Tail(root) => return Container::Packed(Home::Tail(root), here()),
        WalkEnd::Packed(home, steps) => return Container::Packed(home, steps),
    };
    if matches!(value.0, Repr::Leaf(_)) {
        return Container::Packed(Home::Value(value), here());
    }
    match &mut value.0 {
        Repr::Array(array) => Container::Array(array),
        Repr::Object(object) => Container::Object(object),
        _ => unreachable!("the place is a container"),
    }
}

/// A value that exists, to be read and then replaced.
pub(super) trait ReplaceSpot {
    fn view(&mut self) -> View<'_>;

    /// Exchanges the value with this one. Returns false where that does not fit the leaf: then nothing has changed.
    fn exchange(self, value: &mut Value) -> bool;
}

/// The way in which a value to be replaced is found.
pub(super) trait FindSpot: Copy {
    type Spot<'v>: ReplaceSpot;

    /// Where the name of the value stands in the body of the root, if it is a member of the root and that is known.
    fn name_in_root(self) -> Option<usize> {
        None
    }

    fn find<'v>(self, root: &'v mut Root, to: WayTo<'_>) -> Self::Spot<'v>;
}

/// Finds a value by its place.
#[derive(Clone, Copy)]
pub(super) struct ByPlace;

impl FindSpot for ByPlace {
    type Spot<'v> = FoundValue<'v>;

    fn find<'v>(self, root: &'v mut Root, to: WayTo<'_>) -> FoundValue<'v> {
        FoundValue::at(root, to)
    }
}

/// Finds a node of the leaf that the root is: `way` is known and leads to it, and nothing has changed since it was gone.
#[derive(Clone, Copy)]
pub(super) struct OnWay<'w> {
    pub way: &'w PackedWay,
    /// The value, where it is known to be a number: it need not be read.
    pub number: Option<Number>,
}

impl<'w> FindSpot for OnWay<'w> {
    type Spot<'v> = RootNode<'v, 'w>;

    #[inline]
    fn name_in_root(self) -> Option<usize> {
        self.way.name_in_root()
    }

    #[inline]
    fn find<'v>(self, root: &'v mut Root, to: WayTo<'_>) -> RootNode<'v, 'w> {
        let node @ (headers, start, end) = self.way.node().expect("the way is known");
        if cfg!(debug_assertions) {
            let leaf = root.leaf_of_root();
            let found = leaf.locate(Steps::inside(to.place));
            assert_eq!((headers, start, end), (&found.headers[..], found.value, found.end));
            let is_there = |number: Number| leaf.view_from(start).identical(View::from(number));
            assert!(self.number.is_none_or(is_there), "the number is there");
        }
        RootNode { root, node, number: self.number }
    }
}

/// A node of the leaf that the root is.
pub(super) struct RootNode<'v, 'w> {
    root: &'v mut Root,
    node: (&'w [u16], usize, usize),
    number: Option<Number>,
}

impl ReplaceSpot for RootNode<'_, '_> {
    #[inline]
    fn view(&mut self) -> View<'_> {
        match self.number {
            Some(number) => View::from(number),
            None => self.root.leaf_of_root().view_from(self.node.1),
        }
    }

    #[inline]
    fn exchange(self, value: &mut Value) -> bool {
        let RootNode { root, node, number } = self;
        exchange_packed(root, node, number, value)
    }
}

/// The value at an existing place.
pub(super) enum FoundValue<'v> {
    Value(&'v mut Value),
    Tail(&'v mut Root),
    One(&'v mut dyn Runs, usize),
    /// A node inside a leaf.
    Packed(Home<'v>, NodeRange),
}

impl<'v> FoundValue<'v> {
    pub(super) fn at(root: &'v mut Root, to: WayTo<'_>) -> FoundValue<'v> {
        match walk(root, to) {
            WalkEnd::Value(value) => FoundValue::Value(value),
            WalkEnd::Tail(root) => FoundValue::Tail(root),
            WalkEnd::One(runs, nth) => FoundValue::One(runs, nth),
            WalkEnd::Packed(home, steps) => {
                let spot = home.leaf().locate(steps);
                FoundValue::Packed(home, spot)
            }
        }
    }
}

impl ReplaceSpot for FoundValue<'_> {
    #[inline]
    fn view(&mut self) -> View<'_> {
        match self {
            FoundValue::Value(value) => value.view(),
            FoundValue::Tail(root) => root.view(),
            FoundValue::One(runs, nth) => runs.one_mut(*nth).view(),
            FoundValue::Packed(home, spot) => home.leaf().view_from(spot.value),
        }
    }

    #[inline]
    fn exchange(self, value: &mut Value) -> bool {
        match self {
            FoundValue::Value(there) => std::mem::swap(there, value),
            FoundValue::Tail(root) => *value = root.replace(std::mem::take(value)),
            FoundValue::One(runs, nth) => *value = runs.replace_one(nth, std::mem::take(value)),
            FoundValue::Packed(mut home, spot) => {
                let node = (&spot.headers[..], spot.value, spot.end);
                return exchange_packed(&mut home, node, None, value);
            }
        }
        true
    }
}

/// Exchanges a node of a leaf, by the headers around it, its start and its end, with a value; see
/// [`ReplaceSpot::exchange`]. `known` is the node, where it is known to be a number.
#[inline]
fn exchange_packed<H: LeafHome + ?Sized>(
    home: &mut H,
    (headers, start, end): (&[u16], usize, usize),
    known: Option<Number>,
    value: &mut Value,
) -> bool {
    let old = {
        let (scalar, other);
        let bytes = match value.number() {
            Some(number) => {
                scalar = PackedScalar::number(number);
                scalar.as_bytes()
            }
            None => {
                other = Packed::new(value);
                match &other {
                    Some(packed) => packed.as_bytes(),
                    None => return false,
                }
            }
        };
        if !home.has_room(end - start, bytes.len()) {
            return false;
        }
        let old = match known {
            Some(number) => Value::from(number),
            None => Value::of_packed(home.leaf().view_from(start)),
        };
        home.splice(&Splice { headers, start, end, bytes, count_change: 0 });
        old
    };
    *value = old;
    true
}

/// Puts `new` at a place that exists and gives what was there.
pub(super) fn swap(root: &mut Root, to: WayTo<'_>, new: Value) -> Value {
    swap_counting(root, to, new).0
}

/// As [`swap`]; gives the number of leaves unpacked, too.
pub(super) fn swap_counting(root: &mut Root, to: WayTo<'_>, mut new: Value) -> (Value, u64) {
    let mut unpacked = 0;
    while !FoundValue::at(root, to).exchange(&mut new) {
        unpacked += 1;
        let WalkEnd::Packed(home, steps) = walk(root, to) else {
            unreachable!("only a leaf can be too small")
        };
        home.make_room(steps, Packed::new(&new).is_none());
    }
    (new, unpacked)
}

/// Appends a member to the object at `place`; gives its position, and the number of leaves unpacked.
pub(super) fn push_member(root: &mut Root, to: WayTo<'_>, name: &str, new: Value) -> (u32, u64) {
    let position = match walk_container(root, to) {
        Container::Object(object) => return (object.push(name, new), 0),
        Container::Array(_) => unreachable!("members are added to objects"),
        Container::Packed(home, steps) => {
            home.leaf().view_at(steps).as_object().expect("members are added to objects").len()
                as u32
        }
    };
    let unpacked = restore_member(root, to, position, name, new);
    (position, unpacked)
}

/// Puts a member at the position it had; a position at the end appends. Gives the number of leaves
/// unpacked.
pub(super) fn restore_member(
    root: &mut Root,
    to: WayTo<'_>,
    position: u32,
    name: &str,
    new: Value,
) -> u64 {
    let mut unpacked = 0;
    loop {
        match walk_container(root, to) {
            Container::Object(object) => {
                object.restore(position, name, new);
                return unpacked;
            }
            Container::Array(_) => unreachable!("members are added to objects"),
            Container::Packed(mut home, steps) => {
                let bytes = Packed::new(&new).map(|packed| packed_member(name, packed.as_bytes()));
                match bytes {
                    Some(bytes) if home.has_room(0, bytes.len()) => {
                        let gap = home.leaf().locate_gap(steps, position as usize);
                        home.splice(&fill(&gap, &bytes, 1));
                        return unpacked;
                    }
                    _ => {
                        unpacked += 1;
                        home.make_room(steps, false);
                    }
                }
            }
        }
    }
}

/// Puts children into a gap.
fn fill<'s>(gap: &'s NodeRange, bytes: &'s [u8], count: usize) -> Splice<'s> {
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
pub(super) fn take_member(root: &mut Root, to: WayTo<'_>, position: u32) -> (Value, bool) {
    match walk_container(root, to) {
        Container::Object(object) => (object.remove(position), true),
        Container::Array(_) => unreachable!("members are taken from objects"),
        Container::Packed(mut home, steps) => (take_packed(&mut home, steps, position), false),
    }
}

fn take_packed(home: &mut Home<'_>, steps: Steps<'_>, position: u32) -> Value {
    let mut inside: Place = steps.rest.into();
    inside.push(position);
    let spot = home.leaf().locate(Steps { rest: &inside, ..steps });
    let old = Value::from_packed(&home.leaf().node()[spot.value..spot.end]);
    let (headers, start, end) = (&spot.headers, spot.start, spot.end);
    home.splice(&Splice { headers, start, end, bytes: &[], count_change: -1 });
    old
}

/// Inserts elements before `index` of the array at `place`; gives the number of leaves unpacked.
pub(super) fn put_items(root: &mut Root, to: WayTo<'_>, index: usize, new: Vec<Value>) -> u64 {
    let bytes = packed_items(&new);
    match bytes {
        Some(bytes) if put_packed_items(root, to, index, &bytes, new.len()) => 0,
        _ => put_array(root, to, index, LargeArray::of(new)),
    }
}

/// As [`put_items`], of packed elements.
pub(super) fn put_packed(root: &mut Root, to: WayTo<'_>, index: usize, new: PackedBody<'_>) -> u64 {
    match put_packed_items(root, to, index, new.bytes(), new.len()) {
        true => 0,
        false => put_array(root, to, index, LargeArray::of_packed(new.bytes())),
    }
}

/// Inserts packed elements where a leaf has room for them; says whether one has.
fn put_packed_items(
    root: &mut Root,
    to: WayTo<'_>,
    index: usize,
    bytes: &[u8],
    count: usize,
) -> bool {
    match walk_container(root, to) {
        Container::Array(array) => array.chunks.insert_packed(index, bytes, count),
        Container::Object(_) => unreachable!("elements are added to arrays"),
        Container::Packed(mut home, steps) => {
            if !home.has_room(0, bytes.len()) {
                return false;
            }
            let gap = home.leaf().locate_gap(steps, index);
            home.splice(&fill(&gap, bytes, count));
            true
        }
    }
}

/// As [`put_items`], of elements in an array.
pub(super) fn put_array(root: &mut Root, to: WayTo<'_>, index: usize, new: LargeArray) -> u64 {
    let mut unpacked = 0;
    loop {
        if let Some((bytes, count)) = new.chunks.packed()
            && put_packed_items(root, to, index, &bytes, count)
        {
            return unpacked;
        }
        match walk_container(root, to) {
            Container::Array(array) => {
                array.insert(index, new);
                return unpacked;
            }
            Container::Object(_) => unreachable!("elements are added to arrays"),
            Container::Packed(home, steps) => {
                unpacked += 1;
                home.make_room(steps, false);
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

/// Steps for putting elements in or taking them out.
pub(super) fn work_of<'v>(items: impl Iterator<Item = View<'v>>) -> u64 {
    items.map(|item| weight::ELEMENT + item.work()).sum()
}

/// Elements that were taken out of an array. One alone is mostly a number or a short string, which takes no memory.
pub(super) enum TakenItems {
    One(Value),
    Many(LargeArray),
}

impl TakenItems {
    /// The size of all elements together, and the steps for taking them out.
    pub fn size_and_work(&self) -> (u64, u64) {
        match self {
            TakenItems::One(item) => (item.view().size(), work_of([item.view()].into_iter())),
            TakenItems::Many(items) => (items.iter().map(View::size).sum(), work_of(items.iter())),
        }
    }

    /// Inserts them where they were.
    pub fn put_back(self, root: &mut Root, to: WayTo<'_>, index: usize) {
        match self {
            TakenItems::One(item) => put_items(root, to, index, vec![item]),
            TakenItems::Many(items) => put_array(root, to, index, items),
        };
    }
}

pub(super) fn take_items(root: &mut Root, to: WayTo<'_>, index: usize, count: usize) -> TakenItems {
    match walk_container(root, to) {
        Container::Array(array) => match array.remove_packed(index, count) {
            Some(item) => TakenItems::One(item),
            None => TakenItems::Many(array.remove(index, count)),
        },
        Container::Object(_) => unreachable!("elements are taken from arrays"),
        Container::Packed(mut home, steps) => {
            let leaf = home.leaf();
            let from = leaf.locate_gap(steps, index);
            let (node, start) = (leaf.node(), from.start);
            let end = (0..count).fold(start, |at, _| at + pack::node_len(node, at));
            let old = match count {
                1 => TakenItems::One(Value::from_packed(&node[start..end])),
                _ => TakenItems::Many(LargeArray::of_packed(&node[start..end])),
            };
            let (headers, count_change) = (&from.headers, -(count as isize));
            home.splice(&Splice { headers, start, end, bytes: &[], count_change });
            old
        }
    }
}

pub(super) fn take_each(root: &mut Root, to: WayTo<'_>, positions: &[u32]) -> LargeArray {
    match walk_container(root, to) {
        Container::Array(array) => array.remove_each(positions),
        Container::Object(_) => unreachable!("elements are taken from arrays"),
        Container::Packed(..) => {
            let mut old: Vec<_> = positions
                .iter()
                .rev()
                .map(|position| {
                    // A change of a run may move its children to another run.
                    let Container::Packed(mut home, steps) = walk_container(root, to) else {
                        unreachable!("a packed container stays packed when it shrinks")
                    };
                    take_packed(&mut home, steps, *position)
                })
                .collect();
            old.reverse();
            LargeArray::of(old)
        }
    }
}

pub(super) fn put_each_back(
    root: &mut Root,
    to: WayTo<'_>,
    positions: &[u32],
    mut old: LargeArray,
) {
    if let Container::Array(array) = walk_container(root, to) {
        return array.restore_each(positions, old);
    }
    for position in positions {
        let next = old.remove(0, 1);
        put_array(root, to, *position as usize, next);
    }
}
