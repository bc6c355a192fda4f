//! Random commands: transactions, `MODEL.FIELDOP` and `MODEL.SET`, each as blocks of steps, and as words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::natives::{NATIVE_KEYS, NativeStep, draw_natives};
use crate::random::Rng;

pub const KEYS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
pub enum Step {
    Incr(i64),
    /// `STRICT INCR`, with a computed operand.
    Strict(i64),
    Set(Value),
    Del,
    /// `PULLALL` of the numbers below this one.
    PullAll(i64),
    Append(i64),
    Pop,
    /// `EVAL $.n` with what another document has.
    Eval(&'static str),
    /// `EVAL $.n` with the size of a structure before the transaction.
    Size(&'static str),
    /// One of [`IDLE`].
    Idle(usize),
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

/// Statements that may write, and change nothing.
pub const IDLE: [&[&str]; 5] = [
    &["DEL", "$.none"],
    &["SETXX", "$.none", "2"],
    &["CLEAR", "$.none"],
    &["POP", "$.none", "-1"],
    &["MERGE", "$", "{}"],
];

#[derive(Clone, Debug)]
pub struct Block {
    pub key: &'static str,
    pub init: Option<(bool, Value)>,
    pub ends: Option<Option<u64>>,
    /// The member to tell with a refusal; the empty name is the whole document.
    pub current: Option<&'static str>,
    /// Each with the least `n` its guard asks for.
    pub steps: Vec<(Option<i64>, Step)>,
    /// A block that has natives has nothing else, and its key is that of a structure.
    pub natives: Vec<NativeStep>,
}

impl Block {
    /// Returns true if a step may write the document, where its guard lets it.
    pub fn may_write(&self) -> bool {
        let reads = |step: &Step| {
            matches!(
                step,
                Step::Get
                    | Step::Revision
                    | Step::If(_)
                    | Step::IfRevision(_)
                    | Step::Holding(_)
                    | Step::Release(_)
                    | Step::Exists
                    | Step::Missing
            )
        };
        self.steps.iter().any(|(_, step)| !reads(step))
    }

    /// Returns true if `MODEL.FIELDOP` can stand for it: it has one document, which exists or is created first.
    /// A time to live for a missing document is refused before the statements, by a transaction after them.
    fn is_field_op(&self, exists: impl Fn(&str) -> bool) -> bool {
        let of_transactions = |step: &Step| {
            matches!(step, Step::Eval(_) | Step::Size(_) | Step::Create(..) | Step::Put(..))
        };
        let has_document = self.init.is_some() || exists(self.key);
        (has_document || self.ends.is_none())
            && self.natives.is_empty()
            && !self.steps.iter().any(|(_, step)| of_transactions(step))
    }
}

/// The command that runs the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Transaction,
    /// Of one block.
    FieldOp,
    /// Of one block, whose only step stores the document.
    Set(Condition),
}

/// The condition of `MODEL.SET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    None,
    Missing,
    Exists,
    /// The revision that was told, or another one.
    Revision(bool),
    /// `IF`, with the least `n`.
    AtLeast(i64),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub form: Form,
    pub blocks: Vec<Block>,
}

pub fn draw_content(rng: &mut Rng) -> Value {
    match rng.below(8) {
        0 => json!({}),
        1 => json!({"n": 60, "l": []}),
        2 => json!({"n": "text"}),
        _ => json!({"n": rng.below(40) as i64, "l": [1]}),
    }
}

pub fn draw_step(rng: &mut Rng) -> Step {
    let key = rng.pick(&KEYS);
    match rng.below(26) {
        23 | 24 => Step::Strict(rng.below(9) as i64 - 2),
        25 => Step::PullAll(rng.below(9) as i64),
        20 => Step::Holding(!rng.one_in(6)),
        21 | 22 => Step::Release(!rng.one_in(6)),
        0..=4 => Step::Incr(rng.below(31) as i64 - 12),
        5 => Step::Set(rng.pick(&[json!(1), json!("x"), json!(null)])),
        6 => Step::Del,
        7 | 8 => Step::Append(rng.below(9) as i64),
        9 => Step::Pop,
        10 if rng.one_in(2) => Step::Size(rng.pick(&NATIVE_KEYS)),
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

/// The member that a refusal tells, if the block asks for one.
fn draw_current(rng: &mut Rng) -> Option<&'static str> {
    rng.one_in(3).then(|| rng.pick(&["", "n", "none"]))
}

/// A command; `exists` tells whether a document is stored at a key.
pub fn draw(rng: &mut Rng, exists: impl Fn(&str) -> bool) -> Request {
    if rng.one_in(5) {
        let conditions = [
            Condition::None,
            Condition::Missing,
            Condition::Exists,
            Condition::Revision(true),
            Condition::Revision(false),
            Condition::AtLeast(rng.below(40) as i64 - 10),
        ];
        let steps = vec![(None, Step::Put(rng.one_in(2), draw_content(rng)))];
        let (key, current) = (rng.pick(&KEYS), draw_current(rng));
        let block = Block { key, init: None, ends: None, current, steps, natives: vec![] };
        return Request { form: Form::Set(rng.pick(&conditions)), blocks: vec![block] };
    }
    let mut blocks = draw_blocks(rng);
    match rng.one_in(3) && !blocks[0].steps.is_empty() && blocks[0].is_field_op(exists) {
        true => {
            blocks.truncate(1);
            Request { form: Form::FieldOp, blocks }
        }
        false => Request { form: Form::Transaction, blocks },
    }
}

fn draw_blocks(rng: &mut Rng) -> Vec<Block> {
    let count = 1 + rng.below(4);
    let block = |rng: &mut Rng| {
        if rng.one_in(4) {
            return idle_block(rng);
        }
        let mut steps: Vec<_> = (0..rng.below(5))
            .map(|_| {
                let step = draw_step(rng);
                let least = (!step.asserts() && rng.one_in(6)).then(|| rng.below(40) as i64 - 10);
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
        Block {
            key: rng.pick(&KEYS),
            init,
            ends,
            current: draw_current(rng),
            steps,
            natives: vec![],
        }
    };
    let with_natives = rng.one_in(2);
    (0..count)
        .map(|_| if with_natives && rng.one_in(2) { native_block(rng) } else { block(rng) })
        .collect()
}

fn native_block(rng: &mut Rng) -> Block {
    let (key, natives) = draw_natives(rng);
    Block { key, init: None, ends: None, current: None, steps: vec![], natives }
}

/// A block that changes nothing, though it may.
fn idle_block(rng: &mut Rng) -> Block {
    let step = |rng: &mut Rng| match rng.below(8) {
        0 => (None, Step::Get),
        1 => (None, Step::Incr(0)),
        2 => (Some(1000), Step::Set(json!(1))),
        _ => (None, Step::Idle(rng.below(IDLE.len()))),
    };
    let steps = (0..1 + rng.below(3)).map(|_| step(rng)).collect();
    Block {
        key: rng.pick(&KEYS),
        init: None,
        ends: None,
        current: draw_current(rng),
        steps,
        natives: vec![],
    }
}

/// The revisions of documents and the fences of their locks, as a client was told.
#[derive(Default)]
pub struct Known {
    pub revisions: BTreeMap<&'static str, u64>,
    pub fences: BTreeMap<&'static str, u64>,
}

fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn model_name(modelled: bool) -> &'static str {
    if modelled { "m" } else { "any" }
}

/// A document as JSON; or as an expression, where it has two members.
fn json_operand(json: &Value) -> String {
    let computed = json.as_object().is_some_and(|members| members.len() == 2);
    format!("{}{json}", if computed { "=" } else { "" })
}

/// The bound values; `never` is for faults.
const ARGS: &str = r#"{"never":false,"names":["n","l"]}"#;

/// A false condition in front of a step: of the step with this number, among all.
struct Fault {
    at: Option<usize>,
    next: usize,
}

impl Fault {
    fn pass(&mut self, out: &mut Vec<String>) {
        if self.at == Some(self.next) {
            out.extend(own(&["IF", "args.never"]));
        }
        self.next += 1;
    }
}

impl Request {
    /// Natives run, or an expression reads structures.
    fn concerns_structures(&self) -> bool {
        let reads = |(_, step): &(Option<i64>, Step)| matches!(step, Step::Size(_));
        self.blocks.iter().any(|block| !block.natives.is_empty() || block.steps.iter().any(reads))
    }

    /// The words of the command. A false condition stands in front of the step `fault`, among all.
    pub fn words(&self, known: &Known, fault: Option<usize>) -> Vec<String> {
        let mut fault = Fault { at: fault, next: 0 };
        let first = &self.blocks[0];
        match self.form {
            Form::Transaction => {
                // A key is listed twice.
                let mut out = own(&["MODEL.TXN", "5", "a", "b", "c", "d", "a"]);
                // Without natives a listed key holds a document or nothing.
                if self.concerns_structures() {
                    out[1] = (5 + NATIVE_KEYS.len()).to_string();
                    out.extend(own(&NATIVE_KEYS));
                }
                out.extend(own(&["ARGS", ARGS]));
                for block in &self.blocks {
                    let word = if block.natives.is_empty() { "ON" } else { "AT" };
                    out.extend(own(&[word, block.key]));
                    block.add_words(known, &mut fault, &mut out);
                }
                out
            }
            Form::FieldOp => {
                let mut out = own(&["MODEL.FIELDOP", first.key, "ARGS", ARGS]);
                first.add_words(known, &mut fault, &mut out);
                out
            }
            Form::Set(condition) => first.set_words(condition, known),
        }
    }
}

/// The role that stands for a key.
pub fn role(key: &str) -> String {
    format!("role-{key}")
}

impl Request {
    /// The transaction as the definition of an action, and as a call of it.
    pub fn as_action(&self, known: &Known) -> (Vec<String>, Vec<String>) {
        let mut keys = KEYS.to_vec();
        if self.concerns_structures() {
            keys.extend(NATIVE_KEYS);
        }
        let count = keys.len().to_string();
        let mut definition = own(&["MODEL.ACTION", "act", &count]);
        definition.extend(keys.iter().map(|key| role(key)));
        let mut fault = Fault { at: None, next: 0 };
        for block in &self.blocks {
            let word = if block.natives.is_empty() { "ON" } else { "AT" };
            definition.extend([word.to_owned(), role(block.key)]);
            let mut words = Vec::new();
            block.add_words(known, &mut fault, &mut words);
            let by_role = |word: &String| {
                word.replace("docs['", "docs['role-").replace("native['", "native['role-")
            };
            definition.extend(words.iter().map(by_role));
        }
        let mut call = own(&["MODEL.CALL", "act", &count]);
        call.extend(own(&keys));
        call.extend(own(&["ARGS", ARGS]));
        (definition, call)
    }
}

impl Block {
    fn add_words(&self, known: &Known, fault: &mut Fault, out: &mut Vec<String>) {
        if let Some((modelled, json)) = &self.init {
            out.extend(own(&["INIT", model_name(*modelled), &json.to_string()]));
        }
        match self.ends {
            Some(Some(seconds)) => out.extend(own(&["EX", &seconds.to_string()])),
            Some(None) => out.push("PERSIST".into()),
            None => {}
        }
        for (guard, native) in &self.natives {
            native.add_words(guard.as_ref(), out);
        }
        if !self.natives.is_empty() {
            return;
        }
        self.add_current(out);
        for (least, step) in &self.steps {
            fault.pass(out);
            if let Some(least) = least {
                out.extend(own(&["WHEN", &format!("self.n >= {least}")]));
            }
            out.extend(step.words(self.key, known));
        }
        fault.pass(out);
    }

    fn add_current(&self, out: &mut Vec<String>) {
        match self.current {
            Some("") => out.extend(own(&["CURRENT", "$"])),
            Some("n") => out.extend(own(&["CURRENT", "$[args.names[0]]"])),
            Some(name) => out.extend(own(&["CURRENT", &format!("/{name}")])),
            None => {}
        }
    }

    fn set_words(&self, condition: Condition, known: &Known) -> Vec<String> {
        let Some((_, Step::Put(modelled, json))) = self.steps.first() else {
            panic!("the step stores a document")
        };
        let mut out = own(&["MODEL.SET", self.key, model_name(*modelled), &json.to_string()]);
        match condition {
            Condition::None => {}
            Condition::Missing => out.push("NX".into()),
            Condition::Exists => out.push("XX".into()),
            Condition::Revision(right) => {
                out.extend(own(&["IFREV", &known.revision(self.key, right)]));
            }
            Condition::AtLeast(least) => {
                out.extend(own(&["IF", &format!("self[args.names[0]] >= {least}")]));
            }
        }
        self.add_current(&mut out);
        out.extend(own(&["ARGS", ARGS]));
        out
    }
}

impl Step {
    /// Returns true for an assertion, which has no reply and no guard.
    pub fn asserts(&self) -> bool {
        use Step::{Exists, Holding, If, IfRevision, Missing};
        matches!(self, If(_) | IfRevision(_) | Holding(_) | Exists | Missing)
    }

    fn words(&self, key: &str, known: &Known) -> Vec<String> {
        match self {
            Step::Incr(n) if n % 3 == 0 => own(&["INCR", "$[args.names[0]]", &n.to_string()]),
            Step::Incr(n) => own(&["INCR", "$.n", &n.to_string()]),
            Step::Strict(n) => own(&["STRICT", "INCR", "$.n", &format!("={n}")]),
            Step::PullAll(most) => {
                let all: Vec<String> = (0..*most).map(|n| n.to_string()).collect();
                own(&["PULLALL", "$.l", &format!("[{}]", all.join(","))])
            }
            Step::Set(json) => own(&["SET", "$.n", &json.to_string()]),
            Step::Del => own(&["DEL", "$.n"]),
            Step::Append(n) if n % 2 == 0 => {
                own(&["APPEND", "$[args['names'][1]]", &format!("=[{n}]")])
            }
            Step::Append(n) => own(&["APPEND", "$.l", &format!("[{n}]")]),
            Step::Pop => own(&["POP", "$.l", "-1"]),
            Step::Eval(key) => own(&["EVAL", "$.n", &format!("docs['{key}'].n + 1")]),
            Step::Size(key) => own(&["EVAL", "$.n", &format!("native['{key}'].size()")]),
            Step::Idle(nth) => own(IDLE[*nth]),
            Step::Get => own(&["GET", "$"]),
            Step::Revision => own(&["REVISION"]),
            Step::If(least) => own(&["IF", &format!("self.n >= {least}")]),
            Step::IfRevision(right) => own(&["IFREV", &known.revision(key, *right)]),
            Step::Holding(right) => own(&["HOLDING", "n", "o", &known.fence(key, *right)]),
            Step::Release(right) => own(&["RELEASE", "n", "o", &known.fence(key, *right)]),
            Step::Exists => own(&["EXISTS"]),
            Step::Missing => own(&["MISSING"]),
            Step::Create(modelled, json) => {
                own(&["CREATE", model_name(*modelled), &json_operand(json)])
            }
            Step::Put(modelled, json) => own(&["PUT", model_name(*modelled), &json_operand(json)]),
            Step::Delete => own(&["DELETE"]),
        }
    }
}

impl Known {
    /// The revision of the document, or another one.
    fn revision(&self, key: &str, right: bool) -> String {
        (self.revisions.get(key).copied().unwrap_or(7) + u64::from(!right)).to_string()
    }

    /// The fence of the lock, or another one.
    fn fence(&self, key: &str, right: bool) -> String {
        (self.fences.get(key).copied().unwrap_or(7) + u64::from(!right)).to_string()
    }
}
