//! Models over the host in memory: schemas, rules, defaults, transitions, redefinition, times to live.

use redis_model::error::Detail;
use redis_model::testing::MemoryHost;
use redis_model::value::print;

const ITEM: &str = r#"{
    "type": "object",
    "properties": {
        "stock": {"type": "integer", "minimum": 0},
        "reserved": {"type": "integer", "default": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []}
    },
    "required": ["stock"]
}"#;

/// A server and its replica, which has to agree after every command.
struct Pair {
    host: MemoryHost,
    replica: MemoryHost,
}

impl Pair {
    fn new() -> Pair {
        Pair { host: MemoryHost::default(), replica: MemoryHost::default() }
    }

    /// The reply in its notation, or the error's word.
    fn call(&mut self, args: &[&str]) -> String {
        let before = self.state();
        match self.host.call(args) {
            Ok(outcome) => {
                let bytes: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
                self.replica.now_us += 7_000_000;
                self.replica.replicate(&bytes, &outcome).expect("what was accepted is repeated");
                let changed = !outcome.effects.is_empty() || outcome.definition.is_some();
                assert_eq!(changed, before != self.state(), "{args:?}");
                assert_eq!(self.state(), state(&self.replica), "{args:?}");
                outcome.reply.notation()
            }
            Err(error) => {
                assert_eq!(before, self.state(), "{args:?}: {error}");
                error.code().word().to_owned()
            }
        }
    }

    /// The refusal of a command, which has to be one.
    fn refused(&mut self, args: &[&str]) -> redis_model::error::Error {
        let before = self.state();
        let error = self.host.call(args).expect_err("the command is refused");
        assert_eq!(before, self.state(), "{args:?}: {error}");
        error
    }

    fn state(&self) -> String {
        state(&self.host)
    }
}

/// Everything that is stored, as one text.
fn state(host: &MemoryHost) -> String {
    let mut lines: Vec<String> = host
        .documents
        .iter()
        .map(|(key, document)| {
            format!(
                "{key:?} {} {} {} {} {:?}",
                document.model_name(),
                document.definition_version(),
                document.revision,
                print::to_string(document.root.view()),
                host.expiries.get(key),
            )
        })
        .collect();
    lines.sort();
    lines.push(format!("{:?}", host.models.entries()));
    lines.join("\n")
}

fn text(error: &redis_model::error::Error, name: &str) -> String {
    match error.detail(name) {
        Some(Detail::Text(text)) => text.clone(),
        other => panic!("{error}: {name} is {other:?}"),
    }
}

#[test]
fn every_way_to_write_is_validated() {
    let mut pair = Pair::new();
    let define = ["MODEL.DEFINE", "item", ITEM, "RULE", "covered", "self.reserved <= self.stock"];
    assert_eq!(pair.call(&define), "(integer) 1");
    for refused in [
        &["MODEL.SET", "k", "item", "{}"][..],
        &["MODEL.SET", "k", "item", r#"{"stock":-1}"#],
        &["MODEL.SET", "k", "item", r#"{"stock":1,"tags":[1]}"#],
        &["MODEL.FIELDOP", "k", "INIT", "item", "{}", "GET", "$"],
        &["MODEL.FIELDOP", "k", "INIT", "item", r#"{"stock":1}"#, "SET", "$.stock", "null"],
    ] {
        assert_eq!(pair.call(refused), "SCHEMA", "{refused:?}");
    }
    for refused in [
        &["MODEL.SET", "k", "item", r#"{"stock":1,"reserved":2}"#][..],
        &["MODEL.FIELDOP", "k", "INIT", "item", r#"{"stock":1}"#, "INCR", "$.reserved", "2"],
    ] {
        assert_eq!(pair.call(refused), "RULE", "{refused:?}");
    }
    assert!(pair.host.documents.is_empty());
    // The document is validated at the end, not in between.
    let init = ["MODEL.FIELDOP", "k", "INIT", "item", "{}", "SET", "$.stock", "3"];
    assert_eq!(pair.call(&init), "[(integer) 1]");
    assert_eq!(pair.call(&["MODEL.GET", "k"]), r#"{"reserved":0,"tags":[],"stock":3}"#);
    let passes = ["MODEL.FIELDOP", "k", "INCR", "$.reserved", "9", "INCR", "$.stock", "9"];
    assert_eq!(pair.call(&passes), "[9 12]");
    for (word, refused) in [
        ("RULE", &["MODEL.FIELDOP", "k", "INCR", "$.reserved", "4"][..]),
        ("RULE", &["MODEL.FIELDOP", "k", "SET", "$.stock", "1"]),
        ("SCHEMA", &["MODEL.FIELDOP", "k", "INCR", "$.stock", "-100"]),
        ("SCHEMA", &["MODEL.FIELDOP", "k", "APPEND", "$.tags", "[1]"]),
        ("SCHEMA", &["MODEL.FIELDOP", "k", "DEL", "$.stock"]),
        ("SCHEMA", &["MODEL.FIELDOP", "k", "SET", "$", "[]"]),
        // The rule cannot be evaluated: that is no yes.
        ("EXPR", &["MODEL.FIELDOP", "k", "DEL", "$.reserved"]),
    ] {
        assert_eq!(pair.call(refused), word, "{refused:?}");
    }
}

#[test]
fn a_violation_reports_the_place_and_the_keyword() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.DEFINE", "item", ITEM, "RULE", "covered", "self.reserved <= self.stock"]);
    pair.call(&["MODEL.SET", "k", "item", r#"{"stock":1}"#]);
    let error = pair.refused(&["MODEL.FIELDOP", "k", "APPEND", "$.tags", r#"["a",7]"#]);
    assert_eq!(text(&error, "place"), "/tags/1");
    assert_eq!(text(&error, "keyword"), "type");
    assert_eq!(text(&error, "schema"), "/properties/tags/items/type");
    assert_eq!((text(&error, "key"), text(&error, "model")), ("k".into(), "item".into()));
    let error = pair.refused(&["MODEL.FIELDOP", "k", "INCR", "$.reserved", "2"]);
    assert_eq!(text(&error, "rule"), "covered");
    assert_eq!(text(&error, "expr"), "self.reserved <= self.stock");
    assert!(error.line().contains(r#""values":{"self.reserved":2,"self.stock":1}"#), "{error}");
}

#[test]
fn a_failed_condition_reports_the_values_it_read() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.SET", "k", "any", r#"{"balance":20,"open":true}"#]);
    let condition = "self.open && self.balance >= args.n";
    let error = pair.refused(&[
        "MODEL.FIELDOP",
        "k",
        "ARGS",
        r#"{"n":50}"#,
        "GET",
        "$",
        "IF",
        condition,
        "INCR",
        "$.balance",
        "-50",
    ]);
    assert_eq!(error.code().word(), "CONDITION");
    assert_eq!(error.detail("statement"), Some(&Detail::Integer(1)));
    assert_eq!(text(&error, "expr"), condition);
    assert!(error.line().contains(r#""values":{"self.balance":20,"args.n":50}"#), "{error}");
    // A broken condition is neither true nor false.
    for broken in [
        "docs['k'].open",
        "oldSelf.open",
        "value == 1",
        "self.none > 1",
        "self.balance",
        "self.balance + 'x' == 1",
        "1 / 0 == 1",
    ] {
        for statement in [&["IF", broken, "DEL", "$.open"][..], &["WHEN", broken, "DEL", "$.open"]]
        {
            let command = [&["MODEL.FIELDOP", "k"], statement].concat();
            assert_eq!(pair.refused(&command).code().word(), "EXPR", "{command:?}");
        }
    }
    assert_eq!(pair.call(&["MODEL.FIELDOP", "none", "IF", "true", "GET", "$"]), "NOKEY");
}

#[test]
fn conditions_and_guards_see_earlier_statements() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.SET", "k", "any", r#"{"n":1}"#]);
    let reply = pair.call(&[
        "MODEL.FIELDOP",
        "k",
        "INCR",
        "$.n",
        "1",
        "IF",
        "self.n == 2",
        "WHEN",
        "self.n > 2",
        "DEL",
        "$.n",
        "WHEN",
        "self.n == 2 && key == 'k' && revision > 0",
        "SET",
        "$.seen",
        "true",
        "EVAL",
        "$.n",
        "self.seen ? 9 : 0",
    ]);
    assert_eq!(reply, "[2 (nil) (integer) 1 9]");
    // Values are bound, never spliced into text.
    let args = r#"{"name":"x' || true || 'y","list":[1,2,3]}"#;
    let reply = pair.call(&[
        "MODEL.FIELDOP",
        "k",
        "ARGS",
        args,
        "WHEN",
        "self.n == args.name",
        "DEL",
        "$",
        "EVAL",
        "$.sum",
        "args.list.filter(x, x > 1)",
    ]);
    assert_eq!(reply, "ERR");
    let reply = pair.call(&[
        "MODEL.FIELDOP",
        "k",
        "ARGS",
        args,
        "WHEN",
        "self.n == args.name",
        "DEL",
        "$.n",
        "EVAL",
        "$.sum",
        "args.list.filter(x, x > 1)",
    ]);
    assert_eq!(reply, "[(nil) [2,3]]");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "k", "ARGS", "[1]", "GET", "$"]), "ERR");
    // The clock is the server's, and a replica is sent the value.
    let now = pair.host.now_us;
    let reply = pair.call(&["MODEL.FIELDOP", "k", "EVAL", "$.at", "int(now)"]);
    assert_eq!(reply, format!("[{}]", (now + 1000) / 1_000_000));
}

#[test]
fn transitions_compare_with_the_document_before_the_command() {
    let mut pair = Pair::new();
    let rules = [
        "MODEL.DEFINE",
        "order",
        "{}",
        "RULE",
        "forward",
        "oldSelf.status == self.status || (oldSelf.status == 'new' && self.status == 'paid')",
        "RULE",
        "grows",
        "size(self.log) >= size(oldSelf.log)",
    ];
    assert_eq!(pair.call(&rules), "(integer) 1");
    // Nothing to compare with at the creation.
    let new = r#"{"status":"new","log":[]}"#;
    pair.call(&["MODEL.SET", "o", "order", new]);
    assert_eq!(pair.call(&["MODEL.FIELDOP", "o", "SET", "$.status", "\"sent\""]), "RULE");
    // Rules compare with the document before the command, not with one in between.
    let both = [
        "MODEL.FIELDOP",
        "o",
        "SET",
        "$.status",
        "\"sent\"",
        "SET",
        "$.status",
        "\"paid\"",
        "APPEND",
        "$.log",
        "[1]",
    ];
    assert_eq!(pair.call(&both), "[(integer) 1 (integer) 1 (integer) 1]");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "o", "SET", "$.status", "\"new\""]), "RULE");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "o", "CLEAR", "$.log"]), "RULE");
    // A replacement by the same model is a transition; by another one it is not.
    assert_eq!(pair.call(&["MODEL.SET", "o", "order", new]), "RULE");
    assert!(pair.call(&["MODEL.SET", "o", "any", new]).starts_with("(integer)"));
}

#[test]
fn a_redefinition_counts_and_reaches_documents_when_they_are_written() {
    let mut pair = Pair::new();
    let first = ["MODEL.DEFINE", "m", r#"{"type":"object"}"#];
    assert_eq!(pair.call(&first), "(integer) 1");
    assert_eq!(pair.call(&first), "(integer) 1");
    pair.call(&["MODEL.SET", "good", "m", r#"{"n":1}"#]);
    pair.call(&["MODEL.SET", "bad", "m", r#"{"n":"x"}"#]);
    let second = r#"{"properties":{"n":{"type":"integer"},"level":{"default":3,"minimum":2}}}"#;
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", second]), "(integer) 2");
    // They are read as they are.
    let meta = "definition-version (integer) 1";
    assert!(pair.call(&["MODEL.META", "bad"]).contains(meta));
    assert_eq!(pair.call(&["MODEL.GET", "good"]), r#"{"n":1}"#);
    // A command that may write sees the defaults; one that then changes nothing does not leave them behind.
    assert_eq!(
        pair.call(&["MODEL.FIELDOP", "good", "GET", "$", "WHEN", "false", "DEL", "$.n"]),
        r#"[{"n":1,"level":3} (nil)]"#
    );
    assert_eq!(pair.call(&["MODEL.FIELDOP", "good", "GET", "$"]), r#"[{"n":1}]"#);
    assert!(pair.call(&["MODEL.META", "good"]).contains(meta));
    // A write elsewhere finds the old violation, and the new default is there before the statements.
    assert_eq!(pair.call(&["MODEL.FIELDOP", "bad", "SET", "$.other", "1"]), "SCHEMA");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "good", "INCR", "$.level", "1"]), "[4]");
    assert_eq!(pair.call(&["MODEL.GET", "good"]), r#"{"n":1,"level":4}"#);
    assert!(pair.call(&["MODEL.META", "good"]).contains("definition-version (integer) 2"));
    assert_eq!(pair.call(&["MODEL.FIELDOP", "bad", "SET", "$.n", "5"]), "[(integer) 1]");
    assert_eq!(pair.call(&["MODEL.GET", "bad"]), r#"{"n":5,"level":3}"#);
    // A default is filled in once: a later removal is intended.
    assert_eq!(pair.call(&["MODEL.FIELDOP", "bad", "DEL", "$.level"]), "[(integer) 1]");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "bad", "INCR", "$.n", "1"]), "[6]");
    assert_eq!(pair.call(&["MODEL.GET", "bad"]), r#"{"n":6}"#);
    // A definition that is refused leaves the one before in force.
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", "{", "RULE", "r", "true"]), "ERR");
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", "{}", "RULE", "r", "args.x"]), "EXPR");
    assert!(pair.call(&["MODEL.DESCRIBE", "m"]).contains("version (integer) 2"));
}

#[test]
fn filling_in_only_a_default_is_a_write() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.DEFINE", "m", "{}"]);
    pair.call(&["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    pair.call(&["MODEL.DEFINE", "m", r#"{"properties":{"level":{"default":3}}}"#]);
    assert_eq!(pair.call(&["MODEL.FIELDOP", "k", "SETNX", "$.level", "9"]), "[(integer) 0]");
    assert_eq!(pair.call(&["MODEL.GET", "k"]), r#"{"n":1,"level":3}"#);
}

#[test]
fn a_model_ends_when_it_has_no_documents() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.DEFINE", "m", "{}"]);
    pair.call(&["MODEL.SET", "k", "m", "{}"]);
    let error = pair.refused(&["MODEL.UNDEFINE", "m"]);
    assert_eq!(error.code().word(), "INUSE");
    assert_eq!(error.detail("documents"), Some(&Detail::Integer(1)));
    pair.host.documents.clear();
    pair.replica.documents.clear();
    assert_eq!(pair.call(&["MODEL.UNDEFINE", "m"]), "OK");
    for gone in [
        &["MODEL.UNDEFINE", "m"][..],
        &["MODEL.DESCRIBE", "m"],
        &["MODEL.SET", "k", "m", "{}"],
        &["MODEL.FIELDOP", "k", "INIT", "m", "{}", "GET", "$"],
    ] {
        assert_eq!(pair.call(gone), "NOMODEL", "{gone:?}");
    }
    assert_eq!(pair.call(&["MODEL.MODELS"]), "[]");
    // Versions go on, so that what was written under an older one is known to be.
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", "{}"]), "(integer) 3");
}

#[test]
fn a_document_of_an_unknown_model_is_read_and_not_written() {
    let mut pair = Pair::new();
    // Its document comes from a server that has the definition.
    let mut elsewhere = MemoryHost::default();
    elsewhere.call(&["MODEL.DEFINE", "m", "{}"]).unwrap();
    let set = ["MODEL.SET", "k", "m", r#"{"n":1}"#];
    let outcome = elsewhere.call(&set).unwrap();
    let bytes: Vec<&[u8]> = set.iter().map(|arg| arg.as_bytes()).collect();
    pair.host.replicate(&bytes, &outcome).unwrap();
    pair.host.replaying = false;
    pair.replica.replicate(&bytes, &outcome).unwrap();
    assert_eq!(pair.call(&["MODEL.GET", "k"]), r#"{"n":1}"#);
    assert_eq!(
        pair.call(&["MODEL.FIELDOP", "k", "GET", "$.n", "SET", "$.n", "1"]),
        "[1 (integer) 1]"
    );
    let error = pair.refused(&["MODEL.FIELDOP", "k", "INCR", "$.n", "1"]);
    assert_eq!((error.code().word(), text(&error, "model")), ("NOMODEL", "m".to_owned()));
    assert!(pair.call(&["MODEL.META", "k"]).contains("model m"));
}

#[test]
fn a_model_gives_its_documents_a_time_to_live() {
    let mut pair = Pair::new();
    let expiry = |pair: &Pair, key: &str| pair.host.expiries.get(key.as_bytes()).copied();
    let ends = |pair: &Pair, ttl_s: u64| Some(pair.host.now_us / 1000 + ttl_s * 1000);
    pair.call(&["MODEL.DEFINE", "fixed", "{}", "TTL", "100"]);
    pair.call(&["MODEL.DEFINE", "written", "{}", "TTL", "100", "REFRESH", "WRITE"]);
    pair.call(&["MODEL.DEFINE", "read", "{}", "TTL", "100", "REFRESH", "READ"]);
    for model in ["fixed", "written", "read"] {
        pair.call(&["MODEL.SET", model, model, r#"{"n":1}"#]);
        assert_eq!(expiry(&pair, model), ends(&pair, 100), "{model}");
        let other = format!("{model}:2");
        pair.call(&["MODEL.FIELDOP", &other, "INIT", model, "{}", "GET", "$"]);
        assert_eq!(expiry(&pair, &other), ends(&pair, 100), "{model}");
        let created = expiry(&pair, model);
        // An explicit time to live takes precedence.
        pair.call(&["MODEL.SET", &other, model, "{}", "EX", "5"]);
        assert_eq!(expiry(&pair, &other), ends(&pair, 5), "{model}");
        pair.call(&["MODEL.FIELDOP", &other, "PERSIST", "SET", "$.n", "1"]);
        assert_eq!(expiry(&pair, &other), None, "{model}");
        pair.host.now_us += 50_000_000;
        pair.call(&["MODEL.GET", model, "$.n"]);
        let refreshed = if model == "read" { ends(&pair, 100) } else { created };
        assert_eq!(expiry(&pair, model), refreshed, "{model}");
        pair.host.now_us += 10_000_000;
        pair.call(&["MODEL.FIELDOP", model, "INCR", "$.n", "1"]);
        let refreshed = if model == "fixed" { created } else { ends(&pair, 100) };
        assert_eq!(expiry(&pair, model), refreshed, "{model}");
        // A command that changes nothing is a read.
        pair.host.now_us += 10_000_000;
        pair.call(&["MODEL.FIELDOP", model, "GET", "$.n"]);
        let refreshed = if model == "read" { ends(&pair, 100) } else { refreshed };
        assert_eq!(expiry(&pair, model), refreshed, "{model}");
    }
    // Reading often is not writing often.
    pair.call(&["MODEL.GET", "read"]);
    let before = expiry(&pair, "read");
    pair.host.now_us += 500_000;
    assert!(pair.host.call(&["MODEL.MGET", "1", "read"]).unwrap().effects.is_empty());
    assert_eq!(expiry(&pair, "read"), before);
}

#[test]
fn a_rule_that_no_change_touches_is_not_asked() {
    let mut pair = Pair::new();
    // The rule would exceed its budget, were it asked.
    let rule = "self.a.all(x, self.a.all(y, self.a.all(z, x + y + z >= 0)))";
    pair.call(&["MODEL.DEFINE", "m", "{}", "RULE", "slow", rule]);
    pair.call(&["MODEL.SET", "k", "m", r#"{"a":[],"n":1}"#]);
    pair.host.settings.expressions.steps = 50;
    let long = format!("[{}]", vec!["1"; 20].join(","));
    assert_eq!(pair.call(&["MODEL.FIELDOP", "k", "SET", "$.a", &long]), "EXPR");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "k", "INCR", "$.n", "1"]), "[2]");
    assert_eq!(pair.call(&["MODEL.FIELDOP", "k", "SET", "$.a", "[1]"]), "[(integer) 1]");
}

#[test]
fn definitions_are_limited() {
    let mut pair = Pair::new();
    let mut define = vec!["MODEL.DEFINE".to_owned(), "m".to_owned(), "{}".to_owned()];
    for nth in 0..64 {
        define.extend(["RULE".to_owned(), format!("r{nth}"), "true".to_owned()]);
    }
    let words: Vec<&str> = define.iter().map(String::as_str).collect();
    assert_eq!(pair.call(&words), "(integer) 1");
    assert_eq!(pair.call(&[&words[..], &["RULE", "one more", "true"]].concat()), "LIMIT");
    let long = "x".repeat(256);
    assert_eq!(pair.call(&["MODEL.DEFINE", &long, "{}"]), "LIMIT");
    assert_eq!(pair.call(&["MODEL.DEFINE", &long[1..], "{}"]), "(integer) 1");
    for wrong in [
        &["MODEL.DEFINE", "", "{}"][..],
        &["MODEL.DEFINE", "any", "{}"],
        &["MODEL.DEFINE", "m", "{}", "RULE", "", "true"],
        &["MODEL.DEFINE", "m", "{}", "RULE", "a", "true", "RULE", "a", "true"],
        &["MODEL.DEFINE", "m", "{}", "RULE", "a"],
        &["MODEL.DEFINE", "m", "{}", "TTL", "0"],
        &["MODEL.DEFINE", "m", "{}", "TTL", "1099511627777"],
        &["MODEL.DEFINE", "m", "{}", "TTL", "5", "REFRESH", "NEVER"],
        &["MODEL.DEFINE", "m", "{}", "REFRESH", "READ"],
        &["MODEL.DEFINE", "m", "{}", "TTL", "5", "TTL", "5"],
        &["MODEL.DEFINE", "m", "{}", "NODEFAULTS", "NODEFAULTS"],
        &["MODEL.DEFINE", "m", "{}", "FORMATS"],
        &["MODEL.DEFINE", "m", "{}", "FORMATS", "SOME"],
        &["MODEL.DEFINE", "m", "{}", "FORMATS", "ASSERT", "FORMATS", "ASSERT"],
        &["MODEL.DEFINE", "m", "{}", "IFVERSION", "-1"],
        &["MODEL.DEFINE", "m", "{}", "IFVERSION", "4294967296"],
        &["MODEL.DEFINE", "m", "{}", "IFVERSION", "1", "IFVERSION", "1"],
    ] {
        assert_eq!(pair.call(wrong), "ERR", "{wrong:?}");
    }
}

#[test]
fn schemas_are_compared_as_json_values() {
    let mut pair = Pair::new();
    let first = r#"{"type":"object","properties":{"n":{"minimum":1}}}"#;
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", first]), "(integer) 1");
    for same in [
        r#"{ "type" : "object", "properties" : { "n" : { "minimum" : 1 } } }"#,
        r#"{"properties":{"n":{"minimum":1}},"type":"object"}"#,
        r#"{"type":"obj\u0065ct","properties":{"n":{"minimum":1}}}"#,
    ] {
        assert_eq!(pair.call(&["MODEL.DEFINE", "m", same]), "(integer) 1", "{same}");
    }
    // The schema is described as it was given first.
    assert!(pair.call(&["MODEL.DESCRIBE", "m"]).contains(first));
    let other = r#"{"type":"object","properties":{"n":{"minimum":2}}}"#;
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", other]), "(integer) 2");
    for (nth, more) in
        [&["TTL", "9"][..], &["NODEFAULTS"], &["FORMATS", "ANNOTATE"]].iter().enumerate()
    {
        let define = [&["MODEL.DEFINE", "m", other], *more].concat();
        let version = format!("(integer) {}", nth + 3);
        assert_eq!(pair.call(&define), version, "{more:?}");
        assert_eq!(pair.call(&define), version, "{more:?}");
    }
}

#[test]
fn an_older_program_does_not_define_its_model_back() {
    let mut pair = Pair::new();
    let (old, new) = (r#"{"title":"old"}"#, r#"{"title":"new"}"#);
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", old, "IFVERSION", "1"]), "REVISION");
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", old, "IFVERSION", "0"]), "(integer) 1");
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", new, "IFVERSION", "1"]), "(integer) 2");
    let error = pair.refused(&["MODEL.DEFINE", "m", old, "IFVERSION", "0"]);
    assert_eq!(error.code().word(), "REVISION");
    assert_eq!(error.detail("definition-version"), Some(&Detail::Integer(2)));
    // A program that defines what is in force may repeat itself.
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", new, "IFVERSION", "1"]), "(integer) 2");
    // An ended definition is none.
    assert_eq!(pair.call(&["MODEL.UNDEFINE", "m"]), "OK");
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", old, "IFVERSION", "2"]), "REVISION");
    assert_eq!(pair.call(&["MODEL.DEFINE", "m", old, "IFVERSION", "0"]), "(integer) 4");
}

#[test]
fn the_documents_of_a_model_are_listed_part_by_part() {
    let mut pair = Pair::new();
    pair.call(&["MODEL.DEFINE", "m", "{}"]);
    for nth in 0..10 {
        let model = if nth % 2 == 0 { "m" } else { "any" };
        pair.call(&["MODEL.SET", &format!("k{nth}"), model, "{}"]);
    }
    assert_eq!(pair.call(&["MODEL.DOCUMENTS", "m", "COUNT", "4"]), "[4 [k0 k2]]");
    assert_eq!(pair.call(&["MODEL.DOCUMENTS", "m", "CURSOR", "4", "COUNT", "6"]), "[0 [k4 k6 k8]]");
    for wrong in [&["CURSOR", "x"][..], &["CURSOR", "-1"], &["COUNT", "0"], &["COUNT"], &["more"]] {
        assert_eq!(pair.call(&[&["MODEL.DOCUMENTS", "m"], wrong].concat()), "ERR", "{wrong:?}");
    }
    assert_eq!(pair.call(&["MODEL.DOCUMENTS", "m", "COUNT", "10000"]), "[0 [k0 k2 k4 k6 k8]]");
    assert_eq!(pair.call(&["MODEL.DOCUMENTS", "m", "COUNT", "10001"]), "LIMIT");
}

/// As long as any configuration allows: the replica, whose own configuration is the default, keeps the rule too.
#[test]
fn a_rule_of_the_greatest_length_holds_on_a_replica() {
    let mut pair = Pair::new();
    let longest = redis_model::limit::EXPRESSION_BYTES.max as usize;
    pair.host.settings.expressions.bytes = longest;
    let rule = |bytes: usize| format!("self.n > 0{}", " ".repeat(bytes - "self.n > 0".len()));
    let define = |rule: &str| ["MODEL.DEFINE", "m", "{}", "RULE", "low", rule].map(str::to_owned);
    let call = |pair: &mut Pair, words: &[String]| {
        pair.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(call(&mut pair, &define(&rule(longest + 1))), "LIMIT");
    assert_eq!(call(&mut pair, &define(&rule(longest))), "(integer) 1");
    // It is promoted.
    pair.replica.replaying = false;
    let refused = pair.replica.call(&["MODEL.SET", "k", "m", r#"{"n":0}"#]).unwrap_err();
    assert_eq!(refused.code().word(), "RULE");
    assert!(pair.replica.call(&["MODEL.SET", "k", "m", r#"{"n":1}"#]).is_ok());
}
