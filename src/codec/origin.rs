//! The origin of a payload or an effect, and how far it is trusted. All rules of trust are here.

use crate::document::{NewDocument, believed_revision};
use crate::error::{Error, Result};
use crate::limit;
use crate::lock::{LockLimits, believed_fence};
use crate::value::Limits;
use crate::value::wire;

/// The origin of a payload or an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A data set that is being loaded: this server's own file, or a full sync. Trusted.
    DataSet,
    /// This server's master, whose limits it passed. A `RESTORE` comes as the client sent it to the
    /// master.
    Master,
    /// A client, by `RESTORE`. `MIGRATE` on another server is one, too. Untrusted.
    Client,
}

/// The bounds of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub document: Limits,
    pub locks: LockLimits,
    pub token_reply_bytes: u64,
    /// The steps of a command, for the entries of a document in the indexes of its model.
    pub command_steps: u64,
}

impl Bounds {
    /// No bounds but those of the representation itself.
    pub const NONE: Bounds = Bounds {
        document: Limits::NONE,
        locks: LockLimits::NONE,
        token_reply_bytes: u64::MAX,
        command_steps: u64::MAX,
    };
}

impl Origin {
    /// The origin of a command that carries an effect: `replaying` for one of a master or an AOF, whose effects
    /// are trusted. A client's are not.
    pub fn of_effect(replaying: bool) -> Origin {
        if replaying { Origin::Master } else { Origin::Client }
    }

    /// Flag: an effect of this origin was validated by a master.
    pub fn trusts_effects(self) -> bool {
        self != Origin::Client
    }

    /// Refuses a revision of a client that is years ahead of the clock: it would leave no room for others.
    pub fn admit_revision(self, revision: u64, now_us: u64) -> Result<()> {
        if self == Origin::Client && revision > believed_revision(now_us) {
            return Err(wire::corrupt("a revision is years ahead"));
        }
        Ok(())
    }

    /// Refuses a fence of a client that is years ahead of the clock.
    pub fn admit_fence(self, fence: u64, now_us: u64) -> Result<()> {
        if self == Origin::Client && fence > believed_fence(now_us / 1000) {
            return Err(wire::corrupt("a fence is years ahead"));
        }
        Ok(())
    }

    /// The bounds of a payload, where clients may store as much as `configured`. Content that was accepted before is
    /// read without limits: they may have been other ones then.
    pub fn bounds(self, configured: Bounds) -> Bounds {
        match self {
            Origin::DataSet | Origin::Master => Bounds::NONE,
            Origin::Client => configured,
        }
    }

    /// Accepts a document, or refuses one of a client whose revision or fence is years ahead of the clock, or whose entries in
    /// indexes take more than a command may do: other commands than those of this module cannot be refused for them. A document
    /// that was not part of a data set is validated again before its next write, because its payload may claim a
    /// validation that did not take place.
    pub fn admit(
        self,
        document: &mut NewDocument,
        bounds: &Bounds,
        now_us: impl FnOnce() -> u64,
    ) -> Result<()> {
        // Of a data set, whose documents are many, the clock is not read for each.
        if self == Origin::DataSet {
            return Ok(());
        }
        let now_us = now_us();
        self.admit_revision(document.revision, now_us)?;
        self.admit_fence(document.locks.last_fence(), now_us)?;
        let indexes = document.model.as_ref().and_then(|model| model.indexes().declared());
        let steps = indexes.map_or(0, |set| set.arrival_steps(document.root.view()));
        if steps > bounds.command_steps {
            return Err(Error::limit(limit::COMMAND_STEPS, bounds.command_steps));
        }
        document.distrust();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{REVISION_MAX, believed_revision};
    use crate::value::Value;

    const NOW_US: u64 = 1_700_000_000_000_000;

    /// Flag: a document with this revision is admitted; and flag: its validation is believed.
    fn admit(origin: Origin, revision: u64) -> (bool, bool) {
        let mut document = NewDocument::new(Value::NULL.into(), None, 0, revision);
        let admitted = origin.admit(&mut document, &Bounds::NONE, || NOW_US).is_ok();
        (admitted, document.is_valid_under(0))
    }

    #[test]
    fn only_payloads_of_clients_are_bounded() {
        let ahead = believed_revision(NOW_US);
        for revision in [ahead, ahead + 1, REVISION_MAX] {
            assert_eq!(admit(Origin::DataSet, revision), (true, true));
            assert_eq!(admit(Origin::Master, revision), (true, false));
            assert_eq!(admit(Origin::Client, revision).0, revision == ahead);
        }
        for (origin, trusted) in
            [(Origin::of_effect(true), true), (Origin::of_effect(false), false)]
        {
            assert_eq!(origin.trusts_effects(), trusted);
            assert_eq!(origin.admit_revision(REVISION_MAX, NOW_US).is_ok(), trusted);
            assert_eq!(origin.admit_fence(u64::MAX, NOW_US).is_ok(), trusted);
        }
        let configured = Bounds { token_reply_bytes: 1, ..Bounds::NONE };
        assert_eq!(Origin::Client.bounds(configured), configured);
        assert_eq!(Origin::Master.bounds(configured), Bounds::NONE);
        assert_eq!(Origin::DataSet.bounds(configured), Bounds::NONE);
    }
}
