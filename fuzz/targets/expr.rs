//! Expressions: any text is compiled, and what compiles is evaluated over one document.

#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use redis_model::error::Error;
use redis_model::expr::{
    AllowedNames, DocumentSource, ExprLimits, NativeAnswer, NativeQuestion, OldSelf, Program, Scope,
};
use redis_model::value::edit::WatchPaths;
use redis_model::value::{Limits, Value, View, parse, print};

/// Few steps, so that what takes long for its steps is seen.
const LIMITS: ExprLimits = ExprLimits { bytes: 4096, depth: 32, steps: 20_000 };
const NAMES: AllowedNames = AllowedNames { args: true, docs: true, old_self: true, value: true };
/// Instrumented, on a busy core; a step takes some ten nanoseconds otherwise.
const SECONDS_MAX: u64 = 3;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = br#"{"a":1,"b":2.5,"c":"Zo\u00eb","d":[1,2,3],"e":{"f":null,"g":true},"h":-9223372036854775808,
        "i":[{"q":1},{"q":2,"n":"x"}],"j":"2024-02-29T12:30:00Z"}"#;
    parse::json(text, &Limits::DEFAULT).expect("valid JSON").value
});

struct Docs;

impl DocumentSource for Docs {
    fn get<'a>(&'a self, key: &[u8], _: Option<View<'a>>) -> Option<View<'a>> {
        (key == b"k").then(|| DOCUMENT.view())
    }

    fn native(&self, key: &[u8], question: NativeQuestion<'_>) -> Result<NativeAnswer, Error> {
        match (key, question) {
            (b"k", NativeQuestion::Size) => Ok(NativeAnswer::Int(3)),
            (b"k", NativeQuestion::Has(member)) => Ok(NativeAnswer::Bool(member == b"m")),
            (b"k", _) => Ok(NativeAnswer::Missing),
            _ => Err(Error::syntax("the key is not among those listed")),
        }
    }

    fn count(&self, _: Option<View<'_>>) -> usize {
        1
    }

    fn nth<'a>(&'a self, nth: usize, _: Option<View<'a>>) -> Option<(&'a str, View<'a>)> {
        (nth == 0).then(|| ("k", DOCUMENT.view()))
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(source) = std::str::from_utf8(input) else { return };
    let start = Instant::now();
    let Ok(program) = Program::compile(source, NAMES, &LIMITS) else { return };
    let document = DOCUMENT.view();
    let watch = WatchPaths::new(program.old_self_paths().iter().cloned()).watch();
    let scope = Scope {
        this: Some(document),
        args: Some(document),
        docs: Some(&Docs),
        old_self: Some(OldSelf::new(&watch, document)),
        value: Some(View::Int(7)),
        now_us: Some(1_709_251_200_000_000),
        key: b"k",
        revision: Some(42),
        allowance: None,
    };
    let outcome = || match program.evaluate(&scope, &LIMITS) {
        Ok(made) => {
            assert_eq!(made.size, made.value.view().size());
            print::to_string(made.value.view())
        }
        Err(error) => error.line(),
    };
    let first = outcome();
    assert!(first.len() < 1 << 20, "the budget bounds what is made");
    assert_eq!(first, outcome(), "the same again");
    if let Ok(holds) = program.test(&scope, &LIMITS) {
        assert_eq!(first, holds.to_string());
        let wide = ExprLimits { steps: 10 * LIMITS.steps, ..LIMITS };
        assert_eq!(program.test(&scope, &wide), Ok(holds), "more steps never hurt");
    }
    for (place, value) in program.explain(&scope, &LIMITS) {
        assert!(place.len() < 100 && value.len() < 500);
        parse::json(value.as_bytes(), &Limits::DEFAULT).expect("values are shown as JSON");
    }
    assert!(program.heap_bytes() < 1 << 25);
    assert!(start.elapsed().as_secs() < SECONDS_MAX, "the budget bounds the time");
});
