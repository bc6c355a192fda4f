//! `docs` of a block's expressions: all documents of the transaction.

use std::cell::OnceCell;

use super::slot::Slot;
use crate::expr::DocumentSource;
use crate::keys::KeyIndex;
use crate::value::View;

/// All documents but the block's own, which is being edited and lent with each expression.
pub struct OtherDocuments<'r, 'k, 'h> {
    keys: &'r KeyIndex<'k>,
    before: &'r [Slot<'h>],
    own_key: &'r [u8],
    after: &'r [Slot<'h>],
    /// Those that can be named, looked up when an expression asks for all of them.
    named: OnceCell<Named<'r>>,
}

struct Named<'r> {
    documents: Vec<(&'r str, View<'r>)>,
    /// How many of them stand before the block's own.
    before: usize,
    own_key: Option<&'r str>,
}

impl<'r, 'k, 'h> OtherDocuments<'r, 'k, 'h> {
    /// `before` and `after` are the slots on both sides of the block's own.
    pub fn new(
        keys: &'r KeyIndex<'k>,
        before: &'r [Slot<'h>],
        own_key: &'r [u8],
        after: &'r [Slot<'h>],
    ) -> OtherDocuments<'r, 'k, 'h> {
        OtherDocuments { keys, before, own_key, after, named: OnceCell::new() }
    }

    fn named(&self) -> &Named<'r> {
        self.named.get_or_init(|| {
            let named =
                |slot: &'r Slot<'_>| Some((std::str::from_utf8(slot.key).ok()?, slot.view()?));
            let mut documents: Vec<_> = self.before.iter().filter_map(named).collect();
            let before = documents.len();
            documents.extend(self.after.iter().filter_map(named));
            Named { documents, before, own_key: std::str::from_utf8(self.own_key).ok() }
        })
    }
}

impl DocumentSource for OtherDocuments<'_, '_, '_> {
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>> {
        let slot = self.keys.find(key)?;
        match slot.checked_sub(self.before.len()) {
            None => self.before[slot].view(),
            Some(0) => this,
            Some(behind) => self.after[behind - 1].view(),
        }
    }

    fn count(&self, this: Option<View<'_>>) -> usize {
        let named = self.named();
        named.documents.len() + usize::from(this.is_some() && named.own_key.is_some())
    }

    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)> {
        let named = self.named();
        let (Some(own_key), Some(this)) = (named.own_key, this) else {
            return named.documents.get(nth).copied();
        };
        match nth.checked_sub(named.before) {
            None => named.documents.get(nth).copied(),
            Some(0) => Some((own_key, this)),
            Some(_) => named.documents.get(nth - 1).copied(),
        }
    }
}
