//! Expressions made to take too much: stack, time or memory. Everything here runs on a small stack.

use redis_model::error::{Error, ErrorCode};
use redis_model::expr::{BYTES_MAX, DEPTH_MAX, ExprLimits, Names, Program, Scope};
use redis_model::value::{Limits, Measured, Value, parse};

use super::{LIMITS, json};

/// What a thread of a server may leave to us. Without optimisation frames are several times larger.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 2 << 20 } else { 256 << 10 };

fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).unwrap().join().expect("it neither panics nor overflows")
}

/// Everything one can do with an expression, over a document.
fn run(source: &str, document: &Value, limits: &ExprLimits) -> Result<Measured, Error> {
    let program = Program::compile(source, Names::COMPUTED, limits)?;
    let scope = Scope { this: Some(document.view()), now_us: Some(0), ..Scope::EMPTY };
    let made = program.evaluate(&scope, limits);
    assert_eq!(program.test(&scope, limits), program.test(&scope, limits));
    program.explain(&scope, limits);
    let _ = format!("{program:?}").len();
    made
}

fn code(result: Result<Measured, Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

#[track_caller]
fn check_exhausts(sources: Vec<String>, document: &'static str) {
    on_small_stack(move || {
        let document = json(document);
        for source in sources {
            let cut = &source[..source.len().min(100)];
            match run(&source, &document, &LIMITS) {
                Ok(_) => panic!("{cut} ends"),
                Err(error) => assert!(error.message().contains("more steps"), "{cut}: {error}"),
            }
        }
    });
}

#[test]
fn every_step_is_paid_for_over_literals_too() {
    let nested = |kind: &str, end: &str| {
        let names = "abcdefghijklmnopqr".chars();
        let source: String = names.map(|name| format!("[1,2,3].{kind}({name},")).collect();
        source + end + &")".repeat(18)
    };
    check_exhausts(
        vec![
            nested("map", "1"),
            nested("map", "'a'") + ".flatten()",
            nested("all", "true"),
            nested("exists", "false"),
            nested("exists", "1 / 0 == 1"),
            nested("all", "[].exists(x, x) || true"),
            nested("exists", "false") + " || true",
            nested("all", "true") + " && false",
        ],
        "null",
    );
}

#[test]
fn what_is_produced_is_paid_for() {
    let doubled = |first: &str, times: usize| first.to_owned() + &".map(x, x + x)".repeat(times);
    check_exhausts(
        vec![
            doubled("['ab']", 26),
            doubled("[b'ab']", 26),
            doubled("[[1]]", 26),
            doubled("[self.items]", 26),
            "[0].map(x, [[x, x], [x, x]])".to_owned()
                + &".flatten().map(x, [x, x, x, x])".repeat(14),
            "lists.range(1000000000)".to_owned(),
            "lists.range(9223372036854775807)".to_owned(),
            "lists.range(100000).map(x, 'abcdefghijklmnopqrstuvwxyz' + string(x)).join()"
                .to_owned(),
            "[lists.range(200000).map(x, 'a').join()].map(x, x.replace('', x))".to_owned(),
            "[lists.range(20000).map(x, 'a').join()].map(x, x.replace('a', x))".to_owned(),
            "lists.range(100000).map(x, 'a,').join().split('')".to_owned(),
            "lists.range(100000).exists(x, '%.100f %.100f'.format([1e300, x * 1e300]) == '')"
                .to_owned(),
            "lists.range(100000).map(x, lists.range(100000))".to_owned(),
            "lists.range(5000).distinct()".to_owned(),
            "lists.range(5000).exists(x, (lists.range(5000) + [x]) == lists.range(5000))"
                .to_owned(),
            "lists.range(100000).exists(x, -x in self.items)".to_owned(),
            "lists.range(100000).exists(x, self.items == self.items)
                && lists.range(100000).all(x, self.items == self.items)"
                .to_owned(),
            "lists.range(200000).map(x, self)".to_owned(),
            "lists.range(100000).exists(x, 'abc'.matches(string(x)))".to_owned(),
            r"lists.range(10000).map(x, 'abcdefghij').join().matches('[^x]{1,40}\\d\\d')"
                .to_owned(),
        ],
        r#"{"items":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}"#,
    );
}

#[test]
fn a_large_array_can_be_looked_through_once_but_not_over_and_over() {
    on_small_stack(|| {
        let items: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let document = json(&format!(r#"{{"n":[{}]}}"#, items.join(",")));
        for source in [
            "self.n.all(x, x >= 0)",
            "self.n.exists(x, x == 99999)",
            "self.n.exists_one(x, x == 5)",
            "size(self.n) == 100000 && self.n[99999] == 99999 && 99999 in self.n",
            "self.n == self.n",
        ] {
            assert!(run(source, &document, &LIMITS).is_ok(), "{source}");
        }
        for source in [
            "self.n.all(x, self.n.exists(y, y == x))",
            "self.n.exists(x, self.n.exists(y, y < 0))",
            "self.n.map(x, self.n)",
            "self.n.filter(x, x in self.n).size() > 0",
            "self.n.exists(x, self.n.exists(y, z / 0 == 1) || false)".replace('z', "y").as_str(),
        ] {
            let error = run(source, &document, &LIMITS).unwrap_err();
            assert!(error.message().contains("more steps"), "{source}: {error}");
        }
    });
}

#[test]
fn patterns_are_bounded_together() {
    let several = |count: usize| {
        let tests: Vec<_> = (0..count).map(|n| format!(r"'ab{n}'.matches('\\w\\w{n}')")).collect();
        tests.join(" && ")
    };
    assert_eq!(code(run(&several(4), &Value::NULL, &LIMITS)), None);
    let error = Program::compile(&several(100), Names::RULE, &LIMITS).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Expr);
    // One pattern made by the evaluation is compiled once, many are paid for.
    let items = "lists.range(1000)";
    let one = format!("{items}.all(x, string(x).matches(key + '^[0-9]+$'))");
    assert_eq!(code(run(&one, &Value::NULL, &LIMITS)), None);
    let many = format!("{items}.all(x, string(x).matches(string(x)))");
    assert_eq!(code(run(&many, &Value::NULL, &LIMITS)), Some(ErrorCode::Expr));
}

#[test]
fn patterns_from_a_document_are_bounded_before_they_are_read() {
    on_small_stack(|| {
        let matched = |pattern: &str, source: &str| {
            let quoted = pattern.replace('\\', "\\\\");
            code(run(source, &json(&format!("{{\"p\":\"{quoted}\"}}")), &LIMITS))
        };
        let from_document = "'abc'.matches(self.p)";
        assert_eq!(matched(&"[ab]".repeat(1024), from_document), None);
        assert_eq!(matched(&("[ab]".repeat(1024) + "c"), from_document), Some(ErrorCode::Limit));
        assert_eq!(matched(&"(a|b)".repeat(100_000), from_document), Some(ErrorCode::Limit));
        // Nothing absorbs it.
        let absorbed = "'abc'.matches(self.p) || true";
        assert_eq!(matched(&"(".repeat(4097), absorbed), Some(ErrorCode::Limit));
        assert_eq!(matched(&"(".repeat(4096), absorbed), None);
        // A short one that takes long to read is too much too, wherever it is written.
        let dear = r"(?i:[^\W\D\S])".repeat(100);
        let spent = run(from_document, &json(&format!("{{\"p\":{dear:?}}}")), &LIMITS).unwrap_err();
        assert!(spent.message().contains("more steps"), "{spent}");
        let constant = |count: usize| {
            let one = |nth| format!(r"'a'.matches(r'(?i:[^\W\D\S]){{{nth}}}')");
            let all: Vec<String> = (1..=count).map(one).collect();
            Program::compile(&all.join(" || "), Names::RULE, &LIMITS).map(|_| ())
        };
        assert_eq!(constant(4), Ok(()));
        assert!(constant(10).unwrap_err().message().contains("too large together"));
    });
}

#[test]
fn patterns_are_bounded() {
    on_small_stack(|| {
        for pattern in
            ["a{1000}{1000}", r"\\p{L}{1000}", "(a{100}){100}", &"(".repeat(40), "a**{", "(?=a)"]
        {
            let source = format!("'abc'.matches('{pattern}')");
            assert_eq!(
                code(run(&source, &Value::NULL, &LIMITS)),
                Some(ErrorCode::Expr),
                "{pattern}"
            );
            let source = format!("'abc'.matches('{pattern}' + string(now).substring(0, 0))");
            assert_eq!(
                code(run(&source, &Value::NULL, &LIMITS)),
                Some(ErrorCode::Expr),
                "{pattern}"
            );
        }
    });
}

/// Whatever one can write many times into four thousand bytes, inside each other and in a row.
#[test]
fn repeated_syntax_neither_overflows_nor_hangs() {
    on_small_stack(|| {
        let document = json(r#"{"a":{"a":[[[1]]]}}"#);
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("(", "", ""),
            ("!", "true", ""),
            ("-", "1", ""),
            ("!-", "1", ""),
            ("- ", "self.a", ""),
            ("[", "1", "]"),
            ("[", "", ""),
            ("{1:", "1", "}"),
            ("{", "", ""),
            ("true?1:", "1", ""),
            ("true?", "1", ":1"),
            ("true?true?1:2:", "1", ""),
            ("1+", "1", ""),
            ("1+(", "1", ")"),
            ("(1+", "1", ")"),
            ("1*2+", "1", ""),
            ("1<", "1", ""),
            ("1==(", "1", ")"),
            ("1 in ", "[1]", ""),
            ("true&&", "true", ""),
            ("true||false&&", "true", ""),
            ("(true||", "true", ")"),
            ("(true||(false&&", "true", "))"),
            ("size(", "self", ")"),
            ("has(self.a)&&", "true", ""),
            ("has(", "self.a", ")"),
            ("[1].map(x,", "1", ")"),
            ("[1].exists(x,", "true", ")"),
            ("self.a.contains(", "'a'", ")"),
            ("self[", "'a'", "]"),
            ("((a)+", "1", ")"),
            ("M{a:", "1", "}"),
            ("a.b{c:", "1", "}"),
            ("''", "", ""),
            ("r'", "", ""),
            ("'", "", ""),
            ("\"\"\"", "", ""),
            ("b'\\x", "", ""),
            ("`", "", ""),
            (".", "", ""),
            ("//", "", ""),
            ("1 ", "", ""),
            ("é", "", ""),
            ("\0", "", ""),
            ("?", "", ""),
            (":", "", ""),
            (",", "", ""),
            ("}", "", ""),
            ("self.", "a", ""),
        ] {
            let room = LIMITS.bytes - middle.len();
            for times in [16, 31, 32, 33, 64, 200, room / (open.len() + close.len())] {
                let source = open.repeat(times) + middle + &close.repeat(times);
                let _ = run(&source, &document, &LIMITS);
                let wide = ExprLimits { depth: DEPTH_MAX, ..LIMITS };
                let _ = run(&source, &document, &wide);
            }
            let source = open.repeat(60_000 / open.len());
            let _ = run(&source, &document, &ExprLimits::NONE);
        }
        for (start, behind) in [
            ("self", ".a"),
            ("self", "['a']"),
            ("self", "[0]"),
            ("self", ".size()"),
            ("self", ".a()"),
            ("self.a", ".map(x,x)"),
            ("[1]", ".map(x,x+1)"),
            ("[1]", ".filter(x,true)"),
            ("'a'", ".trim()"),
            ("1", "+1"),
            ("1", "-(1)"),
            ("1", "<1"),
            ("'a'", "+'a'"),
            ("true", "&&true"),
            ("true", "?1:2"),
            ("a", "{}"),
            ("a", ".b{}"),
            ("[1,[1]]", ".flatten()"),
        ] {
            let room = (LIMITS.bytes - start.len()) / behind.len();
            for times in [30, 31, 32, 33, 100, 190, 230, room] {
                let source = start.to_owned() + &behind.repeat(times);
                let _ = run(&source, &document, &LIMITS);
                let _ = run(&source, &document, &ExprLimits { depth: DEPTH_MAX, ..LIMITS });
                let grouped = format!("({source}).f(({source}).g(({source})))");
                let _ = run(&grouped, &document, &ExprLimits::NONE);
            }
        }
    });
}

#[test]
fn each_limit_holds_at_the_maximum_and_one_past_it() {
    on_small_stack(|| {
        let limit = |source: &str, limits: &ExprLimits| match run(source, &Value::NULL, limits) {
            Ok(_) => "fine".to_owned(),
            Err(error) if error.code() == ErrorCode::Limit => match error.detail("limit") {
                Some(redis_model::error::Detail::Text(name)) => name.clone(),
                other => panic!("{other:?}"),
            },
            Err(error) => error.message().to_owned(),
        };
        let text = |len: usize| format!("'{}'", "x".repeat(len - 2));
        assert_eq!(limit(&text(4096), &LIMITS), "fine");
        assert_eq!(limit(&text(4097), &LIMITS), "model.expression-bytes");
        let wide = ExprLimits { bytes: usize::MAX, ..LIMITS };
        assert_eq!(limit(&text(BYTES_MAX), &wide), "fine");
        assert_eq!(limit(&text(BYTES_MAX + 1), &wide), "model.expression-bytes");

        // Every list is a level, and what stands in the innermost one is another.
        let nested = |depth: usize| "[".repeat(depth - 1) + "1" + &"]".repeat(depth - 1);
        for depth in [1, 2, 8, 32, DEPTH_MAX] {
            let limits = ExprLimits { depth, ..LIMITS };
            assert_eq!(limit(&nested(depth as usize), &limits), "fine", "{depth}");
            let past = limit(&nested(depth as usize + 1), &limits);
            assert_eq!(past, "model.expression-depth", "{depth}");
        }
        let past = limit(&nested(DEPTH_MAX as usize + 1), &ExprLimits { depth: 1000, ..LIMITS });
        assert_eq!(past, "model.expression-depth");

        // A root, three names, a constant, the comparison and its conversion.
        let document = json(r#"{"a":{"b":{"c":1}}}"#);
        let scope = Scope { this: Some(document.view()), ..Scope::EMPTY };
        let program = Program::compile("self.a.b.c == 1", Names::RULE, &LIMITS).unwrap();
        let ends = |steps| program.test(&scope, &ExprLimits { steps, ..LIMITS }).is_ok();
        let least = (0..100).find(|steps| ends(*steps)).unwrap();
        assert_eq!(least, 6);
        assert!((least..100).all(ends), "more steps never hurt");
    });
}

/// Chains are no nesting: what people write as one long condition compiles.
#[test]
fn long_chains_are_no_nesting() {
    let document = json(r#"{"a":{"b":{"c":1}}}"#);
    for (start, behind, times) in [
        ("self.a.b.c == 1", " && self.a.b.c == 1", 200),
        ("self.a.b.c == 2", " || self.a.b.c == 1", 200),
        ("self.a.b.c", " + self.a.b.c", 180),
        ("'a'", " + 'b'", 180),
        ("(self.a.b.c == 1 || self.a.b.c == 2)", " && (self.a.b.c == 1 || self.a.b.c == 2)", 90),
    ] {
        let source = start.to_owned() + &behind.repeat(times);
        run(&source, &document, &LIMITS).unwrap();
    }
    let cases: String = (0..30).map(|n| format!("self.a.b.c == {n} ? {n} : ")).collect();
    run(&(cases + "0"), &document, &LIMITS).unwrap();
}

#[test]
fn documents_may_nest_as_deep_as_any_configuration_allows() {
    on_small_stack(|| {
        let text = |end: &str| "[".repeat(511) + end + &"]".repeat(511);
        let (one, two) = (text(r#"{"a":1}"#), text(r#"{"a":2}"#));
        let document = parse::json(
            format!("[{},{},1]", &one[1..one.len() - 1], &two[1..two.len() - 1]).as_bytes(),
            &Limits::NONE,
        );
        let document = document.unwrap().value;
        for (source, expected) in [
            ("self[0] == self[0]", true),
            ("self[0] == self[1]", false),
            ("self[1] in [self[0], self[1]]", true),
            ("self[0].flatten(1000) == [{'a': 1}]", true),
            ("self.distinct().size() == 3", true),
            ("[self[1]] == [self[1]] && size(self) == 3", true),
        ] {
            let program = Program::compile(source, Names::RULE, &LIMITS).unwrap();
            let scope = Scope { this: Some(document.view()), ..Scope::EMPTY };
            assert_eq!(program.test(&scope, &LIMITS), Ok(expected), "{source}");
        }
        assert!(run("self[0]", &document, &LIMITS).is_ok());
        assert!(run("self", &document, &LIMITS).is_ok());
        assert_eq!(code(run("[[self]]", &document, &LIMITS)), Some(ErrorCode::Limit));
        assert_eq!(code(run("'%s'.format([self])", &document, &LIMITS)), Some(ErrorCode::Expr));
    });
}
