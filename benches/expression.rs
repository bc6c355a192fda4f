//! Conditions side by side: this crate's evaluator, and the `cel` crate's over values that were
//! converted to its own beforehand and over values converted each time. `make bench-values` runs it.
//!
//! Times are of this machine and this run; what counts is how they compare. With a number and an
//! expression as arguments it does nothing but evaluate that so many times, for a profiler.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use redis_model::budget::Allowance;
use redis_model::expr::cache::Cache;
use redis_model::expr::{AllowedNames, ExprLimits, Program, Scope};
use redis_model::value::{Limits, View, parse};

const LIMITS: ExprLimits = ExprLimits::DEFAULT;
const DOCUMENT: &str = r#"{"id":"acct:17","owner":{"name":"Ada Lovelace","mail":"ada@example.org"},
    "balance":250,"status":"active","limit":2.5,"tags":["gold","eu"],
    "items":[{"sku":"a","qty":3,"price":2.5},{"sku":"b","qty":1,"price":10.0},{"sku":"c","qty":7,"price":1.25}]}"#;
const ARGUMENTS: &str = r#"{"n":50}"#;

const CONDITIONS: [&str; 7] = [
    "self.balance >= args.n",
    "self.balance >= args.n && self.status == 'active'",
    "self.owner.mail.endsWith('.org') || has(self.closed)",
    "'gold' in self.tags && size(self.items) <= 10",
    "self.items.all(i, i.qty > 0 && i.price < 100.0)",
    "self.owner.mail.matches('^[a-z]+@[a-z.]+$')",
    "self.owner.name.lowerAscii() == 'ada lovelace'",
];

/// The median of some rounds, in nanoseconds a call.
fn measure(mut work: impl FnMut()) -> f64 {
    const ROUND: Duration = Duration::from_millis(20);
    let mut calls = 1u32;
    loop {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        if start.elapsed() > ROUND / 4 {
            break;
        }
        calls *= 2;
    }
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// A document as the crate's own value.
fn convert(view: View<'_>) -> cel::Value {
    match view {
        View::Null => cel::Value::Null,
        View::Bool(value) => value.into(),
        View::Int(value) => value.into(),
        View::Float(value) => value.into(),
        View::Str(text) => text.as_str().into(),
        View::Array(array) => array.iter().map(convert).collect::<Vec<_>>().into(),
        View::Object(object) => {
            let members =
                object.iter().map(|(name, value)| (name.as_str().to_owned(), convert(value)));
            members.collect::<HashMap<_, _>>().into()
        }
    }
}

fn main() {
    let document = parse::json(DOCUMENT.as_bytes(), &Limits::DEFAULT).expect("valid JSON").value;
    let arguments = parse::json(ARGUMENTS.as_bytes(), &Limits::DEFAULT).expect("valid JSON").value;
    let scope = Scope { this: Some(document.view()), args: Some(arguments.view()), ..Scope::EMPTY };
    if let Some(calls) = std::env::args().skip(1).find_map(|argument| argument.parse().ok()) {
        let source = std::env::args().nth(2).unwrap_or_else(|| CONDITIONS[1].to_owned());
        return repeat(&source, &scope, calls);
    }
    let mut env = cel::Env::stdlib();
    env.add_extension(cel::extensions::strings).expect("added once");
    let env = std::sync::Arc::new(env);
    println!("nanoseconds a call; `hit` is looking the program up in the cache");
    println!("{:>8} {:>8} {:>8} {:>10} {:>10}", "compile", "hit", "test", "cel", "converting");
    for source in CONDITIONS {
        let program =
            Program::compile(source, AllowedNames::CONDITION, &LIMITS).expect("it compiles");
        assert_eq!(program.test(&scope, &LIMITS), Ok(true), "{source}");
        let compile = measure(|| {
            black_box(
                Program::compile(black_box(source), AllowedNames::CONDITION, &LIMITS).is_ok(),
            );
        });
        let mut cache = Cache::new(100, 1 << 20);
        let free = Allowance::unlimited();
        CONDITIONS.iter().for_each(|source| {
            cache.get(source, AllowedNames::CONDITION, &LIMITS, &free).expect("it compiles");
        });
        let hit = measure(|| {
            black_box(
                cache.get(black_box(source), AllowedNames::CONDITION, &LIMITS, &free).is_ok(),
            );
        });
        let test = measure(|| {
            black_box(program.test(black_box(&scope), &LIMITS).is_ok());
        });
        let theirs = env.compile(source).expect("it compiles");
        let context = || {
            let mut context = cel::Context::with_env(env.clone());
            context.add_variable_from_value("self", convert(document.view()));
            context.add_variable_from_value("args", convert(arguments.view()));
            context
        };
        let converted = context();
        let cel = measure(|| {
            black_box(theirs.execute(&converted).is_ok());
        });
        let converting = measure(|| {
            black_box(theirs.execute(&context()).is_ok());
        });
        println!("{compile:>8.0} {hit:>8.0} {test:>8.0} {cel:>10.0} {converting:>10.0}  {source}");
    }
    large();
}

fn repeat(source: &str, scope: &Scope<'_>, calls: u64) {
    let program = Program::compile(source, AllowedNames::CONDITION, &LIMITS).expect("it compiles");
    (0..calls).for_each(|_| {
        black_box(program.test(black_box(scope), &LIMITS).is_ok());
    });
}

/// Loops over a large array: what a step costs.
fn large() {
    let items: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let text = format!(r#"{{"n":[{}],"s":["{}"]}}"#, items.join(","), items.join(r#"",""#));
    let document = parse::json(text.as_bytes(), &Limits::DEFAULT).expect("valid JSON").value;
    let scope = Scope { this: Some(document.view()), ..Scope::EMPTY };
    println!(
        "\nmilliseconds over 100,000 elements, or until the budget of a million steps is spent"
    );
    for source in [
        "self.n.all(x, x >= 0)",
        "self.n.filter(x, x % 2 == 0).size() == 50000",
        "self.n.exists(x, self.n.exists(y, x + y < 0))",
        "self.n.exists(x, x.missing)",
        "self.s.exists(x, x.lowerAscii() == 'none')",
        "self.s.exists(x, x.matches('^none$'))",
        "self.s.exists(x, x.matches('(a|b)*a(a|b){12}'))",
        "self.s.join().matches('(0|1|2|3|4|5|6|7|8|9)*1(0|1|2|3|4|5|6|7|8|9){8}x')",
        "self.s.join().contains('none')",
        "self.s.join(',').split(',').size() == 0",
        "self.n.map(x, [x]).flatten().sort().reverse().size() == 0",
        "self.n == self.s",
        "self.n.map(x, string(x)) == self.s",
        "self.n.exists(x, timestamp(x).getHours() > 24)",
        "self.s.exists(x, x.matches(x + 'a'))",
        "self.n.distinct().size() == 0",
        "lists.range(250000).sortBy(x, -x)[0] == 0",
        "self.n.exists(x, '%.100f%.100f'.format([1e300, 1e300]) == '')",
    ] {
        let program =
            Program::compile(source, AllowedNames::CONDITION, &LIMITS).expect("it compiles");
        let outcome = match program.test(&scope, &LIMITS) {
            Ok(holds) => holds.to_string(),
            Err(error) => error.message().to_owned(),
        };
        let time = measure(|| {
            black_box(program.test(black_box(&scope), &LIMITS).is_ok());
        });
        println!("{:>8.2}  {source}: {outcome}", time / 1e6);
    }
}
