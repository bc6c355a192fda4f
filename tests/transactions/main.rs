//! Agreement of `MODEL.TXN`, `MODEL.FIELDOP` and `MODEL.SET` with a naive model: random commands on the host in
//! memory, with the model redefined in between, and an interpreter that copies all documents, does one thing after
//! the other and throws the copy away when something is refused.
//!
//! After every command the two agree on the word and the block of a refusal, on every reply, document,
//! model, version of the definition, revision, time to live and lock; a second host that is fed the effects alone
//! holds the same; a refused command leaves every byte as it was and replicates nothing; and one that succeeded is
//! tried again from the state before it with a false condition in each place, which has to change nothing.
//!
//! `TRANSACTIONS_SEED=n cargo test --test transactions` repeats a run.

mod called;
mod naive;
mod natives;
mod one_block;
#[path = "../locks/random.rs"]
mod random;
mod request;
mod unchanged;
mod units;

use std::collections::BTreeMap;

use redis_model::codec::rdb;
use redis_model::command::{self, Outcome};
use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::testing::coverage::{Missing, until_covered};
use serde_json::{Value, json};

use naive::{Definition, Doc, Naive, State, TTL_S, Told};
use natives::Shapes;
use random::Rng;
use request::{Block, Condition, Form, KEYS, Known, Request, draw};

/// Defines the model anew on both hosts.
fn define(master: &mut MemoryHost, replica: &mut MemoryHost, rng: &mut Rng) -> Definition {
    let mut definition = rng.pick(&naive::definitions());
    let mut properties = json!({"n": {"type": "integer", "maximum": definition.most}});
    for (name, value) in &definition.defaults {
        properties[*name]["default"] = value.clone();
    }
    let schema = json!({"properties": properties, "required": ["n"]}).to_string();
    let ttl = TTL_S.to_string();
    let command = [
        &["MODEL.DEFINE", "m", &schema],
        &["RULE", "low", "self.n >= 0", "RULE", "jump", "self.n <= oldSelf.n + 20"][..],
        &["TTL", &ttl],
    ]
    .concat();
    let outcome = master.call(&command).unwrap();
    let args: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    replica.replicate(&args, &outcome).unwrap();
    let Reply::Int(version) = outcome.reply else { panic!("a version") };
    definition.version = version as u32;
    definition
}

/// All a host holds, as bytes; and when keys end.
fn bytes(host: &MemoryHost) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> {
    let mut all = BTreeMap::new();
    for (key, document) in &host.documents {
        let mut out = Vec::new();
        rdb::encode(document, &mut out);
        all.insert(key.clone(), (out, host.expiries.get(key).copied()));
    }
    all
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
        assert_eq!(document.definition_version(), doc.version, "{key}: {shown}");
        assert_eq!(host.expiries.get(key.as_bytes()).copied(), doc.ends_ms, "{key}: {shown}");
        let holder = document.locks.holders(b"n").first().map(|holder| holder.fence);
        assert_eq!(holder, doc.lock, "{key}: {shown}");
    }
}

/// A document that changed has a revision that no document had before; another one keeps its own.
fn compare_revisions(host: &MemoryHost, naive: &Naive, known: &Known, seen: u64, shown: &str) {
    for key in naive.state.keys() {
        let revision = host.documents[key.as_bytes()].revision;
        match naive.changed.contains(key) {
            true => assert!(revision > seen, "{key}: {revision}, {seen} was seen: {shown}"),
            false => assert_eq!(Some(&revision), known.revisions.get(key), "{key}: {shown}"),
        }
    }
}

/// The reply as a transaction of one block gives it.
fn nested(form: Form, reply: Reply) -> Reply {
    match form {
        Form::Transaction => reply,
        Form::FieldOp => Reply::Array(vec![reply]),
        Form::Set(_) => Reply::Array(vec![Reply::Array(vec![reply])]),
    }
}

/// The block may write a document that was written under an older definition.
fn is_older(state: &State, block: &Block, definition: &Definition) -> bool {
    let doc = state.get(block.key).filter(|doc| doc.modelled && doc.version != definition.version);
    doc.is_some() && block.may_write()
}

fn compare_replies(host: &MemoryHost, blocks: &[Block], replies: Reply, told: &[Vec<Told>]) {
    let Reply::Array(found) = replies else { panic!("{replies:?}") };
    assert_eq!(found.len(), told.len());
    for ((block, found), told) in blocks.iter().zip(found).zip(told) {
        let revision = host.documents.get(block.key.as_bytes()).map(|document| document.revision);
        let expected = told.iter().map(|told| match told {
            Told::Null => "(nil)".to_owned(),
            Told::Int(n) => format!("(integer) {n}"),
            Told::Json(json) => json.to_string(),
            Told::Text(text) => text.clone(),
            Told::Native(nth) => panic!("the native {nth} did not run"),
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

/// Counts of the drawn cases.
#[derive(Default)]
struct Coverage {
    committed: BTreeMap<String, u32>,
    undone: BTreeMap<String, u32>,
    refused: BTreeMap<&'static str, u32>,
    read_only: u32,
    /// Commands that changed nothing although a document of an older definition might have been written.
    left_older: BTreeMap<Form, u32>,
    /// Refusals that told what is stored, by the form of the command.
    told_current: BTreeMap<Form, u32>,
    /// Refusals with so many others.
    others: BTreeMap<usize, u32>,
    /// Locks of documents that were created for them, and documents refused then.
    created_by_lock: [u32; 2],
}

impl Coverage {
    fn add(map: &mut BTreeMap<String, u32>, blocks: &[Block]) {
        for (_, step) in blocks.iter().flat_map(|block| &block.steps) {
            let name = format!("{step:?}");
            let name = name.split('(').next().expect("a name").to_owned();
            *map.entry(name).or_default() += 1;
        }
        for (_, native) in blocks.iter().flat_map(|block| &block.natives) {
            let name = format!("{native:?}").split('(').next().expect("a name").to_uppercase();
            *map.entry(format!("AT {name}")).or_default() += 1;
        }
    }

    fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for (what, counts) in [("committed", &self.committed), ("undone", &self.undone)] {
            assert!(counts.len() <= KINDS, "{counts:?}");
            missing.expect(format!("kinds of statements that were {what}"), counts.len(), KINDS);
            for (name, times) in counts {
                missing.expect(format!("{name} was {what}"), *times, 11);
            }
        }
        let words = [
            "BUSYKEY",
            "CONDITION",
            "EXPR",
            "LOCKLOST",
            "NOKEY",
            "NOPATH",
            "OVERFLOW",
            "RANGE",
            "REVISION",
            "RULE",
            "SCHEMA",
            "TYPE",
            "WRONGTYPE",
        ];
        assert!(self.refused.keys().all(|word| words.contains(word)), "{:?}", self.refused);
        for word in words {
            let times = self.refused.get(word).copied().unwrap_or(0);
            missing.expect(format!("a refusal with {word}"), times, 6);
        }
        missing.expect("commands that only read", self.read_only, 21);
        let times = |map: &BTreeMap<Form, u32>, form| map.get(&form).copied().unwrap_or(0);
        let forms = [Form::Transaction, Form::FieldOp, Form::Set(Condition::Missing)];
        let left_older = &self.left_older;
        assert!(left_older.keys().all(|form| forms.contains(form)), "{left_older:?}");
        for form in forms {
            let what = format!("{form:?} left an older document as it is");
            missing.expect(what, times(left_older, form), 11);
        }
        for form in [Form::Transaction, Form::FieldOp] {
            missing.expect(format!("{form:?} told current"), times(&self.told_current, form), 1);
        }
        let sets = self.told_current.iter();
        let sets = sets.filter(|(form, times)| matches!(form, Form::Set(_)) && **times > 0);
        missing.expect("forms of SET that told current", sets.count(), 2);
        missing.expect("different numbers of others", self.others.len(), 4);
        for (what, times) in ["refused", "created"].iter().zip(self.created_by_lock) {
            missing.expect(format!("a document {what} by LOCK INIT"), times, 11);
        }
        missing
    }
}

/// How many operators and natives are drawn.
const KINDS: usize = 21 + 17;
/// Batches that a test runs until it has met everything.
const BATCHES_MAX: u64 = 30;

/// A seed from the clock, printed so that a failure can be run again.
fn seed() -> u64 {
    let seed = std::env::var("TRANSACTIONS_SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() as u64,
        |seed| seed.parse().expect("a number"),
    );
    println!("TRANSACTIONS_SEED={seed}");
    seed
}

#[test]
fn transactions_agree_with_a_naive_model() {
    let mut rng = Rng::new(seed());
    let mut coverage = Coverage::default();
    until_covered(BATCHES_MAX, |_| {
        (0..600).for_each(|_| run_requests(&mut rng, &mut coverage));
        coverage.missing()
    });
}

/// Runs some requests on hosts of their own.
fn run_requests(rng: &mut Rng, coverage: &mut Coverage) {
    let (mut master, mut replica) = (MemoryHost::default(), MemoryHost::default());
    let (mut state, mut shapes) = (State::new(), Shapes::default());
    let mut definition = define(&mut master, &mut replica, rng);
    for _ in 0..16 {
        if rng.one_in(5) {
            definition = define(&mut master, &mut replica, rng);
        }
        let request = draw(rng, |key| state.contains_key(key));
        if rng.one_in(2) {
            let key = rng.pick(&KEYS);
            match state.contains_key(key) {
                true => lock(&mut master, &mut replica, &mut state, key),
                false => {
                    let block = initial(rng, key);
                    let hosts = (&mut master, &mut replica);
                    let created = lock_created(hosts, &mut state, &definition, block);
                    coverage.created_by_lock[usize::from(created)] += 1;
                }
            }
        }
        let known = (&mut state, &mut shapes);
        step(&mut master, &mut replica, known, &request, &definition, coverage);
    }
}

/// Takes the lock of a document, if it is there.
fn lock(master: &mut MemoryHost, replica: &mut MemoryHost, state: &mut State, key: &str) {
    let Some(doc) = state.get_mut(key) else { return };
    let outcome = master.call(&["MODEL.LOCK", key, "n", "o", "LEASE", "86400000"]).unwrap();
    let Reply::Array(grant) = outcome.reply else { panic!("the lock is free") };
    let Reply::Int(fence) = grant[0] else { panic!("a fence") };
    assert!(doc.lock.is_none_or(|held| held == fence as u64), "it is held already");
    doc.lock = Some(fence as u64);
    assert!(tell(master, replica));
}

/// A block that creates a document and does nothing else.
fn initial(rng: &mut Rng, key: &'static str) -> Block {
    let init = Some((rng.one_in(2), request::draw_content(rng)));
    Block { key, init, ends: None, current: None, steps: Vec::new(), natives: vec![] }
}

/// `MODEL.LOCK ... INIT` of a missing document: creates it in the step of the grant, if its model permits it.
fn lock_created(
    (master, replica): (&mut MemoryHost, &mut MemoryHost),
    state: &mut State,
    definition: &Definition,
    block: Block,
) -> bool {
    let key = block.key;
    let (modelled, json) = block.init.clone().expect("the block creates the document");
    // Each call takes a millisecond.
    let mut naive = Naive::new(state, definition, master.now_us / 1000 + 1);
    let expected = naive.run(state, &Request { form: Form::FieldOp, blocks: vec![block] });
    let model = if modelled { "m" } else { "any" };
    let text = json.to_string();
    let words = ["MODEL.LOCK", key, "n", "o", "LEASE", "86400000", "INIT", model, &text];
    let before = bytes(master);
    match (master.call(&words), expected) {
        (Ok(outcome), Ok(_)) => {
            let Reply::Array(grant) = &outcome.reply else { panic!("the lock is free") };
            let Reply::Int(fence) = grant[0] else { panic!("a fence") };
            *state = naive.state;
            state.get_mut(key).expect("it was created").lock = Some(fence as u64);
            replica.now_us = master.now_us;
            replica.replicate(&words.map(str::as_bytes), &outcome).expect("effects are repeated");
            assert!(tell(master, replica));
            assert_eq!(bytes(replica), bytes(master), "{words:?}");
            compare(master, state, &format!("{words:?}"));
            true
        }
        (Err(error), Err((word, _))) => {
            assert_eq!(error.code().word(), word, "{error} {words:?}");
            assert!(bytes(master) == before && !tell(master, replica), "{words:?}");
            false
        }
        (found, expected) => panic!("{found:?}, not {expected:?}: {words:?}"),
    }
}

/// Compares what a refusal tells of the stored documents: `current`, and the `others` that fail.
fn compare_details(
    error: &Error,
    state: &State,
    request: &Request,
    block: Option<usize>,
    shown: &str,
    coverage: &mut Coverage,
) {
    let text = |name| match error.detail(name) {
        Some(Detail::Json(text)) => Some(serde_json::from_str::<Value>(text).unwrap()),
        Some(other) => panic!("{name}: {other:?}"),
        None => None,
    };
    let Some(Detail::Text(key)) = error.detail("key") else { panic!("no key: {error} {shown}") };
    let of_key = |block: &&Block| block.key == key;
    let asked = match block {
        Some(block) => request.blocks[block].current,
        None => request.blocks.iter().filter(of_key).find_map(|block| block.current),
    };
    let asked = asked.filter(|_| ["CONDITION", "REVISION", "RULE"].contains(&error.code().word()));
    let current = asked.map(|name| match (state.get(key.as_str()), name) {
        (None, _) => Value::Null,
        (Some(doc), "") => doc.json.clone(),
        (Some(doc), name) => doc.json.get(name).cloned().unwrap_or(Value::Null),
    });
    assert_eq!(text("current"), current, "{error} {shown}");
    *coverage.told_current.entry(request.form).or_default() += u32::from(current.is_some());
    let others = match block {
        Some(block) => Naive::others(state, &request.blocks, block),
        None => Vec::new(),
    };
    let found = text("others").unwrap_or(json!([]));
    let found = found.as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|other| {
            let number = |name: &str| other[name].as_i64().unwrap();
            (other["error"].as_str().unwrap(), number("block"), number("statement"))
        })
        .collect();
    assert_eq!(found, others, "{error} {shown}");
    *coverage.others.entry(others.len()).or_default() += 1;
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

/// One command, on all three.
fn step(
    master: &mut MemoryHost,
    replica: &mut MemoryHost,
    (state, shapes): (&mut State, &mut Shapes),
    request: &Request,
    definition: &Definition,
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
    let blocks = &request.blocks;
    let words = request.words(&known, None);
    let shown = format!("{words:?} on {state:?} under {definition:?}");
    let mut naive = Naive::new(state, definition, master.now_us / 1000);
    naive.shapes = [shapes.clone(), shapes.clone()];
    let expected = naive.run(state, request);
    let before = bytes(master);
    let seen = master.revisions.seen();
    check_faults(master, request, &known, &before, expected.is_ok());
    match (call(master, &words), expected) {
        (Ok(outcome), Ok(told)) => {
            compare(master, &naive.state, &shown);
            naive.shapes[1].compare(master, &shown);
            compare_revisions(master, &naive, &known, seen, &shown);
            compare_replies(master, blocks, nested(request.form, outcome.reply.clone()), &told);
            let older = |block: &Block| is_older(state, block, definition);
            if naive.changed.is_empty() && blocks.iter().any(older) {
                *coverage.left_older.entry(request.form).or_default() += 1;
            }
            let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            replica.now_us = master.now_us;
            replica.replicate(&args, &outcome).expect("effects are repeated");
            let told = tell(master, replica) || !outcome.effects.is_empty();
            assert_eq!(bytes(replica), bytes(master), "{shown}");
            naive.shapes[1].compare(replica, &shown);
            assert_eq!(told, bytes(master) != before, "{shown}");
            coverage.read_only += u32::from(!told);
            Coverage::add(&mut coverage.committed, blocks);
            *state = naive.state;
            [_, *shapes] = naive.shapes;
        }
        (Err(error), Err((word, block))) => {
            assert_eq!(error.code().word(), word, "{error} {shown}");
            let found = match error.detail("block") {
                Some(Detail::Integer(block)) => Some(*block as usize),
                _ => None,
            };
            assert_eq!(found, block, "{error} {shown}");
            compare_details(&error, state, request, block, &shown, coverage);
            assert!(bytes(master) == before && !tell(master, replica), "{shown}");
            shapes.compare(master, &shown);
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
    request: &Request,
    known: &Known,
    before: &BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    succeeds: bool,
) {
    if let Form::Set(_) = request.form {
        return;
    }
    let blocks = &request.blocks;
    let of_documents = blocks.iter().filter(|block| block.natives.is_empty());
    let places: usize = of_documents.map(|block| block.steps.len() + 1).sum();
    let structures = master.structures.clone();
    for fault in 0..places {
        let refused = call(master, &request.words(known, Some(fault)));
        let error = refused.expect_err("a condition is false").code().word();
        // Where nothing is there is nothing to be false of.
        assert!(!succeeds || ["CONDITION", "NOKEY"].contains(&error), "{error}");
        assert_eq!(bytes(master), *before, "the fault {fault} in {blocks:?}");
        assert_eq!(master.structures, structures, "the fault {fault} in {blocks:?}");
        assert!(
            !master.engine.has_decided() && !master.engine.has_pending(),
            "the fault {fault} in {blocks:?}"
        );
    }
}
