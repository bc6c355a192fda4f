//! The compliance suite, hostile inputs, limits and properties of whole paths.

use proptest::prelude::*;

use super::pattern::PATTERN_BYTES_MAX;
use super::*;
use crate::budget::{Allowance, WorkLimits};
use crate::error::Detail;
use crate::value::{Limits, ObjectView, Value, View, array, parse, print};

const LIMITS: PathLimits = PathLimits::DEFAULT;

fn document(json: &str) -> Value {
    parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
}

fn path(text: &str) -> Path<'_> {
    Path::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn query(text: &str) -> Query {
    match path(text) {
        Path::Query(query) => *query,
        Path::Singular(_) => panic!("{text} is singular"),
    }
}

/// All matches, whatever kind of path it is.
fn select<'v>(path: &Path<'_>, root: View<'v>) -> Vec<View<'v>> {
    match path {
        Path::Singular(singular) => singular.find(root).into_iter().collect(),
        Path::Query(query) => query.select(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap(),
    }
}

fn places(path: &Path<'_>, root: View<'_>) -> Vec<Place> {
    match path {
        Path::Singular(singular) => match singular.resolve(root) {
            Lookup::Present { place, .. } => vec![place],
            _ => vec![],
        },
        Path::Query(query) => query.places(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap(),
    }
}

fn printed<'v>(values: impl IntoIterator<Item = View<'v>>) -> String {
    print::to_string(array(values).view())
}

fn code(text: &str) -> ErrorCode {
    Path::parse(text.as_bytes(), &LIMITS).unwrap_err().code()
}

// --- The compliance suite --------------------------------------------------------------------

const SUITE: &str = include_str!("../../tests/suites/jsonpath/cts.json");

fn text<'v>(case: ObjectView<'v>, name: &str) -> Option<&'v str> {
    Some(case.get(name)?.as_text()?.as_str())
}

/// The results a case allows: its one expectation, or any of several.
fn expectations<'v>(case: ObjectView<'v>, one: &str, several: &str) -> Vec<View<'v>> {
    match case.get(several) {
        Some(several) => several.as_array().unwrap().iter().collect(),
        None => case.get(one).into_iter().collect(),
    }
}

/// The places that a list of normalized paths names, each once.
fn named_places(paths: View<'_>, root: View<'_>) -> Vec<Place> {
    let mut named: Vec<Place> = Vec::new();
    for text in paths.as_array().unwrap().iter() {
        let place = places(&path(text.as_text().unwrap().as_str()), root).remove(0);
        if !named.contains(&place) {
            named.push(place);
        }
    }
    named
}

fn check_case(case: ObjectView<'_>) {
    let selector = text(case, "selector").unwrap();
    if case.get("invalid_selector").is_some() {
        assert_eq!(code(selector), ErrorCode::Err, "{selector}");
        return;
    }
    let parsed = path(selector);
    let document = case.get("document").unwrap().to_value();
    let root = document.view();
    let values = select(&parsed, root);
    let value_list = array(values.iter().copied());
    let results = expectations(case, "result", "results");
    assert!(results.iter().any(|r| r.equals(value_list.view())), "{selector}: {value_list:?}");

    let found = places(&parsed, root);
    let paths = expectations(case, "result_paths", "results_paths");
    assert!(paths.iter().any(|p| named_places(*p, root) == found), "{selector}: {found:?}");
    let at_places: Vec<_> = found.iter().map(|place| root.at(place).unwrap()).collect();
    for (from, into) in [(&values, &at_places), (&at_places, &values)] {
        assert!(from.iter().all(|v| into.iter().any(|w| v.identical(*w))), "{selector}");
    }
}

#[test]
fn the_compliance_suite_passes() {
    let suite = document(SUITE);
    let cases = suite.view().as_object().unwrap().get("tests").unwrap().as_array().unwrap();
    assert_eq!(cases.len(), 703);
    cases.iter().for_each(|case| check_case(case.as_object().unwrap()));
}

/// Every path the suite holds, valid or not.
fn suite_selectors() -> Vec<String> {
    let suite = document(SUITE);
    let cases = suite.view().as_object().unwrap().get("tests").unwrap().as_array().unwrap();
    cases.iter().map(|c| text(c.as_object().unwrap(), "selector").unwrap().to_owned()).collect()
}

// --- Kinds of paths --------------------------------------------------------------------------

#[test]
fn a_singular_path_is_known_however_it_is_written() {
    for text in ["", "/a", "$", "$.a", "$ ['a']", "$[\"a\"]", "$[ 0 ]", "$['\\u0061']", "$\n.a .b"]
    {
        assert!(path(text).is_singular(), "{text}");
    }
    for text in ["$.*", "$..a", "$[0,1]", "$[:]", "$[?@.a]", "$['a','b']", "$[0:1]"] {
        assert!(!path(text).is_singular(), "{text}");
    }
}

#[test]
fn a_malformed_path_says_where() {
    for (text, offset) in [
        ("a", 0),
        (" $", 0),
        ("@.a", 0),
        ("$a", 1),
        ("$.", 2),
        ("$.a ", 3),
        ("$[", 2),
        ("$['a", 4),
        ("$['\\x']", 3),
        ("$[01]", 2),
        ("$[0", 3),
        ("$[?@.a=]", 6),
        ("$[?@.*==1]", 3),
        ("$[?1]", 3),
        ("$[?foo(@)]", 3),
        ("$.☺[", 6),
    ] {
        let error = Path::parse(text.as_bytes(), &LIMITS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Err, "{text}");
        assert_eq!(error.detail("offset"), Some(&Detail::Integer(offset)), "{text}: {error}");
        assert_eq!(error.detail("path"), Some(&Detail::Text(text.to_owned())));
    }
    let error = Path::parse(b"$.a\xff", &LIMITS).unwrap_err();
    assert_eq!((error.code(), error.detail("offset")), (ErrorCode::Err, Some(&Detail::Integer(3))));
}

#[test]
fn a_relative_path_begins_at_the_current_value() {
    let value = document(r#"{"score":{"x":[1,2]}}"#);
    for (text, expected) in [("@.score.x[-1]", "2"), ("@ ['score']['x'] [0]", "1")] {
        let relative = Singular::parse_relative(text.as_bytes(), &LIMITS, None).unwrap();
        assert_eq!(print::to_string(relative.find(value.view()).unwrap()), expected);
    }
    assert!(Singular::parse_relative(b"@", &LIMITS, None).unwrap().is_root());
    for text in ["", "$", "$.a", "/a", "@.*", "@..a", "@.", "@x"] {
        let error = Singular::parse_relative(text.as_bytes(), &LIMITS, None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Err, "{text}");
    }
}

// --- Values ----------------------------------------------------------------------------------

#[test]
fn comparisons_are_exact() {
    let value = document("[9007199254740992,9007199254740993,9007199254740992.0,1,1.0,\"1\"]");
    for (text, expected) in [
        ("$[?@==9007199254740993]", "[9007199254740993]"),
        ("$[?@==9007199254740992]", "[9007199254740992,9007199254740992.0]"),
        ("$[?@>9007199254740992.0]", "[9007199254740993]"),
        ("$[?@==1]", "[1,1.0]"),
        ("$[?@=='1']", "[\"1\"]"),
    ] {
        assert_eq!(printed(select(&path(text), value.view())), expected, "{text}");
    }
}

#[test]
fn a_pattern_from_the_document_that_is_none_matches_nothing() {
    let value = document(r#"[{"p":"a+","s":"aa"},{"p":"(","s":"("},{"p":5,"s":"5"},{"s":"x"}]"#);
    assert_eq!(printed(select(&path("$[?match(@.s,@.p)].s"), value.view())), r#"["aa"]"#);
    assert_eq!(printed(select(&path("$[?match(@.s,'(')]"), value.view())), "[]");
}

#[test]
fn more_patterns_than_are_kept_match_alike() {
    let items: Vec<_> =
        (0..40).map(|n| format!(r#"{{"p":"a{{{}}}","s":"aaa"}}"#, n % 10)).collect();
    let value = document(&format!("[{}]", items.join(",")));
    let found = select(&path("$[?match(@.s,@.p)]"), value.view());
    assert_eq!(found.len(), 4);
}

#[test]
fn every_place_is_given_once_and_sorts_into_document_order() {
    let value = document(r#"{"a":[1,[2]],"b":{"c":3}}"#);
    let root = value.view();
    assert_eq!(
        query("$['b','a','b']").places(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap().len(),
        2
    );
    assert_eq!(
        query("$..*..*").places(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap().len(),
        4
    );
    let mut found =
        query("$['b','a']..*").places(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap();
    found.extend(query("$.*").places(root, &Allowance::new(&WorkLimits::DEFAULT)).unwrap());
    document_order(&mut found);
    let order: Vec<_> = found.iter().map(|place| place.as_slice()).collect();
    assert_eq!(order, [&[0][..], &[0, 0], &[0, 1], &[0, 1, 0], &[1], &[1, 0]]);
}

// --- Limits and hostile inputs ---------------------------------------------------------------

#[test]
fn a_path_is_as_long_as_the_limit_and_no_longer() {
    let limits = PathLimits { path_bytes: 5 };
    assert!(Path::parse(b"$.abc", &limits).is_ok());
    let error = Path::parse(b"$.abcd", &limits).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Limit);
    assert_eq!(error.detail("limit"), Some(&Detail::Text("model.path-bytes".to_owned())));
    assert!(Singular::parse_relative(b"@.abcd", &limits, None).is_err());
    assert!(Singular::parse_pointer(b"/abcde", &limits).is_err());
}

#[test]
fn filters_nest_as_deep_as_the_limit_and_no_deeper() {
    let value = document("[[[1]]]");
    // The text that opens a level, the text that closes it, the text around all levels, and the number of levels.
    for (open, close, before, after, own) in [
        ("[?@", "]", "$", "", 0),
        ("(", ")", "$[?", "@.a]", 1),
        ("!(", ")", "$[?", "@.a]", 1),
        ("length(", ")", "$[?", "@.a==1]", 1),
        ("[?count(@", ")>0]", "$", "", 0),
    ] {
        let nested = |levels| match before {
            "$" => format!("${}{}", open.repeat(levels), close.repeat(levels)),
            _ => {
                let (inside, behind) = after.split_at(3);
                format!("{before}{}{inside}{}{behind}", open.repeat(levels), close.repeat(levels))
            }
        };
        let each = if open.contains("count") { 2 } else { 1 };
        let levels = FILTER_DEPTH_MAX as usize / each - own;
        select(&path(&nested(levels)), value.view());
        assert_eq!(code(&nested(levels + 1)), ErrorCode::Limit, "{open}");
    }
}

#[test]
fn four_kilobytes_of_anything_end_quickly() {
    let fill = |start: &str, unit: &str| {
        start.to_owned() + &unit.repeat((4096 - start.len()) / unit.len())
    };
    for (start, unit) in [
        ("$", "["),
        ("$[?", "("),
        ("$[?", "!"),
        ("$[?", "!("),
        ("$", "[?@"),
        ("$", "[?$"),
        ("$[?", "length("),
        ("$[?count(", "@[?count("),
        ("$[?@.a", "&&@.a"),
        ("$[?@.a", "||"),
        ("$[", "'a',"),
        ("$[", "0:0:0,"),
        ("$[?match(@,'", "("),
        ("$[?match(@,'", "["),
        ("$[", "-"),
        ("$[", "9"),
        ("$", " "),
        ("$['", "\\u"),
        ("/", "~"),
    ] {
        assert!(Path::parse(fill(start, unit).as_bytes(), &LIMITS).is_err(), "{start}{unit}");
    }
    for (start, unit) in [("$", ".a"), ("$", "..a"), ("$", "[0]"), ("", "/"), ("$", "[:]")] {
        let long = fill(start, unit);
        select(&path(&long), document("[[1]]").view());
    }
}

#[test]
fn patterns_of_one_path_share_a_weight() {
    let text = |n| format!("$[?{}]", vec!["match(@,'a{1024}')"; n].join("||"));
    assert!(Path::parse(text(4).as_bytes(), &LIMITS).is_ok());
    assert_eq!(code(&text(5)), ErrorCode::Limit);
}

#[test]
fn a_pattern_from_the_document_is_no_longer_than_the_limit() {
    for function in ["match", "search"] {
        let query = query(&format!("$.a[?{function}(@, $.p)]"));
        let select = |pattern: String| {
            let value = document(&format!("{{\"a\":[\"x\"],\"p\":\"{pattern}\"}}"));
            query
                .select(value.view(), &Allowance::new(&WorkLimits::DEFAULT))
                .map(|found| found.len())
        };
        assert_eq!(select("x*".repeat(PATTERN_BYTES_MAX / 2)), Ok(1));
        assert_eq!(select("|".repeat(PATTERN_BYTES_MAX)), Ok(usize::from(function == "search")));
        for long in ["|".repeat(PATTERN_BYTES_MAX + 1), "(".repeat(900_000)] {
            let error = select(long).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Limit);
            assert_eq!(error.detail("limit"), Some(&Detail::Text("pattern-bytes".to_owned())));
        }
    }
}

#[test]
fn a_query_visits_as_many_nodes_as_the_limit_and_no_more() {
    let value = document("[1,2,3,4,5,6,7,8,9,10]");
    let root = value.view();
    let limit = |nodes| WorkLimits { query_nodes: nodes, ..WorkLimits::DEFAULT };
    let wildcard = query("$.*");
    assert_eq!(wildcard.select(root, &Allowance::new(&limit(10))).unwrap().len(), 10);
    let error = wildcard.select(root, &Allowance::new(&limit(9))).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Limit);
    assert_eq!(error.detail("limit"), Some(&Detail::Text("model.query-nodes".to_owned())));
    assert_eq!(error.detail("value"), Some(&Detail::Integer(9)));
    assert!(wildcard.places(root, &Allowance::new(&limit(10))).is_ok());
    assert!(wildcard.places(root, &Allowance::new(&limit(9))).is_err());
}

#[test]
fn places_deep_down_cost_more_than_values() {
    let value = document(&("[".repeat(64) + "1,2,3" + &"]".repeat(64)));
    let deepest = query(&format!("${}[*]", "[0]".repeat(63)));
    let limit = |nodes| WorkLimits { query_nodes: nodes, ..WorkLimits::DEFAULT };
    let root = value.view();
    // One for each step down and each item; a place of 64 positions costs four more.
    assert_eq!(deepest.select(root, &Allowance::new(&limit(63 + 3))).unwrap().len(), 3);
    assert!(deepest.select(root, &Allowance::new(&limit(63 + 2))).is_err());
    assert_eq!(deepest.places(root, &Allowance::new(&limit(63 + 3 + 12))).unwrap().len(), 3);
    assert!(deepest.places(root, &Allowance::new(&limit(63 + 3 + 11))).is_err());
}

/// A document of 100 objects in 100 arrays, and one long text.
fn large_document() -> Value {
    let object = format!("{{\"a\":1,\"b\":\"{}\",\"c\":[1,2,3]}}", "x".repeat(50));
    let row = format!("[{}]", vec![object; 100].join(","));
    document(&format!(
        "{{\"rows\":[{}],\"text\":\"{}\"}}",
        vec![row; 100].join(","),
        "a".repeat(1 << 20)
    ))
}

#[test]
fn a_query_that_asks_too_much_is_refused() {
    let value = large_document();
    let root = value.view();
    for text in [
        "$..*..*..*..*",
        "$.rows[*][?$..a]",
        "$.rows[*][?@==$.rows[0][0]&&$.rows==$.rows&&$==$]",
        "$.rows[*][*][?$.text==$.text]",
        "$.rows[*][*][?$.text<=$.text]",
        "$.rows[*][*][?length($.text)>@]",
        "$.rows[*][?search($.text,'(a|b|ab)*c')]",
        "$.rows[*][?search('x',$.text)]",
        "$..[?count($..*)>0]",
        "$..[?value($..*)>0]",
        "$..[?@[?@[?@[?$..*]]]]",
    ] {
        let query = query(text);
        assert_eq!(
            query.select(root, &Allowance::new(&WorkLimits::DEFAULT)).err().map(|e| e.code()),
            Some(ErrorCode::Limit),
            "{text}"
        );
        assert!(query.places(root, &Allowance::new(&WorkLimits::DEFAULT)).is_err(), "{text}");
    }
    assert_eq!(select(&path("$..a"), root).len(), 10_000);
    assert_eq!(select(&path("$.rows[*][?@.a==1].c[::-1]"), root).len(), 30_000);
}

#[test]
fn a_document_as_deep_as_can_be_is_walked() {
    let depth = crate::value::limits::DEPTH_MAX as usize;
    let value = document(&("[".repeat(depth) + &"]".repeat(depth)));
    assert_eq!(select(&path("$..*"), value.view()).len(), depth - 1);
    let deepest = query("$..[0]")
        .places(value.view(), &Allowance::new(&WorkLimits::DEFAULT))
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(deepest.len(), depth - 1);
}

// --- Properties ------------------------------------------------------------------------------

/// Text from what paths are made of.
fn path_soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "$",
        "@",
        ".",
        "..",
        "[",
        "]",
        "*",
        "?",
        "(",
        ")",
        "!",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ",",
        ":",
        "'",
        "\"",
        "\\",
        "\\u00e9",
        "\\ud83d\\ude00",
        "a",
        "b",
        "_",
        "☺",
        "0",
        "1",
        "-",
        "-1",
        "2.5e1",
        "true",
        "null",
        "length(",
        "count(",
        "value(",
        "match(",
        "search(",
        " ",
        "\n",
        "/",
        "~0",
        "~1",
        "~",
        "'a'",
        "[0]",
        "[?",
        "@.a",
        "\0",
    ];
    (
        prop_oneof![Just("$"), Just("$[?"), Just("/"), Just("")],
        prop::collection::vec(prop::sample::select(pieces), 0..24),
    )
        .prop_map(|(start, pieces)| start.to_owned() + &pieces.concat())
}

fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\.[a-c_☺][a-c0-9_]{0,3}",
        (-3i64..4).prop_map(|index| format!("[{index}]")),
        "\\['[a-c .\"☺]{0,3}'\\]",
        "\\[\"[a-c .'☺]{0,3}\"\\]",
    ]
}

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[0-9]",
        "-?[1-9]\\.[0-9]",
        "\"[a-c☺]{0,2}\"",
        Just("null".to_owned()),
        Just("true".to_owned())
    ];
    scalar.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("\"[a-c]\"", inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(n, v)| format!("{n}:{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_parser_never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Path::parse(&bytes, &LIMITS);
        let _ = Path::parse(&[b"$", &bytes[..]].concat(), &LIMITS);
        let _ = Singular::parse_relative(&[b"@", &bytes[..]].concat(), &LIMITS, None);
        let _ = Singular::parse_pointer(&[b"/", &bytes[..]].concat(), &LIMITS);
    }

    #[test]
    fn whatever_parses_can_be_evaluated(text in path_soup(), json in json()) {
        if let Ok(path) = Path::parse(text.as_bytes(), &LIMITS) {
            let document = document(&json);
            check_agreement(&path, document.view());
        }
    }

    #[test]
    fn a_broken_path_of_the_suite_never_panics(
        selector in prop::sample::select(suite_selectors()), at in any::<prop::sample::Index>(), c in any::<char>(),
        json in json(),
    ) {
        let mut chars: Vec<char> = selector.chars().collect();
        if !chars.is_empty() {
            let at = at.index(chars.len());
            chars[at] = c;
        }
        let text: String = chars.into_iter().collect();
        if let Ok(path) = Path::parse(text.as_bytes(), &LIMITS) {
            check_agreement(&path, document(&json).view());
        }
    }

    #[test]
    fn the_plain_parser_agrees_with_the_full_one(soup in path_soup(), steps in prop::collection::vec(step(), 0..6)) {
        let plain = format!("${}", steps.concat());
        prop_assert!(singular::parse_plain(&plain).is_some(), "{}", plain);
        for text in [plain, format!("${soup}")] {
            if let Some(fast) = singular::parse_plain(&text) {
                let full = parser::query(&text, &LIMITS, None).unwrap().into_singular();
                prop_assert_eq!(Some(fast), full.ok());
            }
        }
    }
}

/// Reading, writing and the values at the places tell the same.
fn check_agreement(path: &Path<'_>, root: View<'_>) {
    let values = select(path, root);
    let found = places(path, root);
    assert!(found.len() <= values.len());
    for (nth, place) in found.iter().enumerate() {
        let there = root.at(place).expect("a place is there");
        assert!(values.iter().any(|value| value.identical(there)));
        assert!(!found[..nth].contains(place));
    }
    for value in values {
        assert!(found.iter().any(|place| root.at(place).unwrap().identical(value)));
    }
}
