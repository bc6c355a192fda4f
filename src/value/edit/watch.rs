//! Values at paths of names, as they were before a command.
//!
//! A rule may compare a document with the one before the command. A value that no change touches is read from the
//! document as it is now. A value is copied before the first change that touches it, once, and paid for: so
//! a command pays for no more than it changes, however much the rules of a model name.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::budget::{Allowance, weight};
use crate::error::Result;
use crate::value::{Value, View};

/// Names of members inside each other, from the root on.
type NamePath = Vec<Box<str>>;

/// Names on the way to a place.
type NamesToPlace<'v> = SmallVec<[&'v str; 8]>;

/// The paths whose values are watched.
#[derive(Clone, Debug)]
pub struct WatchPaths {
    /// Ascending, each once.
    sorted: Arc<[NamePath]>,
    /// The names of the longest one.
    longest: usize,
}

/// The value at a path of names, or why there is none.
#[derive(Clone, Debug)]
pub enum Seen<V> {
    Value(V),
    /// The member of that number on the way was missing.
    Missing(usize),
    /// The value before the member of that number was null.
    Null(usize),
    /// The value before the member of that number was no object.
    NoObject(usize),
}

/// The values at watched paths before the first change, of one document.
#[derive(Debug)]
pub struct Watch {
    paths: WatchPaths,
    /// By number of the path: those that a change touched.
    kept: BTreeMap<usize, Seen<Value>>,
}

impl WatchPaths {
    pub fn new(paths: impl Iterator<Item = NamePath>) -> WatchPaths {
        let mut sorted: Vec<NamePath> = paths.collect();
        sorted.sort();
        sorted.dedup();
        let longest = sorted.iter().map(Vec::len).max().unwrap_or(0);
        WatchPaths { sorted: sorted.into(), longest }
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Begins to watch a document.
    pub fn watch(&self) -> Watch {
        Watch { paths: self.clone(), kept: BTreeMap::new() }
    }

    fn find(&self, names: &[&str]) -> std::result::Result<usize, usize> {
        self.sorted.binary_search_by(|path| texts(path).cmp(names.iter().copied()))
    }
}

fn texts(path: &[Box<str>]) -> impl Iterator<Item = &str> {
    path.iter().map(|name| &**name)
}

impl Watch {
    /// The value that was at a watched path; `document` is the one that is watched, as it is now. `None` for
    /// a path that is not watched.
    pub fn before<'a>(&'a self, document: View<'a>, path: &[Box<str>]) -> Option<Seen<View<'a>>> {
        let nth = self.paths.sorted.binary_search_by(|known| known[..].cmp(path)).ok()?;
        Some(match self.kept.get(&nth) {
            Some(kept) => kept.view(),
            None => see(document, path),
        })
    }

    /// The number of values that were copied because a change touched them.
    pub fn copies(&self) -> usize {
        self.kept.len()
    }

    /// Keeps the values that a change of the value at `place` touches, or of the member of that name there.
    pub(super) fn keep(
        &mut self,
        document: View<'_>,
        place: &[u32],
        member: Option<&str>,
        allowance: Option<&Allowance<'_>>,
    ) -> Result<()> {
        let (names, is_whole) = names_to(document, place, member, self.paths.longest);
        let looked_up = (names.len() as u64 + 1) * u64::from(self.paths.sorted.len().ilog2() + 1);
        allowance.map_or(Ok(()), |allowance| allowance.spend(looked_up))?;
        // Values around the change, and the changed one.
        for len in 0..=names.len() {
            if let Ok(nth) = self.paths.find(&names[..len]) {
                self.keep_one(nth, document, allowance)?;
            }
        }
        if !is_whole {
            return Ok(());
        }
        // Values inside of it.
        let first = self.paths.find(&names).map_or_else(|nth| nth, |nth| nth + 1);
        for nth in first..self.paths.sorted.len() {
            if !texts(&self.paths.sorted[nth]).take(names.len()).eq(names.iter().copied()) {
                break;
            }
            self.keep_one(nth, document, allowance)?;
        }
        Ok(())
    }

    fn keep_one(
        &mut self,
        nth: usize,
        document: View<'_>,
        allowance: Option<&Allowance<'_>>,
    ) -> Result<()> {
        allowance.map_or(Ok(()), |allowance| allowance.spend(1))?;
        if self.kept.contains_key(&nth) {
            return Ok(());
        }
        let seen = see(document, &self.paths.sorted[nth]);
        if let (Some(allowance), Seen::Value(value)) = (allowance, &seen) {
            allowance.spend(weight::CHANGE)?;
            allowance.transfer_values(value.work_within(allowance.transfers_left()))?;
        }
        self.kept.insert(nth, seen.copy());
        Ok(())
    }
}

/// The names on the way to a place, up to the first element and to `most`; also says whether they are the
/// whole way.
fn names_to<'v>(
    document: View<'v>,
    place: &[u32],
    member: Option<&'v str>,
    most: usize,
) -> (NamesToPlace<'v>, bool) {
    let (mut names, mut view) = (NamesToPlace::new(), document);
    for position in place {
        let View::Object(object) = view else { return (names, false) };
        if names.len() == most {
            return (names, false);
        }
        let (name, value) = object.member(*position).expect("the place exists");
        names.push(name.as_str());
        view = value;
    }
    match member {
        Some(_) if names.len() == most => return (names, false),
        Some(member) => names.push(member),
        None => {}
    }
    (names, true)
}

fn see<'v>(document: View<'v>, path: &[Box<str>]) -> Seen<View<'v>> {
    let mut view = document;
    for (at, name) in path.iter().enumerate() {
        let Some(object) = view.as_object() else {
            let null = at > 0 && matches!(view, View::Null);
            return if null { Seen::Null(at) } else { Seen::NoObject(at) };
        };
        let Some(member) = object.get(name) else { return Seen::Missing(at) };
        view = member;
    }
    Seen::Value(view)
}

impl Seen<Value> {
    fn view(&self) -> Seen<View<'_>> {
        match self {
            Seen::Value(value) => Seen::Value(value.view()),
            Seen::Missing(at) => Seen::Missing(*at),
            Seen::Null(at) => Seen::Null(*at),
            Seen::NoObject(at) => Seen::NoObject(*at),
        }
    }
}

impl Seen<View<'_>> {
    pub(super) fn copy(&self) -> Seen<Value> {
        match self {
            Seen::Value(value) => Seen::Value(value.to_value()),
            Seen::Missing(at) => Seen::Missing(*at),
            Seen::Null(at) => Seen::Null(*at),
            Seen::NoObject(at) => Seen::NoObject(*at),
        }
    }
}
