//! `docs` of a block's expressions: all documents of the transaction.

use std::cell::OnceCell;

use super::natives::NativeAccess;
use super::request::DocNames;
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::expr::{DocumentSource, NativeAnswer, NativeQuestion};
use crate::native;
use crate::value::View;

/// All documents but the block's own, which is being edited and lent with each expression.
pub struct OtherDocuments<'r, 'k, 'h> {
    names: DocNames<'r, 'k>,
    before: &'r [Slot<'h>],
    own_key: &'r [u8],
    after: &'r [Slot<'h>],
    natives: Option<&'r NativeAccess<'r>>,
    /// Those that can be named, looked up when an expression asks for all of them.
    named: OnceCell<Named<'r>>,
}

struct Named<'r> {
    /// In order; none stands for the block's own.
    all: Vec<(&'r str, Option<View<'r>>)>,
    /// All but the block's own.
    others: Vec<(&'r str, View<'r>)>,
}

/// One of the documents.
enum Doc<'r> {
    Own,
    Other(Option<View<'r>>),
}

impl<'r, 'k, 'h> OtherDocuments<'r, 'k, 'h> {
    /// `before` and `after` are the slots on both sides of the block's own.
    pub fn new(
        names: DocNames<'r, 'k>,
        before: &'r [Slot<'h>],
        own_key: &'r [u8],
        after: &'r [Slot<'h>],
        natives: Option<&'r NativeAccess<'r>>,
    ) -> OtherDocuments<'r, 'k, 'h> {
        OtherDocuments { names, before, own_key, after, natives, named: OnceCell::new() }
    }

    /// The slot of a key, or of the role that stands for it.
    fn find(&self, name: &[u8]) -> Option<usize> {
        match self.names {
            DocNames::Keys(keys) => keys.find(name),
            DocNames::Roles(roles) => {
                let role = roles.names.iter().position(|known| known.as_bytes() == name)?;
                Some(roles.slots[role])
            }
        }
    }

    fn at(&self, slot: usize) -> Doc<'r> {
        match slot.checked_sub(self.before.len()) {
            None => Doc::Other(self.before[slot].view()),
            Some(0) => Doc::Own,
            Some(behind) => Doc::Other(self.after[behind - 1].view()),
        }
    }

    fn named(&self) -> &Named<'r> {
        self.named.get_or_init(|| {
            let mut named = Named { all: Vec::new(), others: Vec::new() };
            let mut add = |name: &'r str, slot: usize| match self.at(slot) {
                Doc::Own => named.all.push((name, None)),
                Doc::Other(None) => {}
                Doc::Other(Some(view)) => {
                    named.all.push((name, Some(view)));
                    named.others.push((name, view));
                }
            };
            match self.names {
                DocNames::Roles(roles) => {
                    roles.names.iter().zip(roles.slots).for_each(|(name, slot)| add(name, *slot));
                }
                DocNames::Keys(_) => {
                    let before = self.before.iter().map(|slot| slot.key);
                    let after = self.after.iter().map(|slot| slot.key);
                    for (slot, key) in before.chain([self.own_key]).chain(after).enumerate() {
                        std::str::from_utf8(key).ok().into_iter().for_each(|key| add(key, slot));
                    }
                }
            }
            named
        })
    }
}

impl DocumentSource for OtherDocuments<'_, '_, '_> {
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>> {
        match self.at(self.find(key)?) {
            Doc::Own => this,
            Doc::Other(view) => view,
        }
    }

    fn native(&self, key: &[u8], question: NativeQuestion<'_>) -> Result<NativeAnswer> {
        let found = self.natives.zip(self.find(key));
        let (natives, slot) = found.ok_or_else(|| match self.names {
            DocNames::Keys(_) => {
                Error::syntax("the key is not among those listed").text("key", key)
            }
            DocNames::Roles(_) => {
                Error::syntax("the role is not among those listed").text("role", key)
            }
        })?;
        native::ask(natives.source, natives.keys[slot], question)
    }

    fn count(&self, this: Option<View<'_>>) -> usize {
        let named = self.named();
        if this.is_some() { named.all.len() } else { named.others.len() }
    }

    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)> {
        let named = self.named();
        match this {
            Some(this) => named.all.get(nth).map(|(name, view)| (*name, view.unwrap_or(this))),
            None => named.others.get(nth).copied(),
        }
    }
}
