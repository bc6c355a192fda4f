//! Members of an object that decide its branch.

use super::super::assertion::Options;
use super::super::named::NamedSubschemas;
use super::super::subschema::SubschemaId;
use super::kinds;
use super::pick::Pick;
use crate::value::ObjectView;
use crate::value::edit::{ChangeKind, PlaceChange};

/// The way to pick a branch for an object.
pub(super) enum Discriminator {
    Value(ByValue),
    Presence(ByPresence),
}

/// The value of one member.
pub(super) struct ByValue {
    pub member: Box<str>,
    pub values: Options,
    /// The pick for each of the values.
    pub picks: Box<[Pick]>,
    /// The pick for other values, by their kind.
    pub others: [Pick; kinds::COUNT],
    pub absent: Pick,
}

/// The presence of members that are each required by one branch and forbidden by all others.
pub(super) struct ByPresence {
    pub tags: NamedSubschemas,
    /// The pick if none of them is present.
    pub absent: Pick,
}

/// The changes of an object and below it.
pub(super) struct Touched<'t> {
    pub object: ObjectView<'t>,
    /// Flag: members were added or removed.
    pub members: bool,
    pub changes: &'t [&'t PlaceChange],
    pub depth: usize,
}

impl Touched<'_> {
    /// Returns true if the object has the member with a new value.
    pub fn is_new(&self, name: &str) -> bool {
        self.object.find(name).is_some_and(|(position, _)| self.is_new_at(position))
    }

    /// As [`Touched::is_new`], or if the member may have been removed.
    pub fn is_altered(&self, name: &str) -> bool {
        match self.object.find(name) {
            Some((position, _)) => self.is_new_at(position),
            None => self.members,
        }
    }

    fn is_new_at(&self, position: u32) -> bool {
        let is = |change: &&&PlaceChange| {
            change.kind == ChangeKind::Value
                && change.place.len() == self.depth + 1
                && change.place[self.depth] == position
        };
        self.changes.iter().any(|change| is(&change))
    }
}

impl Discriminator {
    pub fn pick(&self, object: ObjectView<'_>) -> Pick {
        match self {
            Discriminator::Value(by) => match object.find(&by.member) {
                None => by.absent,
                Some((_, view)) => match by.values.position(view) {
                    Some(nth) => by.picks[nth],
                    None => by.others[kinds::index(view)],
                },
            },
            Discriminator::Presence(by) => {
                by.tag(object).map_or(by.absent, |(_, id)| Pick::Branch(id))
            }
        }
    }

    pub fn is_altered(&self, touched: &Touched<'_>) -> bool {
        match self {
            Discriminator::Value(by) => touched.is_altered(&by.member),
            Discriminator::Presence(by) => match by.tag(touched.object) {
                Some((position, _)) => touched.is_new_at(position),
                None => touched.members,
            },
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            Discriminator::Value(by) => {
                by.member.len() + by.values.heap_bytes() + by.picks.len() * size_of::<Pick>()
            }
            Discriminator::Presence(by) => {
                by.tags.entries().iter().map(|(name, _)| name.len() + 32).sum()
            }
        }
    }
}

impl ByPresence {
    /// The first member that is a tag.
    fn tag(&self, object: ObjectView<'_>) -> Option<(u32, SubschemaId)> {
        if self.tags.len() <= object.len() {
            let mut tags = self.tags.entries().iter();
            return tags.find_map(|(name, id)| Some((object.find(name)?.0, *id)));
        }
        let mut members = object.entries();
        members.find_map(|(position, name, _)| Some((position, self.tags.get(name.as_bytes())?)))
    }
}
