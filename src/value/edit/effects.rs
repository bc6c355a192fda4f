//! Changes in portable form: written down as they are made, and repeated elsewhere.
//!
//! Effects may be corrupt: everything is checked against the document it is applied to.

use super::Editor;
use super::kept_way::WayTo;
use crate::budget::weight;
use crate::error::Result;
use crate::value::{ObjectView, Place, Root, Text, View, pack, wire};

/// Tags of effects: tag, path, operands.
pub(super) mod effect {
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
    /// path, path of another value, neither inside the other
    pub const EXCHANGE: u8 = 7;
    /// path, path of a part of the value there, which takes its place
    pub const LIFT: u8 = 8;

    /// A path is a count of steps; each is `NAME text` or `INDEX varint`.
    pub const NAME: u8 = 0;
    pub const INDEX: u8 = 1;
}

impl Editor<'_> {
    /// Repeats changes recorded in portable form elsewhere. What does not fit this document is an
    /// error; those before it are still there to be rolled back.
    pub fn apply_effects(&mut self, bytes: &[u8]) -> Result<()> {
        // Those of one operator at many places are close to each other.
        const MANY_BYTES: usize = 256;
        let many = bytes.len() > MANY_BYTES;
        let mut reader = wire::Reader::new(bytes);
        while !reader.is_empty() {
            self.apply_effect(&mut reader, many)?;
        }
        self.end_ways();
        Ok(())
    }

    /// A client's own effects are paid for as the operators that write them are.
    fn apply_effect(&mut self, reader: &mut wire::Reader<'_>, many: bool) -> Result<()> {
        let tag = reader.byte()?;
        let place = self.read_path(reader, many)?;
        self.spend(weight::PLACE + place.len() as u64 * weight::MEMBER)?;
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
                self.remove_member(&place, position)
            }
            (effect::INSERT_ITEMS, Some(len), _) => self.repeat_insertion(&place, len, reader),
            (effect::REMOVE_ITEMS, Some(len), _) => {
                let (index, count) = (reader.varint()?, reader.varint()?);
                if index.checked_add(count).is_none_or(|end| end > len as u64) {
                    return Err(wire::corrupt("an index is outside its array"));
                }
                self.pay_shift((index + count) as usize, len)?;
                self.remove_items(&place, index as usize, count as usize)
            }
            (effect::REMOVE_EACH, Some(len), _) => self.repeat_removals(&place, len, reader),
            (effect::EXCHANGE, _, _) => {
                let other = self.read_path(reader, many)?;
                if place.starts_with(&other) || other.starts_with(&place) {
                    return Err(wire::corrupt("a value is exchanged with a part of itself"));
                }
                self.exchange(&place, &other).map(drop)
            }
            (effect::LIFT, _, _) => {
                let from = self.read_path(reader, many)?;
                if from.len() <= place.len() || !from.starts_with(&place) {
                    return Err(wire::corrupt("a value is lifted from outside of its new place"));
                }
                self.lift(&from, &place)
            }
            _ => Err(wire::corrupt("an effect does not fit the document")),
        }
    }

    fn repeat_insertion(
        &mut self,
        place: &[u32],
        len: usize,
        reader: &mut wire::Reader<'_>,
    ) -> Result<()> {
        let index = reader.varint()?;
        if index > len as u64 {
            return Err(wire::corrupt("an index is outside its array"));
        }
        self.pay_shift(index as usize, len)?;
        let mut new = Vec::new();
        for _ in 0..reader.count()? {
            new.push(reader.value(&self.limits)?);
        }
        self.insert_items(place, index as usize, new)
    }

    fn repeat_removals(
        &mut self,
        place: &[u32],
        len: usize,
        reader: &mut wire::Reader<'_>,
    ) -> Result<()> {
        self.spend(len as u64 / weight::ELEMENTS)?;
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
        self.remove_each(place, &positions)
    }

    /// Elements behind or before an index are moved.
    fn pay_shift(&self, index: usize, len: usize) -> Result<()> {
        self.allowance().map_or(Ok(()), |allowance| allowance.shift(index, len))
    }

    /// `many`: of many places, which are gone to one after the other.
    fn read_path(&mut self, reader: &mut wire::Reader<'_>, many: bool) -> Result<Place> {
        let mut view = self.view();
        let mut place = Place::new();
        for _ in 0..reader.count()? {
            let step = match (reader.byte()?, view) {
                (effect::NAME, View::Object(object)) => object.find(reader.text()?),
                (effect::INDEX, View::Array(array)) => {
                    let index = reader.varint()?;
                    let index = u32::try_from(index).ok().filter(|at| (*at as usize) < array.len());
                    // A way that is kept leads to the element faster.
                    index.and_then(|at| match many {
                        true => Some((at, view)),
                        false => array.get(at as usize).map(|item| (at, item)),
                    })
                }
                _ => None,
            };
            let (position, child) =
                step.ok_or_else(|| wire::corrupt("a path does not fit the document"))?;
            place.push(position);
            view = if many { self.go_to(&place) } else { child };
        }
        Ok(place)
    }
}

/// Begins an effect: its tag, and the path in names and indexes.
pub(super) fn spell(root: &Root, tag: u8, to: WayTo<'_>, out: &mut Vec<u8>) {
    out.push(tag);
    spell_path(root, to, out);
}

/// As [`spell`], of a member of the root, which is packed: its name stands at `name_at` of the body, and need not be looked
/// for by the position.
#[inline]
pub(super) fn spell_member(root: &Root, tag: u8, place: &[u32], name_at: usize, out: &mut Vec<u8>) {
    let View::Object(object @ ObjectView::Packed(body)) = root.view() else {
        unreachable!("the root is a packed object")
    };
    let (name, _) = pack::name_at(body.bytes(), name_at);
    let name = name.text();
    debug_assert_eq!(object.member(place[0]).map(|(name, _)| name.as_str()), Some(name.as_str()));
    debug_assert_eq!(place.len(), 1, "a member of the root is at a place of one step");
    out.extend_from_slice(&[tag, 1, effect::NAME]);
    wire::put_text(name.as_bytes(), out);
}

/// Writes a path in names and indexes.
pub(super) fn spell_path(root: &Root, to: WayTo<'_>, out: &mut Vec<u8>) {
    wire::put_varint(to.place.len() as u64, out);
    let kept = to.kept.and_then(|kept| kept.known_way(root, to.place));
    let (mut view, last) = (root.view(), to.place.len().wrapping_sub(1));
    for (nth, position) in to.place.iter().enumerate() {
        let known = kept.as_ref().and_then(|kept| kept.child(nth, *position));
        view = match (view, known) {
            (_, Some((Some(name), value))) => spell_name(name.text(), value, out),
            (View::Object(object), None) => {
                let (name, value) = object.member(*position).expect("the place exists");
                spell_name(name, value, out)
            }
            (array, known) => {
                out.push(effect::INDEX);
                wire::put_varint((*position).into(), out);
                // Elements are found from the first one on: the last one need not be read.
                match known {
                    Some((_, value)) => value,
                    None if nth == last => return,
                    None => array.child(*position).expect("the place exists"),
                }
            }
        };
    }
}

#[inline]
fn spell_name<'v>(name: Text<'_>, value: View<'v>, out: &mut Vec<u8>) -> View<'v> {
    out.push(effect::NAME);
    wire::put_text(name.as_bytes(), out);
    value
}
