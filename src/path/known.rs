//! Paths of names that commands bring again and again: parsed once, with the numbers of their names.
//!
//! A table of fixed size, in which a path has one slot. A path replaces another one when it came several times in a row
//! without being there, so that paths which come once (`$['user:17']`) cost a hash and allocate nothing. A path is
//! compared byte by byte when it is found: it is what parsing it would give.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::limits::PathLimits;
use super::step::PathStep;
use crate::value::names::KeptName;

/// The slots of the table.
const SLOTS: usize = 512;
/// The longest text that is kept: a full table takes some hundred kilobytes.
const TEXT_BYTES_MAX: usize = 64;
/// How often in a row a path has to be missed to get its slot.
const SIGHTINGS: u8 = 8;

thread_local! {
    static TABLE: RefCell<Vec<PathSlot>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Default)]
struct PathSlot {
    /// Its text, and the path.
    known: Option<(Box<[u8]>, Arc<KnownPath>)>,
    /// The hash of the path missed last, and how often in a row.
    missed: u32,
    sightings: u8,
}

/// A path of names.
#[derive(Debug)]
pub(super) struct KnownPath {
    steps: Box<[PathStep<'static>]>,
    /// The names of the steps.
    names: Box<[KeptName]>,
}

impl KnownPath {
    /// None of a path that has an index.
    pub fn new(steps: &[PathStep<'_>]) -> Option<KnownPath> {
        let plain = |step: &PathStep<'_>| matches!(step, PathStep::Name(_));
        if !steps.iter().all(plain) {
            return None;
        }
        let names = steps.iter().filter_map(PathStep::name);
        let names: Box<[_]> = names.map(KeptName::new).collect();
        let step = |name: &KeptName| PathStep::Name(Cow::Owned(name.as_str().to_owned()));
        let steps = names.iter().map(step).collect();
        Some(KnownPath { steps, names })
    }

    #[inline]
    pub fn steps(&self) -> &[PathStep<'static>] {
        &self.steps
    }

    /// One for each step.
    #[inline]
    pub fn names(&self) -> &[KeptName] {
        &self.names
    }
}

/// A path that is not in the table: its hash; none of a text that is never kept.
#[derive(Clone, Copy)]
pub struct Missed(Option<u64>);

/// The path of this text. Where it is not known, [`note`] is told what parsing gives.
#[inline]
pub(super) fn find(text: &[u8], limits: &PathLimits) -> Result<Arc<KnownPath>, Missed> {
    if text.len() > TEXT_BYTES_MAX.min(limits.path_bytes) {
        return Err(Missed(None));
    }
    let hash = FixedState::default().hash_one(text);
    TABLE.with_borrow(|slots| match slots.get(slot_of(hash)) {
        Some(PathSlot { known: Some((known, path)), .. }) if **known == *text => {
            Ok(Arc::clone(path))
        }
        _ => Err(Missed(Some(hash))),
    })
}

/// Counts a path that was missed, and keeps it when it has come often enough.
pub(super) fn note(missed: Missed, text: &[u8], steps: &[PathStep<'_>]) {
    let Missed(Some(hash)) = missed else { return };
    TABLE.with_borrow_mut(|slots| {
        if slots.is_empty() {
            slots.resize_with(SLOTS, PathSlot::default);
        }
        let slot = &mut slots[slot_of(hash)];
        let is_same = slot.missed == hash as u32;
        slot.missed = hash as u32;
        slot.sightings = if is_same { slot.sightings.saturating_add(1) } else { 1 };
        if slot.sightings == SIGHTINGS
            && let Some(known) = KnownPath::new(steps)
        {
            slot.known = Some((text.into(), Arc::new(known)));
            slot.sightings = 0;
        }
    });
}

#[inline]
fn slot_of(hash: u64) -> usize {
    (hash >> 32) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    fn parse(text: &str) -> Path<'_> {
        Path::parse(text.as_bytes(), &PathLimits::DEFAULT).unwrap()
    }

    fn names_of(path: &Path<'_>) -> Vec<String> {
        let steps = path.singular().unwrap().steps().iter();
        steps.map(|step| step.name().unwrap().to_owned()).collect()
    }

    fn is_known(text: &str) -> bool {
        find(text.as_bytes(), &PathLimits::DEFAULT).is_ok()
    }

    #[test]
    fn a_path_is_known_after_it_came_several_times_in_a_row() {
        for (text, names) in
            [("$", &[][..]), ("$.known", &["known"]), ("$.known['a b'].☺", &["known", "a b", "☺"])]
        {
            for _ in 0..SIGHTINGS {
                assert!(!is_known(text), "{text}");
                assert_eq!(names_of(&parse(text)), names);
            }
            assert!(is_known(text), "{text}");
            let known = parse(text);
            assert_eq!(names_of(&known), names);
            assert_eq!(names_of(&known.lend()), names);
            assert_eq!(names_of(&known.clone().into_owned()), names);
            assert_eq!(names_of(&known.clone().into_kept()), names);
        }
    }

    #[test]
    fn paths_with_indexes_queries_pointers_and_long_ones_are_never_known() {
        let long = format!("$.{}", "x".repeat(TEXT_BYTES_MAX - 1));
        for text in ["$.a[0]", "$.a[*]", "/a", "", &long] {
            for _ in 0..4 * SIGHTINGS {
                parse(text);
                assert!(!is_known(text), "{text}");
            }
        }
        for _ in 0..4 * SIGHTINGS {
            assert!(Path::parse(b"$.a b", &PathLimits::DEFAULT).is_err() && !is_known("$.a b"));
        }
    }

    #[test]
    fn a_known_path_is_held_to_the_limit_of_its_bytes() {
        for _ in 0..SIGHTINGS {
            parse("$.limited");
        }
        assert!(is_known("$.limited"));
        let limits = PathLimits { path_bytes: "$.limited".len() };
        assert!(Path::parse(b"$.limited", &limits).is_ok());
        let limits = PathLimits { path_bytes: limits.path_bytes - 1 };
        assert!(Path::parse(b"$.limited", &limits).is_err());
    }

    #[test]
    fn each_path_is_found_under_its_own_text_however_many_there_are() {
        for round in 0..20 {
            for nth in 0..2000 {
                let text = format!("$.member{nth}.x{}", nth % 7);
                let names = [format!("member{nth}"), format!("x{}", nth % 7)];
                assert_eq!(names_of(&parse(&text)), names, "{round}");
            }
        }
        TABLE.with_borrow(|slots| assert_eq!(slots.len(), SLOTS));
    }
}
