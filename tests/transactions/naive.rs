//! The naive model: documents as JSON values, and one transaction after the other on a copy of all.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::natives::{Planned, Shapes, plan};
use crate::request::{Block, Condition, Form, IDLE, KEYS, Request, Step};

pub const TTL_S: u64 = 100;

/// A document as the naive model knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    pub json: Value,
    /// Of the model `m`, or `any`.
    pub modelled: bool,
    pub ends_ms: Option<u64>,
    /// The fence by which `o` holds the lock `n`.
    pub lock: Option<u64>,
    /// The version of the definition it was validated under; 0 for `any`.
    pub version: u32,
}

/// A definition of the model `m`: `n` is an integer from 0 to `most`, which grows by 20 at most at once.
#[derive(Clone, Debug)]
pub struct Definition {
    pub version: u32,
    pub most: i64,
    pub defaults: Vec<(&'static str, Value)>,
}

/// The definitions, in order.
pub fn definitions() -> [Definition; 4] {
    let of = |most, defaults: &[(&'static str, Value)]| Definition {
        version: 0,
        most,
        defaults: defaults.to_vec(),
    };
    [
        of(50, &[("by", json!("default"))]),
        of(40, &[("by", json!("another")), ("l", json!([]))]),
        of(50, &[("n", json!(5)), ("m", json!(1))]),
        of(45, &[]),
    ]
}

pub type State = BTreeMap<&'static str, Doc>;

/// The reply to one step, before revisions are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Null,
    Int(i64),
    Json(Value),
    Text(String),
    /// The reply of a native, by its number among all.
    Native(usize),
    Revision,
}

/// The naive model: one transaction on a copy.
pub struct Naive {
    pub state: State,
    /// Keys that were deleted on the way: what they hold now is new.
    pub deleted: Vec<&'static str>,
    /// Keys whose documents changed, or are new.
    pub changed: Vec<&'static str>,
    /// Keys that were created or replaced: what they hold is not the document from before.
    pub made: Vec<&'static str>,
    /// The defaults that were filled in before the first statement.
    pub filled: Vec<(&'static str, &'static str)>,
    pub definition: Definition,
    pub now_ms: u64,
    /// As they were before, and as natives leave them.
    pub shapes: [Shapes; 2],
    /// None for one that is skipped.
    pub planned: Vec<Option<Planned>>,
}

pub type Refused = (&'static str, Option<usize>);

impl Naive {
    pub fn new(state: &State, definition: &Definition, now_ms: u64) -> Naive {
        Naive {
            state: state.clone(),
            deleted: Vec::new(),
            changed: Vec::new(),
            made: Vec::new(),
            filled: Vec::new(),
            definition: definition.clone(),
            now_ms,
            shapes: Default::default(),
            planned: Vec::new(),
        }
    }

    /// One reply for each operator of each block.
    pub fn run(&mut self, start: &State, request: &Request) -> Result<Vec<Vec<Told>>, Refused> {
        let told = match request.form {
            Form::Transaction => return self.blocks(start, &request.blocks),
            Form::FieldOp => self.blocks(start, &request.blocks),
            Form::Set(condition) => {
                let exists = start.contains_key(request.blocks[0].key);
                match condition {
                    Condition::Missing if exists => return Ok(vec![vec![Told::Null]]),
                    Condition::Exists if !exists => return Ok(vec![vec![Told::Null]]),
                    Condition::Revision(_) if !exists => Err(("NOKEY", None)),
                    Condition::Revision(false) => Err(("REVISION", None)),
                    Condition::AtLeast(_) if !exists => Err(("NOKEY", None)),
                    Condition::AtLeast(least) => {
                        match at_least(&start[request.blocks[0].key], least) {
                            Ok(true) => self.blocks(start, &request.blocks),
                            Ok(false) => Err(("CONDITION", None)),
                            Err(word) => Err((word, None)),
                        }
                    }
                    _ => self.blocks(start, &request.blocks),
                }
            }
        };
        // Only transactions name blocks.
        told.map_err(|(word, _)| (word, None))
    }

    fn blocks(&mut self, start: &State, blocks: &[Block]) -> Result<Vec<Vec<Told>>, Refused> {
        for block in blocks.iter().filter(|block| block.may_write()) {
            self.fill(block.key);
        }
        let mut replies = Vec::new();
        for (number, block) in blocks.iter().enumerate() {
            let told = match block.natives.is_empty() {
                true => self.block(start, block),
                false => self.natives(number, block),
            };
            replies.push(told.map_err(|word| (word, Some(number)))?);
        }
        for key in KEYS {
            self.validate(start, key).map_err(|word| (word, None))?;
            self.finish(start, key);
        }
        self.run_natives(&mut replies)?;
        Ok(replies)
    }

    /// When the documents have passed.
    fn run_natives(&mut self, replies: &mut [Vec<Told>]) -> Result<(), Refused> {
        let shapes = &mut self.shapes[1];
        let mut told = Vec::new();
        for planned in &self.planned {
            told.push(match planned {
                None => Told::Null,
                Some(planned) => {
                    let ran = shapes.run(planned, self.now_ms);
                    shapes.drop_ends();
                    ran.map_err(|word| (word, Some(planned.block)))?
                }
            });
        }
        shapes.finish();
        for reply in replies.iter_mut().flatten() {
            if let Told::Native(nth) = reply {
                *reply = told[*nth].clone();
            }
        }
        Ok(())
    }

    /// Defaults of a definition that a document was not written under.
    fn fill(&mut self, key: &'static str) {
        let Some(doc) = self.state.get_mut(key) else { return };
        if !doc.modelled || doc.version == self.definition.version {
            return;
        }
        let members = doc.json.as_object_mut().expect("all are objects");
        for (name, value) in &self.definition.defaults {
            if !members.contains_key(*name) {
                members.insert((*name).into(), value.clone());
                self.filled.push((key, name));
            }
        }
    }

    /// Defaults alone are no change; a change leaves the document valid under the definition.
    fn finish(&mut self, start: &State, key: &'static str) {
        let Some(doc) = self.state.get_mut(key) else { return };
        if self.changed.contains(&key) {
            doc.version = if doc.modelled { self.definition.version } else { 0 };
        } else {
            doc.json = start[key].json.clone();
        }
    }

    /// The assertions at the beginning of later blocks that fail on the documents as they were: the word, the block
    /// and the statement of each.
    pub fn others(
        start: &State,
        blocks: &[Block],
        refused: usize,
    ) -> Vec<(&'static str, i64, i64)> {
        let mut others = Vec::new();
        for (number, block) in blocks.iter().enumerate().skip(refused + 1) {
            let leading = block.steps.iter().take_while(|(_, step)| step.asserts());
            for (statement, (_, step)) in leading.enumerate() {
                if let Err(word) = assert_before(start.get(block.key), step) {
                    others.push((word, number as i64, statement as i64));
                }
            }
        }
        others
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

    fn natives(&mut self, number: usize, block: &Block) -> Result<Vec<Told>, &'static str> {
        let first = self.planned.len();
        let (state, before) = (&self.state, &self.shapes[0]);
        plan((number, block.key), &block.natives, state, before, &mut self.planned)?;
        Ok((first..self.planned.len()).map(Told::Native).collect())
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
            for (name, value) in &self.definition.defaults {
                members.entry(*name).or_insert(value.clone());
            }
        }
        let lock = self.state.get(key).and_then(|doc| doc.lock);
        self.state.insert(key, Doc { json, modelled, ends_ms, lock, version: 0 });
        self.changed.push(key);
        self.made.push(key);
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
            Step::Size(key) => Some(Some(json!(self.shapes[0].size(key)))),
            _ => None,
        };
        let doc = self.state.get_mut(key).expect("it exists");
        let before = doc.json.clone();
        let told = change(&mut doc.json, step, other)?;
        // A default that is assigned, or that the step would have created, stays.
        let addressed = match step {
            Step::Incr(_) | Step::Strict(_) | Step::Set(_) | Step::Eval(_) | Step::Size(_) => {
                Some("n")
            }
            Step::Append(_) => Some("l"),
            _ => None,
        };
        let confirmed = addressed.is_some_and(|name| self.filled.contains(&(key, name)));
        if before != doc.json || (confirmed && !self.made.contains(&key)) {
            self.changed.push(key);
        }
        Ok(Some(told))
    }

    fn validate(&self, start: &State, key: &'static str) -> Result<(), &'static str> {
        let Some(doc) = self.state.get(key) else { return Ok(()) };
        if !doc.modelled || !self.changed.contains(&key) {
            return Ok(());
        }
        let n = doc.json["n"].as_i64().filter(|n| *n <= self.definition.most);
        let n = n.ok_or("SCHEMA")?;
        let old = start.get(key).filter(|old| old.modelled && !self.deleted.contains(&key));
        let jumped =
            old.is_some_and(|old| n > old.json["n"].as_i64().expect("the document is valid") + 20);
        if n < 0 || jumped { Err("RULE") } else { Ok(()) }
    }
}

/// An assertion about a document that no statement has touched.
fn assert_before(doc: Option<&Doc>, step: &Step) -> Result<(), &'static str> {
    let (holds, word) = match (step, doc) {
        (Step::Exists, _) => (doc.is_some(), "CONDITION"),
        (Step::Missing, _) => (doc.is_none(), "CONDITION"),
        (Step::Holding(right), _) => {
            (*right && doc.is_some_and(|doc| doc.lock.is_some()), "LOCKLOST")
        }
        (_, None) => (false, "NOKEY"),
        (Step::IfRevision(right), _) => (*right, "REVISION"),
        (Step::If(least), Some(doc)) => (at_least(doc, *least)?, "CONDITION"),
        _ => unreachable!("{step:?} is no assertion"),
    };
    if holds { Ok(()) } else { Err(word) }
}

pub fn at_least(doc: &Doc, least: i64) -> Result<bool, &'static str> {
    doc.json["n"].as_i64().map(|n| n >= least).ok_or("EXPR")
}

/// `other` is what `EVAL` reads of another document.
pub fn change(
    json: &mut Value,
    step: &Step,
    other: Option<Option<Value>>,
) -> Result<Told, &'static str> {
    let whole = json.clone();
    let members = json.as_object_mut().expect("all are objects");
    match step {
        Step::Get => Ok(Told::Json(whole)),
        Step::Idle(nth) => Ok(match IDLE[*nth][0] {
            "POP" => Told::Null,
            "MERGE" => Told::Json(whole),
            _ => Told::Int(0),
        }),
        Step::Strict(_) if !members.contains_key("n") => Err("NOPATH"),
        Step::Incr(n) | Step::Strict(n) => {
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
        Step::PullAll(most) => {
            let Some(list) = members.get_mut("l") else { return Ok(Told::Int(0)) };
            let list = list.as_array_mut().ok_or("TYPE")?;
            let before = list.len();
            list.retain(|n| !(0..*most).any(|pulled| json!(pulled) == *n));
            Ok(Told::Int((before - list.len()) as i64))
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
        Step::Size(_) => {
            let size = other.flatten().expect("a size");
            members.insert("n".into(), size.clone());
            Ok(Told::Json(size))
        }
        _ => unreachable!("it was done"),
    }
}
