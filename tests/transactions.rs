//! Agreement of `MODEL.TXN` with a naive model: random transactions on the host in memory, and an
//! interpreter that copies all documents, does one thing after the other and throws the copy away when
//! something is refused.
//!
//! After every command the two agree on the word and the block of a refusal, on every reply, document,
//! model, time to live and lock; a second host that is fed the effects alone holds the same; a refused
//! transaction leaves every byte as it was and tells nobody; and a transaction that succeeded is tried
//! again from the state before it with a false condition in each place, which has to change nothing.
//!
//! `TRANSACTIONS_SEED=n cargo test --test transactions` repeats a run.

use std::collections::BTreeMap;

use redis_model::codec::rdb;
use redis_model::command::memory::MemoryHost;
use redis_model::command::{self, Outcome};
use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use serde_json::{Value, json};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const TTL_S: u64 = 100;

/// xorshift64*, from a seed that a failure prints.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A document as the naive model knows it.
#[derive(Clone, Debug, PartialEq)]
struct Doc {
    json: Value,
    /// Of the model `m`, or `any`.
    modelled: bool,
    ends_ms: Option<u64>,
    /// The fence by which `o` holds the lock `n`.
    lock: Option<u64>,
}

type State = BTreeMap<&'static str, Doc>;

#[derive(Clone, Debug)]
enum Step {
    Incr(i64),
    Set(Value),
    Del,
    Append(i64),
    Pop,
    /// `EVAL $.n` with what another document has.
    Eval(&'static str),
    Get,
    Revision,
    If(i64),
    IfRevision(bool),
    /// With the fence that was given, or another.
    Holding(bool),
    Release(bool),
    Exists,
    Missing,
    Create(bool, Value),
    Put(bool, Value),
    Delete,
}

#[derive(Clone, Debug)]
struct Block {
    key: &'static str,
    init: Option<(bool, Value)>,
    ends: Option<Option<u64>>,
    /// Each with the least `n` its guard asks for.
    steps: Vec<(Option<i64>, Step)>,
}

/// What is replied for one step, before revisions are known.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Null,
    Int(i64),
    Json(Value),
    Revision,
}

fn draw_content(rng: &mut Rng) -> Value {
    match rng.below(8) {
        0 => json!({}),
        1 => json!({"n": 60, "l": []}),
        2 => json!({"n": "text"}),
        _ => json!({"n": rng.below(40) as i64, "l": [1]}),
    }
}

fn draw_step(rng: &mut Rng) -> Step {
    let key = rng.pick(&KEYS);
    match rng.below(23) {
        20 => Step::Holding(!rng.one_in(6)),
        21 | 22 => Step::Release(!rng.one_in(6)),
        0..=4 => Step::Incr(rng.below(31) as i64 - 12),
        5 => Step::Set(rng.pick(&[json!(1), json!("x"), json!(null)])),
        6 => Step::Del,
        7 | 8 => Step::Append(rng.below(9) as i64),
        9 => Step::Pop,
        10 => Step::Eval(key),
        11 => Step::Get,
        12 => Step::Revision,
        13 => Step::If(rng.below(10) as i64 - 6),
        14 => Step::IfRevision(!rng.one_in(3)),
        15 => Step::Exists,
        16 => {
            if rng.one_in(3) {
                Step::Missing
            } else {
                Step::Exists
            }
        }
        17 => Step::Create(rng.one_in(2), draw_content(rng)),
        18 => Step::Put(rng.one_in(2), draw_content(rng)),
        _ => Step::Delete,
    }
}

fn draw(rng: &mut Rng) -> Vec<Block> {
    let count = 1 + rng.below(4);
    let block = |rng: &mut Rng| {
        let mut steps: Vec<_> = (0..rng.below(5))
            .map(|_| {
                let step = draw_step(rng);
                let guarded = !matches!(
                    step,
                    Step::If(_)
                        | Step::IfRevision(_)
                        | Step::Holding(_)
                        | Step::Exists
                        | Step::Missing
                );
                let least = (guarded && rng.one_in(6)).then(|| rng.below(40) as i64 - 10);
                (least, step)
            })
            .collect();
        if rng.one_in(12) {
            // Little else can stand behind it.
            let create = Step::Create(rng.one_in(2), draw_content(rng));
            steps = vec![(None, Step::Missing), (None, create)];
        }
        let init = (rng.one_in(2) && !matches!(steps.first(), Some((_, Step::Missing))))
            .then(|| (rng.one_in(2), json!({"n": rng.below(30), "l": []})));
        let ends = rng.one_in(6).then(|| rng.one_in(2).then(|| 1 + rng.below(500) as u64));
        Block { key: rng.pick(&KEYS), init, ends, steps }
    };
    (0..count).map(|_| block(rng)).collect()
}

/// What a client was told of the documents: their revisions, and the fences of their locks.
#[derive(Default)]
struct Known {
    revisions: BTreeMap<&'static str, u64>,
    fences: BTreeMap<&'static str, u64>,
}

/// The words of a transaction. A false condition stands in front of the step `fault`, among all.
fn words(blocks: &[Block], known: &Known, fault: Option<usize>) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let name = |modelled: bool| if modelled { "m" } else { "any" };
    // A key is listed twice.
    let mut out = own(&["MODEL.TXN", "5", "a", "b", "c", "d", "a"]);
    let mut nth = 0;
    let fail = |nth: &mut usize, out: &mut Vec<String>| {
        if fault == Some(*nth) {
            out.extend(own(&["IF", "args.never"]));
        }
        *nth += 1;
    };
    out.extend(own(&["ARGS", r#"{"never":false}"#]));
    for block in blocks {
        out.extend(own(&["ON", block.key]));
        if let Some((modelled, json)) = &block.init {
            out.extend(own(&["INIT", name(*modelled), &json.to_string()]));
        }
        match block.ends {
            Some(Some(seconds)) => out.extend(own(&["EX", &seconds.to_string()])),
            Some(None) => out.push("PERSIST".into()),
            None => {}
        }
        for (least, step) in &block.steps {
            fail(&mut nth, &mut out);
            if let Some(least) = least {
                out.extend(own(&["WHEN", &format!("self.n >= {least}")]));
            }
            out.extend(match step {
                Step::Incr(n) => own(&["INCR", "$.n", &n.to_string()]),
                Step::Set(json) => own(&["SET", "$.n", &json.to_string()]),
                Step::Del => own(&["DEL", "$.n"]),
                Step::Append(n) => own(&["APPEND", "$.l", &format!("[{n}]")]),
                Step::Pop => own(&["POP", "$.l", "-1"]),
                Step::Eval(key) => own(&["EVAL", "$.n", &format!("docs['{key}'].n + 1")]),
                Step::Get => own(&["GET", "$"]),
                Step::Revision => own(&["REVISION"]),
                Step::If(least) => own(&["IF", &format!("self.n >= {least}")]),
                Step::IfRevision(right) => {
                    let revision = known.revisions.get(block.key).copied().unwrap_or(7);
                    own(&["IFREV", &(revision + u64::from(!right)).to_string()])
                }
                Step::Holding(right) => {
                    own(&["HOLDING", "n", "o", &fence(known, block.key, *right)])
                }
                Step::Release(right) => {
                    own(&["RELEASE", "n", "o", &fence(known, block.key, *right)])
                }
                Step::Exists => own(&["EXISTS"]),
                Step::Missing => own(&["MISSING"]),
                Step::Create(modelled, json) => {
                    own(&["CREATE", name(*modelled), &json.to_string()])
                }
                Step::Put(modelled, json) => own(&["PUT", name(*modelled), &json.to_string()]),
                Step::Delete => own(&["DELETE"]),
            });
        }
        fail(&mut nth, &mut out);
    }
    out
}

fn fence(known: &Known, key: &str, right: bool) -> String {
    (known.fences.get(key).copied().unwrap_or(7) + u64::from(!right)).to_string()
}

/// The naive model: one transaction on a copy.
struct Naive {
    state: State,
    /// Keys that were deleted on the way: what they hold now is new.
    deleted: Vec<&'static str>,
    /// Whether the key is another document than before.
    changed: Vec<&'static str>,
    now_ms: u64,
}

type Refused = (&'static str, Option<usize>);

impl Naive {
    fn run(&mut self, start: &State, blocks: &[Block]) -> Result<Vec<Vec<Told>>, Refused> {
        let mut replies = Vec::new();
        for (number, block) in blocks.iter().enumerate() {
            let told = self.block(start, block).map_err(|word| (word, Some(number)))?;
            replies.push(told);
        }
        for key in KEYS {
            self.judge(start, key).map_err(|word| (word, None))?;
        }
        Ok(replies)
    }

    fn block(&mut self, start: &State, block: &Block) -> Result<Vec<Told>, &'static str> {
        let key = block.key;
        if let (Some((modelled, json)), false) = (&block.init, self.state.contains_key(key)) {
            self.make(key, *modelled, json);
        }
        let mut told = Vec::new();
        for (least, step) in &block.steps {
            if let Some(least) = least
                && !self.guard(key, step, *least)?
            {
                told.push(Told::Null);
                continue;
            }
            told.extend(self.step(start, key, step)?);
        }
        if let Some(ends) = block.ends {
            let now_ms = self.now_ms;
            let doc = self.state.get_mut(key).ok_or("NOKEY")?;
            doc.ends_ms = ends.map(|seconds| now_ms + seconds * 1000);
        }
        Ok(told)
    }

    /// Only an operator on the key may be guarded where nothing is; `self` is not there then.
    fn guard(&self, key: &str, step: &Step, least: i64) -> Result<bool, &'static str> {
        let on_key = matches!(step, Step::Create(..) | Step::Put(..) | Step::Delete);
        match self.state.get(key) {
            None if on_key => Err("EXPR"),
            None => Err("NOKEY"),
            Some(doc) => at_least(doc, least),
        }
    }

    fn make(&mut self, key: &'static str, modelled: bool, json: &Value) {
        let ends_ms = modelled.then_some(self.now_ms + TTL_S * 1000);
        let mut json = json.clone();
        if modelled && let Some(members) = json.as_object_mut() {
            members.entry("by").or_insert(json!("default"));
        }
        let lock = self.state.get(key).and_then(|doc| doc.lock);
        self.state.insert(key, Doc { json, modelled, ends_ms, lock });
        self.changed.push(key);
    }

    fn step(
        &mut self,
        start: &State,
        key: &'static str,
        step: &Step,
    ) -> Result<Option<Told>, &'static str> {
        let exists = self.state.contains_key(key);
        match step {
            Step::Exists => return if exists { Ok(None) } else { Err("CONDITION") },
            Step::Missing => return if exists { Err("CONDITION") } else { Ok(None) },
            Step::Create(..) if exists => return Err("BUSYKEY"),
            Step::Create(modelled, json) | Step::Put(modelled, json) => {
                self.make(key, *modelled, json);
                return Ok(Some(Told::Revision));
            }
            Step::Delete if exists => {
                self.state.remove(key);
                self.deleted.push(key);
                return Ok(Some(Told::Int(1)));
            }
            Step::Holding(right) | Step::Release(right) => {
                let doc = self.state.get_mut(key).filter(|doc| *right && doc.lock.is_some());
                let doc = doc.ok_or("LOCKLOST")?;
                let Step::Release(_) = step else { return Ok(None) };
                doc.lock = None;
                return Ok(Some(Told::Int(1)));
            }
            _ if !exists => return Err("NOKEY"),
            Step::IfRevision(right) => {
                let known = start.contains_key(key) && !self.deleted.contains(&key);
                return if *right && known { Ok(None) } else { Err("REVISION") };
            }
            Step::If(least) => {
                return if at_least(&self.state[key], *least)? {
                    Ok(None)
                } else {
                    Err("CONDITION")
                };
            }
            Step::Revision => return Ok(Some(Told::Revision)),
            _ => {}
        }
        let other = match step {
            Step::Eval(other) => Some(self.state.get(other).map(|doc| doc.json["n"].clone())),
            _ => None,
        };
        let doc = self.state.get_mut(key).expect("it exists");
        let before = doc.json.clone();
        let told = change(&mut doc.json, step, other)?;
        // What is set to what it was is a change all the same.
        if before != doc.json || matches!(step, Step::Incr(_) | Step::Set(_) | Step::Eval(_)) {
            self.changed.push(key);
        }
        Ok(Some(told))
    }

    fn judge(&self, start: &State, key: &'static str) -> Result<(), &'static str> {
        let Some(doc) = self.state.get(key) else { return Ok(()) };
        if !doc.modelled || !self.changed.contains(&key) {
            return Ok(());
        }
        let n = doc.json["n"].as_i64().filter(|n| *n <= 50).ok_or("SCHEMA")?;
        let old = start.get(key).filter(|old| old.modelled && !self.deleted.contains(&key));
        let jumped = old.is_some_and(|old| n > old.json["n"].as_i64().expect("it was judged") + 20);
        if n < 0 || jumped { Err("RULE") } else { Ok(()) }
    }
}

fn at_least(doc: &Doc, least: i64) -> Result<bool, &'static str> {
    doc.json["n"].as_i64().map(|n| n >= least).ok_or("EXPR")
}

/// `other` is what `EVAL` reads of another document.
fn change(
    json: &mut Value,
    step: &Step,
    other: Option<Option<Value>>,
) -> Result<Told, &'static str> {
    let whole = json.clone();
    let members = json.as_object_mut().expect("all are objects");
    match step {
        Step::Get => Ok(Told::Json(whole)),
        Step::Incr(n) => {
            let old = members.get("n").map_or(Some(0), Value::as_i64).ok_or("TYPE")?;
            members.insert("n".into(), json!(old + n));
            Ok(Told::Json(json!(old + n)))
        }
        Step::Set(value) => {
            members.insert("n".into(), value.clone());
            Ok(Told::Int(1))
        }
        Step::Del => Ok(Told::Int(i64::from(members.remove("n").is_some()))),
        Step::Append(n) => {
            let list = members.entry("l").or_insert(json!([]));
            let list = list.as_array_mut().ok_or("TYPE")?;
            list.push(json!(n));
            Ok(Told::Int(list.len() as i64))
        }
        Step::Pop => {
            let list = members.get_mut("l").and_then(Value::as_array_mut);
            Ok(list.and_then(Vec::pop).map_or(Told::Null, Told::Json))
        }
        Step::Eval(_) => {
            let n = other.flatten().and_then(|n| n.as_i64()).ok_or("EXPR")?;
            members.insert("n".into(), json!(n + 1));
            Ok(Told::Json(json!(n + 1)))
        }
        _ => unreachable!("it was done"),
    }
}

/// A host with the model defined.
fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    let schema = r#"{"properties":{"n":{"type":"integer","maximum":50},"by":{"default":"default"}},"required":["n"]}"#;
    let rules = ["RULE", "low", "self.n >= 0", "RULE", "jump", "self.n <= oldSelf.n + 20"];
    let ttl = TTL_S.to_string();
    host.call(&[&["MODEL.DEFINE", "m", schema], &rules[..], &["TTL", &ttl]].concat()).unwrap();
    host
}

/// All a host holds, as bytes; and when keys end.
fn bytes(host: &MemoryHost) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> {
    let encoded = |(key, document): (&Vec<u8>, &redis_model::document::Document)| {
        let mut out = Vec::new();
        rdb::encode(document, &mut out);
        (key.clone(), (out, host.expiries.get(key).copied()))
    };
    host.documents.iter().map(encoded).collect()
}

fn call(host: &mut MemoryHost, words: &[String]) -> Result<Outcome, Error> {
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    command::run(host, &args)
}

/// Compares what the host holds with what the model does.
fn compare(host: &MemoryHost, state: &State, shown: &str) {
    assert_eq!(host.documents.len(), state.len(), "{shown}");
    for (key, doc) in state {
        let document = &host.documents[key.as_bytes()];
        let text = redis_model::value::print::to_string(document.root.view());
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found, doc.json, "{key}: {shown}");
        assert_eq!(document.model_name() == "m", doc.modelled, "{key}: {shown}");
        assert_eq!(host.expiries.get(key.as_bytes()).copied(), doc.ends_ms, "{key}: {shown}");
        let holder = document.locks.holders(b"n").first().map(|holder| holder.fence);
        assert_eq!(holder, doc.lock, "{key}: {shown}");
    }
}

fn compare_replies(host: &MemoryHost, blocks: &[Block], replies: &Reply, told: &[Vec<Told>]) {
    let Reply::Array(found) = replies else { panic!("{replies:?}") };
    assert_eq!(found.len(), told.len());
    for ((block, found), told) in blocks.iter().zip(found).zip(told) {
        let revision = host.documents.get(block.key.as_bytes()).map(|document| document.revision);
        let expected = told.iter().map(|told| match told {
            Told::Null => "(nil)".to_owned(),
            Told::Int(n) => format!("(integer) {n}"),
            Told::Json(json) => json.to_string(),
            Told::Revision => {
                revision.map_or("(nil)".to_owned(), |revision| format!("(integer) {revision}"))
            }
        });
        let Reply::Array(found) = found else { panic!("{found:?}") };
        // Values are compared, not the order of members, which is the document's own.
        let parsed = |text: String| serde_json::from_str::<Value>(&text).map_err(|_| text);
        let found: Vec<_> = found.iter().map(|reply| parsed(reply.notation())).collect();
        assert_eq!(found, expected.map(parsed).collect::<Vec<_>>(), "{blocks:?}");
    }
}

/// What was tried.
#[derive(Default)]
struct Coverage {
    committed: BTreeMap<String, u32>,
    undone: BTreeMap<String, u32>,
    refused: BTreeMap<&'static str, u32>,
    read_only: u32,
}

impl Coverage {
    fn add(map: &mut BTreeMap<String, u32>, blocks: &[Block]) {
        for (_, step) in blocks.iter().flat_map(|block| &block.steps) {
            let name = format!("{step:?}");
            let name = name.split('(').next().expect("a name").to_owned();
            *map.entry(name).or_default() += 1;
        }
    }

    fn check(&self) {
        assert_eq!(self.committed.len(), 17, "{:?}", self.committed);
        assert_eq!(self.undone.len(), 17, "{:?}", self.undone);
        let least = self.committed.values().chain(self.undone.values()).min();
        assert!(least > Some(&10), "{:?} {:?}", self.committed, self.undone);
        let words = [
            "BUSYKEY",
            "CONDITION",
            "EXPR",
            "LOCKLOST",
            "NOKEY",
            "REVISION",
            "RULE",
            "SCHEMA",
            "TYPE",
        ];
        assert_eq!(self.refused.keys().copied().collect::<Vec<_>>(), words, "{:?}", self.refused);
        assert!(self.refused.values().all(|n| *n > 5), "{:?}", self.refused);
        assert!(self.read_only > 20);
    }
}

#[test]
fn transactions_agree_with_a_naive_model() {
    let seed = std::env::var("TRANSACTIONS_SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() as u64,
        |seed| seed.parse().expect("a number"),
    );
    println!("TRANSACTIONS_SEED={seed}");
    let mut rng = Rng(seed | 1);
    let mut coverage = Coverage::default();
    for _ in 0..600 {
        let (mut master, mut replica, mut state) = (host(), host(), State::new());
        for _ in 0..16 {
            let blocks = draw(&mut rng);
            if rng.one_in(2) {
                lock(&mut master, &mut replica, &mut state, rng.pick(&KEYS));
            }
            step(&mut master, &mut replica, &mut state, &blocks, &mut coverage);
        }
    }
    coverage.check();
}

/// Takes the lock of a document, if it is there.
fn lock(master: &mut MemoryHost, replica: &mut MemoryHost, state: &mut State, key: &str) {
    let Some(doc) = state.get_mut(key) else { return };
    let outcome = master.call(&["MODEL.LOCK", key, "n", "o", "LEASE", "86400000"]).unwrap();
    let Reply::Array(grant) = outcome.reply else { panic!("nobody else holds it") };
    let Reply::Int(fence) = grant[0] else { panic!("a fence") };
    assert!(doc.lock.is_none_or(|held| held == fence as u64), "it is held already");
    doc.lock = Some(fence as u64);
    assert!(tell(master, replica));
}

/// Tells the replica what became of locks; whether there was anything.
fn tell(master: &mut MemoryHost, replica: &mut MemoryHost) -> bool {
    replica.replaying = true;
    replica.now_us = master.now_us;
    let settled = master.settle();
    for (place, edit) in &settled.changes {
        let effect = command::lock_effect([edit].into_iter());
        command::run(replica, &[b"MODEL.APPLY", &place.key, &effect]).expect("it is repeated");
    }
    replica.settle();
    !settled.changes.is_empty()
}

/// One transaction, on all three.
fn step(
    master: &mut MemoryHost,
    replica: &mut MemoryHost,
    state: &mut State,
    blocks: &[Block],
    coverage: &mut Coverage,
) {
    master.now_us += 1000;
    let revision =
        |key: &&'static str| Some((*key, master.documents.get(key.as_bytes())?.revision));
    let fence = |(key, doc): (&&'static str, &Doc)| Some((*key, doc.lock?));
    let known = Known {
        revisions: KEYS.iter().filter_map(revision).collect(),
        fences: state.iter().filter_map(fence).collect(),
    };
    let words = words(blocks, &known, None);
    let shown = format!("{words:?} on {state:?}");
    let mut naive = Naive {
        state: state.clone(),
        deleted: Vec::new(),
        changed: Vec::new(),
        now_ms: master.now_us / 1000,
    };
    let expected = naive.run(state, blocks);
    let before = bytes(master);
    let seen = master.revisions.seen();
    check_faults(master, blocks, &known, &before, expected.is_ok());
    match (call(master, &words), expected) {
        (Ok(outcome), Ok(told)) => {
            compare(master, &naive.state, &shown);
            compare_replies(master, blocks, &outcome.reply, &told);
            let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            replica.now_us = master.now_us;
            replica.replicate(&args, &outcome).expect("effects are repeated");
            let told = tell(master, replica) || !outcome.effects.is_empty();
            assert_eq!(bytes(replica), bytes(master), "{shown}");
            assert_eq!(told, bytes(master) != before, "{shown}");
            coverage.read_only += u32::from(!told);
            Coverage::add(&mut coverage.committed, blocks);
            *state = naive.state;
        }
        (Err(error), Err((word, block))) => {
            assert_eq!(error.code().word(), word, "{error} {shown}");
            let found = match error.detail("block") {
                Some(Detail::Integer(block)) => Some(*block as usize),
                _ => None,
            };
            assert_eq!(found, block, "{error} {shown}");
            assert!(bytes(master) == before && !tell(master, replica), "{shown}");
            assert_eq!(master.revisions.seen(), seen, "a refusal uses no revision up");
            *coverage.refused.entry(word).or_default() += 1;
            Coverage::add(&mut coverage.undone, blocks);
        }
        (found, expected) => panic!("{found:?}, not {expected:?}: {shown}"),
    }
}

/// A condition that is false in any place undoes everything.
fn check_faults(
    master: &mut MemoryHost,
    blocks: &[Block],
    known: &Known,
    before: &BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    succeeds: bool,
) {
    let places: usize = blocks.iter().map(|block| block.steps.len() + 1).sum();
    for fault in 0..places {
        let refused = call(master, &words(blocks, known, Some(fault)));
        let error = refused.expect_err("a condition is false").code().word();
        // Where nothing is there is nothing to be false of.
        assert!(!succeeds || ["CONDITION", "NOKEY"].contains(&error), "{error}");
        assert_eq!(bytes(master), *before, "the fault {fault} in {blocks:?}");
        assert!(master.engine.is_settled(), "the fault {fault} in {blocks:?}");
    }
}
