//! The server's own structures in memory, and the commands of natives on them, done naively.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use crate::error::Result;
use crate::expr::{NativeAnswer, NativeQuestion};
use crate::keys::Key;
use crate::native::{NativeCall, NativeKind, NativeReply, NativeSource, StreamId, strict_integer};

/// A structure at a key; none of them is empty, but for a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Structure {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    SortedSet(BTreeMap<Vec<u8>, f64>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Stream { entries: Vec<StreamEntry>, last: StreamId },
}

/// An entry of a stream: its id, its fields and values in turn.
pub type StreamEntry = (StreamId, Vec<Vec<u8>>);

/// The structures at all keys, and what was published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Structures {
    pub keys: BTreeMap<Vec<u8>, Structure>,
    /// The channel and the message.
    pub published: Vec<(Vec<u8>, Vec<u8>)>,
    /// Commands that the caller may not run, for tests.
    pub forbidden: HashSet<&'static str>,
}

/// The structures as one command sees them.
pub struct StructuresAt<'s> {
    pub structures: &'s Structures,
    /// Keys that hold a document or a token.
    pub ours: HashSet<Vec<u8>>,
    pub now_ms: u64,
}

impl NativeSource for StructuresAt<'_> {
    fn kind(&self, key: Key<'_>) -> NativeKind {
        match self.structures.keys.get(key.name) {
            None if self.ours.contains(key.name) => NativeKind::Other,
            None => NativeKind::Missing,
            Some(Structure::Text(_)) => NativeKind::String,
            Some(Structure::List(_)) => NativeKind::List,
            Some(Structure::Set(_)) => NativeKind::Set,
            Some(Structure::SortedSet(_)) => NativeKind::SortedSet,
            Some(Structure::Hash(_)) => NativeKind::Hash,
            Some(Structure::Stream { .. }) => NativeKind::Stream,
        }
    }

    fn read(&self, key: Key<'_>, question: NativeQuestion<'_>) -> Result<NativeAnswer> {
        let found = &self.structures.keys[key.name];
        let size = |size: usize| NativeAnswer::Int(size as i64);
        let or_missing = |answer: Option<NativeAnswer>| answer.unwrap_or(NativeAnswer::Missing);
        Ok(match (found, question) {
            (Structure::Set(set), NativeQuestion::Has(m)) => NativeAnswer::Bool(set.contains(m)),
            (Structure::SortedSet(set), NativeQuestion::Has(m)) => {
                NativeAnswer::Bool(set.contains_key(m))
            }
            (Structure::Hash(hash), NativeQuestion::Has(f)) => {
                NativeAnswer::Bool(hash.contains_key(f))
            }
            (Structure::SortedSet(set), NativeQuestion::Score(m)) => {
                or_missing(set.get(m).copied().map(NativeAnswer::Double))
            }
            (Structure::SortedSet(set), NativeQuestion::Rank(m)) => {
                or_missing(set.get(m).map(|score| {
                    let before = set.iter().filter(|(n, s)| (**s, &n[..]) < (*score, m));
                    size(before.count())
                }))
            }
            (Structure::Hash(hash), NativeQuestion::Field(f)) => {
                or_missing(hash.get(f).cloned().map(NativeAnswer::Bytes))
            }
            (Structure::Text(text), NativeQuestion::Text) => NativeAnswer::Bytes(text.clone()),
            (Structure::Text(text), NativeQuestion::Size) => size(text.len()),
            (Structure::List(list), NativeQuestion::Size) => size(list.len()),
            (Structure::Set(set), NativeQuestion::Size) => size(set.len()),
            (Structure::SortedSet(set), NativeQuestion::Size) => size(set.len()),
            (Structure::Hash(hash), NativeQuestion::Size) => size(hash.len()),
            (Structure::Stream { entries, .. }, NativeQuestion::Size) => size(entries.len()),
            (Structure::Stream { last, .. }, NativeQuestion::Last) => {
                NativeAnswer::Bytes(last.text().into())
            }
            (found, question) => unreachable!("{question:?} of {found:?}"),
        })
    }

    fn check_call(&self, _: Key<'_>, call: &NativeCall) -> Result<()> {
        use crate::error::{Error, ErrorCode};
        match self.structures.forbidden.contains(call.spec.name) {
            true => Err(Error::new(ErrorCode::NoPerm, "the caller may not run this command")),
            false => Ok(()),
        }
    }

    fn has_next_id(&self, key: Key<'_>) -> bool {
        match self.structures.keys.get(key.name) {
            Some(Structure::Stream { last, .. }) => last.next(self.now_ms).is_some(),
            _ => true,
        }
    }

    fn may_be_missing(&self, _: Key<'_>) -> bool {
        true
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

impl Structures {
    /// Runs one command, as the server does; `key` is what the first word of the server's command would be.
    pub fn run(&mut self, name: &str, key: &[u8], words: &[&[u8]], now_ms: u64) -> NativeReply {
        let reply = match (name, words) {
            ("UNLINK", []) => return flag(self.keys.remove(key).is_some()),
            ("PEXPIRE", [_]) => return flag(self.keys.contains_key(key)),
            ("PUBLISH" | "SPUBLISH", [message]) => {
                self.published.push((key.to_vec(), message.to_vec()));
                return NativeReply::Int(0);
            }
            ("SET", [value]) => {
                self.keys.insert(key.to_vec(), Structure::Text(value.to_vec()));
                return NativeReply::Ok;
            }
            _ => {
                let empty = empty_for(name);
                let structure = self.keys.entry(key.to_vec()).or_insert(empty);
                change(structure, name, words, now_ms)
            }
        };
        if self.keys.get(key).is_some_and(is_empty) {
            self.keys.remove(key);
        }
        reply
    }
}

fn flag(flag: bool) -> NativeReply {
    NativeReply::Int(flag.into())
}

/// The structure that a command makes of a missing key.
fn empty_for(name: &str) -> Structure {
    match name {
        "ZADD" | "ZINCRBY" | "ZREM" => Structure::SortedSet(BTreeMap::new()),
        "SADD" | "SREM" => Structure::Set(BTreeSet::new()),
        "HSET" | "HINCRBY" | "HDEL" => Structure::Hash(BTreeMap::new()),
        "LPUSH" | "RPUSH" => Structure::List(VecDeque::new()),
        "XADD" => Structure::Stream { entries: Vec::new(), last: StreamId::default() },
        "INCRBY" => Structure::Text(b"0".to_vec()),
        other => unreachable!("{other} is no native"),
    }
}

fn is_empty(structure: &Structure) -> bool {
    match structure {
        Structure::List(list) => list.is_empty(),
        Structure::Set(set) => set.is_empty(),
        Structure::SortedSet(set) => set.is_empty(),
        Structure::Hash(hash) => hash.is_empty(),
        Structure::Text(_) | Structure::Stream { .. } => false,
    }
}

/// Everything the server would refuse was refused before: what is impossible here is a fault of the check.
fn change(structure: &mut Structure, name: &str, words: &[&[u8]], now_ms: u64) -> NativeReply {
    let integer = |text: &[u8]| strict_integer(text).expect("it was checked to be an integer");
    let double = |text: &[u8]| -> f64 {
        std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("it was checked")
    };
    match (structure, name, words) {
        (Structure::SortedSet(set), "ZADD", [score, member]) => {
            flag(set.insert(member.to_vec(), double(score)).is_none())
        }
        (Structure::SortedSet(set), "ZINCRBY", [n, member]) => {
            let score = set.entry(member.to_vec()).or_insert(0.0);
            *score += double(n);
            assert!(score.is_finite(), "the sum was checked to be finite");
            NativeReply::Text(format!("{score}").into())
        }
        (Structure::SortedSet(set), "ZREM", [member]) => flag(set.remove(*member).is_some()),
        (Structure::Set(set), "SADD", [member]) => flag(set.insert(member.to_vec())),
        (Structure::Set(set), "SREM", [member]) => flag(set.remove(*member)),
        (Structure::Hash(hash), "HSET", [field, value]) => {
            flag(hash.insert(field.to_vec(), value.to_vec()).is_none())
        }
        (Structure::Hash(hash), "HINCRBY", [field, n]) => {
            let known = hash.get(*field).map_or(0, |text| integer(text));
            let sum = known.checked_add(integer(n)).expect("it was checked to fit");
            hash.insert(field.to_vec(), sum.to_string().into());
            NativeReply::Int(sum)
        }
        (Structure::Hash(hash), "HDEL", [field]) => flag(hash.remove(*field).is_some()),
        (Structure::List(list), "LPUSH", [value]) => {
            list.push_front(value.to_vec());
            NativeReply::Int(list.len() as i64)
        }
        (Structure::List(list), "RPUSH", [value]) => {
            list.push_back(value.to_vec());
            NativeReply::Int(list.len() as i64)
        }
        (Structure::Stream { entries, last }, "XADD", [_, _, most, _, fields @ ..]) => {
            *last = last.next(now_ms).expect("it was checked that an id is left");
            entries.push((*last, fields.iter().map(|word| word.to_vec()).collect()));
            let most = usize::try_from(integer(most)).unwrap_or(usize::MAX);
            entries.drain(..entries.len().saturating_sub(most));
            NativeReply::Text(last.text().into())
        }
        (Structure::Text(text), "INCRBY", [n]) => {
            let sum = integer(text).checked_add(integer(n)).expect("it was checked to fit");
            *text = sum.to_string().into();
            NativeReply::Int(sum)
        }
        (structure, name, words) => unreachable!("{name} {words:?} on {structure:?}"),
    }
}
