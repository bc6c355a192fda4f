//! Where a payload comes from, and what follows from it. Every rule about which payloads are trusted is here.

use crate::document::NewDocument;
use crate::error::Result;
use crate::lock::LockLimits;
use crate::value::Limits;
use crate::value::wire;

/// Where a payload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A data set that is being loaded: this server's own file, or a full sync. It is what it says.
    DataSet,
    /// This server's master, whose limits it passed. A `RESTORE` comes as the client sent it to the
    /// master.
    Master,
    /// A client, by `RESTORE`. `MIGRATE` on another server is one, too. Anybody could have made it.
    Client,
}

/// What a payload may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub document: Limits,
    pub locks: LockLimits,
    pub token_reply_bytes: u64,
}

impl Bounds {
    /// Only what the representation itself cannot exceed.
    pub const NONE: Bounds =
        Bounds { document: Limits::NONE, locks: LockLimits::NONE, token_reply_bytes: u64::MAX };
}

impl Origin {
    /// What a payload may hold, where clients may store this much. What was accepted before is read under
    /// no limits: they may have been other ones then.
    pub fn bounds(self, configured: Bounds) -> Bounds {
        match self {
            Origin::DataSet | Origin::Master => Bounds::NONE,
            Origin::Client => configured,
        }
    }

    /// Accepts a document, or refuses one of a client whose revision or fence is years ahead of the clock:
    /// it would leave no room for others. A document that was not part of a data set is validated again
    /// before its next write, because its payload may say wrongly that it was validated.
    pub fn admit(self, document: &mut NewDocument, now_us: u64) -> Result<()> {
        if self == Origin::Client && !document.is_believed(now_us) {
            return Err(wire::corrupt("its revision or a fence is years ahead"));
        }
        if self != Origin::DataSet {
            document.distrust();
        }
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
        let admitted = origin.admit(&mut document, NOW_US).is_ok();
        (admitted, document.is_judged_by(0))
    }

    #[test]
    fn only_what_a_client_brings_is_doubted() {
        let ahead = believed_revision(NOW_US);
        for revision in [ahead, ahead + 1, REVISION_MAX] {
            assert_eq!(admit(Origin::DataSet, revision), (true, true));
            assert_eq!(admit(Origin::Master, revision), (true, false));
            assert_eq!(admit(Origin::Client, revision).0, revision == ahead);
        }
        let configured = Bounds { token_reply_bytes: 1, ..Bounds::NONE };
        assert_eq!(Origin::Client.bounds(configured), configured);
        assert_eq!(Origin::Master.bounds(configured), Bounds::NONE);
        assert_eq!(Origin::DataSet.bounds(configured), Bounds::NONE);
    }
}
