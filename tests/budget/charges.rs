//! The steps of each kind of work.

use redis_model::testing::MemoryHost;

use super::{call, list, stored, words};

/// The least steps that a command may have to be done: found by trying.
fn needed(setup: &[Vec<String>], command: &[String]) -> u64 {
    let is_enough = |steps: u64| {
        let mut host = MemoryHost::default();
        for command in setup {
            call(&mut host, command).unwrap();
        }
        host.settings.work.command_steps = steps;
        match call(&mut host, command) {
            Ok(_) => true,
            Err(limit) if limit == "model.command-steps" => false,
            Err(other) => panic!("{other}: {:.100}", command.join(" ")),
        }
    };
    let (mut least, mut most) = (1, 1 << 24);
    while least < most {
        let middle = (least + most) / 2;
        match is_enough(middle) {
            true => most = middle,
            false => least = middle + 1,
        }
    }
    least
}

/// A command with what it finds, and about as many steps as it needs: a charge left out changes them by more
/// than a tenth.
type Charge = (&'static str, Vec<Vec<String>>, Vec<String>, u64);

#[test]
fn each_kind_of_work_is_charged() {
    check(charges());
}

/// Asserts that each needs about as many steps as expected. `STEPS=1` prints them instead.
fn check(charges: Vec<Charge>) {
    let prints = std::env::var("STEPS").is_ok();
    for (name, setup, command, expected) in charges {
        let steps = needed(&setup, &command);
        println!("{name}: {steps}");
        let tenth = expected / 10;
        let around = expected - tenth..=expected + tenth;
        assert!(prints || around.contains(&steps), "{name}: {steps} steps, not about {expected}");
    }
}

fn charges() -> Vec<Charge> {
    let statement = |words: &[&str]| {
        let mut command = vec!["MODEL.FIELDOP".to_owned(), "k".to_owned()];
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command
    };
    let ascending = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        format!("[{}]", all.join(","))
    };
    let descending = |count: usize, start: &str| {
        let all: Vec<String> =
            (0..count).map(|n| format!("{{\"t\":\"{start}{:05}\"}}", count - n)).collect();
        format!("[{}]", all.join(","))
    };
    let members = |count: usize, value: &str| {
        let all: Vec<String> = (0..count).map(|n| format!("\"m{n}\":{value}")).collect();
        format!("{{{}}}", all.join(","))
    };
    let of_schema = |schema: &str| vec![words(&["MODEL.DEFINE", "m", schema])];
    let put = |json: &str| words(&["MODEL.SET", "k", "m", json]);
    let numbers = || stored(&list("1", 10_000));
    let patterns: Vec<String> = (0..40).map(|n| format!(r#""^m[0-9]*{n:02}$":{{}}"#)).collect();
    let patterns = format!(r#"{{"patternProperties":{{{}}}}}"#, patterns.join(","));
    let closed = patterns.replacen('{', r#"{"additionalProperties":false,"#, 1);
    let unevaluated = r#"{"anyOf":[{"properties":{"m0":true}},{"patternProperties":{"^m":true}}],"unevaluatedProperties":false}"#;
    let tree = r##"{"$defs":{"t":{"anyOf":[{"type":"integer"},{"items":{"$ref":"#/$defs/t"},"type":"array"}]}},"$ref":"#/$defs/t"}"##;
    let deep = format!("{}1{}", "[".repeat(50), "]".repeat(50));
    let thousand = members(1000, "1");
    vec![
        ("EVAL of a place", numbers(), statement(&["EVAL", "$[*]", "value"]), 3_655_732),
        ("PULL", numbers(), statement(&["PULL", "$", "0", "2"]), 42_504),
        (
            "PULL of texts",
            stored(&list(&format!("\"{}\"", "x".repeat(800)), 1000)),
            statement(&["PULL", "$", "0", &format!("\"{}y\"", "x".repeat(800))]),
            54_260,
        ),
        ("PULLALL", numbers(), statement(&["PULLALL", "$", "[2,3,4,5,6,7,8,9,10,11]"]), 42_546),
        ("SORT", stored(&ascending(10_000)), statement(&["SORT", "$", "ASC", "@"]), 100_005),
        (
            "SORT by a member",
            stored(&descending(1000, "")),
            statement(&["SORT", "$", "ASC", "@.t"]),
            39_018,
        ),
        (
            "SORT of texts",
            stored(&descending(1000, &"x".repeat(800))),
            statement(&["SORT", "$", "ASC", "@.t"]),
            866_518,
        ),
        ("DEL of members", stored(&thousand), statement(&["DEL", "$.*"]), 126_261),
        (
            "MERGE of members",
            stored("{}"),
            statement(&["MERGE", "$", &members(1000, "null")]),
            32_010,
        ),
        ("UPDATE of members", stored(&thousand), statement(&["UPDATE", "$", &thousand]), 32_010),
        (
            "ADDUNIQ of many",
            stored(&ascending(10_000)),
            statement(&["ADDUNIQ", "$", &ascending(1000)]),
            118_726,
        ),
        (
            "APPEND of many",
            stored("[]"),
            statement(&["APPEND", "$", "=lists.range(10000)"]),
            148_012,
        ),
        (
            "APPEND to each",
            stored(&list("[]", 1000)),
            statement(&["APPEND", "$[*]", "[1]"]),
            113_982,
        ),
        (
            "SET of containers",
            stored(&list("1", 1000)),
            statement(&["SET", "$[*]", "[1]"]),
            126_480,
        ),
        ("TOGGLE of each", stored(&list("true", 10_000)), statement(&["TOGGLE", "$[*]"]), 584_980),
        (
            "SET of a text under patterns",
            of_schema(&format!(
                r#"{{"anyOf":{}}}"#,
                list(r#"{"pattern":"^a*b"}"#, 20).replace(']', r#",{"minLength":1}]"#)
            )),
            put(&format!("\"{}\"", "a".repeat(10_000))),
            20_164,
        ),
        ("SET of scalars", stored(&list("1", 1000)), statement(&["SET", "$[*]", "2"]), 54_479),
        ("a sum", numbers(), statement(&["IF", "self.sum() > 0"]), 62_120),
        (
            "SET of objects without their defaults",
            of_schema(r#"{"items":{"properties":{"n":{"default":1}}}}"#),
            put(&format!("[{}]", vec!["{}"; 1000].join(","))),
            104_032,
        ),
        ("SET under patterns for names", of_schema(&patterns), put(&thousand), 544_685),
        (
            "SET under patterns for all names",
            of_schema(&closed),
            put(&members(1000, "1").replace("\":1", "00\":1")),
            362_854,
        ),
        ("SET of deep values under alternatives", of_schema(tree), put(&list(&deep, 100)), 280_972),
        ("SET of unevaluated members", of_schema(unevaluated), put(&thousand), 195_655),
        (
            "SET of unevaluated elements",
            of_schema(
                r#"{"anyOf":[{"prefixItems":[true]},{"contains":{"minimum":0}}],"unevaluatedItems":false}"#,
            ),
            put(&list("1", 1000)),
            155_350,
        ),
        (
            "SET of names that are validated",
            of_schema(&format!(
                r#"{{"allOf":{}}}"#,
                list(r#"{"propertyNames":{"maxLength":20}}"#, 20)
            )),
            put(&members(2000, "1")),
            930_497,
        ),
        (
            "SET of different elements",
            of_schema(&format!(r#"{{"allOf":{}}}"#, list(r#"{"uniqueItems":true}"#, 20))),
            put(&ascending(2000)),
            222_262,
        ),
    ]
}

#[test]
fn each_kind_of_work_beside_documents_is_charged() {
    check(charges_beside_documents());
}

/// Natives, actions and indexes.
fn charges_beside_documents() -> Vec<Charge> {
    let natives = |native: &[&str], count: usize| {
        let mut command =
            words(&["MODEL.TXN", "2", "k", "s", "ON", "k", "INCR", "$.n", "1", "AT", "s"]);
        (0..count).for_each(|_| command.extend(words(native)));
        command
    };
    let document = || stored(r#"{"n":1}"#);
    let indexed = |index: &[&str]| {
        let mut command = words(&["MODEL.DEFINE", "m", "{}", "INDEX", "i", "1"]);
        command.extend(words(index));
        vec![command]
    };
    let tags = |start: &str, count: usize| {
        let tags: Vec<String> = (0..count).map(|nth| format!("\"{start}{nth:04}\"")).collect();
        format!("[{}]", tags.join(","))
    };
    let put = |json: &str| words(&["MODEL.SET", "k", "m", &format!(r#"{{"n":1,"t":{json}}}"#)]);
    let many = || {
        let mut setup = indexed(&["$.n"]);
        setup.extend(
            (0..200).map(|nth| words(&["MODEL.SET", &format!("k{nth}"), "m", r#"{"n":1}"#])),
        );
        setup
    };
    let options: Vec<String> = (0..1000).map(|nth| format!("\"{nth}\"")).collect();
    let params =
        format!(r#"{{"properties":{{"a":{{"items":{{"enum":[{}]}}}}}}}}"#, options.join(","));
    let action = words(&[
        "MODEL.ACTION",
        "act",
        "1",
        "doc",
        "PARAMS",
        &params,
        "ON",
        "doc",
        "INCR",
        "$.n",
        "1",
    ]);
    let mut define = words(&["MODEL.DEFINE", "m", "{}"]);
    for nth in 0..16 {
        let part = format!("self.a.map(x, x + {nth}).sum()");
        define.extend(words(&["INDEX", &format!("i{nth}"), "1", &part]));
    }
    let after = |mut setup: Vec<Vec<String>>, command: Vec<String>| {
        setup.push(command);
        setup
    };
    let held = || {
        let mut all = vec![words(&["MODEL.SET", "k", "any", "1"])];
        all.extend(
            (0..1000).map(|nth| words(&["MODEL.LOCK", "k", "n", &format!("o{nth}"), "SHARED"])),
        );
        all
    };
    let numbers: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let options = format!(r#"{{"enum":[{}]}}"#, numbers.join(","));
    vec![
        (
            "readings of a structure",
            document(),
            words(&[
                "MODEL.TXN",
                "2",
                "k",
                "s",
                "ON",
                "k",
                "IF",
                "lists.range(1000).all(x, native['s'].size() >= 0)",
                "INCR",
                "$.n",
                "1",
            ]),
            225_438,
        ),
        ("natives", document(), natives(&["ZADD", "1", "\"m\""], 500), 110_003),
        (
            "the text of a native",
            stored(&format!(r#"{{"n":1,"s":"{}"}}"#, "x".repeat(100_000))),
            natives(&["SET", "=docs.k.s"], 40),
            1_862_796,
        ),
        (
            "PARAMS",
            vec![words(&["MODEL.SET", "k", "any", r#"{"n":1}"#]), action],
            words(&[
                "MODEL.CALL",
                "act",
                "1",
                "k",
                "ARGS",
                &format!(r#"{{"a":{}}}"#, list("\"999\"", 1000)),
            ]),
            3_001,
        ),
        ("entries of an index", indexed(&["$.t[*]"]), put(&tags("", 500)), 62_921),
        (
            "entries that stay",
            after(indexed(&["$.t[*]"]), put(&tags("", 500))),
            words(&["MODEL.FIELDOP", "k", "APPEND", "$.t", "[1]"]),
            13_064,
        ),
        (
            "entries that go",
            after(indexed(&["$.t[*]"]), put(&tags("", 500))),
            words(&["MODEL.FIELDOP", "k", "SET", "$.t", "1"]),
            50_283,
        ),
        (
            "entries that go with their document",
            after(indexed(&["$.t[*]"]), put(&tags("", 500))),
            words(&["MODEL.TXN", "1", "k", "ON", "k", "DELETE"]),
            30_000,
        ),
        (
            "entries that go with a document that expires",
            after(indexed(&["$.t[*]"]), put(&tags("", 500))),
            words(&["MODEL.FIELDOP", "k", "PXAT", "1", "GET", "$.n"]),
            30_000,
        ),
        (
            "entries that go with the model of a document",
            after(indexed(&["$.t[*]"]), put(&tags("", 500))),
            words(&["MODEL.SET", "k", "any", "1"]),
            30_000,
        ),
        ("LOCKS of holders", held(), words(&["MODEL.LOCKS", "k"]), 45_000),
        ("DEFINE with an enum", Vec::new(), words(&["MODEL.DEFINE", "m", &options]), 120_600),
        (
            "digests of long texts",
            indexed(&["$.t[*]", "UNIQUE"]),
            put(&tags(&"x".repeat(2000), 500)),
            586_776,
        ),
        (
            "the expression of an index",
            indexed(&["self.t.map(x, x + 1).sum()"]),
            put(&list("1", 1000)),
            24_215,
        ),
        (
            "COUNT by a condition",
            many(),
            words(&["MODEL.COUNT", "m", "WHERE", "self.n < 0 - self.n", "SCAN"]),
            32_010,
        ),
        (
            "COUNT by the beginning of long texts",
            {
                let mut all = indexed(&["$.s"]);
                let set = |nth| format!(r#"{{"s":"{}{nth}"}}"#, "x".repeat(130));
                all.extend(
                    (0..400).map(|nth| words(&["MODEL.SET", &nth.to_string(), "m", &set(nth)])),
                );
                all
            },
            words(&["MODEL.COUNT", "m", "WHERE", "self.s.startsWith('x')"]),
            63_312,
        ),
        ("DEFINE with indexes", Vec::new(), define, 63_316),
    ]
}
