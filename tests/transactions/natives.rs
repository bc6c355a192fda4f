//! The naive model of natives: every structure is copied, the commands run one after the other as the manual of the
//! server describes them, and the copy is thrown away when one of them is refused.

use std::collections::{BTreeMap, VecDeque};

use redis_model::testing::{MemoryHost, Structure};
use serde_json::Value;

use crate::naive::{State, Told, at_least};
use crate::random::Rng;
use crate::request::KEYS;

/// Keys of structures, each mostly of one kind.
pub const NATIVE_KEYS: [&str; 6] = ["u", "v", "w", "x", "y", "z"];
/// Few members, so that they meet.
const MEMBERS: [&str; 3] = ["1", "m", "n"];

/// An operand: a literal, or `n` of a document at this point of the sequence.
#[derive(Clone, Debug)]
pub enum Given {
    Literal(Value),
    Of(&'static str),
}

/// One native. Members and fields are literals.
#[derive(Clone, Debug)]
pub enum Native {
    Zadd(Given, &'static str),
    Zincrby(Given, &'static str),
    Zrem(&'static str),
    Sadd(Given),
    Srem(&'static str),
    Hset(&'static str, Given),
    Hincrby(&'static str, Given),
    Hdel(&'static str),
    Lpush(Given),
    Rpush(Given),
    Xadd(usize, Given),
    Set(Given),
    Incrby(Given),
    Pexpire(u64),
    Unlink,
    Publish(Given),
    Spublish(Given),
}

/// A native is planned only where this is true.
#[derive(Clone, Debug)]
pub enum NativeGuard {
    /// `n` of a document.
    AtLeast(&'static str, i64),
    /// The size of a structure before the transaction.
    Size(&'static str, usize),
}

pub type NativeStep = (Option<NativeGuard>, Native);

fn draw_given(rng: &mut Rng) -> Given {
    match rng.below(12) {
        0 => Given::Literal(Value::from(i64::MAX - 1)),
        1 => Given::Literal(Value::from("m")),
        2 => Given::Literal(Value::from("7")),
        3..=4 => Given::Of(rng.pick(&KEYS)),
        _ => Given::Literal(Value::from(rng.below(5) as i64 - 1)),
    }
}

/// An operand that has to be a number: mostly one.
fn draw_number(rng: &mut Rng, large: bool) -> Given {
    match rng.below(8) {
        0 if large => Given::Literal(Value::from(i64::MAX - 1)),
        1 => Given::Of(rng.pick(&KEYS)),
        _ => Given::Literal(Value::from(rng.below(9) as i64 - 4)),
    }
}

fn draw_score(rng: &mut Rng) -> Given {
    match rng.below(8) {
        0..=3 => Given::Literal(Value::from(1e308)),
        4 => Given::Literal(Value::from(0.5)),
        _ => draw_number(rng, false),
    }
}

fn draw_native(rng: &mut Rng, kind: usize) -> Native {
    let member = rng.pick(&MEMBERS);
    match (kind, rng.below(3)) {
        _ if rng.one_in(8) => match rng.below(6) {
            0 => Native::Set(draw_given(rng)),
            1 => Native::Pexpire(1 + rng.below(10_000) as u64),
            2 => Native::Publish(draw_given(rng)),
            3 => Native::Spublish(draw_given(rng)),
            _ => Native::Unlink,
        },
        (0, kind @ (0 | 1)) => {
            let score = draw_score(rng);
            // Large scores meet, so that sums are not finite.
            let huge = matches!(&score, Given::Literal(n) if n.as_f64() > Some(1e300));
            let member = if huge { "m" } else { member };
            if kind == 0 { Native::Zadd(score, member) } else { Native::Zincrby(score, member) }
        }
        (0, _) => Native::Zrem(member),
        (1, 0) => Native::Srem(member),
        (1, _) => Native::Sadd(draw_given(rng)),
        (2, 0) => Native::Hset(member, draw_given(rng)),
        (2, 1) => Native::Hincrby(member, draw_number(rng, true)),
        (2, _) => Native::Hdel(member),
        (3, 0) => Native::Lpush(draw_given(rng)),
        (3, _) => Native::Rpush(draw_given(rng)),
        (4, _) => Native::Xadd(1 + rng.below(3), draw_given(rng)),
        _ => Native::Incrby(draw_number(rng, true)),
    }
}

/// A block of natives: its key, and natives that mostly fit what is at it.
pub fn draw_natives(rng: &mut Rng) -> (&'static str, Vec<NativeStep>) {
    let nth = rng.below(NATIVE_KEYS.len());
    let natives = (0..1 + rng.below(4))
        .map(|_| {
            let kind = if rng.one_in(6) { rng.below(6) } else { nth };
            let guard = rng.one_in(6).then(|| match rng.one_in(2) {
                true => NativeGuard::AtLeast(rng.pick(&KEYS), rng.below(30) as i64 - 10),
                false => NativeGuard::Size(rng.pick(&NATIVE_KEYS), rng.below(3)),
            });
            (guard, draw_native(rng, kind))
        })
        .collect();
    (NATIVE_KEYS[nth], natives)
}

impl Given {
    fn word(&self) -> String {
        match self {
            Given::Literal(value) => value.to_string(),
            Given::Of(key) => format!("=docs['{key}'].n"),
        }
    }

    fn value(&self, state: &State) -> Result<Value, &'static str> {
        match self {
            Given::Literal(value) => Ok(value.clone()),
            Given::Of(key) => {
                state.get(key).and_then(|doc| doc.json.get("n")).cloned().ok_or("EXPR")
            }
        }
    }
}

impl Native {
    pub fn add_words(&self, guard: Option<&NativeGuard>, out: &mut Vec<String>) {
        match guard {
            Some(NativeGuard::AtLeast(key, least)) => {
                out.extend(["WHEN".into(), format!("docs['{key}'].n >= {least}")]);
            }
            Some(NativeGuard::Size(key, least)) => {
                out.extend(["WHEN".into(), format!("native['{key}'].size() >= {least}")]);
            }
            None => {}
        }
        let text = |member: &str| Value::from(member).to_string();
        let (name, operands) = match self {
            Native::Zadd(score, member) => ("ZADD", vec![score.word(), text(member)]),
            Native::Zincrby(n, member) => ("ZINCRBY", vec![n.word(), text(member)]),
            Native::Zrem(member) => ("ZREM", vec![text(member)]),
            Native::Sadd(member) => ("SADD", vec![member.word()]),
            Native::Srem(member) => ("SREM", vec![text(member)]),
            Native::Hset(field, value) => ("HSET", vec![text(field), value.word()]),
            Native::Hincrby(field, n) => ("HINCRBY", vec![text(field), n.word()]),
            Native::Hdel(field) => ("HDEL", vec![text(field)]),
            Native::Lpush(value) => ("LPUSH", vec![value.word()]),
            Native::Rpush(value) => ("RPUSH", vec![value.word()]),
            Native::Xadd(most, value) => {
                let object = match value {
                    Given::Literal(value) => format!(r#"{{"f":{value}}}"#),
                    Given::Of(key) => format!("={{\"f\": docs['{key}'].n}}"),
                };
                ("XADD", vec![most.to_string(), object])
            }
            Native::Set(value) => ("SET", vec![value.word()]),
            Native::Incrby(n) => ("INCRBY", vec![n.word()]),
            Native::Pexpire(ms) => ("PEXPIRE", vec![ms.to_string()]),
            Native::Unlink => ("UNLINK", vec![]),
            Native::Publish(value) => ("PUBLISH", vec![value.word()]),
            Native::Spublish(value) => ("SPUBLISH", vec![value.word()]),
        };
        out.push(name.into());
        out.extend(operands);
    }

    /// The operand that a document may give, with the kind it has to have.
    fn given(&self) -> Option<(&Given, Kind)> {
        match self {
            Native::Zadd(given, _) | Native::Zincrby(given, _) => Some((given, Kind::Number)),
            Native::Hincrby(_, given) | Native::Incrby(given) => Some((given, Kind::Integer)),
            Native::Sadd(given)
            | Native::Hset(_, given)
            | Native::Lpush(given)
            | Native::Rpush(given)
            | Native::Xadd(_, given)
            | Native::Set(given)
            | Native::Publish(given)
            | Native::Spublish(given) => Some((given, Kind::Any)),
            _ => None,
        }
    }
}

enum Kind {
    Any,
    Number,
    Integer,
}

/// A structure; one that lost its last member stays one of its kind until the transaction is over.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeMap<String, ()>),
    Sorted(BTreeMap<String, f64>),
    Hash(BTreeMap<String, String>),
    /// The entries, and the last id.
    Stream(Vec<(String, String)>, (u64, u64)),
}

impl Shape {
    fn size(&self) -> usize {
        match self {
            Shape::Text(text) => text.len(),
            Shape::List(list) => list.len(),
            Shape::Set(set) => set.len(),
            Shape::Sorted(set) => set.len(),
            Shape::Hash(hash) => hash.len(),
            Shape::Stream(entries, _) => entries.len(),
        }
    }
}

/// The structures of all keys, the ends of their times to live, and the messages that were published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shapes {
    pub keys: BTreeMap<&'static str, Shape>,
    pub ends: BTreeMap<&'static str, u64>,
    pub published: Vec<(String, String)>,
}

/// A native whose operand is known.
pub struct Planned {
    pub block: usize,
    key: &'static str,
    native: Native,
    given: Value,
}

/// The natives of a block: none for one that is skipped.
pub fn plan(
    (number, key): (usize, &'static str),
    natives: &[NativeStep],
    state: &State,
    start: &Shapes,
    planned: &mut Vec<Option<Planned>>,
) -> Result<(), &'static str> {
    for (guard, native) in natives {
        let runs = match guard {
            None => true,
            Some(NativeGuard::AtLeast(key, least)) => {
                at_least(state.get(key).ok_or("EXPR")?, *least)?
            }
            Some(NativeGuard::Size(key, least)) => start.size(key) >= *least,
        };
        if !runs {
            planned.push(None);
            continue;
        }
        let given = match native.given() {
            None => Value::Null,
            Some((given, kind)) => {
                let value = given.value(state)?;
                let fits = match kind {
                    Kind::Any => true,
                    Kind::Number => value.is_number(),
                    Kind::Integer => value.is_i64(),
                };
                if fits { value } else { return Err("TYPE") }
            }
        };
        planned.push(Some(Planned { block: number, key, native: native.clone(), given }));
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn integer(text: &str) -> Result<i64, &'static str> {
    let known: i64 = text.parse().map_err(|_| "TYPE")?;
    if known.to_string() == text { Ok(known) } else { Err("TYPE") }
}

fn flag(flag: bool) -> Told {
    Told::Int(flag.into())
}

impl Shapes {
    pub fn size(&self, key: &str) -> usize {
        self.keys.get(key).map_or(0, Shape::size)
    }

    /// The structure of a kind at a key, made if nothing is there.
    fn at(&mut self, key: &'static str, empty: Shape) -> Result<&mut Shape, &'static str> {
        let found = self.keys.entry(key).or_insert_with(|| empty.clone());
        match std::mem::discriminant(found) == std::mem::discriminant(&empty) {
            true => Ok(found),
            false => Err("WRONGTYPE"),
        }
    }

    /// One command, as the server runs it.
    pub fn run(&mut self, planned: &Planned, now_ms: u64) -> Result<Told, &'static str> {
        let Planned { key, native, given, .. } = planned;
        let value = || text(given);
        let score = || given.as_f64().expect("a number");
        Ok(match native {
            // Nothing is made by taking something out of it.
            Native::Zrem(_) | Native::Srem(_) | Native::Hdel(_) if !self.keys.contains_key(key) => {
                flag(false)
            }
            Native::Zadd(_, member) => {
                let Shape::Sorted(set) = self.at(key, Shape::Sorted(BTreeMap::new()))? else {
                    unreachable!()
                };
                flag(set.insert((*member).into(), score()).is_none())
            }
            Native::Zincrby(_, member) => {
                let Shape::Sorted(set) = self.at(key, Shape::Sorted(BTreeMap::new()))? else {
                    unreachable!()
                };
                let sum = set.get(*member).unwrap_or(&0.0) + score();
                if !sum.is_finite() {
                    return Err("RANGE");
                }
                set.insert((*member).into(), sum);
                Told::Text(sum.to_string())
            }
            Native::Zrem(member) => {
                let Shape::Sorted(set) = self.at(key, Shape::Sorted(BTreeMap::new()))? else {
                    unreachable!()
                };
                flag(set.remove(*member).is_some())
            }
            Native::Sadd(_) | Native::Srem(_) => {
                let Shape::Set(set) = self.at(key, Shape::Set(BTreeMap::new()))? else {
                    unreachable!()
                };
                match native {
                    Native::Srem(member) => flag(set.remove(*member).is_some()),
                    _ => flag(set.insert(value(), ()).is_none()),
                }
            }
            Native::Hset(field, _) | Native::Hincrby(field, _) | Native::Hdel(field) => {
                let Shape::Hash(hash) = self.at(key, Shape::Hash(BTreeMap::new()))? else {
                    unreachable!()
                };
                match native {
                    Native::Hdel(_) => flag(hash.remove(*field).is_some()),
                    Native::Hset(..) => flag(hash.insert((*field).into(), value()).is_none()),
                    _ => {
                        let known = hash.get(*field).map_or(Ok(0), |text| integer(text))?;
                        let n = given.as_i64().expect("an integer");
                        let sum = known.checked_add(n).ok_or("OVERFLOW")?;
                        hash.insert((*field).into(), sum.to_string());
                        Told::Int(sum)
                    }
                }
            }
            Native::Lpush(_) | Native::Rpush(_) => {
                let Shape::List(list) = self.at(key, Shape::List(VecDeque::new()))? else {
                    unreachable!()
                };
                match native {
                    Native::Lpush(_) => list.push_front(value()),
                    _ => list.push_back(value()),
                }
                Told::Int(list.len() as i64)
            }
            Native::Xadd(most, _) => {
                let Shape::Stream(entries, last) =
                    self.at(key, Shape::Stream(Vec::new(), (0, 0)))?
                else {
                    unreachable!()
                };
                *last = if now_ms > last.0 { (now_ms, 0) } else { (last.0, last.1 + 1) };
                let id = format!("{}-{}", last.0, last.1);
                entries.push((id.clone(), value()));
                entries.drain(..entries.len().saturating_sub(*most));
                Told::Text(id)
            }
            Native::Incrby(_) => {
                let Shape::Text(text) = self.at(key, Shape::Text("0".into()))? else {
                    unreachable!()
                };
                let n = given.as_i64().expect("an integer");
                let sum = integer(text)?.checked_add(n).ok_or("OVERFLOW")?;
                *text = sum.to_string();
                Told::Int(sum)
            }
            Native::Set(_) => {
                self.keys.insert(key, Shape::Text(value()));
                self.ends.remove(key);
                Told::Text("OK".into())
            }
            Native::Unlink => {
                self.ends.remove(key);
                flag(self.keys.remove(key).is_some_and(|shape| shape.is_there()))
            }
            Native::Pexpire(ms) => {
                let there = self.keys.get(key).is_some_and(Shape::is_there);
                if there {
                    self.ends.insert(key, now_ms + ms);
                }
                flag(there)
            }
            Native::Publish(_) | Native::Spublish(_) => {
                self.published.push(((*key).into(), value()));
                Told::Int(0)
            }
        })
    }

    /// The time to live of a structure ends with its last member, and another one made at the key has none.
    pub fn drop_ends(&mut self) {
        let there = |key: &&str| self.keys.get(*key).is_some_and(Shape::is_there);
        self.ends.retain(|key, _| there(&&**key));
    }

    /// Structures without members are gone when the transaction is over.
    pub fn finish(&mut self) {
        self.keys.retain(|_, shape| shape.is_there());
    }

    /// Asserts that the host holds the same.
    pub fn compare(&self, host: &MemoryHost, shown: &str) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("all is text");
        let shape = |structure: &Structure| match structure {
            Structure::Text(found) => Shape::Text(text(found)),
            Structure::List(list) => Shape::List(list.iter().map(|value| text(value)).collect()),
            Structure::Set(set) => Shape::Set(set.iter().map(|m| (text(m), ())).collect()),
            Structure::SortedSet(set) => {
                Shape::Sorted(set.iter().map(|(m, score)| (text(m), *score)).collect())
            }
            Structure::Hash(hash) => {
                Shape::Hash(hash.iter().map(|(f, value)| (text(f), text(value))).collect())
            }
            Structure::Stream { entries, last } => {
                let entry = |(id, words): &(redis_model::native::StreamId, Vec<Vec<u8>>)| {
                    (id.text(), text(&words[1]))
                };
                Shape::Stream(entries.iter().map(entry).collect(), (last.ms, last.seq))
            }
        };
        let found: BTreeMap<String, Shape> =
            host.structures.keys.iter().map(|(key, found)| (text(key), shape(found))).collect();
        let expected: BTreeMap<String, Shape> =
            self.keys.iter().map(|(key, shape)| ((*key).to_owned(), shape.clone())).collect();
        assert_eq!(found, expected, "{shown}");
        for key in NATIVE_KEYS {
            let ends = host.expiries.get(key.as_bytes());
            assert_eq!(ends, self.ends.get(key), "the end of {key}: {shown}");
        }
        let pair = |(channel, message): &(Vec<u8>, Vec<u8>)| (text(channel), text(message));
        let published: Vec<_> = host.structures.published.iter().map(pair).collect();
        assert_eq!(published, self.published, "{shown}");
    }
}

impl Shape {
    /// Only a stream may be empty.
    fn is_there(&self) -> bool {
        matches!(self, Shape::Text(_) | Shape::Stream(..)) || self.size() > 0
    }
}
