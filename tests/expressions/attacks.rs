//! Expressions made to take too much: stack, time or memory. Everything here runs on a small stack.

use redis_model::error::{Error, ErrorCode};
use redis_model::expr::{AllowedNames, BYTES_MAX, DEPTH_MAX, ExprLimits, Program, Scope};
use redis_model::value::{Limits, Measured, Value, parse, print};

use super::{LIMITS, json};

/// Any length and nesting, and steps that end within seconds.
const WIDE: ExprLimits = ExprLimits { steps: 100_000_000, ..ExprLimits::NONE };

/// The stack that a thread of a server may have left. Without optimisation frames are several times larger.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 2 << 20 } else { 256 << 10 };

fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).unwrap().join().expect("it neither panics nor overflows")
}

/// Everything one can do with an expression, over a document.
fn run(source: &str, document: &Value, limits: &ExprLimits) -> Result<Measured, Error> {
    let program = Program::compile(source, AllowedNames::COMPUTED, limits)?;
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
        let mut wrong = Vec::new();
        for source in sources {
            let cut = &source[..source.len().min(100)];
            match run(&source, &document, &LIMITS) {
                Ok(_) => wrong.push(format!("{cut} ends")),
                Err(error) if error.message().contains("more steps") => {}
                Err(error) => wrong.push(format!("{cut}: {error}")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
fn produced_values_count_against_the_budget() {
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
fn loops_and_values_of_every_new_function_are_paid_for() {
    let hundred = "lists.range(100)";
    let thousand = "lists.range(1000)";
    let letters = format!("{thousand}.map(x, 'abcdefghij').join()");
    let nested = |open: &str, end: &str| {
        let names = "abcdefghijklmnopqr".chars();
        let source: String = names.map(|name| open.replace('#', &name.to_string())).collect();
        source + end + &")".repeat(18)
    };
    check_exhausts(
        vec![
            nested("[1,2,3].all(n#, #, ", "true"),
            nested("[1,2,3].transformList(n#, #, ", "1"),
            nested("[1,2,3].transformMap(n#, #, ", "1"),
            nested("{'a':1,'b':1,'c':1}.transformMap(n#, #, ", "1"),
            "abcdefghijklm".chars().map(|name| {
                format!("['a','b','c'].transformMapEntry(n{name}, {name}, {{{name}: ")
            }).collect::<String>() + "1" + &"})".repeat(13),
            nested("[1,2,3].reduce(t#, #, 0, ", "1"),
            // Strings, lists and maps that double.
            format!("{hundred}.reduce(t, x, 'ab', t + t)"),
            format!("{hundred}.reduce(t, x, b'ab', t + t)"),
            format!("{hundred}.reduce(t, x, [1], t + t)"),
            format!("{hundred}.reduce(t, x, [1], [t, t].flatten())"),
            format!("{hundred}.reduce(t, x, 'ab', t.replace('a', t))"),
            format!("{hundred}.reduce(t, x, ['ab'], [t.join(), t.join()])"),
            format!("{hundred}.reduce(t, x, 'ab', strings.quote(t) + t)"),
            format!("{hundred}.reduce(t, x, 'ab', '%s%s'.format([t, t]))"),
            format!("{hundred}.all(x, {thousand}.reduce(t, x, [1], t + [x]) != [])"),
            // Values that are shared are walked through again and again.
            "lists.range(60).reduce(t, x, [1], [t, t]) == lists.range(60).reduce(t, x, [1], [t, t])"
                .to_owned(),
            "lists.range(60).reduce(t, x, {1: 1}, {1: t, 2: t})
                == lists.range(60).reduce(t, x, {1: 1}, {1: t, 2: t})".to_owned(),
            "lists.range(60).reduce(t, x, [1], [t, t])".to_owned(),
            "lists.range(60).reduce(t, x, [1], [t, t]).flatten(60)".to_owned(),
            "cel.bind(a, [1, 1], cel.bind(b, [a, a, a, a], cel.bind(c, [b, b, b, b],
                cel.bind(d, [c, c, c, c], cel.bind(e, [d, d, d, d], cel.bind(f, [e, e, e, e],
                cel.bind(g, [f, f, f, f], cel.bind(h, [g, g, g, g],
                cel.bind(i, [h, h, h, h], [i, i, i, i] + [i, i, i, i] + [i, i, i, i] + [i, i, i, i] + [i, i, i, i] + [i, i, i, i])))))))))".to_owned(),
            "lists.range(60).reduce(t, x, optional.of([1]), optional.of([t, t]))
                == lists.range(60).reduce(t, x, optional.of([1]), optional.of([t, t]))".to_owned(),
            // Quadratic functions.
            "sets.contains(lists.range(5000), lists.range(5000).reverse())".to_owned(),
            "sets.equivalent(lists.range(2000), lists.range(2000))".to_owned(),
            "sets.intersects(lists.range(5000), lists.range(5000).map(x, -1 - x))".to_owned(),
            "lists.range(2000).transformMapEntry(i, v, {v: i})".to_owned(),
            "lists.range(2000).transformMapEntry(i, v, {string(v): i})".to_owned(),
            "cel.bind(m, lists.range(5000).transformMap(i, v, v), lists.range(5000).all(x, m[x] == x))"
                .to_owned(),
            format!("{letters}.findAll('[a-z]').size()"),
            format!("{letters}.findAll('a.*z|b').size()"),
            format!("{letters}.findAll('')"),
            format!("lists.range(10000).exists(x, {letters}.find('[0-9]') != '')"),
            "lists.range(100000).exists(x, 'abc'.find(string(x)) != '')".to_owned(),
            "lists.range(100000).exists(x, 'abc'.findAll(string(x)) != [])".to_owned(),
            // Linear functions, many times.
            format!("{thousand}.exists(x, {thousand}.sum() < 0)"),
            format!("{thousand}.exists(x, {thousand}.min() < 0)"),
            format!("{thousand}.exists(x, {thousand}.max() < 0)"),
            format!("!{thousand}.all(x, {thousand}.isSorted())"),
            format!("{thousand}.exists(x, {thousand}.indexOf(-1) > 0)"),
            format!("{thousand}.exists(x, {thousand}.lastIndexOf(-1) > 0)"),
            format!("{thousand}.exists(x, {thousand}.slice(0, 900) == [])"),
            format!("{thousand}.exists(x, {thousand}.map(y, optional.of(y)).unwrapOpt() == [])"),
            format!("{thousand}.exists(x, [{letters}].indexOf({letters}) > 0)"),
            format!("cel.bind(b, bytes({letters}), {thousand}.exists(x, b.contains(b'zz')))
                || cel.bind(b, bytes({letters}), {thousand}.exists(x, b.contains(b'zz')))"),
        ],
        r#"{"items":[1,2,3]}"#,
    );
}

/// Values that an expression makes are compared, printed and dropped by recursion.
#[test]
fn values_nest_no_deeper_than_their_limit() {
    on_small_stack(|| {
        let nested = |step: &str, times: usize| {
            let source = format!("lists.range({times}).reduce(t, x, [], {step})");
            run(&format!("type({source}) == int"), &Value::NULL, &LIMITS).map(|_| ())
        };
        for step in [
            "[t]",
            "[1, t]",
            "{1: t}",
            "optional.of(t)",
            "[optional.of({1: t})]",
            "[t].map(x, [x])",
            "[t].transformMap(i, v, [v])",
            "[t].transformMapEntry(i, v, {i: [v]})",
            "[1] + [t]",
            "[t].sortBy(x, 1)",
            "[t].first()",
            "[t].reverse()",
            "[t].distinct()",
            "[?optional.of(t)]",
            "{?'a': optional.of(t)}",
            "optional.of(t).optMap(x, [x])",
            "optional.none().or(optional.of(t))",
        ] {
            assert_eq!(nested(step, 30), Ok(()), "{step}");
            let error = nested(step, 20_000).expect_err(step);
            assert_eq!(error.code(), ErrorCode::Limit, "{step}: {error}");
            assert!(error.line().contains("expression-nesting"), "{step}: {error}");
        }
        // The first list is a constant and counts as a scalar.
        assert_eq!(nested("[t]", 128), Ok(()));
        assert_eq!(nested("[t]", 129).unwrap_err().code(), ErrorCode::Limit);
        // Nothing absorbs it.
        let absorbed = "size(lists.range(200).reduce(t, x, [], [t])) == 5 || true";
        assert_eq!(code(run(absorbed, &Value::NULL, &LIMITS)), Some(ErrorCode::Limit));
        let deepest = "lists.range(128).reduce(t, x, [], [t])";
        assert!(run(deepest, &Value::NULL, &LIMITS).is_ok());
        assert_eq!(code(run(&format!("{deepest} == {deepest}"), &Value::NULL, &LIMITS)), None);
    });
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
    let error = Program::compile(&several(100), AllowedNames::RULE, &LIMITS).unwrap_err();
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
            Program::compile(&all.join(" || "), AllowedNames::RULE, &LIMITS).map(|_| ())
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
            ("self.?", "a", ""),
            ("[?", "optional.none()", "]"),
            ("[?", "", ""),
            ("{?1:", "optional.none()", "}"),
            ("self[?", "'a'", "]"),
            ("optional.of(", "1", ")"),
            ("cel.bind(x,1,", "x", ")"),
            ("cel.bind(x,", "1", ",x)"),
            ("[1].all(i,v,", "true", ")"),
            ("[1].transformMap(i,v,", "1", ")"),
            ("[1].transformMapEntry(i,v,{1:", "1", "})"),
            ("[1].reduce(t,x,0,", "1", ")"),
            ("[1].reduce(t,x,", "1", ",t)"),
            ("optional.of(1).optMap(x,", "1", ")"),
            ("sets.contains([1],", "[1]", ")"),
            ("size(1+", "1", ")"),
        ] {
            let room = LIMITS.bytes - middle.len();
            for times in [16, 31, 32, 33, 64, 200, room / (open.len() + close.len())] {
                let source = open.repeat(times) + middle + &close.repeat(times);
                let _ = run(&source, &document, &LIMITS);
                let wide = ExprLimits { depth: DEPTH_MAX, ..LIMITS };
                let _ = run(&source, &document, &wide);
            }
            let source = open.repeat(60_000 / open.len());
            let _ = run(&source, &document, &WIDE);
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
            ("self", ".?a"),
            ("self", "[?0]"),
            ("self", ".?a.b"),
            ("self.?a", ".orValue(1)"),
            ("self.?a", ".or(self.?b)"),
            ("[1]", ".transformList(i,v,v)"),
            ("[1]", ".reduce(t,x,[1],[x])"),
            ("[[1]]", ".first().value()"),
        ] {
            let room = (LIMITS.bytes - start.len()) / behind.len();
            for times in [30, 31, 32, 33, 100, 190, 230, 900, 990, room] {
                let source = start.to_owned() + &behind.repeat(times);
                let _ = run(&source, &document, &LIMITS);
                let _ = run(&source, &document, &ExprLimits { depth: DEPTH_MAX, ..LIMITS });
                let grouped = format!("({source}).f(({source}).g(({source})))");
                let _ = run(&grouped, &document, &WIDE);
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
        let program = Program::compile("self.a.b.c == 1", AllowedNames::RULE, &LIMITS).unwrap();
        let ends = |steps| program.test(&scope, &ExprLimits { steps, ..LIMITS }).is_ok();
        let least = (0..100).find(|steps| ends(*steps)).unwrap();
        assert_eq!(least, 6);
        assert!((least..100).all(ends), "more steps never hurt");
    });
}

/// Operators and members in a row are bounded for the sake of the parser, and the refusal says so.
#[test]
fn a_long_chain_is_distinguished_from_nesting() {
    on_small_stack(|| {
        let limits = ExprLimits { bytes: BYTES_MAX, ..LIMITS };
        let document = json(r#"{"a":{"b":{"c":1}}}"#);
        let row = |before: &str, terms: usize, behind: &str| {
            let source = before.to_owned() + "1" + &"+1".repeat(terms - 1) + behind;
            match run(&source, &document, &limits) {
                Ok(made) => Ok(print::to_string(made.value.view())),
                Err(error) => Err(error.line()),
            }
        };
        assert_eq!(row("", 225, ""), Ok("225".into()));
        assert_eq!(row("", 1031, ""), Ok("1031".into()));
        assert_eq!(row("[", 1028, "][0]"), Ok("1028".into()));
        assert_eq!(row("int(", 223, ")"), Ok("223".into()));
        for (before, terms, behind) in
            [("", 1100, ""), ("int(", 300, ")"), ("(", 300, ").size()"), ("[1].map(x, ", 300, ")")]
        {
            let line = row(before, terms, behind).unwrap_err();
            assert!(line.starts_with("LIMIT ") && line.contains("expression-chain"), "{line}");
            assert!(line.contains("operators or members in a row"), "{line}");
            assert!(line.contains("\"place\":\"line 1 column "), "{line}");
        }
        let nested = run(&("(".repeat(40) + "1" + &")".repeat(40)), &document, &limits);
        let line = nested.unwrap_err().line();
        assert!(
            line.contains("model.expression-depth") && line.contains("in each other"),
            "{line}"
        );
        assert!(line.contains("\"place\":\"line 1 column 33\""), "{line}");
        // The question mark of an optional opens no condition.
        let optional = "self.?a".to_owned() + &".?b".repeat(200) + ".orValue(1)";
        assert!(run(&optional, &document, &LIMITS).is_ok());
        let list = format!("[{}1]", "?self.?a, ".repeat(100));
        assert!(run(&list, &document, &LIMITS).is_ok());
    });
}

/// Chains are no nesting: long conditions as people write them compile.
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
            let program = Program::compile(source, AllowedNames::RULE, &LIMITS).unwrap();
            let scope = Scope { this: Some(document.view()), ..Scope::EMPTY };
            assert_eq!(program.test(&scope, &LIMITS), Ok(expected), "{source}");
        }
        assert!(run("self[0]", &document, &LIMITS).is_ok());
        assert!(run("self", &document, &LIMITS).is_ok());
        assert_eq!(code(run("[[self]]", &document, &LIMITS)), Some(ErrorCode::Limit));
        assert_eq!(code(run("'%s'.format([self])", &document, &LIMITS)), Some(ErrorCode::Expr));
    });
}
