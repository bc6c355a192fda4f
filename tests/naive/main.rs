//! Agreement of every operator with a naive model: random commands on random documents, run by the
//! module on the host in memory and by an interpreter that reads the contract as plainly as it can
//! (`model`, `operators`, `path`, `number`, `time`; `draw` makes the cases up).
//!
//! After every command the two agree on whether it was refused and with which word, on the replies, on
//! the document's text, on the time to live, on the version of the definition, and on whether there is something to
//! replicate; a second host that is fed the effects alone holds the same bytes; encoding and decoding changes
//! nothing; and a refused command leaves every byte as it was. The model of the documents is redefined in between:
//! a command that changes nothing leaves the version of the definition alone. Definitions here permit every document;
//! `tests/transactions` has some that refuse documents and fill them in.
//!
//! A run that finds no disagreement also has to have tried everything: every operator has to have
//! succeeded, changed something and been refused, with each error it declares. It goes on until then.
//!
//! `PROPTEST_CASES=100000 cargo test --test naive` tries more; a failure prints the commands, and the
//! `NAIVE_SEED` that repeats it.

mod draw;
mod model;
mod number;
mod operators;
mod path;
mod time;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use redis_model::budget::WorkLimits;
use redis_model::codec::origin::Bounds;
use redis_model::codec::rdb;
use redis_model::command::Outcome;
use redis_model::error::{Detail, Error};
use redis_model::model::Models;
use redis_model::op::{self, Absent};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::testing::coverage::{Missing, until_covered};
use redis_model::txn::CURRENT_BYTES_MAX;
use redis_model::value::{FileNames, names};
use serde_json::Value;

use draw::Draw;
use model::{Accepted, Expiry, FieldOp, Operand, Refusal, Statement};

/// Cases of a batch where `PROPTEST_CASES` says nothing; one is mostly enough for the coverage that is asserted.
const CASES: u32 = 1600;
const BATCHES_MAX: u64 = 30;
const KEY: &[u8] = b"k";

/// The numbers of one command: for its options, and for each statement.
type Numbers = (Vec<u32>, Vec<Vec<u32>>);

fn cases() -> impl Strategy<Value = Vec<Numbers>> {
    let numbers = |most| vec(any::<u32>(), most / 2..most);
    vec((numbers(100), vec(numbers(80), 1..=6)), 1..10)
}

#[test]
fn every_operator_agrees_with_a_naive_model() {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |n| n.parse().expect("a number"));
    let seed: u64 = match std::env::var("NAIVE_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() as u64,
    };
    let mut coverage = Coverage::default();
    until_covered(BATCHES_MAX, |nth| {
        coverage.add(run_batch(seed.wrapping_add(nth), cases));
        if cases < CASES { Missing::default() } else { coverage.missing() }
    });
    if std::env::var_os("NAIVE_COVERAGE").is_some() {
        eprintln!("{coverage:?}");
    }
}

/// Runs so many cases of this seed.
fn run_batch(seed: u64, cases: u32) -> Coverage {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let coverage = RefCell::new(Coverage::default());
    let result = TestRunner::new_with_rng(config, random).run(&self::cases(), |case| {
        let mut session = Session::default();
        session.run(&case).map_err(TestCaseError::fail)?;
        coverage.borrow_mut().add(session.coverage);
        Ok(())
    });
    match result {
        Ok(()) => coverage.into_inner(),
        Err(TestError::Fail(reason, _)) => panic!(
            "{}\n\nagain: NAIVE_SEED={seed} PROPTEST_CASES={cases} cargo test --test naive\n",
            reason.message()
        ),
        Err(error) => panic!("{error}"),
    }
}

// --- Coverage --------------------------------------------------------------------------------

/// How often what happened, by operator.
#[derive(Debug, Default)]
struct Coverage {
    succeeded: BTreeMap<&'static str, u32>,
    changed: BTreeMap<&'static str, u32>,
    refused: BTreeMap<(&'static str, String), u32>,
    /// On a document of an older definition, commands that changed something, and others.
    older: [u32; 2],
    /// Refusals that told what is stored.
    told: u32,
}

impl Coverage {
    fn add(&mut self, other: Coverage) {
        other.succeeded.into_iter().for_each(|(of, n)| *self.succeeded.entry(of).or_default() += n);
        other.changed.into_iter().for_each(|(of, n)| *self.changed.entry(of).or_default() += n);
        other.refused.into_iter().for_each(|(of, n)| *self.refused.entry(of).or_default() += n);
        (0..2).for_each(|changed| self.older[changed] += other.older[changed]);
        self.told += other.told;
    }

    fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        let mut outside = 0;
        for spec in op::of(op::Target::Value) {
            let name = spec.name;
            let times = |map: &BTreeMap<&str, u32>| map.get(name).copied().unwrap_or(0);
            missing.expect(format!("{name} succeeded"), times(&self.succeeded), 10);
            if !["GET", "LEN", "REVISION"].contains(&name) {
                missing.expect(format!("{name} changed something"), times(&self.changed), 1);
            }
            let mut words: BTreeSet<&str> = spec.errors.iter().map(|code| code.word()).collect();
            words.insert("NOKEY");
            words.extend((!spec.operands.is_empty()).then_some("ERR"));
            words.extend((spec.absent == Absent::NoPath).then_some("NOPATH"));
            let refused =
                |word: &str| self.refused.get(&(name, word.to_owned())).copied().unwrap_or(0);
            if spec.absent == Absent::Create {
                words.extend(["NOPATH", "TYPE"]);
                outside += refused("RANGE");
            }
            for word in words {
                missing.expect(format!("{name} was refused with {word}"), refused(word), 1);
            }
        }
        missing.expect("creation outside of an array", outside, 10);
        missing.expect("refusals that told what is stored", self.told, 50);
        for (what, times) in ["nothing changed", "a change"].iter().zip(self.older) {
            missing.expect(format!("{what} on an older document"), times, 50);
        }
        missing
    }
}

// --- One case --------------------------------------------------------------------------------

/// The stored document, as the model knows it.
struct Stored {
    document: Value,
    revision: u64,
    model: &'static str,
    /// The version of the definition that it was written under; 0 for the built-in model.
    version: u32,
}

#[derive(Default)]
struct Session {
    host: MemoryHost,
    /// Fed the effects alone.
    replica: MemoryHost,
    stored: Option<Stored>,
    expiry: Option<u64>,
    revision_max: u64,
    /// The version of the definition of the model `m`; 0 before the first one.
    version: u32,
    coverage: Coverage,
    /// The commands as they are typed, with what was replied.
    log: Vec<String>,
}

type Check = Result<(), String>;

impl Session {
    fn run(&mut self, case: &[Numbers]) -> Check {
        for (nth, (options, statements)) in case.iter().enumerate() {
            let mut draw = Draw::from(options);
            if self.version == 0 || draw.below(3) == 1 {
                self.define()?;
            }
            let missing = self.stored.is_none();
            let result = match (nth, draw.below(14)) {
                (0, 1..) | (_, 13) => self.set(&mut draw),
                (_, 0..=6) if missing => self.set(&mut draw),
                (_, 12) => {
                    self.delete();
                    Ok(())
                }
                _ => self.field_op(&mut draw, statements),
            };
            let result = result.and_then(|()| self.check_eval());
            result.and_then(|()| self.check_bytes()).map_err(|what| {
                format!("{what}\n\nThe commands and their replies:\n{}", self.log.join("\n"))
            })?;
        }
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        // The host's clock moves on with each command.
        (self.host.now_us + 1000) / 1000
    }

    /// Defines the model `m` anew, with another text and the same meaning.
    fn define(&mut self) -> Check {
        let schema = format!(r#"{{"title":"{}"}}"#, self.version + 1);
        let words = ["MODEL.DEFINE", "m", &schema].map(str::to_owned);
        let outcome = self.call(&words)?.map_err(|error| format!("refused: {error}"))?;
        self.version += 1;
        expect("the version", &outcome.reply, &Reply::Int(self.version.into()))?;
        self.replicate(&words, &outcome)
    }

    fn delete(&mut self) {
        for host in [&mut self.host, &mut self.replica] {
            host.documents.clear();
            host.expiries.clear();
        }
        (self.stored, self.expiry) = (None, None);
        self.log.push("DEL k".to_owned());
    }

    // --- MODEL.SET ---------------------------------------------------------------------------

    fn set(&mut self, draw: &mut Draw<'_>) -> Check {
        let condition = draw.pick(&["", "", "", "NX", "XX"]);
        let revision = self.stored.as_ref().map(|stored| stored.revision);
        let expected = match draw.below(6) {
            4 => Some(revision.unwrap_or(5)),
            5 => Some(1),
            _ => None,
        };
        let (expiry, expiry_words) = draw::expiry(draw, self.now_ms(), "KEEPTTL", Expiry::Keep);
        // Without any form of expiry a time to live that is there is removed.
        let expiry = if expiry_words.is_empty() { Ok(Expiry::Persist) } else { expiry };
        let test = draw::condition(draw);
        let current = draw::current(draw, self.stored.as_ref().map(|stored| &stored.document));
        let document = draw::document(draw);
        let model = draw::model(draw);
        let mut words = ["MODEL.SET", "k", model].map(str::to_owned).to_vec();
        words.push(document.to_string());
        words.extend((!condition.is_empty()).then(|| condition.to_owned()));
        words.extend(expected.iter().flat_map(|r| ["IFREV".to_owned(), r.to_string()]));
        words.extend(test.iter().flat_map(|(test, _)| ["if", test].map(str::to_owned)));
        words.extend(current.iter().flat_map(|path| ["CURRENT".to_owned(), path.text.clone()]));
        words.extend(["args".to_owned(), path::args().to_string()]);
        words.extend(expiry_words);
        let misspelt = current.as_ref().and_then(|path| path.means.as_ref().err().copied());
        let refused = match (expiry, expected) {
            (Err(word), _) => Some(word),
            (Ok(_), _) if misspelt.is_some() => misspelt,
            (Ok(_), _) if self.says_no(condition) => None,
            (Ok(_), Some(_)) if revision.is_none() => Some("NOKEY"),
            (Ok(_), Some(_)) if expected != revision => Some("REVISION"),
            _ => match test {
                Some(_) if revision.is_none() => Some("NOKEY"),
                Some((_, Ok(false))) => Some("CONDITION"),
                Some((_, Err(word))) => Some(word),
                _ => None,
            },
        };
        let outcome = self.call(&words)?;
        if let Some(word) = refused {
            self.check_current(current.as_ref(), &outcome)?;
            return expect_refusal(outcome, &BTreeSet::from([word]));
        }
        let outcome = outcome.map_err(|error| format!("refused: {error}"))?;
        if self.says_no(condition) {
            return expect("the reply", &outcome.reply, &Reply::Null);
        }
        let revision = self.found_revision();
        expect("the reply", &outcome.reply, &Reply::Int(revision as i64))?;
        let expiry = expiry.expect("refused otherwise");
        self.accept((document, model), true, expiry, &words, &outcome)
    }

    /// A refusal by a condition or a revision tells what is stored at the path behind `CURRENT`.
    fn check_current(&mut self, path: Option<&Operand>, outcome: &Result<Outcome, Error>) -> Check {
        let Err(error) = outcome else { return Ok(()) };
        let explained = ["CONDITION", "REVISION"].contains(&error.code().word());
        let stored = self.stored.as_ref().map(|stored| &stored.document);
        let text = path.filter(|_| explained).map(|path| model::current(stored, path));
        self.coverage.told += u32::from(text.is_some());
        let (text, bytes) = match text {
            Some(text) if text.len() > CURRENT_BYTES_MAX => (None, Some(text.len() as i64)),
            text => (text, None),
        };
        let integer = |bytes| Detail::Integer(bytes);
        expect("current", &error.detail("current"), &text.map(Detail::Json).as_ref())?;
        let found = error.detail("current-bytes");
        expect("current-bytes", &found, &bytes.map(integer).as_ref())
    }

    fn says_no(&self, condition: &str) -> bool {
        match condition {
            "NX" => self.stored.is_some(),
            "XX" => self.stored.is_none(),
            _ => false,
        }
    }

    // --- MODEL.FIELDOP -----------------------------------------------------------------------

    fn field_op(&mut self, draw: &mut Draw<'_>, statements: &[Vec<u32>]) -> Check {
        let stored = self.stored.as_ref().map(|stored| &stored.document);
        let (mut command, options) = draw::options(draw, self.now_ms(), stored);
        let mut words = ["MODEL.FIELDOP", "k", "ARGS"].map(str::to_owned).to_vec();
        words.push(path::args().to_string());
        words.extend(options);
        for numbers in statements {
            self.draw_statement(&mut Draw::from(numbers), &mut command, &mut words)?;
        }
        self.run_field_op(&command, &words)
    }

    /// Adds a statement made for what those before it leave. One that would be refused is tried at once
    /// and mostly left out then: it would end the command.
    fn draw_statement(
        &mut self,
        draw: &mut Draw<'_>,
        command: &mut FieldOp,
        words: &mut Vec<String>,
    ) -> Check {
        let so_far = self.model(command);
        let document = so_far.as_ref().ok().and_then(|accepted| accepted.document.as_ref());
        let revision = self.stored.as_ref().map_or(0, |stored| stored.revision);
        for attempt in 0.. {
            let statement = draw::statement(draw, document, revision);
            let words_before = words.len();
            words.extend(draw::words(&statement));
            command.statements.push(statement);
            if so_far.is_err() || attempt == 3 || self.model(command).is_ok() {
                break;
            }
            // The command was made up for this moment.
            let (now_us, logged) = (self.host.now_us, self.log.len());
            self.run_field_op(command, words)?;
            self.host.now_us = now_us;
            self.log.truncate(logged);
            if draw.below(10) == 9 {
                break;
            }
            command.statements.pop();
            words.truncate(words_before);
        }
        Ok(())
    }

    fn run_field_op(&mut self, command: &FieldOp, words: &[String]) -> Check {
        match self.model(command) {
            Err(refusal) if refusal.words.contains(model::TOO_LARGE) => Ok(()),
            Err(refusal) => {
                self.count_refusal(&refusal);
                let outcome = self.call(words)?;
                self.check_current(command.current.as_ref(), &outcome)?;
                expect_refusal(outcome, &refusal.words)
            }
            Ok(accepted) => {
                self.count_success(command, &accepted);
                let outcome =
                    self.call(words)?.map_err(|error| format!("refused: {}", error.line()))?;
                self.expect_acceptance(command, accepted, words, &outcome)
            }
        }
    }

    fn model(&self, command: &FieldOp) -> Result<Accepted, Refusal> {
        let stored = self.stored.as_ref().map(|stored| (&stored.document, stored.revision));
        model::run(command, stored, self.host.now_us + 1000)
    }

    fn count_refusal(&mut self, refusal: &Refusal) {
        if let (Some(operator), 1) = (refusal.operator, refusal.words.len()) {
            let word = refusal.words.first().expect("there is one").to_string();
            *self.coverage.refused.entry((operator, word)).or_default() += 1;
        }
    }

    fn count_success(&mut self, command: &FieldOp, accepted: &Accepted) {
        let operators = command.statements.iter().filter_map(|statement| match statement {
            Statement::Operate { operator, .. } => Some(*operator),
            _ => None,
        });
        for (operator, changed) in operators.zip(&accepted.changed) {
            *self.coverage.succeeded.entry(operator).or_default() += 1;
            *self.coverage.changed.entry(operator).or_default() += u32::from(*changed);
        }
    }

    fn expect_acceptance(
        &mut self,
        command: &FieldOp,
        accepted: Accepted,
        words: &[String],
        outcome: &Outcome,
    ) -> Check {
        let expiry = command.expiry.expect("refused otherwise");
        let revision = self.found_revision();
        let replies = accepted.replies.iter().map(|reply| match reply {
            Some(reply) => reply.clone(),
            None => format!("(integer) {revision}"),
        });
        let expected = format!("[{}]", replies.collect::<Vec<_>>().join(" "));
        expect("the replies", &outcome.reply.notation(), &expected)?;
        let Some(document) = accepted.document else {
            return expect("the number of effects", &outcome.effects.len(), &0);
        };
        let changed = match &self.stored {
            None => true,
            Some(stored) if !model::same_text(&stored.document, &document) => true,
            // A change that was changed back may count as one.
            Some(stored) => accepted.changed.contains(&true) && stored.revision != revision,
        };
        let model = self.stored.as_ref().map_or(command.model, |stored| stored.model);
        if let Some(stored) = &self.stored
            && model == "m"
            && stored.version != self.version
        {
            self.coverage.older[usize::from(changed)] += 1;
        }
        self.accept((document, model), changed, expiry, words, outcome)
    }

    // --- Both --------------------------------------------------------------------------------

    fn found_revision(&self) -> u64 {
        self.host.documents.get(KEY).map_or(0, |document| document.revision)
    }

    /// Runs a command whose words end as they are.
    fn call(&mut self, words: &[String]) -> Result<Result<Outcome, Error>, String> {
        let typed: Vec<String> = words.iter().map(|word| shown(word)).collect();
        self.log.push(typed.join(" "));
        let before = self.encoded();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome =
            catch_unwind(AssertUnwindSafe(|| within_a_tiny_budget(&mut self.host, &words)))
                .map_err(|panic| format!("the module panicked: {}", panic_message(&*panic)))?;
        self.log.push(match &outcome {
            Ok(outcome) => format!("    {}", shortened(&outcome.reply.notation())),
            Err(error) => format!("    {}", error.line()),
        });
        if outcome.is_err() && self.encoded() != before {
            return Err("the refused command changed something".to_owned());
        }
        Ok(outcome)
    }

    fn encoded(&self) -> Option<Vec<u8>> {
        encoded(&self.host)
    }

    /// The command was accepted and leaves this; `changed` says whether the revision has to grow.
    fn accept(
        &mut self,
        (document, model): (Value, &'static str),
        changed: bool,
        expiry: Expiry,
        words: &[String],
        outcome: &Outcome,
    ) -> Check {
        let revision = self.found_revision();
        let before = self.stored.as_ref().map_or(0, |stored| stored.revision);
        if changed && revision <= self.revision_max {
            return Err(format!("the revision {revision} does not grow"));
        }
        if !changed && revision != before {
            return Err("the revision grows though nothing changed".to_owned());
        }
        let expiry = match expiry {
            Expiry::Keep => self.expiry,
            Expiry::Persist => None,
            Expiry::At(unix_ms) => Some(unix_ms),
        };
        let effects = usize::from(changed || expiry != self.expiry);
        expect("the number of effects", &outcome.effects.len(), &effects)?;
        self.revision_max = self.revision_max.max(revision);
        let version = match &self.stored {
            Some(stored) if !changed => stored.version,
            _ if model == "m" => self.version,
            _ => 0,
        };
        self.stored = Some(Stored { document, revision, model, version });
        self.expiry = expiry;
        self.replicate(words, outcome)
    }

    fn replicate(&mut self, words: &[String], outcome: &Outcome) -> Check {
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.replica
            .replicate(&args, outcome)
            .map_err(|error| format!("the replica refuses: {}", error.line()))
    }

    /// `MODEL.EVAL` reads the document as it is stored, on the replica too.
    fn check_eval(&mut self) -> Check {
        let expr = "{'self': self, 'revision': revision, 'n': args.n}";
        let words = ["MODEL.EVAL", "k", expr, "ARGS", "{\"n\":1}"];
        let expected = self.stored.as_ref().map_or("(nil)".to_owned(), |stored| {
            let Stored { document, revision, .. } = stored;
            format!(r#"{{"self":{document},"revision":{revision},"n":1}}"#)
        });
        let depth = self.stored.as_ref().map_or(0, |stored| model::measure(&stored.document).0);
        for host in [&mut self.host, &mut self.replica] {
            let now_us = host.now_us;
            let result = host.call(&words);
            host.now_us = now_us;
            match result {
                Ok(outcome) => expect("MODEL.EVAL", &outcome.reply.notation(), &expected)?,
                Err(error) => {
                    let too_deep = error.code().word() == "LIMIT" && depth >= model::DEPTH_MAX;
                    expect(&error.line(), &too_deep, &true)?;
                }
            }
        }
        Ok(())
    }

    /// Checks the invariants that hold after every command.
    fn check_bytes(&self) -> Check {
        let Some(stored) = &self.stored else {
            return expect("the document", &self.encoded(), &None);
        };
        let document = &self.host.documents[KEY];
        let view = document.root.view();
        let text = redis_model::value::print::to_string(view);
        expect("the document", &text, &stored.document.to_string())?;
        expect("the revision", &document.revision, &stored.revision)?;
        expect("the model", &document.model_name(), &stored.model)?;
        expect("the version", &document.definition_version(), &stored.version)?;
        expect("the size", &document.size(), &view.size())?;
        let bytes = self.encoded().expect("the key is there");
        let decoded = rdb::decode(&bytes, rdb::VERSION, &Models::new(), &Bounds::NONE)
            .map_err(|error| error.line())?;
        let mut again = Vec::new();
        rdb::encode(&decoded, &mut again);
        expect("what was encoded, decoded and encoded", &again, &bytes)?;
        let mut in_file = Vec::new();
        rdb::encode_for_file(document, &mut in_file);
        let (models, names) = (Models::new(), FileNames::admit(names::all()));
        let bounds = Bounds::NONE;
        let read = rdb::decode_from_file(&in_file, rdb::VERSION, &models, &bounds, Some(&names))
            .map_err(|error| error.line())?;
        again.clear();
        rdb::encode(&read, &mut again);
        expect("the document in a file", &again, &bytes)?;
        expect("the replica", &encoded(&self.replica), &Some(bytes))?;
        let expiry = |host: &MemoryHost| host.expiries.get(KEY).copied();
        expect("the time to live", &expiry(&self.host), &self.expiry)?;
        expect("the replica's time to live", &expiry(&self.replica), &self.expiry)
    }
}

/// Runs a command with budgets too small for it, each larger than the last: until one suffices it is refused
/// with `LIMIT`, and nothing has happened.
fn within_a_tiny_budget(host: &mut MemoryHost, words: &[&str]) -> Result<Outcome, Error> {
    let (before, now_us) = (encoded(host), host.now_us);
    for command_steps in [3, 20, 70, 300, 1500] {
        host.settings.work.command_steps = command_steps;
        let outcome = host.call(words);
        host.settings.work.command_steps = WorkLimits::DEFAULT.command_steps;
        let is_spent = |error: &Error| {
            error.detail("limit") == Some(&Detail::Text("model.command-steps".to_owned()))
        };
        match outcome {
            Err(error) if is_spent(&error) => {
                assert_eq!(encoded(host), before, "a refusal for want of steps changes nothing");
                host.now_us = now_us;
            }
            other => return other,
        }
    }
    host.call(words)
}

fn encoded(host: &MemoryHost) -> Option<Vec<u8>> {
    host.documents.get(KEY).map(|document| {
        let mut bytes = Vec::new();
        rdb::encode(document, &mut bytes);
        bytes
    })
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Check {
    if found == expected {
        return Ok(());
    }
    let text = |value: &T| shortened(&format!("{value:?}"));
    Err(format!("{what}:\n  module: {}\n  model:  {}", text(found), text(expected)))
}

fn expect_refusal(outcome: Result<Outcome, Error>, words: &BTreeSet<&'static str>) -> Check {
    match outcome {
        Err(error) if words.contains(error.code().word()) => Ok(()),
        Err(error) => Err(format!("the refusal:\n  module: {}\n  model:  {words:?}", error.line())),
        Ok(outcome) => Err(format!(
            "the refusal:\n  module: {}\n  model:  {words:?}",
            shortened(&outcome.reply.notation())
        )),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

// --- For people ------------------------------------------------------------------------------

/// A word as `redis-cli` reads it.
fn shown(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "$.-_/@:{}[],*+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            ' '.. => out.push(c),
            _ => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        }
    }
    out + "\""
}

fn shortened(text: &str) -> String {
    const MOST: usize = 2000;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    }
}
