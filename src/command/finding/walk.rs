//! A query over the keys of the server, for a model without indexes: in no order, and with the promise of `SCAN`. A
//! document that is there from the first call to the last is found, perhaps twice where keys come and go meanwhile.

use std::collections::HashSet;

use super::{DocumentSearch, Host, Next, SearchCounts};
use crate::budget::Allowance;
use crate::document::{ANY_NAME, Document};
use crate::error::Result;
use crate::index::{KeysCursor, QueryCursor};

/// Keys that are visited at once.
const BATCH: usize = 64;
/// Steps of visiting a key of any type.
const VISIT_STEPS: u64 = 40;

impl DocumentSearch<'_> {
    /// As [`DocumentSearch::run`]. The server visits a few keys at a time, and cannot go on in the middle of them: the
    /// cursor has those of their names that were not looked at.
    pub(super) fn walk(
        &mut self,
        host: &mut dyn Host,
        allowance: &Allowance<'_>,
        mut pauses: impl FnMut(&SearchCounts) -> bool,
        mut matched: impl FnMut(&[u8], &Document) -> Result<Next>,
    ) -> Result<Option<QueryCursor>> {
        let model = self.model.as_ref().map_or(ANY_NAME, |model| model.name()).to_owned();
        let (mut begins, mut scan, mut names) = match &self.query.cursor {
            Some(QueryCursor::Keys(cursor)) => (false, cursor.scan, cursor.left.clone()),
            _ => (true, 0, Vec::new()),
        };
        // Keys that expire may have the server shrink its table, and then it visits some again.
        let mut seen = HashSet::new();
        loop {
            let mut left = names.into_iter();
            while let Some(name) = left.next() {
                if !seen.insert(name.clone()) {
                    continue;
                }
                let next = self.examine(host, allowance, &name, &mut matched)?;
                if next == Next::Stop || pauses(&self.counts) {
                    return Ok(position(scan, left.collect()));
                }
            }
            if scan == 0 && !begins {
                return Ok(None);
            }
            begins = false;
            allowance.spend(BATCH as u64 * VISIT_STEPS)?;
            self.counts.looked += BATCH as u64;
            (scan, names) = host.scan(&model, scan, BATCH)?;
            if names.is_empty() && pauses(&self.counts) {
                return Ok(position(scan, names));
            }
        }
    }
}

/// The position behind what was looked at; none at the end.
fn position(scan: u64, left: Vec<Vec<u8>>) -> Option<QueryCursor> {
    let ended = scan == 0 && left.is_empty();
    (!ended).then_some(QueryCursor::Keys(KeysCursor { scan, left }))
}
