//! Queries at their bounds, over the host in memory: models without indexes, hostile cursors and cursors of other
//! definitions, suggested indexes, large values, documents that lack every part.

use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

fn call(host: &mut MemoryHost, args: &[&str]) -> Result<Reply, Error> {
    host.call(args).map(|outcome| outcome.reply)
}

#[track_caller]
fn must(host: &mut MemoryHost, args: &[&str]) -> Reply {
    call(host, args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

#[track_caller]
fn refused(host: &mut MemoryHost, word: &str, args: &[&str]) -> Error {
    let error = call(host, args).expect_err("the command is refused");
    assert_eq!(error.code().word(), word, "{args:?}: {error}");
    error
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

/// The cursor and the keys of one call.
fn page(host: &mut MemoryHost, args: &[&str]) -> (Option<String>, Vec<String>) {
    let reply = must(host, &[args, &["GET", "$.none"]].concat());
    let [next, rows] = array(&reply) else { panic!("{reply:?}") };
    let keys = array(rows).iter().map(|row| text(&array(row)[0])).collect();
    ((*next != Reply::Null).then(|| text(next)), keys)
}

/// The keys of all pages, each of which has at most `limit`.
fn find(host: &mut MemoryHost, query: &[&str], limit: usize) -> Vec<String> {
    let (written, mut cursor, mut keys) = (limit.to_string(), None::<String>, Vec::new());
    loop {
        let mut args = [&["MODEL.FIND"], query, &["LIMIT", &written]].concat();
        args.extend(cursor.iter().flat_map(|cursor| ["AFTER", cursor]));
        let (next, found) = page(host, &args);
        assert!(found.len() <= limit);
        keys.extend(found);
        match next {
            None => return keys,
            next => cursor = next,
        }
    }
}

/// Documents of a model without indexes, of one with some, and of none.
fn mixed() -> MemoryHost {
    let mut host = MemoryHost::default();
    must(&mut host, &["MODEL.DEFINE", "plain", "{}"]);
    must(&mut host, &["MODEL.DEFINE", "m", "{}", "INDEX", "by_n", "1", "$.n"]);
    for nth in 0..300 {
        let (key, json) = (format!("k{nth:03}"), format!(r#"{{"n":{}}}"#, nth % 10));
        must(&mut host, &["MODEL.SET", &key, ["plain", "m", "any"][nth % 3], &json]);
    }
    host
}

#[test]
fn a_model_without_indexes_is_searched_key_by_key() {
    let mut host = mixed();
    for (model, rest) in [("plain", 0), ("any", 2)] {
        let all = |holds: &dyn Fn(usize) -> bool| -> Vec<String> {
            let own = (0..300).filter(|nth| nth % 3 == rest && holds(nth % 10));
            own.map(|nth| format!("k{nth:03}")).collect()
        };
        for limit in [1, 2, 3, 7, 63, 64, 65, 1000] {
            let query = [model, "WHERE", "self.n >= 8", "SCAN"];
            assert_eq!(find(&mut host, &query, limit), all(&|n| n >= 8), "{limit}");
            assert_eq!(find(&mut host, &[model, "SCAN"], limit), all(&|_| true), "{limit}");
        }
        let count = |host: &mut MemoryHost, query: &[&str]| {
            must(host, &[&["MODEL.COUNT", model], query].concat())
        };
        let expected = Reply::Int(all(&|n| n < 2).len() as i64);
        assert_eq!(count(&mut host, &["WHERE", "self.n < 2", "SCAN"]), expected);
        assert_eq!(count(&mut host, &["SCAN"]), Reply::Int(100));
        // One that the caller may not read is left out.
        host.forbidden.insert(format!("k{:03}", 30 + rest).into_bytes());
        assert_eq!(count(&mut host, &["SCAN"]), Reply::Int(99));
        refused(&mut host, "NOINDEX", &["MODEL.FIND", model]);
        refused(&mut host, "NOINDEX", &["MODEL.COUNT", model, "WHERE", "self.n == 1"]);
        refused(&mut host, "ERR", &["MODEL.FIND", model, "SCAN", "ORDER", "by_n"]);
    }
    let error = refused(&mut host, "NOINDEX", &["MODEL.FIND", "plain", "WHERE", "self.n == 1"]);
    assert_eq!(error.detail("add"), Some(&Detail::Text("INDEX by_n 1 $.n".into())));
    let explained = must(&mut host, &["MODEL.FIND", "plain", "SCAN", "EXPLAIN", "LIMIT", "5"]);
    let explained = explained.notation();
    assert!(explained.contains("index (nil) direction (nil)"), "{explained}");
    assert!(explained.contains("entries (nil) looked (integer) 64 matched (integer) 5"));
    refused(&mut host, "NOMODEL", &["MODEL.FIND", "none", "SCAN"]);
}

#[test]
fn a_search_over_keys_is_bounded() {
    let mut host = mixed();
    host.settings.finding.entries = 100;
    let query = ["MODEL.FIND", "plain", "WHERE", "self.n == 77", "SCAN", "EXPLAIN"];
    let explained = must(&mut host, &query).notation();
    assert!(explained.contains("looked (integer) 128 matched (integer) 0"), "{explained}");
    assert!(!explained.contains("cursor (nil)"), "{explained}");
    assert_eq!(find(&mut host, &["plain", "WHERE", "self.n == 3", "SCAN"], 100).len(), 10);
    host.settings.finding.entries = 10_000;
    host.settings.work.command_steps = 16_000;
    refused(&mut host, "LIMIT", &["MODEL.COUNT", "plain", "SCAN"]);
    assert_eq!(find(&mut host, &["plain", "SCAN"], 100).len(), 100);
    host.settings.work.command_steps = 40_000;
    assert_eq!(must(&mut host, &["MODEL.COUNT", "plain", "SCAN"]), Reply::Int(100));
}

/// The index that a refusal says to add.
fn suggestion(host: &mut MemoryHost, query: &[&str]) -> Option<String> {
    let error = refused(host, "NOINDEX", &[&["MODEL.FIND", "m", "WHERE"], query].concat());
    match error.detail("add") {
        Some(Detail::Text(index)) => Some(index.to_string()),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Defines the model with the index that a refusal says to add, and others: it serves the query then, and is named by `ORDER`
/// if an index is.
fn check_suggestion(host: &mut MemoryHost, others: &[&str], query: &[&str]) -> String {
    must(host, &[&["MODEL.DEFINE", "m", "{}"], others].concat());
    let index = suggestion(host, query).unwrap_or_else(|| panic!("nothing for {query:?}"));
    let words = shell_words(&index);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    must(host, &[&["MODEL.DEFINE", "m", "{}"], others, &words].concat());
    let mut query = query.to_vec();
    if query.len() > 2 {
        query[2] = words[1];
    }
    let explained = [&["MODEL.FIND", "m", "EXPLAIN", "WHERE"], &query[..]].concat();
    let explained = must(host, &explained).notation();
    assert!(explained.contains(&format!("index {}", words[1])), "{index}: {explained}");
    index
}

#[test]
fn a_suggested_index_serves_the_condition_as_it_is_typed() {
    let mut host = MemoryHost::default();
    let others = ["INDEX", "by_zip", "1", "$.other"];
    let mut check =
        |query: &[&str], index| assert_eq!(check_suggestion(&mut host, &others, query), index);
    for (condition, index) in [
        ("self.zip == 1 && self.age > 3", "INDEX by_zip_age 2 $.zip $.age"),
        ("self.zip == 1", "INDEX by_zip_2 1 $.zip"),
        ("'x' in self.labels", "INDEX by_labels 1 '$.labels[*]'"),
        ("'x' in self.a && 'y' in self.b && self.c < 2", "INDEX by_a_c 2 '$.a[*]' $.c"),
        ("self.mail.lowerAscii() == 'x'", "INDEX by_mail_lowerAscii 1 'self.mail.lowerAscii()'"),
        ("self['first name'].startsWith('A')", r#"INDEX by_first_name 1 '$["first name"]'"#),
        ("self.a.replace(' ', '') == 'x'", r#"INDEX by_a_replace 1 'self.a.replace(" ", "")'"#),
        ("has(self.a.b) && self.x == self.y", "INDEX by_a_b 1 $.a.b"),
        ("self.a == [1] && self.b == 2", "INDEX by_b 1 $.b"),
        ("self.a in [1, 2] && self.b.c[0] >= 2", "INDEX by_a_b_c_0 2 $.a '$.b.c[0]'"),
        ("self.a > 1 && self.a < 9 && self.b > 1", "INDEX by_a 1 $.a"),
        ("self[0] == 1", "INDEX by_0 1 '$[0]'"),
        // Any name, between quotes that a shell leaves alone.
        (r#"self["it's"] == 1"#, r#"INDEX by_it_u0027s 1 '$["it\u0027s"]'"#),
        (r#"self['a"\\$(b)`'] == 1"#, r#"INDEX by_a_b 1 '$["a\"\\$(b)`"]'"#),
        (
            r#"self["\u0000\u007f\n"]['é'] == 1"#,
            r#"INDEX by_u0000_u007f_u000a 1 '$["\u0000\u007f\u000a"]["é"]'"#,
        ),
        (
            r#"self.a.replace("'", '"') == ''"#,
            r#"INDEX by_a_replace_u0027 1 'self.a.replace("\u0027", "\"")'"#,
        ),
    ] {
        check(&[condition], index);
    }
    let names = |count: usize, long: &str| {
        let names = (0..count).map(|nth| format!("self.{long}{nth} == 1"));
        names.collect::<Vec<_>>().join(" && ")
    };
    let nine = check_suggestion(&mut host, &others, &[&names(9, "a")]);
    assert!(nine.starts_with("INDEX by_a0_a1_a2_a3_a4_a5_a6_a7 8 $.a0 "), "{nine}");
    // It is whole, however long.
    let long = check_suggestion(&mut host, &others, &[&names(8, &"n".repeat(400))]);
    assert!(long.len() > 8 * 400, "{long}");
}

#[test]
fn a_suggested_index_has_the_order_that_is_asked_for() {
    let mut host = MemoryHost::default();
    let others =
        "INDEX by_day 2 $.day self.n INDEX tags 1 $.tags[*] INDEX some 1 $.n ONLY self.x==1";
    let others: Vec<&str> = others.split(' ').collect();
    for (condition, index) in [
        ("self.s == 1", "INDEX by_s_day_n 3 $.s $.day self.n"),
        ("self.s == 1 && self.n > 3", "INDEX by_s_day_n 3 $.s $.day self.n"),
        ("self.s == 1 && self.t in [1, 2]", "INDEX by_s_day_n 3 $.s $.day self.n"),
        ("'x' in self.tags && self.s == 1", "INDEX by_s_tags_day_n 4 $.s '$.tags[*]' $.day self.n"),
    ] {
        let query = [condition, "ORDER", "by_day"];
        assert_eq!(check_suggestion(&mut host, &others, &query), index, "{condition}");
        must(&mut host, &[&["MODEL.DEFINE", "m", "{}"], &others[..]].concat());
        assert_eq!(suggestion(&mut host, &[condition, "ORDER", "some"]), None);
    }
    for condition in ["self.s > 1", "self.s in [1, 2]", "self.s != 1"] {
        assert_eq!(suggestion(&mut host, &[condition, "ORDER", "by_day"]), None, "{condition}");
    }
    let seven: Vec<String> = (0..7).map(|nth| format!("self.a{nth} == 1")).collect();
    assert_eq!(suggestion(&mut host, &[&seven.join(" && "), "ORDER", "by_day"]), None);
    check_suggestion(&mut host, &others, &[&seven[..6].join(" && "), "ORDER", "by_day"]);
}

#[test]
fn a_refusal_says_why_no_index_can_be_added() {
    let mut host = MemoryHost::default();
    let message = |host: &mut MemoryHost, query: &[&str]| {
        let error = refused(host, "NOINDEX", query);
        assert_eq!(error.detail("add"), None, "{query:?}");
        error
    };
    must(&mut host, &["MODEL.DEFINE", "bare", "{}"]);
    let mut define = vec!["MODEL.DEFINE", "m", "{}"];
    let names: Vec<String> = (0..16).map(|nth| format!("i{nth}")).collect();
    for name in &names {
        if name.len() == 2 {
            must(&mut host, &define);
            let condition = "self.a != 1 || self.b == [1]";
            for query in [condition, "self.a == 1 || self.b == 2", "self.a == [1]"] {
                let error = message(&mut host, &["MODEL.FIND", "m", "WHERE", query]);
                assert!(error.message().starts_with("no index can serve the condition"), "{error}");
            }
        }
        define.extend(["INDEX", name, "1", "$.x"]);
    }
    let query = ["MODEL.FIND", "m", "WHERE", "self.a == 1"];
    // The last one is the sixteenth.
    must(&mut host, &define[..define.len() - 4]);
    assert_eq!(suggestion(&mut host, &["self.a == 1"]).as_deref(), Some("INDEX by_a 1 $.a"));
    must(&mut host, &define);
    let error = message(&mut host, &query);
    assert!(error.message().contains("the model has all 16 indexes"), "{error}");
    assert_eq!(error.detail("put"), Some(&Detail::Text("INDEX by_a 1 $.a".into())));
    let error = message(&mut host, &["MODEL.FIND", "any", "WHERE", "self.a == 1"]);
    assert!(error.message().starts_with("the built-in model has no indexes"), "{error}");
    // A part that is longer than an expression may be here.
    let condition = "self.a+self.b+self.c==1";
    must(&mut host, &define[..3]);
    let part = "'(self.a + self.b + self.c)'";
    let index = suggestion(&mut host, &[condition]).expect("it is short");
    assert_eq!(index, format!("INDEX by_a_b_c 1 {part}"));
    host.settings.expressions.bytes = condition.len();
    refused(&mut host, "LIMIT", &[&define[..3], &["INDEX", "i", "1", part]].concat());
    message(&mut host, &["MODEL.FIND", "m", "WHERE", condition]);
}

/// The words as a shell reads them.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line);
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '\'' | '"' => rest[1..].split_once(first).expect("a quote is closed"),
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

#[test]
fn the_documents_of_a_model_with_indexes_are_listed_in_order() {
    let mut host = mixed();
    let own: Vec<String> =
        (0..300).filter(|nth| nth % 3 == 1).map(|nth| format!("k{nth:03}")).collect();
    for count in ["1", "7", "100", "101"] {
        let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
        loop {
            let args = ["MODEL.DOCUMENTS", "m", "CURSOR", &cursor, "COUNT", count];
            let reply = must(&mut host, &args);
            keys.extend(array(&array(&reply)[1]).iter().map(text));
            cursor = text(&array(&reply)[0]);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(keys, own, "{count}");
    }
    // A position is valid as long as there is an index.
    let listed = must(&mut host, &["MODEL.DOCUMENTS", "m", "COUNT", "1"]);
    let cursor = text(&array(&listed)[0]);
    must(&mut host, &["MODEL.DEFINE", "m", "{}"]);
    refused(&mut host, "ERR", &["MODEL.DOCUMENTS", "m", "CURSOR", &cursor]);
    let scanned = must(&mut host, &["MODEL.DOCUMENTS", "m", "COUNT", "10"]);
    assert_eq!(text(&array(&scanned)[0]), "10");
}

#[test]
fn cursors_of_other_definitions_are_refused() {
    let mut host = mixed();
    let (walked, _) = page(&mut host, &["MODEL.FIND", "plain", "SCAN", "LIMIT", "1"]);
    let (ordered, _) = page(&mut host, &["MODEL.FIND", "m", "ORDER", "by_n", "LIMIT", "1"]);
    let (walked, ordered) = (walked.unwrap(), ordered.unwrap());
    refused(&mut host, "ERR", &["MODEL.FIND", "m", "AFTER", &walked]);
    refused(&mut host, "ERR", &["MODEL.FIND", "plain", "SCAN", "AFTER", &ordered]);
    refused(&mut host, "ERR", &["MODEL.FIND", "m", "WHERE", "self.x == 1", "SCAN", "AFTER", "AgA"]);
    must(&mut host, &["MODEL.DEFINE", "new", "{}", "INDEX", "by_n", "2", "$.n", "$.m"]);
    refused(&mut host, "ERR", &["MODEL.FIND", "new", "ORDER", "by_n", "AFTER", &ordered]);
    // MODEL.CHECK's position is in an index that is there no more.
    must(
        &mut host,
        &["MODEL.DEFINE", "two", "{}", "INDEX", "a", "1", "$.a", "INDEX", "b", "1", "$.b"],
    );
    refused(&mut host, "ERR", &["MODEL.CHECK", "m", "CURSOR", "MwAAAAAAAAAAAAAAAAAAAAA"]);
    must(&mut host, &["MODEL.CHECK", "two", "CURSOR", "MwAAAAAAAAAAAAAAAAAAAAA"]);
}

#[test]
fn hostile_cursors_find_no_other_documents_and_break_nothing() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut host = mixed();
    let (sound, _) = page(&mut host, &["MODEL.FIND", "m", "ORDER", "by_n", "LIMIT", "1"]);
    let sound = URL_SAFE_NO_PAD.decode(sound.unwrap()).unwrap();
    let mut state = 1_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..3000 {
        let mut bytes = match round % 3 {
            0 => sound.clone(),
            1 => [&[2][..], &[0; 8], b"\x04k001\x04k000\x04k002\x04none"].concat(),
            _ => (0..next(40)).map(|_| next(256) as u8).collect(),
        };
        for _ in 0..next(4) {
            let at = next(bytes.len() as u64 + 1) as usize;
            match next(3) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, next(256) as u8),
                _ if at < bytes.len() => bytes[at] = next(256) as u8,
                _ => {}
            }
        }
        let cursor = URL_SAFE_NO_PAD.encode(&bytes);
        for (model, rest) in [("m", 1), ("plain", 0)] {
            let query = ["MODEL.FIND", model, "WHERE", "self.n >= 5", "SCAN", "AFTER", &cursor];
            if let Ok(reply) = call(&mut host, &[&query[..], &["GET", "$.none"]].concat()) {
                for row in array(&array(&reply)[1]) {
                    let nth: usize = text(&array(row)[0])[1..].parse().unwrap();
                    assert!(nth % 3 == rest && nth % 10 >= 5, "{cursor}: {nth}");
                }
            }
            let _ = call(&mut host, &["MODEL.CHECK", model, "CURSOR", &cursor]);
            let _ = call(&mut host, &["MODEL.DOCUMENTS", model, "CURSOR", &format!("k{cursor}")]);
        }
    }
    for wrong in ["", "k", "!", "0x", "1e3", "18446744073709551616", "k=", "k!"] {
        let listed = call(&mut host, &["MODEL.DOCUMENTS", "m", "CURSOR", wrong]);
        assert!(listed.is_err() || wrong == "k", "{wrong}");
    }
}

#[test]
fn large_values_take_little_of_an_index() {
    let mut host = MemoryHost::default();
    let define = ["MODEL.DEFINE", "m", "{}", "INDEX", "by_s", "1", "$.s"];
    must(&mut host, &[&define[..], &["INDEX", "only_s", "1", "$.u", "UNIQUE"]].concat());
    let large = |end: &str| format!("{}{end}", "x".repeat(1 << 20));
    for end in ["a", "b", "c"] {
        let json = format!(r#"{{"s":"{0}","u":"{0}"}}"#, large(end));
        must(&mut host, &["MODEL.SET", end, "m", &json]);
    }
    let args = |end: &str| format!(r#"{{"s":"{}"}}"#, large(end));
    for (condition, found) in [
        ("self.s == args.s", &["b"][..]),
        ("self.s < args.s", &["a"]),
        ("self.s >= args.s", &["b", "c"]),
        ("self.s.startsWith(args.s)", &["b"]),
        ("self.s in [args.s]", &["b"]),
        ("self.u == args.s", &["b"]),
    ] {
        let query = ["m", "WHERE", condition, "ARGS", &args("b")];
        assert_eq!(find(&mut host, &query, 1), found, "{condition}");
    }
    let json = format!(r#"{{"u":"{}"}}"#, large("a"));
    let error = refused(&mut host, "UNIQUE", &["MODEL.SET", "d", "m", &json]);
    assert!(error.to_string().len() < 1000, "the value is not repeated in the error");
    let model = host.models.of_document("m");
    assert!(model.indexes().totals().bytes < 10_000, "{:?}", model.indexes().totals());
    // A name of a key may be as long.
    let key = "k".repeat(100_000);
    must(&mut host, &["MODEL.SET", &key, "m", r#"{"s":"short"}"#]);
    assert_eq!(find(&mut host, &["m", "WHERE", "self.s == 'short'"], 1), [key.as_str()]);
    host.unlink(key.as_bytes());
    assert_eq!(must(&mut host, &["MODEL.COUNT", "m"]), Reply::Int(3));
}

#[test]
fn documents_that_lack_every_part_are_in_every_index() {
    let mut host = MemoryHost::default();
    let define = "MODEL.DEFINE m {} INDEX a 1 $.a INDEX b 2 $.b.c $.d INDEX t 1 $.t[*] INDEX u 2 $.u $.v UNIQUE \
        INDEX e 1 self.e.lowerAscii() INDEX o 1 $.a ONLY self.f==1";
    must(&mut host, &define.split(' ').collect::<Vec<_>>());
    for (key, json) in [("x", "{}"), ("y", "[]"), ("z", "7"), ("w", r#""text""#), ("v", "null")] {
        must(&mut host, &["MODEL.SET", key, "m", json]);
    }
    let all = ["v", "w", "x", "y", "z"];
    for index in ["a", "b", "u", "e"] {
        assert_eq!(find(&mut host, &["m", "ORDER", index], 2), all, "{index}");
    }
    assert_eq!(find(&mut host, &["m"], 2), all);
    assert_eq!(find(&mut host, &["m", "WHERE", "has(self.a)"], 2), Vec::<String>::new());
    assert_eq!(find(&mut host, &["m", "WHERE", "!has(self.a)", "SCAN"], 2), ["v", "x"]);
    assert_eq!(find(&mut host, &["m", "WHERE", "self.f == 1 && self.a == 1"], 2).len(), 0);
    must(&mut host, &["MODEL.FIELDOP", "x", "SET", "$.a", "1", "SET", "$.f", "1"]);
    assert_eq!(find(&mut host, &["m", "WHERE", "self.f == 1 && self.a == 1"], 2), ["x"]);
}

/// A model with so many indexes of one expression.
fn of_expressions(host: &mut MemoryHost, indexes: usize, part: &str) {
    let mut define = vec!["MODEL.DEFINE".to_owned(), "m".into(), "{}".into()];
    for nth in 0..indexes {
        define.extend(["INDEX".to_owned(), format!("i{nth}"), "1".into(), part.into()]);
    }
    must(host, &define.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_call_of_check_looks_at_few_documents_whose_expressions_take_long() {
    let host = &mut MemoryHost::default();
    of_expressions(host, 16, "self.a.map(x, self.a.map(y, x + y).sum()).sum()");
    for nth in 0..30 {
        let json = format!(r#"{{"a":[{}]}}"#, vec!["1"; 80].join(","));
        must(host, &["MODEL.SET", &format!("k{nth}"), "m", &json]);
    }
    let checked = must(host, &["MODEL.CHECK", "m"]).notation();
    let looked = (1..30).find(|n| checked.contains(&format!("checked (integer) {n} ")));
    assert!(looked.is_some_and(|looked| looked < 15), "{checked}");
}

#[test]
fn a_list_of_more_than_a_thousand_values_serves_no_index() {
    let host = &mut MemoryHost::default();
    must(host, &["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n"]);
    must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    let args = |count: usize| format!(r#"{{"x":[{}]}}"#, vec!["1"; count].join(","));
    let query = ["m", "WHERE", "self.n in args.x", "ARGS"];
    assert_eq!(find(host, &[&query[..], &[&args(1000)]].concat(), 10), ["k"]);
    let long = args(1001);
    refused(host, "NOINDEX", &[&["MODEL.FIND"], &query[..], &[&long]].concat());
    assert_eq!(find(host, &[&query[..], &[&long, "SCAN"]].concat(), 10), ["k"]);
}
