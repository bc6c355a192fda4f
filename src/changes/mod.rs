//! The entries of a change stream: one for every change of a document of a model with `CHANGES`.
//!
//! A stream is a stream of the server, beside the documents: `model!changes`, in a cluster one in each hash slot
//! ([`stream`]). The id of an entry is its number, `seq`, behind which the server counts nothing: `7-0`. So the stream
//! itself says where it stands, wherever it goes, and nothing else has to be saved. A stream that has no entry yet
//! begins with the clock in microseconds: numbers do not repeat after it was deleted, and its readers see a gap.

pub mod stream;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::ChangesWith;
use crate::reply::keep_text;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOp {
    Create,
    Update,
    Delete,
    Expire,
    Evict,
    Rename,
    Restore,
    /// To all documents of the stream.
    Flush,
}

impl ChangeOp {
    /// The spelling in an entry.
    pub fn word(self) -> &'static str {
        match self {
            ChangeOp::Create => "create",
            ChangeOp::Update => "update",
            ChangeOp::Delete => "delete",
            ChangeOp::Expire => "expire",
            ChangeOp::Evict => "evict",
            ChangeOp::Rename => "rename",
            ChangeOp::Restore => "restore",
            ChangeOp::Flush => "flush",
        }
    }
}

/// The key of a document; most need no memory.
pub type ChangedKey = SmallVec<[u8; 32]>;

/// One change, to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentChange {
    /// The name of the model.
    pub model: Arc<str>,
    /// The entries that the stream keeps at least.
    pub entries: u64,
    pub op: ChangeOp,
    pub key: ChangedKey,
    /// The key before, of a renamed document.
    pub from: Option<ChangedKey>,
    /// The revision of the document; none where it is gone.
    pub rev: Option<u64>,
    /// The revision before; none of a document that was not there.
    pub prev: Option<u64>,
    /// The key of the token of a transaction.
    pub token: Option<Box<[u8]>>,
    pub content: ChangeContent,
}

/// Parts of an entry that `WITH` asks for, as JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeContent {
    pub patch: Option<Vec<u8>>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
}

impl Drop for ChangeContent {
    fn drop(&mut self) {
        let texts = [&mut self.patch, &mut self.before, &mut self.after];
        texts.into_iter().filter_map(Option::take).for_each(keep_text);
    }
}

/// The changes of one command, in order.
#[derive(Debug, Default)]
pub struct RecordedChanges(pub SmallVec<[DocumentChange; 1]>);

impl DocumentChange {
    /// A change without content.
    pub fn new(model: Arc<str>, entries: u64, op: ChangeOp, key: &[u8]) -> DocumentChange {
        DocumentChange {
            model,
            entries,
            op,
            key: ChangedKey::from_slice(key),
            from: None,
            rev: None,
            prev: None,
            token: None,
            content: ChangeContent::default(),
        }
    }

    /// Calls with the names and values of the entry with this number, in order.
    pub fn each_field(&self, seq: u64, mut add: impl FnMut(&'static str, FieldValue<'_>)) {
        add("seq", FieldValue::Number(seq));
        add("op", FieldValue::Word(self.op.word()));
        if self.op != ChangeOp::Flush {
            add("key", FieldValue::Text(&self.key));
        }
        let ChangeContent { patch, before, after } = &self.content;
        let others = [
            ("from", self.from.as_deref().map(FieldValue::Text)),
            ("rev", self.rev.map(FieldValue::Number)),
            ("prev", self.prev.map(FieldValue::Number)),
            ("token", self.token.as_deref().map(FieldValue::Text)),
            ("patch", patch.as_deref().map(FieldValue::Text)),
            ("before", before.as_deref().map(FieldValue::Text)),
            ("after", after.as_deref().map(FieldValue::Text)),
        ];
        for (name, value) in others {
            value.into_iter().for_each(|value| add(name, value));
        }
    }
}

/// The value of a field of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'c> {
    Number(u64),
    /// One of a few.
    Word(&'static str),
    Text(&'c [u8]),
}

/// The number of the next entry of a stream whose last one is this; none where no number is left. `now_us` is the
/// clock.
pub fn next_seq(last: Option<u64>, now_us: u64) -> Option<u64> {
    match last {
        // An id of the server's own making is a time in milliseconds; beyond a double's integers nothing is counted.
        Some(last) => last.checked_add(1).filter(|seq| *seq <= SEQ_MAX),
        None => Some(now_us.clamp(1, SEQ_MAX)),
    }
}

/// Numbers stay exact in clients whose numbers are doubles.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

/// Flag: entries have content.
pub fn has_content(with: ChangesWith) -> bool {
    with != ChangesWith::Keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_each_other_and_begin_with_the_clock() {
        assert_eq!(next_seq(Some(7), 99), Some(8));
        assert_eq!(next_seq(None, 99), Some(99));
        assert_eq!(next_seq(None, 0), Some(1));
        assert_eq!(next_seq(Some(SEQ_MAX - 1), 0), Some(SEQ_MAX));
        assert_eq!(next_seq(Some(SEQ_MAX), 0), None);
        assert_eq!(next_seq(Some(u64::MAX), 0), None);
    }

    #[test]
    fn an_entry_has_the_fields_that_are_known() {
        let mut change = DocumentChange::new("m".into(), 9, ChangeOp::Update, b"k");
        (change.rev, change.prev) = (Some(8), Some(7));
        change.content.patch = Some(b"[]".to_vec());
        let mut names = Vec::new();
        change.each_field(3, |name, _| names.push(name));
        assert_eq!(names, ["seq", "op", "key", "rev", "prev", "patch"]);
        DocumentChange::new("m".into(), 9, ChangeOp::Flush, b"").each_field(4, |name, value| {
            let expected = match name {
                "seq" => FieldValue::Number(4),
                _ => FieldValue::Word("flush"),
            };
            assert_eq!(value, expected, "{name}");
        });
    }
}
