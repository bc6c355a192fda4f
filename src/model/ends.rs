//! The ends of definitions.
//!
//! An end has to be stored as long as another server may still send the definition that it ended: a node of a cluster
//! that was disconnected, or an old file. It cannot be stored for ever, because the number of names is unbounded. A
//! server stores at least the last [`ENDED_KEPT`] ends, and at most [`ENDED_MAX`]. When there are more, the oldest are
//! forgotten down to [`ENDED_KEPT`], and the highest version among those is stored as one number.
//!
//! That number travels like an entry of its own ([`super::entry::FORGOTTEN`]), so that replicas, files and nodes of a
//! cluster converge to the same one. It has two uses:
//!
//! - Every later definition or end has a higher version. So no version of a name is used for two definitions, and a
//!   document that was validated against a forgotten definition never passes for validated against a new one.
//! - An end with a version up to it is not stored, whichever server sent it. So nodes do not restore each other's
//!   forgotten ends without end.
//!
//! A definition is never forgotten. A node that was disconnected while [`ENDED_KEPT`] other definitions were ended may
//! restore one whose end all nodes have forgotten. Restoring it is safer than losing it: it can be ended again.

use std::collections::BTreeSet;

use super::entry::VERSION_MAX;

/// The most ends that are stored.
pub const ENDED_MAX: usize = 4096;
/// The number of latest ends that are always stored.
pub const ENDED_KEPT: usize = ENDED_MAX / 2;
/// New ends get a version above the latest one, up to this bound. A higher version can only come from a damaged
/// message, and must not use up all versions.
const FOLLOWED_MAX: u32 = VERSION_MAX / 2;

/// Ends by version, the oldest first.
#[derive(Debug)]
pub struct Ends {
    by_version: BTreeSet<(u32, Box<str>)>,
    forgotten: u32,
    max: usize,
}

impl Ends {
    pub const fn new() -> Ends {
        Ends { by_version: BTreeSet::new(), forgotten: 0, max: ENDED_MAX }
    }

    /// Stores at most so many, for tests.
    #[cfg(test)]
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub fn insert(&mut self, name: &str, version: u32) {
        self.by_version.insert((version, name.into()));
    }

    pub fn remove(&mut self, name: &str, version: u32) {
        self.by_version.remove(&(version, name.into()));
    }

    /// The version of the latest end that is stored; 0 if there is none.
    pub fn latest(&self) -> u32 {
        self.by_version.last().map_or(0, |(version, _)| *version).min(FOLLOWED_MAX)
    }

    /// The highest version of all ends that were forgotten; 0 if none was.
    pub fn forgotten(&self) -> u32 {
        self.forgotten
    }

    /// The version up to which ends have to be forgotten now.
    pub fn overflow(&self) -> u32 {
        let count = self.by_version.len();
        if count <= self.max {
            return self.forgotten;
        }
        let last = self.by_version.iter().nth(count - self.max / 2 - 1);
        last.map_or(0, |(version, _)| *version).max(self.forgotten)
    }

    /// Forgets all ends up to this version, and those up to a higher one that was forgotten before. Returns their
    /// names.
    pub fn forget(&mut self, version: u32) -> Vec<Box<str>> {
        self.forgotten = self.forgotten.max(version);
        let mut names = Vec::new();
        while self.by_version.first().is_some_and(|(version, _)| *version <= self.forgotten) {
            names.extend(self.by_version.pop_first().map(|(_, name)| name));
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_ends_are_kept_and_the_oldest_forgotten() {
        let mut ended = Ends::new();
        for version in 1..=ENDED_MAX as u32 {
            ended.insert(&version.to_string(), version);
            assert!(ended.forget(ended.overflow()).is_empty());
        }
        assert_eq!((ended.latest(), ended.forgotten()), (ENDED_MAX as u32, 0));
        ended.insert("one more", 1 + ENDED_MAX as u32);
        assert_eq!(ended.forget(ended.overflow()).len(), 1 + ENDED_MAX - ENDED_KEPT);
        assert_eq!(ended.by_version.len(), ENDED_KEPT);
        assert_eq!(ended.forgotten() as usize, 1 + ENDED_MAX - ENDED_KEPT);
    }

    #[test]
    fn an_end_that_was_forgotten_is_not_remembered_again() {
        let mut ended = Ends::new();
        ended.forget(5);
        ended.insert("a", 5);
        ended.insert("b", 6);
        assert_eq!(ended.forget(3), [Box::<str>::from("a")]);
        assert_eq!((ended.latest(), ended.forgotten()), (6, 5));
    }

    #[test]
    fn a_version_out_of_reach_is_not_followed() {
        let mut ended = Ends::new();
        ended.insert("damaged", u32::MAX >> 1);
        assert_eq!(ended.latest(), FOLLOWED_MAX);
    }
}
