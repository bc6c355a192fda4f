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
    /// The reply of a native, by its number among the commands of the transaction; filled in when they ran.
    Native(u32),
    /// The server's refusal of a native that nothing foretold.
    Refused(Vec<u8>),
    Array(Vec<Reply>),
    /// A RESP3 map; names and values in turn in RESP2.
    Map(Vec<(&'static str, Reply)>),
}

/// Lists of replies that are kept for later commands, and the most entries that they have room for.
const LISTS_KEPT: usize = 8;
const LIST_KEPT_MAX: usize = 64;
/// The same of short lists: two for each document that a command finds.
const SHORT_LISTS_KEPT: usize = 2048;
const SHORT_LIST_KEPT_MAX: usize = 4;

/// Texts that are kept for later replies, and the most bytes that they have room for.
const TEXTS_KEPT: usize = 4;
const TEXT_KEPT_MAX: usize = 1 << 16;
/// The same of short texts: two for each document that a command finds, the name of its key and its effect.
const SHORT_TEXTS_KEPT: usize = 2048;
const SHORT_TEXT_KEPT_MAX: usize = 64;

thread_local! {
    static KEPT: RefCell<KeptBuffers> =
        const {
            RefCell::new(KeptBuffers {
                lists: Vec::new(),
                short_lists: Vec::new(),
                texts: Vec::new(),
                short_texts: Vec::new(),
            })
        };
}

/// Empty lists and texts of earlier replies.
struct KeptBuffers {
    lists: Vec<Vec<Reply>>,
    short_lists: Vec<Vec<Reply>>,
    texts: Vec<Vec<u8>>,
    short_texts: Vec<Vec<u8>>,
}

impl KeptBuffers {
    /// Keeps the lists and the texts of a reply.
    fn keep(&mut self, reply: Reply) {
        match reply {
            Reply::Array(mut items) => {
                while let Some(item) = items.pop() {
                    self.keep(item);
                }
                let (lists, most) = if items.capacity() <= SHORT_LIST_KEPT_MAX {
                    (&mut self.short_lists, SHORT_LISTS_KEPT)
                } else {
                    (&mut self.lists, LISTS_KEPT)
                };
                if (1..=LIST_KEPT_MAX).contains(&items.capacity()) && lists.len() < most {
                    lists.push(items);
                }
            }
            Reply::Json(text) | Reply::Text(text) => self.keep_text(text),
            _ => {}
        }
    }

    #[inline]
    fn keep_text(&mut self, mut text: Vec<u8>) {
        let (texts, most) = if text.capacity() <= SHORT_TEXT_KEPT_MAX {
            (&mut self.short_texts, SHORT_TEXTS_KEPT)
        } else {
            (&mut self.texts, TEXTS_KEPT)
        };
        if (1..=TEXT_KEPT_MAX).contains(&text.capacity()) && texts.len() < most {
            text.clear();
            texts.push(text);
        }
    }
}

/// An empty text, in the buffer of an earlier one most of the time.
#[inline]
pub fn empty_text() -> Vec<u8> {
    KEPT.with_borrow_mut(|kept| kept.texts.pop().or_else(|| kept.short_texts.pop()))
        .unwrap_or_default()
}

/// A copy of a text, see [`empty_text`].
#[inline]
pub fn text_of(bytes: &[u8]) -> Vec<u8> {
    let short = match bytes.len() <= SHORT_TEXT_KEPT_MAX {
        true => KEPT.with_borrow_mut(|kept| kept.short_texts.pop()),
        false => None,
    };
    let mut text = short.unwrap_or_else(empty_text);
    text.extend_from_slice(bytes);
    text
}

/// Keeps the buffer of a text for later ones.
#[inline]
pub fn keep_text(text: Vec<u8>) {
    KEPT.with_borrow_mut(|kept| kept.keep_text(text));
}

/// A reply takes at least so many bytes in memory.
const BYTES_MIN: u64 = 64;

impl Reply {
    /// About the bytes it takes until it is sent, as `model.reply-bytes` counts them: those of its text,
    /// and at least 64; those of its parts.
    #[inline]
    pub fn bytes(&self) -> u64 {
        match self {
            Reply::Json(text) | Reply::Text(text) | Reply::Refused(text) => {
                (text.len() as u64).max(BYTES_MIN)
            }
            Reply::Array(items) => items.iter().map(Reply::bytes).sum(),
            Reply::Map(members) => members.iter().map(|(_, reply)| reply.bytes()).sum(),
            Reply::Null
            | Reply::Int(_)
            | Reply::Number(_)
            | Reply::Ok
            | Reply::Revision
            | Reply::Native(_) => BYTES_MIN,
        }
    }

    /// The reply, where the command may give it besides those before it; else `LIMIT`.
    #[inline]
    pub fn within(self, allowance: &Allowance<'_>) -> Result<Reply> {
        self.charge(allowance)?;
        Ok(self)
    }

    /// Refuses a reply that the command may not give besides those before it, with `LIMIT`.
    #[inline]
    pub fn charge(&self, allowance: &Allowance<'_>) -> Result<()> {
        allowance.reply(self.bytes())
    }

    /// A value as JSON text.
    #[inline]
    pub fn value(view: View<'_>) -> Reply {
        match view.as_number() {
            Some(number) => Reply::Number(number),
            None => {
                let mut text = empty_text();
                print::json(view, &mut text);
                Reply::Json(text)
            }
        }
    }

    /// An empty list for an array, with room for `count` replies: one of an earlier command, most of the time.
    #[inline]
    pub fn list(count: usize) -> Vec<Reply> {
        let kept = KEPT.with_borrow_mut(|kept| match count {
            ..=SHORT_LIST_KEPT_MAX => kept.short_lists.pop(),
            _ => kept.lists.pop(),
        });
        let mut list = kept.unwrap_or_default();
        list.reserve(count);
        list
    }

    /// Keeps the lists and the texts of a reply that was sent, for later ones.
    #[inline]
    pub fn recycle(self) {
        if matches!(self, Reply::Array(_) | Reply::Json(_) | Reply::Text(_)) {
            KEPT.with_borrow_mut(|kept| kept.keep(self));
        }
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

    /// Fills in the replies of natives.
    pub fn fill_natives(&mut self, replies: &mut [Reply]) {
        match self {
            Reply::Native(nth) => {
                *self = std::mem::replace(&mut replies[*nth as usize], Reply::Null)
            }
            Reply::Array(items) => items.iter_mut().for_each(|item| item.fill_natives(replies)),
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
            Reply::Text(text) | Reply::Refused(text) => String::from_utf8_lossy(text).into_owned(),
            Reply::Ok => "OK".into(),
            Reply::Revision => "(revision)".into(),
            Reply::Native(nth) => format!("(native {nth})"),
            Reply::Array(items) => format!("[{}]", join(items)),
            Reply::Map(members) => {
                let members =
                    members.iter().map(|(name, reply)| format!("{name} {}", reply.notation()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(" "))
            }
        }
    }
}
