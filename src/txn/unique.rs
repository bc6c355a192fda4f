//! `UNIQUE`: no two documents that a transaction leaves have the same values in all parts of such an index.
//!
//! Validated once, when all statements have run: so documents of one transaction may exchange their values. A change that
//! leaves the values of an index as they are is not validated against it; so duplicates that came from elsewhere stay
//! writable. Documents that are written or validated whole are.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::context::{Refused, TransactionContext};
use super::slot::{Reindexed, Slot};
use crate::error::{Error, ErrorCode, Result};
use crate::host::IndexScope;
use crate::index::key::{Range, is_exempt};
use crate::index::{Direction, Entries, PART_VALUES_MAX, hash_slot};
use crate::limit;
use crate::model::Model;

/// A key of an index with UNIQUE that a document has when the transaction is over.
struct Claim<'s> {
    slot: usize,
    model: &'s Model,
    index: u8,
    key: Vec<u8>,
}

/// The steps for an entry: it is made, compared with those that are known, and told to the index.
const ENTRY_STEPS: u64 = 24;
/// Bytes of entries that are made, compared and copied for one step.
const ENTRY_BYTES: u64 = 4;
/// The steps for an entry that comes into an index or goes out of it.
const CHANGE_STEPS: u64 = 100;
/// The steps for an entry of a document that is deleted, or that gets another model.
const REMOVAL_STEPS: u64 = 60;
/// The steps for looking at a document that has the same values.
const HOLDER_STEPS: u64 = 10;
/// The holders of a key that are read at once, before they are paid for.
const HOLDERS_PAGE: usize = 64;

/// The entries of the documents that changed, by their slots.
type Changed = SmallVec<[(usize, Box<Entries>); 1]>;

/// `UNIQUE` if two documents would have the same values, `LIMIT` if one has too many for an index. Slots are given the
/// entries of their documents. The command pays for all entries that come and go.
#[inline]
pub fn check(context: &TransactionContext<'_, '_>, slots: &mut [Slot<'_>]) -> Result<()> {
    match context.unique_among {
        // Documents of the built-in model are in no index.
        Some(scope) if slots.iter().any(Slot::is_of_model) => check_among(context, scope, slots),
        _ => Ok(()),
    }
}

fn check_among(
    context: &TransactionContext<'_, '_>,
    scope: IndexScope,
    slots: &mut [Slot<'_>],
) -> Result<()> {
    let (mut changed, mut claims) = (Changed::new(), Vec::new());
    for (number, slot) in slots.iter().enumerate() {
        if let Some(model) = slot.left_model(context.clock.read()) {
            let entries = model.indexes().count_of(scope.database, slot.key);
            context.request.allowance.spend(entries as u64 * REMOVAL_STEPS)?;
        }
        let Some(reindexed) = slot.reindexed() else { continue };
        let entries = entries(context, &reindexed).map_err(|error| {
            context.refused.set(Some(Refused { slot: number, block: None }));
            error.text("key", slot.key)
        })?;
        let Reindexed { model, set, is_whole, .. } = reindexed;
        let mut fresh = 0;
        let compared =
            model.indexes().compare(scope.database, slot.key, &entries, |index, key, known| {
                fresh += usize::from(!known);
                let of = &set.indexes[usize::from(index)];
                // An entry that the document has already is not validated again with a change of something else.
                if of.source.unique && (is_whole || !known) && !is_exempt(key) {
                    claims.push(Claim { slot: number, model, index, key: key.to_vec() });
                }
            });
        context.request.allowance.spend((fresh + compared) as u64 * CHANGE_STEPS)?;
        changed.push((number, Box::new(entries)));
    }
    if !claims.is_empty() {
        validate(context, scope, (slots, &changed), &claims)?;
    }
    for (number, entries) in changed {
        slots[number].set_entries(entries);
    }
    Ok(())
}

/// The indexes and keys of the entries of a document.
type EntrySet<'e> = HashSet<(u8, &'e [u8])>;

/// The documents of the transaction as it leaves them, to be found by their keys.
struct LeftDocuments<'s, 'h> {
    slots: &'s [Slot<'h>],
    /// In the order of slots.
    changed: &'s Changed,
    /// The numbers of many slots, once one is looked for.
    numbers: OnceCell<HashMap<&'s [u8], usize>>,
    /// The many entries of changed documents, once one of them is looked for.
    entries: RefCell<HashMap<usize, EntrySet<'s>>>,
}

impl<'s, 'h> LeftDocuments<'s, 'h> {
    /// So many are gone through one by one.
    const FEW_SLOTS: usize = 8;
    /// The bytes of so many entries.
    const FEW_BYTES: usize = 256;

    fn new(slots: &'s [Slot<'h>], changed: &'s Changed) -> LeftDocuments<'s, 'h> {
        LeftDocuments { slots, changed, numbers: OnceCell::new(), entries: RefCell::default() }
    }

    fn number(&self, key: &[u8]) -> Option<usize> {
        if self.slots.len() <= Self::FEW_SLOTS {
            return self.slots.iter().position(|slot| *slot.key == *key);
        }
        let numbered =
            || self.slots.iter().enumerate().map(|(nth, slot)| (slot.key, nth)).collect();
        self.numbers.get_or_init(numbered).get(key).copied()
    }

    /// Returns true if a document of the transaction, which had these values before, has them still.
    fn keeps(&self, number: usize, index: u8, key: &[u8]) -> bool {
        let Ok(at) = self.changed.binary_search_by_key(&number, |(slot, _)| *slot) else {
            return self.slots[number].keeps_document();
        };
        let new = &self.changed[at].1;
        if !new.of.has(index) {
            return true;
        }
        if new.as_bytes().len() <= Self::FEW_BYTES {
            return new.has(index, key);
        }
        let mut entries = self.entries.borrow_mut();
        entries.entry(number).or_insert_with(|| new.iter().collect()).contains(&(index, key))
    }
}

/// `UNIQUE` if a claimed key is claimed twice, or is that of a document that keeps it.
fn validate(
    context: &TransactionContext<'_, '_>,
    scope: IndexScope,
    (slots, changed): (&[Slot<'_>], &Changed),
    claims: &[Claim<'_>],
) -> Result<()> {
    let left = LeftDocuments::new(slots, changed);
    let mut claimed: HashMap<(*const Model, u8, &[u8]), usize> = HashMap::new();
    for claim in claims {
        let key = (std::ptr::from_ref(claim.model), claim.index, &claim.key[..]);
        // One claim equals no other.
        let same = if claims.len() > 1 { claimed.insert(key, claim.slot) } else { None };
        if let Some(other) = same {
            return Err(refusal(context, slots, claim, slots[other].key));
        }
        if let Some(other) = other_holder(context, scope, &left, claim)? {
            let error = refusal(context, slots, claim, &other);
            context.conflict.set(Some(other));
            return Err(error);
        }
    }
    Ok(())
}

/// The entries of a changed document in the indexes that the change can have touched, which the command pays for.
fn entries(context: &TransactionContext<'_, '_>, reindexed: &Reindexed<'_>) -> Result<Entries> {
    let Reindexed { set, document, touched, .. } = reindexed;
    let allowance = context.request.allowance;
    allowance.spend(set.cost(*touched))?;
    let entries = set.entries(*touched, *document, Some(allowance));
    // An expression that came to the end of the budget has no value: that is no entry but a refusal.
    allowance.spend(1)?;
    let count = entries.count() as u64;
    allowance.spend(count * ENTRY_STEPS + entries.as_bytes().len() as u64 / ENTRY_BYTES)?;
    if entries.values > PART_VALUES_MAX {
        return Err(Error::limit(limit::INDEX_VALUES, PART_VALUES_MAX as u64));
    }
    Ok(entries)
}

/// Another document that has the claimed key and keeps it.
fn other_holder(
    context: &TransactionContext<'_, '_>,
    scope: IndexScope,
    left: &LeftDocuments<'_, '_>,
    claim: &Claim<'_>,
) -> Result<Option<Vec<u8>>> {
    let own = left.slots[claim.slot].key;
    let stands = |holder: &[u8]| {
        // In a cluster documents of other hash slots may have the same key.
        if *holder == *own || (scope.clustered && hash_slot(holder) != hash_slot(own)) {
            return false;
        }
        left.number(holder).is_none_or(|number| left.keeps(number, claim.index, &claim.key))
    };
    let mut range = Range::of_prefix(claim.key.clone());
    loop {
        let indexes = claim.model.indexes();
        let (index, most) = (Some(claim.index), HOLDERS_PAGE);
        let page = indexes.page(scope.database, index, &range, Direction::Ascending, most);
        context.request.allowance.spend((1 + page.len() as u64) * HOLDER_STEPS)?;
        let mut holders = page.iter().map(|entry| &entry[claim.key.len()..]);
        if let Some(holder) = holders.find(|holder| stands(holder)) {
            return Ok(Some(holder.to_vec()));
        }
        match page.last() {
            Some(last) if page.len() == HOLDERS_PAGE => range.low = [last, &[0]].concat(),
            _ => return Ok(None),
        }
    }
}

fn refusal(
    context: &TransactionContext<'_, '_>,
    slots: &[Slot<'_>],
    claim: &Claim<'_>,
    other: &[u8],
) -> Error {
    context.refused.set(Some(Refused { slot: claim.slot, block: None }));
    let slot = &slots[claim.slot];
    let error = Error::new(ErrorCode::Unique, "another document has the same values");
    let error = error.text("model", claim.model.name().as_bytes());
    let Some(Reindexed { set, document, .. }) = slot.reindexed() else { return error };
    let index = &set.indexes[usize::from(claim.index)];
    let error = error.text("index", index.source.name.as_bytes());
    let error = match index.values_text(document, &claim.key) {
        Some(values) => error.json("value", values),
        None => error,
    };
    error.text("other", other).text("key", slot.key)
}
