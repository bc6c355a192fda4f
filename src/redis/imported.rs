//! Hash slots that the master of this replica is importing as a whole.
//!
//! Valkey sends a replica the keys of such a slot while they still are another node's, and hides them from `SCAN` and
//! `KEYS`; an index has them all the same. The server tells a replica which slots these are, in a list that can be long:
//! it is read again at intervals, and only for queries that meet documents.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use redis_module::raw;

use super::call_reply::{self, CallReply};
use super::clock;

/// The list is read again when it is so old.
const READ_EVERY_MS: u64 = 100;

/// Slots as they were at a time on the steady clock.
struct ImportedSlots {
    read_ms: u64,
    slots: Vec<RangeInclusive<u16>>,
}

thread_local! {
    static KNOWN: RefCell<Option<ImportedSlots>> = const { RefCell::new(None) };
}

/// Returns true if the master of this replica is importing the slot as a whole.
///
/// # Safety
///
/// `ctx` is the context of the running command.
pub unsafe fn is_imported(ctx: *mut raw::RedisModuleCtx, slot: u16) -> bool {
    let now_ms = clock::moment().steady_ms;
    KNOWN.with_borrow_mut(|known| {
        if known.as_ref().is_none_or(|known| known.read_ms + READ_EVERY_MS <= now_ms) {
            // SAFETY: the caller vouches for `ctx`.
            *known = Some(ImportedSlots { read_ms: now_ms, slots: unsafe { read(ctx) } });
        }
        known.as_ref().is_some_and(|known| known.slots.iter().any(|range| range.contains(&slot)))
    })
}

/// Reads the list. Servers that move slots key by key only have none.
///
/// # Safety
///
/// As for [`is_imported`].
unsafe fn read(ctx: *mut raw::RedisModuleCtx) -> Vec<RangeInclusive<u16>> {
    // SAFETY: the caller vouches for `ctx`.
    let moves = CallReply(unsafe {
        let (name, format) = (c"CLUSTER".as_ptr(), c"c".as_ptr());
        call_reply::run()(ctx, name, format, c"GETSLOTMIGRATIONS".as_ptr())
    });
    let is_going_on = |nth: &usize| {
        let is = |name: &[u8], text: &[u8]| moves.text_in(*nth, name) == Some(text);
        is(b"operation", b"IMPORT") && is(b"state", b"occurring-on-primary")
    };
    let ranges = (0..moves.len()).filter(is_going_on);
    ranges.filter_map(|nth| moves.text_in(nth, b"slot_ranges")).flat_map(parse).collect()
}

/// Ranges `first-last`, with blanks in between.
fn parse(ranges: &[u8]) -> Vec<RangeInclusive<u16>> {
    let ranges = String::from_utf8_lossy(ranges);
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    ranges.split_whitespace().filter_map(range).collect()
}
