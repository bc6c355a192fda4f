//! Expressions through the room's interface: what they mean, what they refuse, what they may cost.

mod agreement;
mod attacks;
mod conformance;
mod functions;
mod macros;
mod optionals;
mod textproto;

use std::sync::Arc;

use redis_model::error::{Error, ErrorCode};
use redis_model::expr::cache::Cache;
use redis_model::expr::{
    AllowedNames, DocumentSource, ExprLimits, NativeAnswer, NativeQuestion, OldSelf, Program, Scope,
};
use redis_model::value::edit::WatchPaths;
use redis_model::value::{Limits, Value, View, parse, print};

const LIMITS: ExprLimits = ExprLimits::DEFAULT;
const ALL: AllowedNames = AllowedNames { args: true, docs: true, old_self: true, value: true };

const DOCUMENT: &str = r#"{
    "balance": 20, "status": "active", "price": 2.5, "zero": 0, "name": "Zoë ☺", "nothing": null,
    "tags": ["a", "b"], "limits": {"max": 100, "a-b": 1}, "items": [{"sku": "x", "qty": 1},
    {"sku": "y", "qty": 5, "note": "hi"}], "min": -9223372036854775808, "max": 9223372036854775807,
    "when": "2024-02-29T12:30:00Z", "flag": true, "big": 1e300, "empty": []
}"#;
const ARGUMENTS: &str = r#"{"n": 20, "name": "x", "list": [1, 2, 3], "half": 0.5}"#;
/// 2024-03-01T00:00:00Z.
const NOW_US: u64 = 1_709_251_200_000_000;

fn json(text: &str) -> Value {
    parse::json(text.as_bytes(), &Limits::NONE).unwrap().value
}

struct Docs(Vec<(&'static str, Value)>);

impl DocumentSource for Docs {
    fn get<'a>(&'a self, key: &[u8], _: Option<View<'a>>) -> Option<View<'a>> {
        self.0.iter().find(|(own, _)| own.as_bytes() == key).map(|(_, value)| value.view())
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
        self.0.len()
    }

    fn nth<'a>(&'a self, nth: usize, _: Option<View<'a>>) -> Option<(&'a str, View<'a>)> {
        self.0.get(nth).map(|(key, value)| (*key, value.view()))
    }
}

fn with_scope<T>(names: AllowedNames, program: &Program, work: impl FnOnce(&Scope<'_>) -> T) -> T {
    let (document, arguments) = (json(DOCUMENT), json(ARGUMENTS));
    let docs = Docs(vec![("a:1", json(r#"{"n":1}"#)), ("a:2", json("[1,2]"))]);
    let watch = WatchPaths::new(program.old_self_paths().iter().cloned()).watch();
    let old = json(r#"{"balance":10,"a":{"b":[5]},"s":"t"}"#);
    work(&Scope {
        this: Some(document.view()),
        args: Some(arguments.view()),
        docs: names.docs.then_some(&docs as &dyn DocumentSource),
        old_self: Some(OldSelf::new(&watch, old.view())),
        value: Some(View::Int(7)),
        now_us: Some(NOW_US),
        key: b"acct:1",
        revision: Some(42),
        allowance: None,
    })
}

/// The JSON text of what an expression gives.
fn evaluate(source: &str) -> Result<String, Error> {
    let program = Program::compile(source, ALL, &LIMITS)?;
    with_scope(ALL, &program, |scope| {
        program.evaluate(scope, &LIMITS).map(|made| print::to_string(made.value.view()))
    })
}

fn check(source: &str, expected: &str) {
    match evaluate(source) {
        Ok(made) => assert_eq!(made, expected, "{source}"),
        Err(error) => panic!("{source}: {error}"),
    }
}

fn check_all(cases: &[(&str, &str)]) {
    cases.iter().for_each(|(source, expected)| check(source, expected));
}

fn check_true(cases: &[&str]) {
    cases.iter().for_each(|source| check(source, "true"));
}

/// Whatever is wrong, at compile time or later, is `EXPR`.
fn check_fails(cases: &[&str]) {
    for source in cases {
        match evaluate(source) {
            Ok(made) => panic!("{source} gives {made}"),
            Err(error) => assert_eq!(error.code(), ErrorCode::Expr, "{source}: {error}"),
        }
    }
}

#[test]
fn names_and_members() {
    check_all(&[
        ("self.balance", "20"),
        ("self.limits.max", "100"),
        ("self.limits['a-b']", "1"),
        ("self.limits.`a-b`", "1"),
        ("self['limits']['max']", "100"),
        ("self.items[1].sku", r#""y""#),
        ("self.items[1u].sku", r#""y""#),
        ("self.items[1.0].sku", r#""y""#),
        ("self.items[self.zero].qty", "1"),
        ("args.list", "[1,2,3]"),
        ("value", "7"),
        ("key", r#""acct:1""#),
        ("revision", "42"),
        ("now", r#""2024-03-01T00:00:00Z""#),
        ("docs['a:1'].n", "1"),
        ("docs['a:2'][1]", "2"),
        ("'a:1' in docs", "true"),
        ("'a:3' in docs", "false"),
        ("size(docs)", "2"),
        ("docs.map(k, k)", r#"["a:1","a:2"]"#),
        ("oldSelf.balance", "10"),
        ("oldSelf.a.b[0]", "5"),
        ("oldSelf['a']['b'][0]", "5"),
        ("oldSelf.a", r#"{"b":[5]}"#),
        ("size(oldSelf)", "3"),
        ("oldSelf[args.name + ''] == 1 || true", "true"),
        ("self.nothing", "null"),
        (".self.balance", "20"),
    ]);
    check_fails(&[
        "self.missing",
        "self.balance.x",
        "self.missing.x",
        "self.tags.x",
        "self.tags[2]",
        "self.tags[-1]",
        "self.tags[0.5]",
        "self.tags['0']",
        "self.nothing.x",
        "docs['a:3']",
        "oldSelf.missing",
        "oldSelf.s.x",
        "self[[1]]",
        "self.limits[1]",
    ]);
}

#[test]
fn presence() {
    check_all(&[
        ("has(self.balance)", "true"),
        ("has(self.missing)", "false"),
        ("has(self.nothing)", "true"),
        ("has(self.limits.max)", "true"),
        ("has(self.limits.min)", "false"),
        ("has(oldSelf.balance)", "true"),
        ("has(oldSelf.missing)", "false"),
        ("has(oldSelf.a.b)", "true"),
        ("has(oldSelf.a.c)", "false"),
        ("has({'a': 1}.a)", "true"),
        ("has({'a': 1}.b)", "false"),
        ("self.items.exists(i, has(i.note))", "true"),
        ("self.items.all(i, has(i.note))", "false"),
        ("has(self.missing.x)", "false"),
        ("has(self.missing.x.y.z)", "false"),
        ("has(self.limits.min.x)", "false"),
        ("has(self.nothing.x)", "false"),
        ("has(self.nothing.x.y)", "false"),
        ("has(self['missing']['x'].y)", "false"),
        ("has(self.items[0].sku)", "true"),
        ("has(self.items[0].note)", "false"),
        ("has(self.items[9].note)", "false"),
        ("has(self.items[9].note.x)", "false"),
        ("has(docs['a:1'].n)", "true"),
        ("has(docs['a:3'].n)", "false"),
        ("has(args.missing.x)", "false"),
        ("self.items.exists(i, has(i.other.text))", "false"),
        ("has(oldSelf.missing.x)", "false"),
        ("has(oldSelf.missing.x.y)", "false"),
        ("has(self.?missing.x)", "false"),
        ("has(self.?limits.max)", "true"),
    ]);
    check_fails(&[
        "has(self.balance.x)",
        "has(self.balance.x.y)",
        "has(self.tags.x)",
        "has(self.items['a'].x)",
        "has(oldSelf.s.x)",
        "has(oldSelf.s.x.y)",
        "has(oldSelf.a.b[0].c)",
        "has(self)",
        "has(self.tags[0])",
    ]);
}

#[test]
fn arithmetic_of_one_type_and_of_several() {
    check_all(&[
        ("1 + 2 * 3 - 4", "3"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("7 % -3", "1"),
        ("7.0 / 2.0", "3.5"),
        ("self.price * 2", "5.0"),
        ("2 * self.price", "5.0"),
        ("self.balance / 8.0", "2.5"),
        ("1 + 2u", "3"),
        ("2u * 3u", "6"),
        ("5u - 7", "-2"),
        ("7u / 2", "3"),
        ("1u + 0.5", "1.5"),
        ("-(2)", "-2"),
        ("-self.price", "-2.5"),
        ("9223372036854775806 + 1", "9223372036854775807"),
        ("-9223372036854775807 - 1", "-9223372036854775808"),
        ("self.min + 0", "-9223372036854775808"),
        ("self.min / 2", "-4611686018427387904"),
        ("double(self.max) * 1.0 > 9.2e18", "true"),
        ("self.min * 1.0 < -9.2e18", "true"),
        ("9007199254740994 + 0.5", "9007199254740994.0"),
        ("1.0 / 0.0 > self.big", "true"),
        ("0.0 / 0.0 == 0.0 / 0.0", "false"),
        ("0.0 / 0.0 != 0.0 / 0.0", "true"),
    ]);
    check_fails(&[
        "self.max + 1",
        "self.min - 1",
        "self.max * 2",
        "self.min * -1",
        "self.min / -1",
        "self.min % -1",
        "-self.min",
        "1 / 0",
        "1 % 0",
        "1u / 0u",
        "1u % 0u",
        "1.5 / 0",
        "1u - 2u",
        "18446744073709551615u + 1u",
        "18446744073709551615u + 1",
        "5.0 % 2.0",
        "5 % 2.0",
        "-1u",
        "-'a'",
        "1 + 'a'",
        "'a' + 1",
        "[1] + 1",
        "'a' - 'b'",
        "true + true",
        "null + 1",
        "1.0 / 0.0",
        "0.0 / 0.0",
        "0.0 / 0.0 < 1.0",
        "18446744073709551615u",
        "9223372036854775808",
    ]);
}

#[test]
fn an_integer_that_no_double_equals_is_not_mixed_with_doubles() {
    for source in [
        "self.max * 1.0",
        "1.0 * self.max",
        "9007199254740993 + 0.5",
        "0.5 - 9007199254740993",
        "-9007199254740993 / 2.0",
        "18446744073709551615u / 2.0",
        "9007199254740993 + 0.5 > 0.0",
        "self.items.all(i, i.qty + 0.5 + self.max > 0.0)",
    ] {
        let error = evaluate(source).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Range, "{source}: {error}");
    }
    // Comparing is exact, and `||` absorbs this fault as any other.
    check_true(&["self.max > 0.5", "self.max + 0.5 > 0.0 || true", "9007199254740993u > 1.5"]);
}

#[test]
fn equality_and_order() {
    check_true(&[
        "1 == 1.0",
        "1u == 1",
        "1 == 1u && 1u == 1.0",
        "2 != 2.5",
        "9007199254740993 != 9007199254740992.0",
        "self.max != 9223372036854775808.0",
        "self.max < 9223372036854775808.0",
        "18446744073709551615u > self.max",
        "-1 < 0u",
        "1 < 1.5 && 1.5 < 2",
        "'a' < 'b' && 'a' < 'aa' && 'z' < 'é'",
        "b'a' < b'b'",
        "false < true",
        "'1' != 1",
        "null == null",
        "null != 0",
        "self.nothing == null",
        "[1, 2] == [1.0, 2u]",
        "[1, 2] != [2, 1]",
        "[1] != [1, 1]",
        "{'a': 1, 'b': [1]} == {'b': [1.0], 'a': 1}",
        "{'a': 1} != {'a': 2}",
        "{'a': 1} != {'b': 1}",
        "{1: 'x'} == {1u: 'x'}",
        "self.items[0] == {'qty': 1.0, 'sku': 'x'}",
        "self.items == self.items",
        "self.tags == ['a', 'b']",
        "[[1, [2]]] == [[1, [2]]]",
        "[[1, [2]]] != [[1, [3]]]",
        "type(1) == int && type(1u) == uint && type(1.5) == double",
        "type('') == string && type(b'') == bytes && type(true) == bool",
        "type(null) == null_type && type([]) == list && type({}) == map",
        "type(int) == type && type(type(1)) == type",
        "type(now) == google.protobuf.Timestamp",
        "type(duration('1s')) == google.protobuf.Duration",
        "type(self) == map && type(self.balance) == int && type(self.price) == double",
        "'a' in self.tags && !('c' in self.tags)",
        "1.0 in [1, 2] && !(3 in [1, 2])",
        "'max' in self.limits && !('min' in self.limits)",
        "1 in {1: 2} && 1u in {1: 2} && 1.0 in {1: 2} && !(2 in {1: 2})",
        "!(1 in self.limits)",
    ]);
    check_fails(&[
        "1 < 'a'",
        "[1] < [2]",
        "null < 1",
        "{} < {}",
        "1 in 1",
        "1 in 'a'",
        "[1] in {1: 2}",
        "int < int",
    ]);
}

#[test]
fn logic_absorbs_faults() {
    check_all(&[
        ("self.missing > 1 || true", "true"),
        ("true || self.missing > 1", "true"),
        ("false && self.missing > 1", "false"),
        ("self.missing > 1 && false", "false"),
        ("1 && false", "false"),
        ("'x' || true", "true"),
        ("true ? 1 : 1 / 0", "1"),
        ("false ? 1 / 0 : 2", "2"),
        ("!true || !false", "true"),
        ("true && (true && (true && !false))", "true"),
        ("false || false || 1 / 0 == 1 || true", "true"),
        ("[1, 2, 0].exists(x, 2 / x == 1)", "true"),
        ("[0, 2].exists(x, 2 / x == 1)", "true"),
        ("[0, 2].all(x, 2 / x == 2)", "false"),
    ]);
    check_fails(&[
        "self.missing > 1 || false",
        "false || self.missing > 1",
        "true && self.missing > 1",
        "self.missing > 1 && true",
        "1 || false",
        "1 ? 2 : 3",
        "null ? 2 : 3",
        "!1",
        "!null",
        "[0, 2].exists(x, 2 / x == 5)",
        "[0, 2].all(x, 2 / x == 1)",
        "[0, 2].exists_one(x, 2 / x == 1)",
    ]);
}

#[test]
fn macros() {
    check_all(&[
        ("[1, 2, 3].all(x, x > 0)", "true"),
        ("[1, 2, 3].exists(x, x == 2)", "true"),
        ("[1, 2, 2].exists_one(x, x == 2)", "false"),
        ("[1, 2, 2].existsOne(x, x == 1)", "true"),
        ("[].all(x, false)", "true"),
        ("[].exists(x, true)", "false"),
        ("[1, 2, 3].map(x, x * 2)", "[2,4,6]"),
        ("[1, 2, 3].map(x, x > 1, x * 2)", "[4,6]"),
        ("[1, 2, 3].filter(x, x % 2 == 1)", "[1,3]"),
        ("{'a': 1, 'b': 2}.map(k, k)", r#"["a","b"]"#),
        ("{'a': 1, 'b': 2}.all(k, k < 'c')", "true"),
        ("self.limits.map(k, self.limits[k])", "[100,1]"),
        ("self.items.filter(i, i.qty > 1).map(i, i.sku)", r#"["y"]"#),
        ("[1, 2].map(x, [3, 4].map(y, x * y))", "[[3,4],[6,8]]"),
        ("[1, 2].map(x, [x, 9].map(x, x + 1))", "[[2,10],[3,10]]"),
        ("[[1], [2]].map(x, x.map(x, x * 10)).map(x, x[0])", "[10,20]"),
        ("[5].map(self, self + 1)", "[6]"),
        ("[5].map(self, .self.balance)", "[20]"),
        ("[1].map(x, [2].map(y, [3].map(z, x + y + z)))", "[[[6]]]"),
        ("self.items.sortBy(i, -i.qty).map(i, i.qty)", "[5,1]"),
        ("[3, 1, 2].sortBy(x, x)", "[1,2,3]"),
        ("[1].exists(int, int == 1)", "true"),
    ]);
    check_fails(&[
        "1.all(x, true)",
        "'abc'.map(x, x)",
        "[1].all(x, 1)",
        "[1].filter(x, 'a')",
        "[1].map(x, y)",
        "[1].map(x, x) + [x]",
        "[1].map(1, x)",
        "[1].sortBy(1, x)",
        "[1, 'a'].sortBy(x, x)",
    ]);
}

#[test]
fn unknown_names_are_refused_before_anything_runs() {
    for (source, names, column) in [
        ("self.a && balance > 1", AllowedNames::CONDITION, 11),
        ("oldSelf.a", AllowedNames::CONDITION, 1),
        ("value + 1", AllowedNames::CONDITION, 1),
        ("args.n", AllowedNames::RULE, 1),
        ("docs['a']", AllowedNames::RULE, 1),
        ("true || nope(1)", AllowedNames::RULE, 9),
        ("true || self.nope(1)", AllowedNames::RULE, 14),
        ("[1].map(x, 2).map(y, z)", AllowedNames::RULE, 22),
        ("Message{a: 1}.a", AllowedNames::RULE, 1),
        ("self.?", AllowedNames::RULE, 7),
        ("true || sum(1)", AllowedNames::RULE, 9),
        ("self.a.transformList(i, i)", AllowedNames::RULE, 8),
        ("[1].transformMapEntry(i, v, w, {i: v}).reduce(i, 1)", AllowedNames::RULE, 40),
        ("(1 + ", AllowedNames::RULE, 6),
        ("1 +\n  §", AllowedNames::RULE, 3),
    ] {
        let error = Program::compile(source, names, &LIMITS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Expr, "{source}");
        let place = format!("column {column}");
        assert!(error.message().ends_with(&place), "{source}: {}", error.message());
        assert!(error.detail("expr").is_some(), "{source}");
    }
}

#[test]
fn the_members_a_program_reads_are_known() {
    let read = |source: &str, names| {
        let program = Program::compile(source, names, &LIMITS).unwrap();
        let paths: Vec<String> = program.old_self_paths().iter().map(|p| p.join(".")).collect();
        let members = program.self_members().map(|members| members.join(","));
        (members, paths.join(" "), program.reads_clock())
    };
    let members = |names: &str| Some(names.to_owned());
    for (source, expected) in [
        ("self.a.b > self.c && has(self.d) && self['e'][0] == 1", members("a,c,d,e")),
        ("self.items.all(self, self.x > 1)", members("items")),
        ("1 == 1", members("")),
        ("self == {}", None),
        ("'a' in self", None),
        ("self.?a.b == optional.of(self[?'c'])", members("a,c")),
        ("has(self.a.b.c) && self.b.all(i, v, v == self.d)", members("a,b,d")),
        ("cel.bind(x, self.a, x + self.b)", members("a,b")),
        ("self.a.reduce(t, x, self.b, t + x)", members("a,b")),
        ("self.a > args.n", None),
        ("self.a > revision", None),
        ("key == ''", None),
    ] {
        assert_eq!(
            read(source, AllowedNames::CONDITION),
            (expected, String::new(), false),
            "{source}"
        );
    }
    assert_eq!(read("self.a < now", AllowedNames::RULE), (None, String::new(), true));
    for (source, paths) in [
        ("self.a >= oldSelf.a", "a"),
        ("oldSelf.a.b[0] > 1 || oldSelf.a.b[1] > 1 || oldSelf['c'].d.size() > 0", "a.b c.d"),
        ("has(oldSelf.a.b)", "a.b"),
        ("oldSelf.a.?b.c == optional.none()", "a.b"),
        ("oldSelf.?a.b == optional.none()", "a"),
        ("oldSelf == self", ""),
        ("[1].map(oldSelf, oldSelf)", ""),
    ] {
        assert_eq!(read(source, AllowedNames::RULE).1, paths, "{source}");
    }
    let whole = Program::compile("oldSelf == self", AllowedNames::RULE, &LIMITS).unwrap();
    assert_eq!(whole.old_self_paths(), [Vec::new()]);
    let shadowed =
        Program::compile("[1].map(oldSelf, oldSelf)", AllowedNames::RULE, &LIMITS).unwrap();
    assert!(shadowed.old_self_paths().is_empty());
}

#[test]
fn a_condition_is_a_bool() {
    for (source, expected) in [("self.balance >= args.n", true), ("self.balance < args.n", false)] {
        let program = Program::compile(source, ALL, &LIMITS).unwrap();
        let holds = with_scope(ALL, &program, |scope| program.test(scope, &LIMITS).unwrap());
        assert_eq!(holds, expected);
    }
    for source in ["self.balance", "null", "'true'", "self.missing"] {
        let program = Program::compile(source, ALL, &LIMITS).unwrap();
        let error = with_scope(ALL, &program, |scope| program.test(scope, &LIMITS).unwrap_err());
        assert_eq!(error.code(), ErrorCode::Expr);
    }
    let program = Program::compile("self.a && now > now || key == ''", ALL, &LIMITS).unwrap();
    let scope = Scope { key: b"\xff", ..Scope::EMPTY };
    assert_eq!(program.test(&scope, &LIMITS).unwrap_err().code(), ErrorCode::Expr);
}

#[test]
fn values_that_json_lacks_are_refused() {
    check_all(&[
        ("{1: 'a', true: 2, 'x': 3u}", r#"{"1":"a","true":2,"x":3}"#),
        ("[null, {'a': self.tags}]", r#"[null,{"a":["a","b"]}]"#),
        ("self.items.map(i, i)", r#"[{"sku":"x","qty":1},{"sku":"y","qty":5,"note":"hi"}]"#),
        ("{'a': now}", r#"{"a":"2024-03-01T00:00:00Z"}"#),
        ("[type(self.tags), type(1.5), type(null)]", r#"["list","double","null_type"]"#),
    ]);
    check_fails(&["[1.0 / 0.0]", "[18446744073709551615u]", "{'a': 1, 'a': 2}"]);
}

#[test]
fn programs_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
    shared::<Arc<Program>>();
    let mut cache = Cache::new(4, 1 << 20);
    let free = redis_model::budget::Allowance::unlimited();
    let first = cache.get("self.balance > 1", ALL, &LIMITS, &free).unwrap();
    let again = cache.get("self.balance > 1", ALL, &LIMITS, &free).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(first.heap_bytes() < 1000, "{}", first.heap_bytes());
}

#[test]
fn a_false_condition_is_explained() {
    let explained = |source: &str| {
        let program = Program::compile(source, ALL, &LIMITS).unwrap();
        with_scope(ALL, &program, |scope| {
            assert_eq!(program.test(scope, &LIMITS), Ok(false), "{source}");
            let found = program.explain(scope, &LIMITS);
            found
                .iter()
                .map(|(place, value)| format!("{place}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    for (source, expected) in [
        ("self.balance > args.n", "self.balance=20 args.n=20"),
        ("self.flag && self.balance > args.n && self.missing == 1", "self.balance=20 args.n=20"),
        ("self.balance < 1 || self.status == 'x'", r#"self.balance=20 self.status="active""#),
        ("!self.flag", "self.flag=true"),
        ("size(self.items) > 5", "size(self.items)=2"),
        (
            "self.items[1].qty > self.limits['a-b'] * 100",
            r#"self.items[1].qty=5 self.limits["a-b"]=1"#,
        ),
        ("self.tags == []", r#"self.tags=["a","b"]"#),
        (
            "self.items.exists(i, i.qty > 10) || has(self.limits.x)",
            r#"self.items="[{\"sku\":\"x\",\"qty\":1},{\"sku\":\"y\",\"qty\":5,\"note\":\"hi\"}]" self.limits={"max":100,"a-b":1}"#,
        ),
        ("self.?balance.orValue(0) > 50", "self.?balance=20"),
        ("has(self.limits.a.b)", ""),
        ("self.tags.reduce(t, x, 0, t + size(x)) > args.n", r#"self.tags=["a","b"] args.n=20"#),
        ("oldSelf.balance > self.balance", "oldSelf.balance=10 self.balance=20"),
        ("now < timestamp(0)", r#"now="2024-03-01T00:00:00Z""#),
    ] {
        if source.contains("items.exists") {
            assert!(explained(source).contains("self.limits="), "{source}");
            continue;
        }
        assert_eq!(explained(source), expected, "{source}");
    }
}

/// A map that is the whole expression becomes an object without being a map before. Nothing else tells the two apart:
/// neither the value, nor the refusal, nor the steps that it takes.
#[test]
fn a_map_that_is_the_whole_expression_is_made_and_paid_for_as_any_other() {
    let made = |source: &str, steps: u64| {
        let program = Program::compile(source, ALL, &LIMITS).unwrap();
        with_scope(ALL, &program, |scope| {
            let made = program.evaluate(scope, &ExprLimits { steps, ..LIMITS });
            made.map(|made| (print::to_string(made.value.view()), made.size, made.depth))
                .map_err(|error| (error.code(), error.message().contains("more steps")))
        })
    };
    for map in [
        "{'n': self.balance}",
        "{'a': self.balance, 'b': [self.balance, 1.5], 'c': {'d': self.balance > 1}, 'e': null}",
        "{self.balance: 2, true: 3, 7u: 'x', 'a long name for a member': 'a text of some length'}",
        "{'all': self, 'key': string(self.balance)}",
        "{?'a': optional.none(), ?'b': optional.of(self.balance)}",
        "{'a': self.balance, 'b' + '': 1, 'b': 2}",
        "{'a': self.balance, 1.5 + self.balance: 2}",
        "{'a': self.balance, 'b': self.none}",
        "{'a': 18446744073709551615u, 'b': self.none}",
        "{'a': self.balance, 'b': 18446744073709551615u}",
    ] {
        let inside = format!("self.balance == 20 ? {map} : null");
        let ends = |source: &str| {
            let spent = |steps| matches!(made(source, steps), Err((_, true)));
            (0..1000).find(|steps| !spent(*steps)).expect("some steps suffice")
        };
        let around = ends(&inside) - ends(map);
        for steps in 0..200 {
            assert_eq!(made(map, steps), made(&inside, steps + around), "{map} in {steps} steps");
        }
    }
}
