//! The locks of a document in RDB and DUMP, and their changes in effects.
//!
//! ```text
//! locks  := varint:last-fence varint:count lock*
//! lock   := bytes:name varint:count holder*          at least one holder; an exclusive one is the only one
//! holder := bytes:owner varint:fence varint:lease-ms flags
//! edits  := varint:count edit*
//! edit   := 1 bytes:name holder                      a grant
//!         | 2 bytes:name varint:fence                the release of a grant
//! bytes  := varint:length any bytes                  1 to 256 of them
//! flags  := the sum of 1 for shared and 2 for ephemeral
//! ```
//!
//! The end of a lease is not stored: the server that reads a grant starts its lease anew, with its full length.

use std::collections::HashSet;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::Result;
use crate::lock::{
    Clients, FENCE_MAX, Holder, Holders, LEASE_MS_LOADED_MAX, LockEdit, LockLimits, Locks, Mode,
    NAME_BYTES_MAX, NamedLock,
};
use crate::reply::empty_text;
use crate::value::wire::{self, Reader};

const GRANT: u8 = 1;
const RELEASE: u8 = 2;
const SHARED: u8 = 1;
const EPHEMERAL: u8 = 2;

pub fn encode(locks: &Locks, out: &mut Vec<u8>) {
    wire::put_varint(locks.last_fence(), out);
    wire::put_varint(locks.names().len() as u64, out);
    for lock in locks.names() {
        wire::put_text(&lock.name, out);
        wire::put_varint(lock.holders.len() as u64, out);
        lock.holders.iter().for_each(|holder| put_holder(holder, out));
    }
}

/// Reads locks, in time linear in the number of holders. Fails with `LIMIT` before it reads more names or holders than allowed.
pub fn decode(reader: &mut Reader<'_>, limits: &LockLimits) -> Result<Locks> {
    let last_fence = read_fence(reader)?;
    let mut names = Vec::new();
    let mut known = HashSet::new();
    let count = reader.count()?;
    limits.check_names(count as u64)?;
    for _ in 0..count {
        let name = read_bytes(reader)?;
        if !known.insert(name) {
            return Err(wire::corrupt("two locks have the same name"));
        }
        names.push(NamedLock { name: name.into(), holders: read_holders(reader, limits)? });
    }
    Ok(Locks::of_names(last_fence, names))
}

fn read_holders(reader: &mut Reader<'_>, limits: &LockLimits) -> Result<Holders> {
    let count = reader.count()?;
    if count == 0 {
        return Err(wire::corrupt("a lock without holders"));
    }
    limits.check_holders(count as u64)?;
    let mut holders: SmallVec<[Holder; 1]> = SmallVec::new();
    let (mut owners, mut fences) = (HashSet::new(), HashSet::new());
    for _ in 0..count {
        let holder = read_holder(reader)?;
        let crowded = count > 1 && holder.mode == Mode::Exclusive;
        if crowded || !fences.insert(holder.fence) {
            return Err(wire::corrupt(
                "an exclusive holder is not the only one, or two holders have the same fence",
            ));
        }
        if !owners.insert(holder.owner.clone()) {
            return Err(wire::corrupt("an owner holds a lock twice"));
        }
        holders.push(holder);
    }
    Ok(holders.into_iter().collect())
}

pub fn encode_edits<'e>(edits: impl ExactSizeIterator<Item = &'e LockEdit>) -> Vec<u8> {
    let mut out = empty_text();
    wire::put_varint(edits.len() as u64, &mut out);
    for edit in edits {
        match edit {
            LockEdit::Grant { name, holder } => {
                out.push(GRANT);
                wire::put_text(name, &mut out);
                put_holder(holder, &mut out);
            }
            LockEdit::Release { name, fence } => {
                out.push(RELEASE);
                wire::put_text(name, &mut out);
                wire::put_varint(*fence, &mut out);
            }
        }
    }
    out
}

pub fn decode_edits(bytes: &[u8]) -> Result<Vec<LockEdit>> {
    let mut reader = Reader::new(bytes);
    let mut edits = Vec::new();
    for _ in 0..reader.count()? {
        let kind = reader.byte()?;
        let name = read_bytes(&mut reader)?.into();
        edits.push(match kind {
            GRANT => LockEdit::Grant { name, holder: read_holder(&mut reader)? },
            RELEASE => LockEdit::Release { name, fence: read_fence(&mut reader)? },
            _ => return Err(wire::corrupt("an unknown change of a lock")),
        });
    }
    reader.finish()?;
    Ok(edits)
}

/// The edits that give these locks to a document without any, and its highest fence: where that grant has ended, one that ends at
/// once stands for it.
pub fn edits_of(locks: &Locks) -> Vec<LockEdit> {
    let of_lock = |lock: &crate::lock::NamedLock| {
        let name = lock.name.clone();
        let grant =
            |holder: &Holder| LockEdit::Grant { name: name.clone(), holder: holder.clone() };
        lock.holders.iter().map(grant).collect::<Vec<_>>()
    };
    let grants = locks.names().iter().flat_map(of_lock);
    let fence = locks.last_fence();
    let held = locks.names().iter().flat_map(|lock| &lock.holders).map(|holder| holder.fence);
    if held.max().unwrap_or_default() == fence {
        return grants.collect();
    }
    let name: Arc<[u8]> = b"-"[..].into();
    let holder = Holder {
        owner: name.clone(),
        fence,
        mode: Mode::Exclusive,
        lease_ms: 1,
        ephemeral: false,
        ends_ms: Holder::UNSTARTED,
        clients: Clients::default(),
        again: false,
    };
    let ended = [LockEdit::Grant { name: name.clone(), holder }, LockEdit::Release { name, fence }];
    ended.into_iter().chain(grants).collect()
}

fn put_holder(holder: &Holder, out: &mut Vec<u8>) {
    wire::put_text(&holder.owner, out);
    wire::put_varint(holder.fence, out);
    wire::put_varint(holder.lease_ms, out);
    let shared = if holder.mode == Mode::Shared { SHARED } else { 0 };
    out.push(shared | if holder.ephemeral { EPHEMERAL } else { 0 });
}

fn read_holder(reader: &mut Reader<'_>) -> Result<Holder> {
    let owner = read_bytes(reader)?.into();
    let fence = read_fence(reader)?;
    let lease_ms = reader.varint()?;
    let flags = reader.byte()?;
    if lease_ms > LEASE_MS_LOADED_MAX || flags > SHARED | EPHEMERAL {
        return Err(wire::corrupt("a holder has an invalid lease or invalid flags"));
    }
    let mode = if flags & SHARED != 0 { Mode::Shared } else { Mode::Exclusive };
    let ephemeral = flags & EPHEMERAL != 0;
    let ends_ms = Holder::UNSTARTED;
    Ok(Holder {
        owner,
        fence,
        mode,
        lease_ms,
        ephemeral,
        ends_ms,
        clients: Clients::default(),
        again: false,
    })
}

fn read_bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let len = reader.count()?;
    if len == 0 || len > NAME_BYTES_MAX {
        return Err(wire::corrupt("the name of a lock or an owner is empty or too long"));
    }
    reader.bytes(len)
}

pub(super) fn read_fence(reader: &mut Reader<'_>) -> Result<u64> {
    let fence = reader.varint()?;
    if fence > FENCE_MAX {
        return Err(wire::corrupt("a fence is too large"));
    }
    Ok(fence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn holder(owner: &str, fence: u64, mode: Mode) -> Holder {
        Holder {
            owner: owner.as_bytes().into(),
            fence,
            mode,
            lease_ms: 30_000,
            ephemeral: fence % 2 == 1,
            ends_ms: Holder::UNSTARTED,
            clients: Clients::default(),
            again: false,
        }
    }

    fn grant(name: &str, owner: &str, fence: u64, mode: Mode) -> LockEdit {
        let name = name.as_bytes().into();
        LockEdit::Grant { name, holder: holder(owner, fence, mode) }
    }

    fn some_locks() -> Locks {
        let mut locks = Locks::default();
        locks.apply(&grant("profile", "a", 5, Mode::Exclusive));
        locks.apply(&grant("\0\u{ff}", "b", 1 << 49, Mode::Shared));
        locks.apply(&grant("\0\u{ff}", "c", 8, Mode::Shared));
        locks
    }

    #[test]
    fn decoding_reverts_encoding_and_truncated_locks_are_refused() {
        for locks in [Locks::default(), some_locks()] {
            let mut bytes = Vec::new();
            encode(&locks, &mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(decode(&mut reader, &LockLimits::NONE).unwrap(), locks);
            reader.finish().unwrap();
            for cut in 0..bytes.len() {
                assert!(decode(&mut Reader::new(&bytes[..cut]), &LockLimits::NONE).is_err());
            }
        }
    }

    #[test]
    fn decoding_reverts_encoding_of_edits_which_make_the_same_locks() {
        let ends = |name: &str, fence| LockEdit::Release { name: name.as_bytes().into(), fence };
        let (mut some_ended, mut all_ended) = (some_locks(), Locks::default());
        some_ended.apply(&ends("\0\u{ff}", 1 << 49));
        all_ended.apply(&grant("-", "a", 7, Mode::Shared));
        all_ended.apply(&ends("-", 7));
        for locks in [&Locks::default(), &some_ended, &all_ended] {
            let mut again = Locks::default();
            edits_of(locks).iter().for_each(|edit| drop(again.apply(edit)));
            assert_eq!(again, *locks);
        }
        assert!(edits_of(&Locks::default()).is_empty());
        let locks = some_locks();
        let mut edits = edits_of(&locks);
        let mut again = Locks::default();
        edits.iter().for_each(|edit| drop(again.apply(edit)));
        assert_eq!(again, locks);
        edits.push(LockEdit::Release { name: b"profile"[..].into(), fence: 5 });
        let bytes = encode_edits(edits.iter());
        assert_eq!(decode_edits(&bytes).unwrap(), edits);
        for cut in 0..bytes.len() {
            assert!(decode_edits(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn locks_are_read_up_to_the_limits_and_no_further() {
        let mut bytes = Vec::new();
        encode(&some_locks(), &mut bytes);
        let read = |names, holders| {
            decode(&mut Reader::new(&bytes), &LockLimits { names, holders, ..LockLimits::NONE })
        };
        assert!(read(2, 2).is_ok());
        assert_eq!(read(1, 2).unwrap_err().code(), ErrorCode::Limit);
        assert_eq!(read(2, 1).unwrap_err().code(), ErrorCode::Limit);
    }

    /// With quadratic work this test would take minutes.
    #[test]
    fn many_holders_and_many_names_are_read_in_one_pass() {
        const COUNT: u64 = 100_000;
        let held = |nth: u64| holder(&nth.to_string(), nth, Mode::Shared);
        let lock = |name: String, holders| NamedLock { name: name.as_bytes().into(), holders };
        let crowd = vec![lock("n".into(), (0..COUNT).map(held).collect())];
        let alone = |nth: u64| lock(nth.to_string(), [held(nth)].into_iter().collect());
        for names in [crowd, (0..COUNT).map(alone).collect()] {
            let locks = Locks::of_names(0, names);
            let mut bytes = Vec::new();
            encode(&locks, &mut bytes);
            let again = decode(&mut Reader::new(&bytes), &LockLimits::NONE).unwrap();
            assert!(again == locks && again.last_fence() == COUNT - 1);
        }
    }

    #[test]
    fn invalid_locks_are_refused() {
        let lock = |holders: &[Holder]| {
            let mut bytes = vec![9, 1, 1, b'n', holders.len() as u8];
            holders.iter().for_each(|holder| put_holder(holder, &mut bytes));
            bytes
        };
        let refused = |bytes: &[u8]| decode(&mut Reader::new(bytes), &LockLimits::NONE).is_err();
        let (a, b) = (holder("a", 5, Mode::Exclusive), holder("b", 6, Mode::Shared));
        let one = std::slice::from_ref::<Holder>;
        assert!(!refused(&lock(one(&a))) && !refused(&lock(one(&b))));
        assert!(!refused(&lock(&[b.clone(), holder("c", 7, Mode::Shared)])));
        assert!(refused(&lock(&[])));
        assert!(refused(&lock(&[a.clone(), b.clone()])) && refused(&lock(&[b.clone(), a.clone()])));
        assert!(refused(&lock(&[b.clone(), holder("c", 6, Mode::Shared)])));
        assert!(refused(&lock(&[b.clone(), holder("b", 7, Mode::Shared)])));
        assert!(refused(&lock(&[holder("", 7, Mode::Shared)])));
        assert!(refused(&lock(&[holder(&"o".repeat(257), 7, Mode::Shared)])));
        assert!(refused(&lock(&[holder("a", FENCE_MAX + 1, Mode::Shared)])));
        let duplicate = [&[9, 2][..], &lock(one(&a))[2..], &lock(one(&b))[2..]].concat();
        assert!(refused(&duplicate));
        let long = Holder { lease_ms: LEASE_MS_LOADED_MAX + 1, ..a };
        assert!(refused(&lock(&[long])));
    }
}
