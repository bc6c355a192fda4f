//! Operations of holders on their grants.

use super::{Engine, GrantRef, Store, lost};
use crate::error::Result;
use crate::lock::state::{Holder, LockEdit};
use crate::lock::{At, Moment};

impl Engine {
    /// Starts a new lease. Returns its length. `LOCKLOST` unless the grant holds the lock.
    pub fn renew(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        grant: GrantRef<'_>,
        lease_ms: Option<u64>,
    ) -> Result<u64> {
        self.end_due(store, moment, at);
        let Some(locks) = store.locks(at) else { return Err(lost(at.key, &grant)) };
        let Some(holder) = locks.holding(grant.name, grant.owner, grant.fence, moment) else {
            return Err(lost(at.key, &grant));
        };
        let lease_ms = lease_ms.unwrap_or(holder.lease_ms);
        let ends_ms = moment.steady_ms.saturating_add(lease_ms);
        let holder = Holder { lease_ms, ends_ms, ..holder.clone() };
        self.change(locks, at, LockEdit::Grant { name: grant.name.into(), holder });
        Ok(lease_ms)
    }

    /// Ends a grant. `LOCKLOST` unless it holds the lock.
    pub fn unlock(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        grant: GrantRef<'_>,
    ) -> Result<()> {
        self.end_due(store, moment, at);
        let Some(locks) = store.locks(at) else { return Err(lost(at.key, &grant)) };
        if locks.holding(grant.name, grant.owner, grant.fence, moment).is_none() {
            return Err(lost(at.key, &grant));
        }
        let (name, fence) = (locks.name(grant.name), grant.fence);
        self.change(locks, at, LockEdit::Release { name, fence });
        Ok(())
    }

    /// Ends all grants of a lock. Returns their number.
    pub fn force(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        name: &[u8],
    ) -> usize {
        self.end_due(store, moment, at);
        let Some(locks) = store.locks(at) else { return 0 };
        self.release_all(locks, at, |known, _| known == name)
    }

    /// Ends a grant that was checked before. `told` is set if replicas are sent the release in another way.
    pub fn release(
        &mut self,
        store: &mut dyn Store,
        at: At<'_>,
        name: &[u8],
        fence: u64,
        told: bool,
    ) {
        let Some(locks) = store.locks(at) else { return };
        let edit = LockEdit::Release { name: locks.name(name), fence };
        if self.make(locks, at, &edit) && !told {
            self.decisions.changes.push((at.to_document_key(), edit));
        }
    }
}
