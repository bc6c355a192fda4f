//! Random transactions: what they do, and the words for it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::random::Rng;

pub const KEYS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
pub enum Step {
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
pub struct Block {
    pub key: &'static str,
    pub init: Option<(bool, Value)>,
    pub ends: Option<Option<u64>>,
    /// Each with the least `n` its guard asks for.
    pub steps: Vec<(Option<i64>, Step)>,
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

pub fn draw(rng: &mut Rng) -> Vec<Block> {
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
pub struct Known {
    pub revisions: BTreeMap<&'static str, u64>,
    pub fences: BTreeMap<&'static str, u64>,
}

/// The words of a transaction. A false condition stands in front of the step `fault`, among all.
pub fn words(blocks: &[Block], known: &Known, fault: Option<usize>) -> Vec<String> {
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
    out.extend(own(&["ARGS", r#"{"never":false,"names":["n","l"]}"#]));
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
                Step::Incr(n) if n % 3 == 0 => own(&["INCR", "$[args.names[0]]", &n.to_string()]),
                Step::Incr(n) => own(&["INCR", "$.n", &n.to_string()]),
                Step::Set(json) => own(&["SET", "$.n", &json.to_string()]),
                Step::Del => own(&["DEL", "$.n"]),
                Step::Append(n) if n % 2 == 0 => {
                    own(&["APPEND", "$[args['names'][1]]", &format!("=[{n}]")])
                }
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

pub fn fence(known: &Known, key: &str, right: bool) -> String {
    (known.fences.get(key).copied().unwrap_or(7) + u64::from(!right)).to_string()
}
