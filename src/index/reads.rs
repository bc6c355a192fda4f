//! The members that the indexes of a definition read, and which indexes a change of a document can touch.

use super::entries::IndexMask;
use crate::path::PathStep;
use crate::value::edit::{ChangeKind, PlaceChange};
use crate::value::{Text, View};

/// The parts of a document that the indexes of a definition read.
#[derive(Debug, Default)]
pub struct IndexReads {
    /// The indexes that may read all of it.
    all: IndexMask,
    members: Vec<ReadMember>,
}

/// A member of the root that an index reads, whole or below.
#[derive(Debug)]
struct ReadMember {
    name: Box<str>,
    /// The way on from the member to what is read of it.
    below: Box<[PathStep<'static>]>,
    indexes: IndexMask,
}

impl IndexReads {
    /// An index reads all of a document.
    pub fn add_all(&mut self, index: u8) {
        self.all = self.all.with(IndexMask::one(index));
    }

    /// An index reads what is at the end of these steps, of which the first one is this name.
    pub fn add(&mut self, index: u8, name: &str, below: &[PathStep<'static>]) {
        let same = |known: &&mut ReadMember| *known.name == *name && *known.below == *below;
        if let Some(known) = self.members.iter_mut().find(same) {
            known.indexes = known.indexes.with(IndexMask::one(index));
            return;
        }
        let indexes = IndexMask::one(index);
        self.members.push(ReadMember { name: name.into(), below: below.into(), indexes });
    }

    /// The indexes in which these changes can have altered the entries of a document, which is as they left it.
    pub fn touched(&self, document: View<'_>, changes: &[PlaceChange]) -> IndexMask {
        let mut touched = self.all;
        for change in changes {
            let position = match (change.place.first(), change.kind) {
                (None, ChangeKind::Value | ChangeKind::Members) => return IndexMask::ALL,
                (Some(position), _) => *position,
            };
            let member = document.as_object().and_then(|object| object.member(position));
            let Some((name, value)) = member else { return IndexMask::ALL };
            for read in &self.members {
                if name == Text::from(&*read.name) && meets(value, &change.place[1..], &read.below)
                {
                    touched = touched.with(read.indexes);
                }
            }
        }
        touched
    }
}

/// Returns false if a change at a place can have altered nothing at the end of the steps: the two part at the name of a
/// member. Elements of arrays shift, so nothing is said of those.
fn meets(mut value: View<'_>, place: &[u32], steps: &[PathStep<'_>]) -> bool {
    for (position, step) in place.iter().zip(steps) {
        let member = value.as_object().and_then(|object| object.member(*position));
        let (Some((name, below)), PathStep::Name(step) | PathStep::Token(step)) = (member, step)
        else {
            return true;
        };
        if name != Text::from(&**step) {
            return false;
        }
        value = below;
    }
    true
}
