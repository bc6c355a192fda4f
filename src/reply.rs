//! Replies of commands, independent of the protocol version.

use std::cell::RefCell;

use crate::budget::Allowance;
use crate::error::Result;
use crate::value::{Number, View, print};

/// A reply. JSON values travel as JSON text in bulk strings; counts, lengths and revisions as integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Null: no value. JSON null is the text `null` instead.
    Null,
    Int(i64),
    /// JSON text.
    Json(Vec<u8>),
    /// The JSON text of a number, made when it is sent.
    Number(Number),
    /// A name or another plain string.
    Text(Vec<u8>),
    Ok,
    /// The revision the command gives the document; filled in at commit.
    Revision,
    Array(Vec<Reply>),
    /// A RESP3 map; names and values in turn in RESP2.
    Map(Vec<(&'static str, Reply)>),
}

/// Lists of replies that are kept for later commands, and the most entries that they have room for.
const LISTS_KEPT: usize = 8;
const LIST_KEPT_MAX: usize = 64;

thread_local! {
    /// Empty lists of earlier commands.
    static LISTS: RefCell<Vec<Vec<Reply>>> = const { RefCell::new(Vec::new()) };
}

/// A reply takes at least so many bytes in memory.
const BYTES_MIN: u64 = 64;

impl Reply {
    /// About the bytes it takes until it is sent, as `model.reply-bytes` counts them: those of its text,
    /// and at least 64; those of its parts.
    #[inline]
    pub fn bytes(&self) -> u64 {
        match self {
            Reply::Json(text) | Reply::Text(text) => (text.len() as u64).max(BYTES_MIN),
            Reply::Array(items) => items.iter().map(Reply::bytes).sum(),
            Reply::Map(members) => members.iter().map(|(_, reply)| reply.bytes()).sum(),
            Reply::Null | Reply::Int(_) | Reply::Number(_) | Reply::Ok | Reply::Revision => {
                BYTES_MIN
            }
        }
    }

    /// The reply, where the command may give it besides those before it; else `LIMIT`.
    #[inline]
    pub fn within(self, allowance: &Allowance<'_>) -> Result<Reply> {
        allowance.reply(self.bytes())?;
        Ok(self)
    }

    /// A value as JSON text.
    #[inline]
    pub fn value(view: View<'_>) -> Reply {
        match view.as_number() {
            Some(number) => Reply::Number(number),
            None => {
                let mut text = Vec::with_capacity(view.text_hint());
                print::json(view, &mut text);
                Reply::Json(text)
            }
        }
    }

    /// An empty list for an array, with room for `count` replies: one of an earlier command, most of the time.
    #[inline]
    pub fn list(count: usize) -> Vec<Reply> {
        let mut list = LISTS.with_borrow_mut(Vec::pop).unwrap_or_default();
        list.reserve(count);
        list
    }

    /// Keeps the lists of a reply that was sent, for [`Reply::list`].
    #[inline]
    pub fn recycle(self) {
        let Reply::Array(mut items) = self else { return };
        if items.capacity() > LIST_KEPT_MAX {
            return;
        }
        items.drain(..).for_each(Reply::recycle);
        LISTS.with_borrow_mut(|lists| {
            if lists.len() < LISTS_KEPT {
                lists.push(items);
            }
        });
    }

    pub fn count(count: usize) -> Reply {
        Reply::Int(i64::try_from(count).expect("counts are far below 2^63"))
    }

    /// Fills in the revision where `REVISION` asked for it; null if the document is gone.
    pub fn fill_revision(&mut self, revision: Option<u64>) {
        match self {
            Reply::Revision => {
                *self = revision.map_or(Reply::Null, |revision| Reply::Int(revision as i64));
            }
            Reply::Array(items) => items.iter_mut().for_each(|item| item.fill_revision(revision)),
            _ => {}
        }
    }

    /// A compact text of the reply, as examples and tests write it: `1`, `"text"` for plain text,
    /// JSON as it is, `(nil)`, `[a b]` and `{name value}`.
    pub fn notation(&self) -> String {
        let join =
            |items: &[Reply]| items.iter().map(Reply::notation).collect::<Vec<_>>().join(" ");
        match self {
            Reply::Null => "(nil)".into(),
            Reply::Int(value) => format!("(integer) {value}"),
            Reply::Json(text) => String::from_utf8_lossy(text).into_owned(),
            Reply::Number(number) => {
                let mut out = Vec::new();
                number.print(&mut out);
                String::from_utf8_lossy(&out).into_owned()
            }
            Reply::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Reply::Ok => "OK".into(),
            Reply::Revision => "(revision)".into(),
            Reply::Array(items) => format!("[{}]", join(items)),
            Reply::Map(members) => {
                let members =
                    members.iter().map(|(name, reply)| format!("{name} {}", reply.notation()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(" "))
            }
        }
    }
}
