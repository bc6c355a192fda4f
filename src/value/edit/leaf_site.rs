//! Where leaves are in a document: which one a place is in.

use crate::value::chunks::{ChildName, ChunkContent, Chunks};
use crate::value::leaf::LeafRef;
use crate::value::root::Root;
use crate::value::tree::{Repr, Value};

/// Where a leaf is: it is another one wherever one of these is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeafSite {
    /// The steps of a place that lead to the leaf, or to the container that it is a run of.
    pub steps: usize,
    /// The chunk that the leaf is; none where it is no run.
    run: Option<usize>,
    /// The children that stand before the leaf's own in the container it is a run of.
    pub before: u32,
}

impl LeafSite {
    /// A leaf that is the value behind so many steps.
    pub fn of_value(steps: usize) -> LeafSite {
        LeafSite { steps, run: None, before: 0 }
    }

    pub fn of_run(steps: usize, nth: usize, position: u32, offset: usize) -> LeafSite {
        LeafSite { steps, run: Some(nth), before: position - offset as u32 }
    }
}

/// The leaf that holds the value at a place that exists, if it is inside one.
pub(super) fn leaf_of<'v>(root: &'v Root, place: &[u32]) -> Option<(LeafRef<'v>, LeafSite)> {
    let site = LeafSite::of_value(0);
    let mut value = match root.leaf() {
        Some(leaf) => return (!place.is_empty()).then_some((leaf, site)),
        None => root.own().expect("what is not in the tail is a value"),
    };
    for (steps, position) in place.iter().enumerate() {
        let part = match &value.0 {
            Repr::Leaf(leaf) => return Some((leaf.get(), LeafSite::of_value(steps))),
            Repr::Array(array) => part_of(&array.chunks, steps, *position),
            Repr::Object(object) => part_of(&object.chunks, steps, *position),
            _ => None,
        };
        match part? {
            ChunkPart::Run(leaf, site) => return Some((leaf, site)),
            ChunkPart::One(one) => value = one,
        }
    }
    None
}

/// Where the child at a position of a large container is.
enum ChunkPart<'v> {
    Run(LeafRef<'v>, LeafSite),
    One(&'v Value),
}

/// `steps` lead to the container.
fn part_of<N: ChildName>(chunks: &Chunks<N>, steps: usize, position: u32) -> Option<ChunkPart<'_>> {
    let (nth, offset) = chunks.locate(position as usize)?;
    Some(match chunks.part(nth) {
        ChunkContent::Run(leaf) => {
            ChunkPart::Run(leaf.get(), LeafSite::of_run(steps, nth, position, offset))
        }
        ChunkContent::One(_, value) => ChunkPart::One(value),
    })
}
