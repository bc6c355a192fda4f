//! The way to a place, kept for the next place close to it.
//!
//! An operator at many places goes through packed containers from the back to the front. Their children have different
//! lengths, so that each is found from the first one on: a container of five hundred elements would be passed some
//! thousand times. The kept way has where the children on it begin, in the leaf that the place is in, and is cut where a
//! change may move them. Only what was passed before a change stays: the children in front of it, which are where they were
//! unless the leaf is another one, and a leaf is told by its site.

use smallvec::SmallVec;

use super::leaf_site::{LeafSite, leaf_of};
use crate::value::leaf::{ChildStarts, LeafRef};
use crate::value::pack::PackedName;
use crate::value::view::View;
use crate::value::{Place, Root};

/// The way to the last place that was looked for, as far as it is inside a leaf.
#[derive(Default)]
pub(super) struct KeptWay {
    place: Place,
    site: Option<LeafSite>,
    /// Of the containers on the way, from the leaf's own on. Those behind `count` are memory for others.
    starts: Vec<ChildStarts>,
    count: usize,
}

/// A place that is looked for, with the way to one close to it.
#[derive(Clone, Copy)]
pub(super) struct WayTo<'t> {
    pub place: &'t [u32],
    pub kept: Option<&'t KeptWay>,
}

impl<'t> WayTo<'t> {
    /// The starts of children that are known on the way to the place, if it is in the leaf of this site.
    #[inline]
    pub fn known(self, site: LeafSite) -> &'t [ChildStarts] {
        self.kept.map_or(&[], |kept| kept.known(site, self.place))
    }
}

impl<'t> From<&'t [u32]> for WayTo<'t> {
    fn from(place: &'t [u32]) -> WayTo<'t> {
        WayTo { place, kept: None }
    }
}

impl<'t> From<&'t Place> for WayTo<'t> {
    fn from(place: &'t Place) -> WayTo<'t> {
        WayTo { place, kept: None }
    }
}

/// The known part of the way to a place.
pub(super) struct KnownWay<'v, 'k> {
    leaf: LeafRef<'v>,
    site: LeafSite,
    known: &'k [ChildStarts],
}

impl<'v> KnownWay<'v, '_> {
    /// The child that step `nth` of the place leads to, with its name if it is a member. None where it is not known.
    pub fn child(&self, nth: usize, position: u32) -> Option<(Option<PackedName<'v>>, View<'v>)> {
        let inside = nth.checked_sub(self.site.steps)?;
        let before = if inside == 0 { self.site.before } else { 0 };
        self.leaf.known_child(self.known.get(inside)?, (position - before) as usize)
    }

    /// The value at the place; none where nothing is known of the way to it.
    pub fn view(&self, place: &[u32]) -> Option<View<'v>> {
        let inside = place.len() - self.site.steps;
        (self.site.steps..self.site.steps + self.known.len().min(inside)).rev().find_map(|nth| {
            let (_, value) = self.child(nth, place[nth])?;
            value.at(&place[nth + 1..])
        })
    }
}

impl KeptWay {
    pub fn clear(&mut self) {
        self.site = None;
        self.count = 0;
    }

    /// Goes to a place that exists and keeps the way to it.
    pub fn go<'v>(&mut self, root: &'v Root, place: &[u32]) -> View<'v> {
        let Some((leaf, site)) = leaf_of(root, place) else {
            self.clear();
            return root.view().at(place).expect("the place exists");
        };
        let known = self.known(site, place).len();
        let steps = &place[site.steps..];
        if self.starts.len() < steps.len() {
            self.starts.resize_with(steps.len(), ChildStarts::default);
        }
        let (mut value, mut before) = (0, site.before);
        for (nth, (step, starts)) in steps.iter().zip(&mut self.starts).enumerate() {
            if nth >= known {
                starts.begin(value);
            }
            value = leaf.pass(starts, (*step - std::mem::take(&mut before)) as usize);
        }
        self.count = steps.len();
        self.site = Some(site);
        self.place.clear();
        self.place.extend_from_slice(place);
        leaf.view_from(value)
    }

    /// The starts that are known on the way to a place in the leaf of this site.
    fn known(&self, site: LeafSite, place: &[u32]) -> &[ChildStarts] {
        let common = common_steps(&self.place, place.iter());
        match self.site == Some(site) && common >= site.steps {
            true => &self.starts[..self.count.min(common - site.steps + 1)],
            false => &[],
        }
    }

    /// The known part of the way to a place that exists.
    pub fn known_way<'v>(&self, root: &'v Root, place: &[u32]) -> Option<KnownWay<'v, '_>> {
        let (leaf, site) = leaf_of(root, place)?;
        let known = self.known(site, place);
        (!known.is_empty()).then_some(KnownWay { leaf, site, known })
    }

    /// Forgets what a change moved: of the value at `place`, or, in the container there, of all children from `child` on.
    pub fn cut(&mut self, place: &[u32], child: Option<u32>) {
        let Some(site) = self.site else { return };
        let changed: SmallVec<[u32; 8]> = place.iter().copied().chain(child).collect();
        let common = common_steps(&self.place, changed.iter());
        if common < site.steps || changed.len() <= site.steps {
            return self.clear();
        }
        let last = common.min(changed.len() - 1) - site.steps;
        self.count = self.count.min(last + 1);
        self.place.truncate(common);
        let mut before = site.before;
        for nth in 0..self.count {
            // The change may be in a run before this one.
            let step = changed[site.steps + nth].checked_sub(std::mem::take(&mut before));
            let Some(step) = step else { return self.clear() };
            let is_gone = child.is_some() && site.steps + nth + 1 == changed.len();
            self.starts[nth].truncate(step as usize + usize::from(!is_gone));
        }
    }
}

fn common_steps<'p>(place: &[u32], other: impl Iterator<Item = &'p u32>) -> usize {
    place.iter().zip(other).take_while(|(a, b)| a == b).count()
}
