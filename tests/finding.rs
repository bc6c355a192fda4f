//! Finding documents over the host in memory: every query gives what a naive scan and sort gives, page by page, on the
//! server and on its replica; UNIQUE holds at commit; bad queries are refused.

use std::cmp::Ordering;

use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

const INDEXES: &[&str] = &[
    "INDEX",
    "status_n",
    "2",
    "$.status",
    "$.n",
    "INDEX",
    "by_n",
    "1",
    "/n",
    "INDEX",
    "by_tag",
    "2",
    "$.tags[*]",
    "$.n",
    "INDEX",
    "by_name",
    "1",
    "self.name.lowerAscii()",
    "INDEX",
    "open_n",
    "1",
    "self.n",
    "ONLY",
    "self.status == 'open'",
    "INDEX",
    "by_code",
    "1",
    "$.code",
    "UNIQUE",
];

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// A server and its replica.
struct Pair {
    host: MemoryHost,
    replica: MemoryHost,
}

impl Pair {
    fn new(indexes: &[&str]) -> Pair {
        let mut pair = Pair { host: MemoryHost::default(), replica: MemoryHost::default() };
        pair.must(&[&["MODEL.DEFINE", "m", "{}"], indexes].concat());
        pair
    }

    fn call(&mut self, args: &[&str]) -> Result<Reply, Error> {
        let outcome = self.host.call(args)?;
        let bytes: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.replica.replicate(&bytes, &outcome).expect("what was accepted is repeated");
        Ok(outcome.reply)
    }

    fn must(&mut self, args: &[&str]) -> Reply {
        self.call(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    #[track_caller]
    fn refused(&mut self, word: &str, args: &[&str]) -> Error {
        let error = self.call(args).expect_err("the command is refused");
        assert_eq!(error.code().word(), word, "{args:?}: {error}");
        error
    }
}

fn array(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(items) => items,
        other => panic!("no array: {other:?}"),
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Text(text) => String::from_utf8(text.clone()).unwrap(),
        other => panic!("no text: {other:?}"),
    }
}

/// The keys of all pages of a query.
fn find(host: &mut MemoryHost, query: &[&str], limit: usize) -> Vec<String> {
    let (limit, mut cursor, mut keys) = (limit.to_string(), None::<String>, Vec::new());
    loop {
        let mut args = [&["MODEL.FIND", "m"], query, &["LIMIT", &limit]].concat();
        args.extend(cursor.iter().flat_map(|cursor| ["AFTER", cursor]));
        args.extend(["GET", "$.n"]);
        let reply = host.call(&args).unwrap_or_else(|error| panic!("{args:?}: {error}")).reply;
        let [next, rows] = array(&reply) else { panic!("{reply:?}") };
        keys.extend(array(rows).iter().map(|row| text(&array(row)[0])));
        match next {
            Reply::Null => return keys,
            next => cursor = Some(text(next)),
        }
    }
}

/// The rank of a kind, and the value.
fn compare(a: Option<&serde_json::Value>, b: Option<&serde_json::Value>) -> Ordering {
    use serde_json::Value;
    let rank = |value: Option<&Value>| match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(false)) => 2,
        Some(Value::Bool(true)) => 3,
        Some(Value::Number(_)) => 4,
        Some(Value::String(_)) => 5,
        Some(_) => 6,
    };
    let cut = |text: &str| text.as_bytes()[..text.len().min(128)].to_vec();
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            use redis_model::value::Number;
            let parse = |number: &serde_json::Number| Number::parse(number.to_string().as_bytes());
            parse(a).unwrap().compare(parse(b).unwrap())
        }
        (Some(Value::String(a)), Some(Value::String(b))) => {
            cut(a).cmp(&cut(b)).then((a.len() > 128).cmp(&(b.len() > 128)))
        }
        _ => Ordering::Equal,
    })
}

/// The keys of all documents for which the condition is true, in the order of some members, then by key.
fn scan(host: &mut MemoryHost, condition: Option<&str>, order: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut names: Vec<_> = host.documents.keys().cloned().collect();
    names.sort();
    for name in names {
        let name = String::from_utf8(name).unwrap();
        if host.documents[name.as_bytes()].model_name() != "m" {
            continue;
        }
        let holds = condition.is_none_or(|condition| {
            let value = host.call(&["MODEL.EVAL", &name, condition]);
            value.is_ok_and(|outcome| outcome.reply == Reply::Json(b"true".to_vec()))
        });
        if holds {
            let json = host.call(&["MODEL.GET", &name]).unwrap().reply;
            let Reply::Json(json) = json else { panic!("{json:?}") };
            found.push((name, serde_json::from_slice::<serde_json::Value>(&json).unwrap()));
        }
    }
    found.sort_by(|(a, x), (b, y)| {
        let by_member = order.iter().map(|member| compare(x.get(member), y.get(member)));
        by_member.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b))
    });
    found.into_iter().map(|(name, _)| name).collect()
}

fn number(rng: &mut Rng) -> &'static str {
    rng.pick(&[
        "-1",
        "0",
        "1",
        "1.0",
        "1.5",
        "2",
        "3",
        "9007199254740992",
        "9007199254740993",
        "9007199254740994.0",
        "-0.0",
        "1e300",
        "9223372036854775807",
    ])
}

fn string(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => format!("\"{}\"", "x".repeat(127 + rng.below(4))),
        1 => format!("\"{}{}\"", "x".repeat(128), rng.pick(&["a", "b"])),
        _ => format!("\"{}\"", rng.pick(&["open", "done", "Open", "o", "", "op\\u0000", "op"])),
    }
}

fn scalar(rng: &mut Rng) -> String {
    match rng.below(9) {
        0 => "null".into(),
        1 => rng.pick(&["true", "false"]).into(),
        2 => rng.pick(&["[]", "{}", "[1]"]).into(),
        3 | 4 => string(rng),
        _ => number(rng).into(),
    }
}

fn document(rng: &mut Rng) -> String {
    let mut members = Vec::new();
    if rng.below(6) > 0 {
        members.push(format!(
            "\"status\":{}",
            if rng.below(5) == 0 { scalar(rng) } else { string(rng) }
        ));
    }
    if rng.below(6) > 0 {
        members.push(format!("\"n\":{}", scalar(rng)));
    }
    if rng.below(3) > 0 {
        let tags: Vec<_> = (0..rng.below(4)).map(|_| scalar(rng)).collect();
        members.push(match rng.below(8) {
            0 => format!("\"tags\":{}", scalar(rng)),
            1 => "\"tags\":{\"o\":1,\"open\":2}".to_owned(),
            _ => format!("\"tags\":[{}]", tags.join(",")),
        });
    }
    if rng.below(3) > 0 {
        members.push(format!("\"name\":{}", scalar(rng)));
    }
    if rng.below(4) == 0 {
        members.push(format!("\"code\":{}", scalar(rng)));
    }
    format!("{{{}}}", members.join(","))
}

/// A condition, with a name of the index whose order it can take and the members of that.
fn condition(rng: &mut Rng) -> String {
    let value = |rng: &mut Rng| match rng.below(3) {
        0 => string(rng),
        _ => number(rng).to_owned(),
    };
    let relation = |rng: &mut Rng| rng.pick(&["<", "<=", ">", ">=", "=="]);
    let mut terms = Vec::new();
    if rng.below(2) == 0 {
        let status = string(rng);
        terms.push(match rng.below(4) {
            0 => format!("self.status in [{}, {}, 1]", string(rng), status),
            1 => format!("self['status'].startsWith({status})"),
            2 => "self.status == 'open'".to_owned(),
            _ => format!("{status} == self.status"),
        });
    }
    for _ in 0..rng.below(3) {
        let value = value(rng);
        terms.push(match rng.below(3) {
            0 => format!("{value} {} self.n", relation(rng)),
            _ => format!("self.n {} {value}", relation(rng)),
        });
    }
    match rng.below(8) {
        0 => terms.push(format!("{} in self.tags", scalar(rng).replace("{}", "1"))),
        1 => terms.push(format!("self.name.lowerAscii() == {}", string(rng))),
        2 => terms.push("has(self.n)".into()),
        3 => terms.push(format!("self.code == {}", value(rng))),
        4 => terms.push("!(self.n == 1)".into()),
        _ => {}
    }
    if terms.is_empty() { "self.n == 1".into() } else { terms.join(" && ") }
}

fn change(pair: &mut Pair, rng: &mut Rng) {
    let key = format!("k{}", rng.below(30));
    let json = document(rng);
    let value = scalar(rng);
    let items = format!("[{value}]");
    let done = match rng.below(12) {
        0 => {
            pair.host.unlink(key.as_bytes());
            pair.replica.unlink(key.as_bytes());
            return;
        }
        1 => pair.call(&["MODEL.SET", &key, "any", &json]),
        2..=5 => pair.call(&["MODEL.SET", &key, "m", &json]),
        6 => pair.call(&["MODEL.FIELDOP", &key, "SET", "$.n", &value]),
        7 => pair.call(&["MODEL.FIELDOP", &key, "APPEND", "$.tags", &items]),
        8 => pair.call(&[
            "MODEL.FIELDOP",
            &key,
            "DEL",
            rng.pick(&["$.n", "$.status", "$.tags", "$.tags[0]"]),
        ]),
        9 => pair.call(&["MODEL.FIELDOP", &key, "INIT", "m", &json, "INCR", "$.n", "1"]),
        10 => {
            let other = format!("k{}", 30 + rng.below(4));
            pair.call(&[
                "MODEL.TXN",
                "2",
                &key,
                &other,
                "ON",
                &key,
                "SET",
                "$.code",
                &value,
                "ON",
                &other,
                "INIT",
                "m",
                &json,
            ])
        }
        _ => pair.call(&["MODEL.TXN", "1", &key, "ON", &key, "DELETE", "CREATE", "m", &json]),
    };
    // Whatever was refused changed nothing.
    let _ = done;
}

#[test]
fn every_query_gives_what_a_naive_scan_gives() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut rng = Rng(seed);
    let mut pair = Pair::new(INDEXES);
    let (mut served, mut orders) = (0, 0);
    for round in 0..120 {
        for _ in 0..12 {
            change(&mut pair, &mut rng);
        }
        for _ in 0..12 {
            let condition = condition(&mut rng);
            let limit = 1 + rng.below(7);
            let mut query = vec!["WHERE", &condition];
            if pair.host.call(&[&["MODEL.FIND", "m"], &query[..]].concat()).is_err() {
                query.push("SCAN");
            } else {
                served += 1;
            }
            let mut expected = scan(&mut pair.host, Some(&condition), &[]);
            let count = [&["MODEL.COUNT", "m"], &query[..]].concat();
            let count = pair.host.call(&count).unwrap().reply;
            assert_eq!(count, Reply::Int(expected.len() as i64), "{round} {condition}");
            let mut found = find(&mut pair.host, &query, limit);
            assert_eq!(found, find(&mut pair.replica, &query, limit), "{round} {condition}");
            found.sort();
            assert_eq!(found, expected, "{round} {condition}");
            for (index, members) in
                [("status_n", &["status", "n"][..]), ("by_n", &["n"]), ("open_n", &["n"])]
            {
                for descends in [false, true] {
                    let mut ordered = [&query[..2], &["SCAN", "ORDER", index]].concat();
                    ordered.extend(descends.then_some("DESC"));
                    if index == "open_n" && !condition.contains("self.status == 'open'") {
                        pair.refused("NOINDEX", &[&["MODEL.FIND", "m"], &ordered[..]].concat());
                        continue;
                    }
                    expected = scan(&mut pair.host, Some(&condition), members);
                    if descends {
                        expected.reverse();
                    }
                    let found = find(&mut pair.host, &ordered, limit);
                    assert_eq!(found, expected, "{round} {condition} {index}");
                    orders += 1;
                }
            }
        }
        let all = scan(&mut pair.host, None, &[]);
        assert_eq!(find(&mut pair.host, &[], 4), all);
        assert_eq!(check(&mut pair.host), check(&mut pair.replica));
    }
    assert!(served > 300 && orders > 1000, "{served} {orders}");
}

/// Asserts that MODEL.CHECK finds nothing. Returns the digest of all entries.
fn check(host: &mut MemoryHost) -> String {
    let mut cursor = "0".to_owned();
    let (mut checked, mut digest) = (0, String::new());
    loop {
        let reply = host.call(&["MODEL.CHECK", "m", "CURSOR", &cursor]).unwrap().reply;
        let Reply::Map(counts) = &reply else { panic!("{reply:?}") };
        for (name, count) in counts {
            match (*name, count) {
                ("checked", Reply::Int(count)) => checked += count,
                ("cursor", next) => cursor = text(next),
                ("digest", Reply::Null) => {}
                ("digest", end) => digest = text(end),
                ("found", found) => assert_eq!(array(found), []),
                (_, count) => assert_eq!(*count, Reply::Int(0), "{name}"),
            }
        }
        if cursor == "0" {
            assert!(checked > 0);
            return digest;
        }
    }
}

#[test]
fn the_index_with_the_fewest_entries_is_chosen() {
    let mut pair = Pair::new(INDEXES);
    for n in 0..100 {
        let json =
            format!(r#"{{"status":"{}","n":{n}}}"#, if n % 10 == 0 { "open" } else { "done" });
        pair.must(&["MODEL.SET", &format!("k{n}"), "m", &json]);
    }
    let mut explain = |condition: &str| {
        let reply = pair.must(&["MODEL.FIND", "m", "WHERE", condition, "EXPLAIN"]).notation();
        let words: Vec<&str> = reply.split_whitespace().collect();
        let after = |name: &str| words.iter().position(|word| word.ends_with(name)).unwrap() + 1;
        let looked = words[after("looked") + 1].parse::<u64>().unwrap();
        (words[after("index")].to_owned(), looked)
    };
    assert_eq!(explain("self.status == 'done' && self.n == 7"), ("status_n".into(), 1));
    assert_eq!(explain("self.status in ['open', 'done'] && self.n < 3"), ("status_n".into(), 3));
    assert_eq!(explain("self.n >= 98"), ("by_n".into(), 2));
    assert_eq!(explain("self.status == 'open'"), ("status_n".into(), 10));
    assert_eq!(explain("self.status == 'open' && self.n < 1000"), ("status_n".into(), 10));
    assert_eq!(explain("self.status > 'done' && self.n < 5"), ("by_n".into(), 5));
}

#[test]
fn no_two_documents_have_the_same_values() {
    let mut pair = Pair::new(&[
        "INDEX",
        "mail",
        "1",
        "$.mail",
        "UNIQUE",
        "INDEX",
        "seat",
        "2",
        "$.row",
        "$.seat",
        "UNIQUE",
        "ONLY",
        "has(self.row)",
    ]);
    pair.must(&["MODEL.SET", "a", "m", r#"{"mail":"a@x"}"#]);
    pair.must(&["MODEL.SET", "b", "m", r#"{"mail":"b@x"}"#]);
    let error = pair.refused("UNIQUE", &["MODEL.SET", "c", "m", r#"{"mail":"a@x"}"#]);
    assert_eq!(error.detail("index"), Some(&Detail::Text("mail".into())));
    assert_eq!(error.detail("value"), Some(&Detail::Json(r#"["a@x"]"#.into())));
    assert_eq!(error.detail("other"), Some(&Detail::Text("a".into())));
    assert_eq!(error.detail("key"), Some(&Detail::Text("c".into())));
    pair.refused("UNIQUE", &["MODEL.FIELDOP", "b", "SET", "$.mail", "\"a@x\""]);
    // Documents of one transaction exchange their values.
    pair.must(&[
        "MODEL.TXN",
        "2",
        "a",
        "b",
        "ON",
        "a",
        "SET",
        "$.mail",
        "\"b@x\"",
        "ON",
        "b",
        "SET",
        "$.mail",
        "\"a@x\"",
    ]);
    pair.refused(
        "UNIQUE",
        &[
            "MODEL.TXN",
            "2",
            "c",
            "d",
            "ON",
            "c",
            "CREATE",
            "m",
            r#"{"mail":"n"}"#,
            "ON",
            "d",
            "CREATE",
            "m",
            r#"{"mail":"n"}"#,
        ],
    );
    // Values that another block deletes or gives up are free.
    pair.must(&[
        "MODEL.TXN",
        "2",
        "a",
        "c",
        "ON",
        "c",
        "CREATE",
        "m",
        r#"{"mail":"b@x"}"#,
        "ON",
        "a",
        "DELETE",
    ]);
    pair.must(&["MODEL.SET", "c", "m", r#"{"mail":"b@x","other":1}"#]);
    // A document that is listed and keeps its value is in the way.
    pair.refused(
        "UNIQUE",
        &[
            "MODEL.TXN",
            "2",
            "b",
            "c",
            "ON",
            "b",
            "SET",
            "$.mail",
            "\"b@x\"",
            "ON",
            "c",
            "SET",
            "$.other",
            "2",
        ],
    );
    // So is one whose entries in another index change.
    let keeps = "ON b SET $.mail \"b@x\" ON c SET $.row 9";
    let words: Vec<&str> =
        ["MODEL.TXN", "2", "b", "c"].into_iter().chain(keeps.split(' ')).collect();
    let error = pair.refused("UNIQUE", &words);
    assert_eq!(error.detail("other"), Some(&Detail::Text("c".into())));
    // Missing and null values are not compared, nor documents that ONLY leaves out.
    for (key, json) in [
        ("n1", "{}"),
        ("n2", "{}"),
        ("n3", r#"{"mail":null}"#),
        ("n4", r#"{"mail":null}"#),
        ("n5", r#"{"seat":1}"#),
        ("n6", r#"{"seat":1}"#),
        ("n7", r#"{"row":1}"#),
        ("n8", r#"{"row":1}"#),
        // Arrays and objects have no order, and are not compared either.
        ("n9", r#"{"mail":[1]}"#),
        ("n10", r#"{"mail":{"a":2}}"#),
        ("s1", r#"{"row":1,"seat":1}"#),
        ("s2", r#"{"row":1,"seat":2}"#),
    ] {
        pair.must(&["MODEL.SET", key, "m", json]);
    }
    pair.refused("UNIQUE", &["MODEL.SET", "s3", "m", r#"{"row":1.0,"seat":2}"#]);
    pair.refused("UNIQUE", &["MODEL.FIELDOP", "s1", "INCR", "$.seat", "1"]);
    // Long strings are compared whole.
    let long = |end: &str| format!(r#"{{"mail":"{}{end}"}}"#, "x".repeat(1000));
    pair.must(&["MODEL.SET", "l1", "m", &long("a")]);
    pair.must(&["MODEL.SET", "l2", "m", &long("b")]);
    pair.refused("UNIQUE", &["MODEL.SET", "l3", "m", &long("a")]);
    // A refused command leaves nothing behind.
    assert_eq!(pair.must(&["MODEL.COUNT", "m"]), Reply::Int(16));
    check(&mut pair.host);
    check(&mut pair.replica);
}

#[test]
fn a_violation_names_the_value_that_another_document_has() {
    let long = |len: usize| "x".repeat(len);
    for (part, json, other, value) in [
        ("1 $.t[*]", r#"{"t":["a","b","c"]}"#.to_owned(), r#"{"t":["b"]}"#.to_owned(), "[\"b\"]"),
        ("1 $.t[*]", r#"{"t":[1,2.5,true]}"#.into(), r#"{"t":[2.5]}"#.into(), "[2.5]"),
        // Of the names of an object.
        ("1 $.t[*]", r#"{"t":{"a":1,"b":2}}"#.into(), r#"{"t":["b"]}"#.into(), "[\"b\"]"),
        (
            "3 $.n $.t[*] self.m+1",
            r#"{"n":7,"t":["a","b"],"m":1}"#.into(),
            r#"{"n":7,"t":["c","b"],"m":1}"#.into(),
            "[7,\"b\",2]",
        ),
        // A thousand values beside it take no room.
        (
            "1 $.t[*]",
            format!(r#"{{"t":[{}"z"]}}"#, format!("\"{}\",", long(200)).repeat(900)),
            r#"{"t":["z"]}"#.into(),
            "[\"z\"]",
        ),
        (
            "1 $.t[*]",
            format!(r#"{{"t":[1,"{}"]}}"#, long(300)),
            format!(r#"{{"t":["{}"]}}"#, long(300)),
            "",
        ),
        ("1 $.t", format!(r#"{{"t":"{}"}}"#, long(300)), format!(r#"{{"t":"{}"}}"#, long(300)), ""),
    ] {
        let index = format!("INDEX u {part} UNIQUE");
        let mut pair = Pair::new(&index.split(' ').collect::<Vec<_>>());
        pair.must(&["MODEL.SET", "a", "m", &other]);
        let error = pair.refused("UNIQUE", &["MODEL.SET", "b", "m", &json]);
        let expected = (!value.is_empty()).then(|| Detail::Json(value.into()));
        assert_eq!(error.detail("value"), expected.as_ref(), "{part} of {json}");
    }
}

#[test]
fn bad_definitions_and_queries_are_refused() {
    let mut pair = Pair::new(INDEXES);
    for (word, parts) in [
        ("ERR", &["INDEX", "i", "0"][..]),
        ("ERR", &["INDEX", "i", "2", "$.a"]),
        ("ERR", &["INDEX", "", "1", "$.a"]),
        ("ERR", &["INDEX", "i", "1", "$.a", "INDEX", "i", "1", "$.b"]),
        ("ERR", &["INDEX", "i", "1", "$..a"]),
        ("ERR", &["INDEX", "i", "1", "$.a[*].b"]),
        ("ERR", &["INDEX", "i", "2", "$.a[*]", "$.b[*]"]),
        ("ERR", &["INDEX", "i", "1", "key"]),
        ("ERR", &["INDEX", "i", "1", "size(self)"]),
        ("ERR", &["INDEX", "i", "1", "self.a + revision"]),
        ("ERR", &["INDEX", "i", "1", "$.a", "ONLY", "now > self.a"]),
        ("EXPR", &["INDEX", "i", "1", "self.a +"]),
        ("EXPR", &["INDEX", "i", "1", "docs.x"]),
        ("LIMIT", &["INDEX", "i", "9", "a", "b", "c", "d", "e", "f", "g", "h", "i"]),
    ] {
        pair.refused(word, &[&["MODEL.DEFINE", "m", "{}"], parts].concat());
    }
    let name = "i".repeat(256);
    pair.refused("LIMIT", &["MODEL.DEFINE", "x", "{}", "INDEX", &name, "1", "$.a"]);
    pair.must(&["MODEL.DEFINE", "x", "{}", "INDEX", &name[1..], "1", "$.a"]);
    let names: Vec<String> = (0..17).map(|n| format!("i{n}")).collect();
    let many: Vec<&str> = names.iter().flat_map(|name| ["INDEX", name, "1", "$.a"]).collect();
    pair.refused("LIMIT", &[&["MODEL.DEFINE", "x", "{}"], &many[..]].concat());
    pair.must(&[&["MODEL.DEFINE", "x", "{}"], &many[..16 * 4]].concat());
    let eight = ["INDEX", "i", "8", "$.a", "$.b", "$.c", "$.d", "$.e", "$.f", "$.g", "$.h"];
    pair.must(&[&["MODEL.DEFINE", "y", "{}"], &eight[..]].concat());
    let error =
        pair.refused("NOINDEX", &["MODEL.FIND", "m", "WHERE", "self.zip == 1 && self.age > 3"]);
    assert_eq!(error.detail("add"), Some(&Detail::Text("INDEX by_zip_age 2 $.zip $.age".into())));
    let error = pair.refused("NOINDEX", &["MODEL.FIND", "m", "WHERE", "'x' in self.labels"]);
    assert_eq!(error.detail("add"), Some(&Detail::Text("INDEX by_labels 1 '$.labels[*]'".into())));
    pair.refused("NOINDEX", &["MODEL.FIND", "m", "WHERE", "self.zip == 1", "ORDER", "by_n"]);
    pair.refused("NOINDEX", &["MODEL.FIND", "m", "ORDER", "by_tag", "SCAN"]);
    pair.refused("NOINDEX", &["MODEL.FIND", "m", "ORDER", "open_n"]);
    pair.refused("NOINDEX", &["MODEL.FIND", "any"]);
    pair.must(&["MODEL.DEFINE", "plain", "{}"]);
    pair.refused("NOINDEX", &["MODEL.FIND", "plain"]);
    pair.must(&["MODEL.FIND", "plain", "SCAN"]);
    pair.refused("ERR", &["MODEL.FIND", "m", "ORDER", "none"]);
    pair.refused("EXPR", &["MODEL.FIND", "m", "WHERE", "self.n =="]);
    pair.refused("EXPR", &["MODEL.FIND", "m", "WHERE", "self.n == args.n"]);
    pair.refused("ERR", &["MODEL.FIND", "m", "AFTER", "AQ"]);
    pair.refused("ERR", &["MODEL.FIND", "m", "WHERE", "self.n == 1", "WHERE", "self.n == 1"]);
    pair.must(&["MODEL.FIND", "m", "LIMIT", "10000"]);
}

#[test]
fn cursors_survive_changes_and_not_other_indexes() {
    let mut pair = Pair::new(INDEXES);
    for n in 0..20 {
        pair.must(&["MODEL.SET", &format!("k{n:02}"), "m", &format!(r#"{{"n":{n}}}"#)]);
    }
    let first = pair.must(&["MODEL.FIND", "m", "ORDER", "by_n", "LIMIT", "5", "GET", "$.n"]);
    let cursor = text(&array(&first)[0]);
    // The document at the cursor goes, others come before and behind it.
    pair.host.unlink(b"k04");
    pair.must(&["MODEL.SET", "new", "m", r#"{"n":4.5}"#]);
    pair.must(&["MODEL.SET", "old", "m", r#"{"n":1}"#]);
    pair.must(&["MODEL.FIELDOP", "k06", "SET", "$.n", "0"]);
    let after = |pair: &mut Pair, cursor: &str| {
        let args = ["MODEL.FIND", "m", "ORDER", "by_n", "AFTER", cursor, "LIMIT", "3", "GET", "$"];
        let reply = pair.must(&args);
        let keys: Vec<String> =
            array(&array(&reply)[1]).iter().map(|row| text(&array(row)[0])).collect();
        keys
    };
    assert_eq!(after(&mut pair, &cursor), ["new", "k05", "k07"]);
    // The same indexes again keep cursors, other ones do not.
    pair.must(&[&["MODEL.DEFINE", "m", "{\"title\":\"x\"}"], INDEXES].concat());
    assert_eq!(after(&mut pair, &cursor).len(), 3);
    pair.must(&[&["MODEL.DEFINE", "n", "{}"], INDEXES].concat());
    pair.must(&["MODEL.DEFINE", "o", "{}", "INDEX", "by_n", "1", "$.n"]);
    pair.must(&["MODEL.FIND", "n", "ORDER", "by_n", "AFTER", &cursor]);
    pair.refused("ERR", &["MODEL.FIND", "o", "ORDER", "by_n", "AFTER", &cursor]);
}

#[test]
fn a_query_looks_at_no_more_entries_than_its_limits_say() {
    let mut pair = Pair::new(INDEXES);
    for n in 0..200 {
        pair.must(&["MODEL.SET", &format!("k{n:03}"), "m", &format!(r#"{{"n":{n}}}"#)]);
    }
    pair.host.settings.finding.entries = 50;
    let looked = |pair: &mut Pair, condition: &str| {
        let reply = pair.must(&["MODEL.FIND", "m", "WHERE", condition, "EXPLAIN"]).notation();
        let words: Vec<&str> = reply.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "looked").unwrap();
        (words[at + 2].parse::<u64>().unwrap(), !reply.contains("cursor (nil)"))
    };
    assert_eq!(looked(&mut pair, "self.n >= 0 && self.zip == 1"), (50, true));
    assert_eq!(looked(&mut pair, "self.n >= 150 && self.zip == 1"), (50, false));
    assert_eq!(looked(&mut pair, "self.n >= 149 && self.zip == 1"), (50, true));
    assert_eq!(find(&mut pair.host, &["WHERE", "self.n >= 0 && self.n % 50 == 0"], 10).len(), 4);
    // The steps of a command bound it as well: it pauses when half of them are left.
    pair.host.settings.finding.entries = 10_000;
    pair.host.settings.work.command_steps = 20_000;
    let (entries, more) = looked(&mut pair, "self.n >= 0 && self.zip == 1");
    assert!((10..170).contains(&entries) && more, "{entries}");
    assert_eq!(find(&mut pair.host, &["WHERE", "self.n >= 0 && self.n % 50 == 0"], 10).len(), 4);
    pair.host.settings.work.command_steps = 10_000;
    pair.refused("LIMIT", &["MODEL.COUNT", "m"]);
    pair.host.settings.work.command_steps = 40_000;
    assert_eq!(pair.must(&["MODEL.COUNT", "m"]), Reply::Int(200));
}

#[test]
fn a_document_has_at_most_a_thousand_values_in_a_part() {
    let mut pair = Pair::new(INDEXES);
    let tags = |count: usize| {
        format!(
            r#"{{"tags":[{}]}}"#,
            (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        )
    };
    pair.must(&["MODEL.SET", "k", "m", &tags(1000)]);
    pair.refused("LIMIT", &["MODEL.SET", "k", "m", &tags(1001)]);
    pair.refused("LIMIT", &["MODEL.FIELDOP", "k", "APPEND", "$.tags", "[7777]"]);
    assert_eq!(find(&mut pair.host, &["WHERE", "999 in self.tags"], 1), ["k"]);
    check(&mut pair.host);
}

#[test]
fn keys_that_the_caller_may_not_read_are_left_out() {
    let mut pair = Pair::new(INDEXES);
    for key in ["a", "b", "c"] {
        pair.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
    }
    pair.host.forbidden.insert(b"b".to_vec());
    assert_eq!(find(&mut pair.host, &["WHERE", "self.n == 1"], 2), ["a", "c"]);
    assert_eq!(pair.must(&["MODEL.COUNT", "m"]), Reply::Int(2));
}
