//! Changes to a document, each recorded twice: how to undo it here, and how to repeat it elsewhere.
//!
//! Everything that changes a document goes through [`Editor`]: operators, merges, patches, and the
//! effects a replica receives. Five primitives suffice. Each checks the limits before it changes
//! anything, and each that changed nothing records nothing. [`Editor::rollback`] replays the undo log
//! backwards, after which the document has the same content as before, to the byte.
//!
//! What changes is one leaf or one slot of a tree: no primitive does work that grows with the
//! document, only with the values put in or taken out.

use super::build::Measured;
use super::limits::Limits;
use super::number::Number;
use super::pack::{self, Leaf, PackedNumber};
use super::tree::{Node, Value};
use super::view::{View, text_size};
use super::{Place, names, wire};
use crate::error::{Error, Result};

/// The changes of one command take at most as many bytes as this many documents of the largest size.
pub const JOURNAL_DOCUMENTS_MAX: u64 = 4;

/// What a command did to a document so far.
#[derive(Default)]
pub struct Journal {
    undo: Vec<Undo>,
    /// The changes in portable form; see [`Editor::apply_effects`].
    effects: Vec<u8>,
    /// Objects that may have holes worth closing once nothing can be undone any more.
    holes: Vec<Place>,
    /// Growth of the document's size.
    size_change: i64,
    /// The size of all that was put in.
    put_in: u64,
}

enum Undo {
    Replace {
        place: Place,
        old: Value,
    },
    /// Take out what was put in.
    Insert {
        place: Place,
        position: u32,
        count: u32,
    },
    PutMemberBack {
        place: Place,
        position: u32,
        name: Box<str>,
        old: Value,
    },
    PutEachBack {
        place: Place,
        positions: Vec<u32>,
        old: Vec<Value>,
    },
    PutItemsBack {
        place: Place,
        index: u32,
        old: Vec<Value>,
    },
}

/// Tags of portable effects: tag, path, operands.
mod effect {
    /// path, value
    pub const REPLACE: u8 = 1;
    /// path of the object, name, value: behind all other members
    pub const INSERT_MEMBER: u8 = 2;
    /// path of the object, name
    pub const REMOVE_MEMBER: u8 = 3;
    /// path of the array, index, count, values
    pub const INSERT_ITEMS: u8 = 4;
    /// path of the array, index, count
    pub const REMOVE_ITEMS: u8 = 5;
    /// path of the array, count, and for each index how many elements stay before it since the last
    pub const REMOVE_EACH: u8 = 6;

    /// A path is a count of steps; each is `NAME text` or `INDEX varint`.
    pub const NAME: u8 = 0;
    pub const INDEX: u8 = 1;
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.undo.is_empty()
    }

    /// How much the document's size changed so far.
    pub fn size_change(&self) -> i64 {
        self.size_change
    }

    /// The changes in portable form, in order.
    pub fn effects(&self) -> &[u8] {
        &self.effects
    }

    /// Empties the journal and keeps its buffers, up to a size worth keeping.
    pub fn clear(&mut self) {
        const KEEP: usize = 4096;
        self.undo.clear();
        self.holes.clear();
        self.effects.clear();
        self.undo.shrink_to(KEEP / size_of::<Undo>());
        self.effects.shrink_to(KEEP);
        self.size_change = 0;
        self.put_in = 0;
    }
}

/// Whether an editor writes effects down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    Recorded,
    /// Nobody will be sent them.
    Unrecorded,
}

/// Changes one document within limits.
pub struct Editor<'a> {
    root: &'a mut Value,
    journal: &'a mut Journal,
    limits: Limits,
    /// The document's size when the journal was empty.
    size_before: u64,
    effects: Effects,
}

/// What a walk to a place ends at.
enum Spot<'v, 's> {
    /// A value of its own.
    Value(&'v mut Value),
    /// A node inside the leaf that is this value's, with the steps that lead there.
    Packed(&'v mut Value, &'s [u32]),
}

impl<'a> Editor<'a> {
    /// `size` is the document's, as [`View::size`] counts it.
    pub fn new(
        root: &'a mut Value,
        size: u64,
        limits: Limits,
        journal: &'a mut Journal,
    ) -> Editor<'a> {
        assert!(journal.is_empty(), "an editor starts with an empty journal");
        Editor { root, journal, limits, size_before: size, effects: Effects::Recorded }
    }

    /// The same editor, recording effects or not.
    pub fn with_effects(mut self, effects: Effects) -> Editor<'a> {
        self.effects = effects;
        self
    }

    /// The document as it stands now.
    #[inline]
    pub fn view(&self) -> View<'_> {
        self.root.view()
    }

    /// The value at a place that exists.
    pub fn at(&self, place: &[u32]) -> View<'_> {
        self.root.view().at(place).expect("the place exists")
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn changed(&self) -> bool {
        !self.journal.is_empty()
    }

    /// The document's size as it stands now.
    pub fn size(&self) -> u64 {
        self.size_before
            .checked_add_signed(self.journal.size_change)
            .expect("a size is never negative")
    }

    /// Puts `new` in the place of what is there. Nothing happens when they are identical.
    pub fn replace(&mut self, place: &[u32], new: impl Into<Measured>) -> Result<()> {
        let new = new.into();
        // What was spelled is taken back where nothing is to be done.
        let start = self.journal.effects.len();
        if self.effects == Effects::Recorded {
            spell(self.root, effect::REPLACE, place, &mut self.journal.effects);
        }
        // The place is looked up once: to read what is there, and to replace it.
        let mut found = Found::at(self.root, place);
        let old = found.view();
        let identical = old.identical(new.value.view());
        let growth = new.size as i64 - old.size() as i64;
        let size = self.size_before.saturating_add_signed(self.journal.size_change);
        let depth = place.len() as u32 + new.depth;
        let checked = check(&self.limits, self.journal, size, depth, new.size, growth);
        if identical || checked.is_err() {
            self.journal.effects.truncate(start);
            return if identical { Ok(()) } else { checked };
        }
        if self.effects == Effects::Recorded {
            wire::put_value(new.value.view(), &mut self.journal.effects);
        }
        self.journal.put_in += new.size;
        let old = match found.replace(new.value) {
            Ok(old) => old,
            Err(new) => swap(self.root, place, new),
        };
        self.push(Undo::Replace { place: place.into(), old }, growth);
        Ok(())
    }

    /// Adds a member the object at `place` does not have, behind all others; gives its position.
    pub fn insert_member(
        &mut self,
        place: &[u32],
        name: &str,
        new: impl Into<Measured>,
    ) -> Result<u32> {
        let new = new.into();
        let growth = (text_size(name.into()) + new.size) as i64;
        self.check(place.len() as u32 + 1 + new.depth, new.size, growth)?;
        self.record(effect::INSERT_MEMBER, place, |out| {
            wire::put_text(name.as_bytes(), out);
            wire::put_value(new.value.view(), out);
        });
        self.journal.put_in += new.size;
        let position = push_member(self.root, place, name, new.value);
        self.push(Undo::Insert { place: place.into(), position, count: 1 }, growth);
        Ok(position)
    }

    /// Takes the member at `position` out of the object at `place`.
    pub fn remove_member(&mut self, place: &[u32], position: u32) {
        let object = self.at(place).as_object().expect("the place is an object");
        let (name, value) = object.member(position).expect("the member is there");
        let name: Box<str> = name.as_str().into();
        let growth = -((text_size((&*name).into()) + value.size()) as i64);
        self.record(effect::REMOVE_MEMBER, place, |out| wire::put_text(name.as_bytes(), out));
        let (old, has_holes) = take_member(self.root, place, position);
        if has_holes {
            self.journal.holes.push(place.into());
        }
        self.push(Undo::PutMemberBack { place: place.into(), position, name, old }, growth);
    }

    /// Inserts elements before `index` of the array at `place`; at its length, behind all.
    pub fn insert_items(&mut self, place: &[u32], index: usize, new: Vec<Measured>) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let size: u64 = new.iter().map(|item| item.size).sum();
        let growth = size as i64;
        let depth = new.iter().map(|item| item.depth).max().unwrap_or(0);
        self.check(place.len() as u32 + 1 + depth, size, growth)?;
        self.record(effect::INSERT_ITEMS, place, |out| {
            wire::put_varint(index as u64, out);
            wire::put_varint(new.len() as u64, out);
            new.iter().for_each(|item| wire::put_value(item.value.view(), out));
        });
        self.journal.put_in += size;
        let count = new.len() as u32;
        put_items(self.root, place, index, new.into_iter().map(|item| item.value).collect());
        self.push(Undo::Insert { place: place.into(), position: index as u32, count }, growth);
        Ok(())
    }

    /// Takes `count` elements out of the array at `place`, from `index` on.
    pub fn remove_items(&mut self, place: &[u32], index: usize, count: usize) {
        if count == 0 {
            return;
        }
        self.record(effect::REMOVE_ITEMS, place, |out| {
            wire::put_varint(index as u64, out);
            wire::put_varint(count as u64, out);
        });
        let old = take_items(self.root, place, index, count);
        let growth = -(old.iter().map(|value| value.view().size() as i64).sum::<i64>());
        self.push(Undo::PutItemsBack { place: place.into(), index: index as u32, old }, growth);
    }

    /// Takes elements out of the array at `place` wherever they stand, in one pass over it.
    /// `positions` ascend and exist.
    pub fn remove_each(&mut self, place: &[u32], positions: &[u32]) {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return };
        if (last - first) as usize + 1 == positions.len() {
            return self.remove_items(place, *first as usize, positions.len());
        }
        self.record(effect::REMOVE_EACH, place, |out| {
            wire::put_varint(positions.len() as u64, out);
            let mut next = 0;
            for position in positions {
                wire::put_varint((position - next).into(), out);
                next = position + 1;
            }
        });
        let old = take_each(self.root, place, positions);
        let growth = -(old.iter().map(|value| value.view().size() as i64).sum::<i64>());
        let undo = Undo::PutEachBack { place: place.into(), positions: positions.into(), old };
        self.push(undo, growth);
    }

    /// Takes away whatever child stands at `place`, which is not the root.
    pub fn remove(&mut self, place: &[u32]) {
        let (position, parent) = place.split_last().expect("the root is never removed");
        match self.at(parent) {
            View::Array(_) => self.remove_items(parent, *position as usize, 1),
            _ => self.remove_member(parent, *position),
        }
    }

    /// Undoes everything since the journal was empty, and empties it. Dropping an editor that was
    /// not committed does the same: a refusal, or a panic, on the way leaves nothing behind.
    pub fn rollback(&mut self) {
        while let Some(undo) = self.journal.undo.pop() {
            match undo {
                Undo::Replace { place, old } => {
                    swap(self.root, &place, old);
                }
                Undo::Insert { place, position, count } => match self.at(&place) {
                    View::Array(_) => {
                        take_items(self.root, &place, position as usize, count as usize);
                    }
                    _ => {
                        take_member(self.root, &place, position);
                    }
                },
                Undo::PutMemberBack { place, position, name, old } => {
                    restore_member(self.root, &place, position, &name, old);
                }
                Undo::PutEachBack { place, positions, old } => {
                    put_each_back(self.root, &place, &positions, old);
                }
                Undo::PutItemsBack { place, index, old } => {
                    put_items(self.root, &place, index as usize, old)
                }
            }
        }
        self.journal.clear();
    }

    /// Ends the possibility to undo: tidies up what undo needed. The journal keeps its effects.
    pub fn commit(self) {
        for place in std::mem::take(&mut self.journal.holes) {
            // The place may be another's by now, or nobody's: tidying any object is harmless.
            if let Some(Spot::Value(Value(Node::Object(object)))) = try_walk(self.root, &place)
                && object.is_mostly_holes()
            {
                object.close_holes();
            }
        }
        self.journal.undo.clear();
    }

    /// Repeats changes recorded in portable form elsewhere. What does not fit this document is an
    /// error; those before it are still there to be rolled back.
    pub fn apply_effects(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = wire::Reader::new(bytes);
        while !reader.is_empty() {
            self.apply_effect(&mut reader)?;
        }
        Ok(())
    }

    fn apply_effect(&mut self, reader: &mut wire::Reader<'_>) -> Result<()> {
        let tag = reader.byte()?;
        let place = self.read_path(reader)?;
        let array_len = self.at(&place).as_array().map(|array| array.len());
        let object = self.at(&place).as_object();
        match (tag, array_len, object) {
            (effect::REPLACE, _, _) => self.replace(&place, reader.value(&self.limits)?),
            (effect::INSERT_MEMBER, _, Some(object)) => {
                let name = reader.text()?;
                if object.find(name).is_some() {
                    return Err(wire::corrupt("a member to be inserted is there already"));
                }
                let value = reader.value(&self.limits)?;
                self.insert_member(&place, name, value).map(drop)
            }
            (effect::REMOVE_MEMBER, _, Some(object)) => {
                let found = object.find(reader.text()?);
                let (position, _) =
                    found.ok_or_else(|| wire::corrupt("a member to be removed is not there"))?;
                self.remove_member(&place, position);
                Ok(())
            }
            (effect::INSERT_ITEMS, Some(len), _) => {
                let index = reader.varint()?;
                if index > len as u64 {
                    return Err(wire::corrupt("an index is outside its array"));
                }
                let count = reader.count()?;
                let mut new = Vec::new();
                for _ in 0..count {
                    new.push(reader.value(&self.limits)?);
                }
                self.insert_items(&place, index as usize, new)
            }
            (effect::REMOVE_ITEMS, Some(len), _) => {
                let (index, count) = (reader.varint()?, reader.varint()?);
                if index.checked_add(count).is_none_or(|end| end > len as u64) {
                    return Err(wire::corrupt("an index is outside its array"));
                }
                self.remove_items(&place, index as usize, count as usize);
                Ok(())
            }
            (effect::REMOVE_EACH, Some(len), _) => {
                let mut positions = Vec::new();
                let mut next = 0;
                for _ in 0..reader.count()? {
                    let position = reader.varint()?.checked_add(next);
                    let position = position.filter(|position| *position < len as u64);
                    let position =
                        position.ok_or_else(|| wire::corrupt("an index is outside its array"))?;
                    positions.push(position as u32);
                    next = position + 1;
                }
                self.remove_each(&place, &positions);
                Ok(())
            }
            _ => Err(wire::corrupt("an effect does not fit the document")),
        }
    }

    fn read_path(&self, reader: &mut wire::Reader<'_>) -> Result<Place> {
        let mut view = self.view();
        let mut place = Place::new();
        for _ in 0..reader.count()? {
            let step = match (reader.byte()?, view) {
                (effect::NAME, View::Object(object)) => object.find(reader.text()?),
                (effect::INDEX, View::Array(array)) => {
                    let index = reader.varint()?;
                    u32::try_from(index)
                        .ok()
                        .and_then(|at| array.get(at as usize).map(|item| (at, item)))
                }
                _ => None,
            };
            let (position, child) =
                step.ok_or_else(|| wire::corrupt("a path does not fit the document"))?;
            place.push(position);
            view = child;
        }
        Ok(place)
    }

    fn check(&self, depth: u32, size: u64, growth: i64) -> Result<()> {
        check(&self.limits, self.journal, self.size(), depth, size, growth)
    }

    /// Writes the change down before it is made.
    fn record(&mut self, tag: u8, place: &[u32], operands: impl FnOnce(&mut Vec<u8>)) {
        if self.effects == Effects::Recorded {
            spell(self.root, tag, place, &mut self.journal.effects);
            operands(&mut self.journal.effects);
        }
    }

    fn push(&mut self, undo: Undo, growth: i64) {
        self.journal.undo.push(undo);
        self.journal.size_change += growth;
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        if !self.journal.undo.is_empty() {
            self.rollback();
        }
    }
}

/// `depth` and `put_in` are of what is put in, `growth` is the document's, `size` what it is so far.
fn check(
    limits: &Limits,
    journal: &Journal,
    size: u64,
    depth: u32,
    put_in: u64,
    growth: i64,
) -> Result<()> {
    limits.check_depth(depth)?;
    // The journal is bounded too: statements that put in and take out large values in turn
    // would let it grow without the document growing.
    let most = limits.bytes.saturating_mul(JOURNAL_DOCUMENTS_MAX);
    if journal.put_in + put_in > most {
        return Err(Error::limit("journal-bytes", most));
    }
    if growth > 0 {
        limits.check_bytes(size + growth as u64)?;
    }
    Ok(())
}

/// Begins an effect: its tag, and the path in names and indexes. Gives what is at the place.
fn spell<'v>(root: &'v Value, tag: u8, place: &[u32], out: &mut Vec<u8>) -> View<'v> {
    out.push(tag);
    wire::put_varint(place.len() as u64, out);
    place.iter().fold(root.view(), |view, position| match view {
        View::Object(object) => {
            let (name, value) = object.member(*position).expect("the place exists");
            out.push(effect::NAME);
            wire::put_text(name.as_bytes(), out);
            value
        }
        other => {
            out.push(effect::INDEX);
            wire::put_varint((*position).into(), out);
            other.child(*position).expect("the place exists")
        }
    })
}

// --- The representation ----------------------------------------------------------------------

fn walk<'v, 's>(root: &'v mut Value, place: &'s [u32]) -> Spot<'v, 's> {
    try_walk(root, place).expect("the place exists")
}

/// `None` where a step leads through something that has no children.
fn try_walk<'v, 's>(root: &'v mut Value, place: &'s [u32]) -> Option<Spot<'v, 's>> {
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
enum Found<'v> {
    Value(&'v mut Value),
    /// A node inside the leaf that is this value's.
    Packed(&'v mut Value, pack::Spot),
}

impl<'v> Found<'v> {
    #[inline]
    fn at(root: &'v mut Value, place: &[u32]) -> Found<'v> {
        match walk(root, place) {
            Spot::Value(value) => Found::Value(value),
            Spot::Packed(value, steps) => {
                let spot = leaf_of(value).locate(steps);
                Found::Packed(value, spot)
            }
        }
    }

    #[inline]
    fn view(&mut self) -> View<'_> {
        match self {
            Found::Value(value) => value.view(),
            Found::Packed(value, spot) => pack::view(leaf_of(value).node(), spot.value),
        }
    }

    /// Gives what was there; or `new` back where it does not fit the leaf.
    #[inline]
    fn replace(self, new: Value) -> std::result::Result<Value, Value> {
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
fn swap(root: &mut Value, place: &[u32], mut new: Value) -> Value {
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
fn push_member(root: &mut Value, place: &[u32], name: &str, new: Value) -> u32 {
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
fn restore_member(root: &mut Value, place: &[u32], position: u32, name: &str, new: Value) {
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
fn take_member(root: &mut Value, place: &[u32], position: u32) -> (Value, bool) {
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

fn put_items(root: &mut Value, place: &[u32], index: usize, mut new: Vec<Value>) {
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

fn take_items(root: &mut Value, place: &[u32], index: usize, count: usize) -> Vec<Value> {
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

fn take_each(root: &mut Value, place: &[u32], positions: &[u32]) -> Vec<Value> {
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

fn put_each_back(root: &mut Value, place: &[u32], positions: &[u32], old: Vec<Value>) {
    if let Spot::Value(Value(Node::Array(array))) = walk_container(root, place) {
        return array.restore_each(positions, old);
    }
    for (position, value) in positions.iter().zip(old) {
        put_items(root, place, *position as usize, vec![value]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::value::parse;
    use proptest::prelude::*;

    fn value(json: &str) -> Measured {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap()
    }

    fn wire_of(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_value(value.view(), &mut out);
        out
    }

    #[test]
    fn a_limit_refuses_before_anything_changes() {
        let Measured { value: mut root, size, .. } = value(r#"{"a":[1]}"#);
        let limits = Limits { depth: 2, bytes: size + 9 };
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, limits, &mut journal);
        let deep = editor.insert_items(&[0], 0, vec![value("[]")]).unwrap_err();
        assert_eq!(deep.code(), ErrorCode::Limit);
        let large = editor.insert_member(&[], "b", value("1")).unwrap_err();
        assert_eq!(large.code(), ErrorCode::Limit);
        assert!(!editor.changed());
        editor.insert_items(&[0], 1, vec![value("2")]).unwrap();
        assert!(editor.insert_items(&[0], 1, vec![value("3")]).is_err());
        editor.commit();
        assert_eq!(format!("{root:?}"), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn what_one_command_puts_in_is_bounded() {
        let Measured { value: mut root, size, .. } = value(r#"{"a":1}"#);
        let limits = Limits { depth: 8, bytes: 1000 };
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, limits, &mut journal);
        let long = value(&format!("\"{}\"", "x".repeat(900)));
        let mut put_in_and_out = || {
            editor.replace(&[0], long.clone())?;
            editor.replace(&[0], value("1"))
        };
        assert!((0..4).all(|_| put_in_and_out().is_ok()));
        assert_eq!(put_in_and_out().unwrap_err().code(), ErrorCode::Limit);
    }

    #[test]
    fn an_identical_value_is_no_change() {
        let Measured { value: mut root, size, .. } = value(r#"{"a":[1,{"b":"x"}]}"#);
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        editor.replace(&[0], value(r#"[1,{"b":"x"}]"#)).unwrap();
        assert!(!editor.changed());
        editor.replace(&[0, 0], value("1.0")).unwrap();
        assert!(editor.changed());
    }

    #[test]
    fn holes_close_when_a_command_is_over() {
        let members: Vec<String> = (0..500).map(|i| format!("\"member number {i}\":{i}")).collect();
        let Measured { value: mut root, size, .. } = value(&format!("{{{}}}", members.join(",")));
        let heap_before = root.heap_bytes();
        let mut journal = Journal::default();
        let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
        for position in 0..490 {
            editor.remove_member(&[], position);
        }
        editor.commit();
        assert_eq!(root.view().as_object().unwrap().len(), 10);
        assert_eq!(
            root.view().as_object().unwrap().get("member number 495").unwrap().as_number(),
            Some(Number::Int(495))
        );
        assert!(root.heap_bytes() < heap_before / 10);
    }

    /// One random change, told in numbers that are reduced to what the document has.
    #[derive(Clone, Debug)]
    enum Change {
        Replace(usize, String),
        Insert(usize, usize, String),
        Remove(usize, usize),
        RemoveEach(usize, u64),
    }

    fn json_text() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i64>().prop_map(|i| i.to_string()),
            (-200i64..200).prop_map(|i| i.to_string()),
            (-1e9f64..1e9).prop_map(|f| format!("{f:?}")),
            "[a-z\"\\\\é]{0,80}".prop_map(|s| serde_json::to_string(&s).unwrap()),
            (900usize..1100).prop_map(|n| format!("\"{}\"", "y".repeat(n))),
        ];
        scalar.prop_recursive(5, 200, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(("[a-f]{1,3}", inner), 0..40).prop_map(|members| {
                    let members: Vec<String> =
                        members.into_iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (any::<usize>(), json_text()).prop_map(|(at, v)| Change::Replace(at, v)),
            (any::<usize>(), any::<usize>(), json_text())
                .prop_map(|(at, i, v)| Change::Insert(at, i, v)),
            (any::<usize>(), any::<usize>()).prop_map(|(at, i)| Change::Remove(at, i)),
            (any::<usize>(), any::<u64>()).prop_map(|(at, bits)| Change::RemoveEach(at, bits)),
        ]
    }

    fn all_places(view: View<'_>, here: Place, out: &mut Vec<Place>) {
        out.push(here.clone());
        let children: Vec<(u32, View<'_>)> = match view {
            View::Array(array) => (0..).zip(array.iter()).collect(),
            View::Object(object) => {
                object.entries().map(|(position, _, value)| (position, value)).collect()
            }
            _ => return,
        };
        for (position, child) in children {
            let mut deeper = here.clone();
            deeper.push(position);
            all_places(child, deeper, out);
        }
    }

    /// The same change on serde_json's values.
    fn model_at<'m>(
        model: &'m mut serde_json::Value,
        view: View<'_>,
        place: &[u32],
    ) -> &'m mut serde_json::Value {
        let (mut model, mut view) = (model, view);
        for position in place {
            let name = view
                .as_object()
                .map(|object| object.member(*position).unwrap().0.as_str().to_owned());
            view = view.child(*position).unwrap();
            model = match name {
                Some(name) => &mut model[name],
                None => &mut model[*position as usize],
            };
        }
        model
    }

    fn apply(editor: &mut Editor<'_>, model: &mut serde_json::Value, change: &Change) {
        let mut places = Vec::new();
        all_places(editor.view(), Place::new(), &mut places);
        let at = match change {
            Change::Replace(at, _) | Change::Insert(at, _, _) => at,
            Change::Remove(at, _) | Change::RemoveEach(at, _) => at,
        };
        let place = &places[at % places.len()];
        let node = model_at(model, editor.view(), place);
        let array_len = editor.at(place).as_array().map(|array| array.len());
        let positions: Vec<(u32, String)> = editor
            .at(place)
            .as_object()
            .map(|o| o.entries().map(|(p, name, _)| (p, name.as_str().to_owned())).collect())
            .unwrap_or_default();
        match change {
            Change::Replace(_, json) => {
                *node = serde_json::from_str(json).unwrap();
                editor.replace(place, value(json)).unwrap();
            }
            Change::Insert(_, index, json) => {
                let new: serde_json::Value = serde_json::from_str(json).unwrap();
                if let Some(len) = array_len {
                    let index = index % (len + 1);
                    let items = node.as_array_mut().unwrap();
                    items.splice(index..index, [new.clone(), new]);
                    editor.insert_items(place, index, vec![value(json), value(json)]).unwrap();
                } else if let Some(members) = node.as_object_mut() {
                    let name = format!("new{index}");
                    if members.insert(name.clone(), new).is_none() {
                        editor.insert_member(place, &name, value(json)).unwrap();
                    } else {
                        let (position, _) =
                            editor.at(place).as_object().unwrap().find(&name).unwrap();
                        let mut inside = place.clone();
                        inside.push(position);
                        editor.replace(&inside, value(json)).unwrap();
                    }
                }
            }
            Change::RemoveEach(_, bits) => {
                let Some(len) = array_len else { return };
                let positions: Vec<u32> =
                    (0..len as u32).filter(|nth| bits >> (nth % 64) & 1 == 1).collect();
                let items = node.as_array_mut().unwrap();
                positions.iter().rev().for_each(|position| drop(items.remove(*position as usize)));
                editor.remove_each(place, &positions);
            }
            Change::Remove(_, index) => {
                if let Some(len) = array_len.filter(|len| *len > 0) {
                    let index = index % len;
                    let count = (len - index).min(3);
                    node.as_array_mut().unwrap().drain(index..index + count);
                    editor.remove_items(place, index, count);
                } else if !positions.is_empty() {
                    let (position, name) = &positions[index % positions.len()];
                    node.as_object_mut().unwrap().shift_remove(name);
                    editor.remove_member(place, *position);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Changes agree with a naive model, effects repeat them elsewhere, undo gives the bytes back.
        #[test]
        fn changes_effects_and_undo_agree(start in json_text(), commands in prop::collection::vec(prop::collection::vec(change(), 1..8), 1..4)) {
            let Measured { value: mut root, mut size, .. } = value(&start);
            let mut replica = root.clone();
            let mut model: serde_json::Value = serde_json::from_str(&start).unwrap();
            for changes in &commands {
                let before = wire_of(&root);
                let mut journal = Journal::default();

                let mut scratch = model.clone();
                let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
                changes.iter().for_each(|change| apply(&mut editor, &mut scratch, change));
                drop(editor);
                prop_assert_eq!(&wire_of(&root), &before);
                prop_assert!(journal.is_empty() && journal.size_change() == 0);

                let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
                changes.iter().for_each(|change| apply(&mut editor, &mut model, change));
                size = editor.size();
                editor.commit();
                prop_assert_eq!(size, root.view().size());
                let model_text = serde_json::to_string(&model).unwrap();
                prop_assert_eq!(format!("{:?}", root), format!("{:?}", value(&model_text).value));

                let mut elsewhere = Journal::default();
                let replica_size = replica.view().size();
                let mut editor = Editor::new(&mut replica, replica_size, Limits::NONE, &mut elsewhere);
                editor.apply_effects(journal.effects()).unwrap();
                editor.commit();
                prop_assert_eq!(wire_of(&replica), wire_of(&root));
            }
        }

        #[test]
        fn parsing_printing_and_the_wire_agree(text in json_text()) {
            let parsed = value(&text);
            prop_assert_eq!(parsed.size, parsed.value.view().size());
            prop_assert_eq!(parsed.depth, parsed.value.view().depth());
            let bytes = wire_of(&parsed.value);
            let decoded = wire::Reader::new(&bytes).value(&Limits::NONE).unwrap();
            prop_assert_eq!(wire_of(&decoded.value), bytes);
            prop_assert!(decoded.value.view().identical(parsed.value.view()));
            prop_assert_eq!(format!("{:?}", value(&format!("{:?}", decoded.value)).value), format!("{:?}", parsed.value));
        }

        #[test]
        fn corrupt_effects_change_nothing(start in json_text(), effects in prop::collection::vec(0u8..8, 0..60)) {
            let Measured { value: mut root, size, .. } = value(&start);
            let before = wire_of(&root);
            let mut journal = Journal::default();
            let mut editor = Editor::new(&mut root, size, Limits::NONE, &mut journal);
            let refused = editor.apply_effects(&effects).is_err();
            drop(editor);
            if refused {
                prop_assert_eq!(wire_of(&root), before);
            }
        }
    }
}
