//! Random transactions called as actions: one host runs `MODEL.TXN`, another one defines the same blocks as an action
//! and calls it. Both give the same replies and refusals, hold the same bytes and revisions, and send effects that lead
//! replicas to the same. The replica of the second one is sent the action, and the call itself where that is enough.

use redis_model::command::{KeyEffect, Outcome, Sent};
use redis_model::error::Error;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::testing::coverage::{Missing, until_covered};

use crate::random::Rng;
use crate::request::{Form, KEYS, Known, draw, role};
use crate::{BATCHES_MAX, bytes, call, define, seed, tell};

/// The parts of a refusal that do not depend on the way the transaction came.
const DETAILS: [&str; 12] = [
    "key",
    "block",
    "statement",
    "operator",
    "path",
    "expr",
    "values",
    "model",
    "rule",
    "place",
    "expected",
    "limit",
];

struct Pair {
    master: MemoryHost,
    replica: MemoryHost,
}

impl Pair {
    fn new() -> Pair {
        Pair { master: MemoryHost::default(), replica: MemoryHost::default() }
    }

    fn lock(&mut self, key: &str) -> Option<u64> {
        let lock = ["MODEL.LOCK", key, "n", "o", "LEASE", "86400000"];
        let outcome = self.master.call(&lock).ok()?;
        tell(&mut self.master, &mut self.replica);
        let Reply::Array(grant) = outcome.reply else { panic!("the lock is free") };
        let Reply::Int(fence) = grant[0] else { panic!("a fence") };
        Some(fence as u64)
    }

    fn run(&mut self, words: &[String]) -> Result<Outcome, Error> {
        self.master.now_us += 1000;
        let outcome = call(&mut self.master, words)?;
        self.repeat(words, &outcome);
        tell(&mut self.master, &mut self.replica);
        Ok(outcome)
    }

    fn repeat(&mut self, words: &[String], outcome: &Outcome) {
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.replica.now_us = self.master.now_us;
        self.replica.replicate(&args, outcome).expect("effects are repeated");
    }
}

fn compare_refusals(ours: &Error, theirs: &Error, shown: &str) {
    // Expressions read documents by their roles.
    let by_key = |text: String| text.replace("role-", "");
    assert_eq!(ours.code(), theirs.code(), "{theirs}: {shown}");
    assert_eq!(ours.message(), by_key(theirs.message().to_owned()), "{shown}");
    for detail in DETAILS {
        let found = by_key(format!("{:?}", theirs.detail(detail)));
        assert_eq!(format!("{:?}", ours.detail(detail)), found, "{detail}: {shown}");
    }
    let text = |name: &str| match theirs.detail(name) {
        Some(redis_model::error::Detail::Text(text)) => Some(text.clone()),
        _ => None,
    };
    assert_eq!(text("action").as_deref(), Some("act"), "{theirs}: {shown}");
    if let Some(key) = text("key") {
        assert_eq!(text("role"), Some(role(&key)), "{theirs}: {shown}");
    }
}

/// Effects are the same where the transaction sent effects.
fn compare_effects(ours: &Outcome, theirs: &Outcome, shown: &str) {
    assert_eq!(ours.effects.len(), theirs.effects.len(), "{shown}");
    for (ours, theirs) in ours.effects.iter().zip(&theirs.effects) {
        assert_eq!((ours.event, ours.generic_event), (theirs.event, theirs.generic_event));
        assert_eq!(ours.signalled, theirs.signalled);
        match (&ours.sent, &theirs.sent) {
            (Sent::Effect(ours, _), Sent::Effect(theirs, _)) => assert_eq!(ours, theirs, "{shown}"),
            (Sent::Unlink, Sent::Unlink) | (Sent::Command, Sent::Command) => {}
            (_, sent) => panic!("{sent:?}: {shown}"),
        }
    }
}

#[test]
fn a_called_action_does_what_the_same_transaction_does() {
    let mut rng = Rng::new(seed());
    let mut count = Count::default();
    until_covered(BATCHES_MAX, |_| {
        (0..200).for_each(|_| run_both(&mut rng, &mut count));
        let mut missing = Missing::default();
        missing.expect("calls that succeeded", count.done, 301);
        missing.expect("calls that were refused", count.refused, 301);
        missing.expect("calls that replicas were sent", count.sent, 31);
        missing.expect("structures that were compared", count.structures, 301);
        missing
    });
}

#[derive(Default)]
struct Count {
    done: u64,
    refused: u64,
    sent: u64,
    structures: u64,
}

/// Runs some transactions in both ways, on hosts of their own, and counts them.
fn run_both(rng: &mut Rng, count: &mut Count) {
    let (mut plain, mut called) = (Pair::new(), Pair::new());
    let same = |pair: &mut Pair, seed: u64| {
        define(&mut pair.master, &mut pair.replica, &mut Rng::new(seed));
    };
    for nth in 0..16 {
        if nth == 0 || rng.one_in(6) {
            let seed = rng.below(1 << 30) as u64;
            same(&mut plain, seed);
            same(&mut called, seed);
        }
        let mut known = Known::default();
        let locked = rng.one_in(2).then(|| rng.pick(&KEYS));
        if let Some(key) = locked {
            let fence = plain.lock(key);
            assert_eq!(fence, called.lock(key));
            known.fences.extend(fence.map(|fence| (key, fence)));
        }
        let documents = &plain.master.documents;
        let revision = |key: &&'static str| Some((*key, documents.get(key.as_bytes())?.revision));
        known.revisions = KEYS.iter().filter_map(revision).collect();
        let request = draw(rng, |key| documents.contains_key(key.as_bytes()));
        if request.form != Form::Transaction {
            continue;
        }
        let words = request.words(&known, None);
        let (definition, call_words) = request.as_action(&known);
        let shown = format!("{words:?}");
        let defining = call(&mut called.master, &definition).expect(&shown);
        called.repeat(&definition, &defining);
        assert!(matches!(defining.reply, Reply::Int(1..)), "{shown}");
        match (plain.run(&words), called.run(&call_words)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours.reply, theirs.reply, "{shown}");
                compare_effects(&ours, &theirs, &shown);
                count.done += 1;
                let is_call = |effect: &KeyEffect| matches!(effect.sent, Sent::Command);
                count.sent += u64::from(theirs.effects.iter().any(is_call));
            }
            (Err(ours), Err(theirs)) => {
                compare_refusals(&ours, &theirs, &shown);
                count.refused += 1;
            }
            (ours, theirs) => panic!("{ours:?} and {theirs:?}: {shown}"),
        }
        let expected = bytes(&plain.master);
        assert!(bytes(&called.master) == expected, "{shown}");
        assert!(bytes(&called.replica) == expected, "{shown}");
        let structures = &plain.master.structures;
        assert_eq!(&called.master.structures, structures, "{shown}");
        assert_eq!(called.replica.structures.keys, structures.keys, "{shown}");
        count.structures += structures.keys.len() as u64;
    }
}
