//! The declarations of commands: complete, and their examples true in memory. The same examples run
//! on real servers in `tests/server`.

use std::collections::HashSet;

use redis_model::command::{self, ArgKind, ArgSpec, Flag, KeyPositions, Settings};
use redis_model::docs;
use redis_model::error::ErrorCode;
use redis_model::host::Access;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::{native, op, txn};

/// The reply in the examples' notation; revisions differ from run to run.
fn notation(reply: &Reply) -> String {
    match reply {
        Reply::Int(value) if *value > 1_000_000_000_000_000 => "(revision)".into(),
        Reply::Int(value) if *value > 100_000_000_000_000 => "(fence)".into(),
        // The rest of a lease of one day.
        Reply::Int(value) if (86_000_000..=86_400_000).contains(value) => "(lease)".into(),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(notation).collect::<Vec<_>>().join(" "))
        }
        Reply::Map(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, reply)| format!("{name} {}", notation(reply))).collect();
            format!("{{{}}}", members.join(" "))
        }
        other => other.notation(),
    }
}

#[test]
fn examples_are_true() {
    for spec in command::all() {
        for example in spec.examples {
            let mut host = MemoryHost::default();
            for line in example.0 {
                let found = match host.call(&line.words()) {
                    Ok(outcome) => notation(&outcome.reply),
                    Err(error) => error.code().word().to_owned(),
                };
                assert_eq!(found, line.reply, "{}: {}", line.at, line.command);
            }
        }
    }
}

/// Documents come from memory while arguments are read: the keys are opened before, even if the rest is malformed, and
/// nothing is told of what they hold.
#[test]
fn keys_are_opened_ahead_of_the_arguments_behind_them() {
    for (line, keys) in [
        ("MODEL.SET a any {", &["a"][..]),
        ("MODEL.FIELDOP a INCR b[ 1", &["a"]),
        ("MODEL.TXN 3 a b a ON a INCR b[ 1", &["a", "b"]),
        // The keys of natives are opened in another way.
        ("MODEL.TXN 2 a b ON a INCR b[ 1 AT b SADD '1'", &[]),
        ("MODEL.CALL transfer 2 a b ARGS {", &["a", "b"]),
        ("MODEL.APPLY a x", &["a"]),
        ("MODEL.APPLYALL 2 a b x", &["a", "b"]),
        ("MODEL.LOCK a job ann LEASE x", &["a"]),
        ("MODEL.RENEW a job ann x", &["a"]),
        ("MODEL.UNLOCK a job ann x", &["a"]),
    ] {
        let mut host = MemoryHost::default();
        let defined = "MODEL.ACTION transfer 2 from to ON from INCR $.n 1 ON to INCR $.n 1";
        host.call(&defined.split(' ').collect::<Vec<_>>()).unwrap();
        host.prefetched = Some(Vec::new());
        let error = host.call(&line.split(' ').collect::<Vec<_>>()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Err, "{line}: {}", error.line());
        let expected: Vec<_> =
            keys.iter().map(|key| (key.as_bytes().to_vec(), Access::Change)).collect();
        assert_eq!(host.prefetched.unwrap(), expected, "{line}");
    }
}

#[test]
fn all_keys_are_opened_before_the_first_document_is_read() {
    for (line, keys) in [
        ("MODEL.MGET 2 a b $", &["a", "b"][..]),
        // A name that comes twice is opened once, and found by its name.
        ("MODEL.MGET 2 a a $", &[]),
        // The server counts keys that are read, and a malformed command reads none.
        ("MODEL.MGET 2 a b c[", &[]),
        ("MODEL.GET a c[", &[]),
    ] {
        let mut host = MemoryHost { prefetched: Some(Vec::new()), ..MemoryHost::default() };
        let _ = host.call(&line.split(' ').collect::<Vec<_>>());
        let expected: Vec<_> =
            keys.iter().map(|key| (key.as_bytes().to_vec(), Access::Read)).collect();
        assert_eq!(host.prefetched.unwrap(), expected, "{line}");
    }
}

/// The host asserts that a command declares the code of each of its errors.
#[test]
fn the_error_for_an_integer_outside_64_bits_is_declared() {
    let is_integer = |word: &str| word.parse::<i64>().is_ok();
    for spec in command::all() {
        for example in spec.examples {
            let mut host = MemoryHost::default();
            for line in example.0 {
                let words = line.words();
                for place in (1..words.len()).filter(|place| is_integer(words[*place])) {
                    let mut spoiled = words.clone();
                    spoiled[place] = "99999999999999999999";
                    let _ = host.call(&spoiled);
                }
                let _ = host.call(&words);
            }
        }
    }
}

#[test]
fn declarations_are_complete() {
    for spec in command::all() {
        let name = spec.name;
        assert!(
            name.starts_with("MODEL.") && name.bytes().all(|b| b == b'.' || b.is_ascii_uppercase()),
            "{name}"
        );
        assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{name}");
        assert!(
            !spec.complexity.is_empty() && !spec.reply.is_empty() && !spec.replicated.is_empty(),
            "{name}"
        );
        assert!(!spec.examples.is_empty(), "{name} has an example");
        let writes = spec.flags.contains(&Flag::Write);
        assert!(!(writes && spec.flags.contains(&Flag::ReadOnly)), "{name}");
        let keys = spec.args.iter().filter(|arg| matches!(arg.kind, ArgKind::Key)).count();
        assert_eq!(keys > 0, spec.keys != KeyPositions::None, "{name}");
        let required =
            1 + spec.args.iter().filter(|arg| !arg.optional).map(least_words).sum::<usize>();
        assert_eq!(
            spec.arity.unsigned_abs() as usize,
            required,
            "{name}: arity is what the arguments need at least"
        );
    }
}

/// How many words an argument takes at the least.
fn least_words(arg: &command::ArgSpec) -> usize {
    let value = match &arg.kind {
        ArgKind::Token => 0,
        ArgKind::Block(args) => args.iter().filter(|arg| !arg.optional).map(least_words).sum(),
        ArgKind::OneOf(args) => args.iter().map(least_words).min().unwrap_or(0),
        _ => 1,
    };
    value + usize::from(arg.token.is_some())
}

#[test]
fn commands_md_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/commands.md");
    let committed = std::fs::read_to_string(path).expect("commands.md is committed");
    assert!(committed == docs::commands_md(), "commands.md is out of date: run `make docs`");
}

#[test]
fn the_tables_of_limits_are_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md");
    let committed = std::fs::read_to_string(path).expect("docs/operating.md is committed");
    let again = docs::with_limits(&committed).expect("the page has the marks of the tables");
    assert!(committed == again, "docs/operating.md is out of date: run `make docs`");
}

/// Words in the tables of docs/coming-from.md that are not declared here: commands of the server, and
/// operands.
const OTHERS: [&str; 18] = [
    "ASC",
    "BLMOVE",
    "BLOCK",
    "BZPOPMIN",
    "COPY",
    "EXISTS",
    "EXPIRE",
    "ISO",
    "MATCH",
    "MEMORY",
    "MS",
    "MULTI",
    "SCAN",
    "STREAMS",
    "USAGE",
    "WATCH",
    "XREAD",
    "XREADGROUP",
];

#[test]
fn the_migration_tables_name_existing_commands() {
    let mut known: HashSet<&str> = OTHERS.into_iter().chain([txn::GUARD, txn::STRICT]).collect();
    for spec in command::all() {
        known.insert(spec.name);
        keywords(spec.args, &mut known);
    }
    known.extend(op::all().iter().map(|spec| spec.name));
    known.extend(native::all().iter().map(|spec| spec.name));
    known.extend(txn::ASSERTIONS.iter().map(|spec| spec.name));
    known.extend(ErrorCode::ALL.map(ErrorCode::word));

    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/coming-from.md"))
        .expect("it is there");
    let mut operators: HashSet<&str> =
        op::of(op::Target::Value).iter().map(|spec| spec.name).collect();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let (_, ours) = row.trim_matches(['|', ' ']).split_once(" | ").expect("two columns");
        for code in ours.split('`').skip(1).step_by(2) {
            for word in code.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
                let capitals = word.bytes().filter(u8::is_ascii_uppercase).count();
                let dots = word.bytes().filter(|b| *b == b'.').count();
                let is_word = capitals > 1 && capitals + dots == word.len();
                assert!(!is_word || known.contains(word), "{word} is not here: {row}");
                operators.remove(word);
            }
        }
    }
    let line = page.lines().position(|line| line.starts_with("| ")).map_or(0, |at| at + 1);
    assert!(
        operators.is_empty(),
        "docs/coming-from.md:{line}: name {operators:?} in the right column of a row, as code"
    );
}

/// The keywords of a command, `NX` and `TOKEN`, however deep they stand.
fn keywords(args: &'static [ArgSpec], words: &mut HashSet<&'static str>) {
    for arg in args {
        words.extend(arg.token);
        if let ArgKind::OneOf(args) | ArgKind::Block(args) = arg.kind {
            keywords(args, words);
        }
    }
}

#[test]
fn help_fits_a_terminal() {
    let lines = docs::help();
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{lines:#?}");
    for spec in command::all().iter().filter(|spec| !spec.flags.contains(&Flag::Dangerous)) {
        assert!(lines.iter().any(|line| line.contains(spec.name)), "{}", spec.name);
    }
    for spec in op::of(op::Target::Value) {
        assert!(lines.iter().any(|line| line.trim_start().starts_with(spec.name)), "{}", spec.name);
    }
}

/// The reply of `MODEL.HELP` with a name, line by line.
fn help_of(name: &str) -> Result<Vec<String>, String> {
    let reply = MemoryHost::default().call(&["MODEL.HELP", name]);
    let text = |line| match line {
        Reply::Text(line) => String::from_utf8(line).unwrap(),
        line => panic!("{line:?}"),
    };
    match reply.map_err(|error| error.line())?.reply {
        Reply::Array(lines) => Ok(lines.into_iter().map(text).collect()),
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn help_describes_everything_that_has_a_name() {
    let check = |name: &str, first: &str| {
        let lines = help_of(name).unwrap();
        assert!(lines.iter().any(|line| line.starts_with(first)), "{name}: {lines:#?}");
        assert_eq!(help_of(&name.to_ascii_lowercase()).unwrap(), lines);
        let prose = lines.iter().filter(|line| !line.starts_with("  >"));
        let facts = prose.filter(|line| line.contains(": ") && line.ends_with('.'));
        assert!(facts.clone().all(|line| line.chars().count() <= 100), "{name}: {lines:#?}");
    };
    for spec in command::all().iter().filter(|spec| !spec.flags.contains(&Flag::Dangerous)) {
        check(spec.name, spec.name);
        check(spec.name.strip_prefix("MODEL.").unwrap(), spec.name);
    }
    for spec in op::all() {
        check(spec.name, &format!("Operator{}: {}", in_transactions(spec), spec.name));
    }
    for spec in native::all() {
        check(spec.name, &format!("Native: AT key {}", spec.name));
    }
    for spec in &txn::ASSERTIONS {
        check(spec.name, &format!("Assertion: {}", spec.name));
    }
    for code in ErrorCode::ALL {
        check(code.word(), &format!("Error: {}", code.word()));
    }
    check("WHEN", "Before an operator: WHEN expr");
    check("STRICT", "Before an operator: STRICT");
    check("MKPATH", "A word of: MODEL.FIELDOP");
}

fn in_transactions(spec: &op::OpSpec) -> &'static str {
    match spec.target() {
        op::Target::Key => " of MODEL.TXN",
        _ => "",
    }
}

#[test]
fn help_of_an_operator_is_its_declaration() {
    let lines = help_of("toggle").unwrap();
    for line in [
        "Operator: TOGGLE path",
        "  Works on: boolean.",
        "  Errors, in order of precedence: `TYPE`.",
        "    TOGGLE $.a",
        "    replies false",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}: {lines:#?}");
    }
}

#[test]
fn help_of_an_unknown_name_says_which_may_be_meant() {
    let message = "no command, operator, native, assertion, error or option has this name";
    for (name, expected) in [
        ("INCRR", format!(r#"ERR {{"message":"{message}: is INCR meant?","argument":"INCRR"}}"#)),
        (
            "MODEL.FIELDOPS",
            format!(
                r#"ERR {{"message":"{message}: is MODEL.FIELDOP meant?","argument":"MODEL.FIELDOPS"}}"#
            ),
        ),
        ("", format!(r#"ERR {{"message":"{message}","argument":""}}"#)),
        ("APPLY", format!(r#"ERR {{"message":"{message}","argument":"APPLY"}}"#)),
    ] {
        assert_eq!(help_of(name), Err(expected));
    }
    let error = MemoryHost::default().call(&["MODEL.HELP", "INCR", "SET"]).unwrap_err();
    assert!(error.line().starts_with("ERR "), "{error}");
}

#[test]
fn a_revision_never_repeats_even_within_one_microsecond() {
    let mut host = MemoryHost::default();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let args: [&[u8]; 4] = [b"MODEL.SET", b"k", b"any", b"{}"];
        let Reply::Int(revision) = command::run(&mut host, &args).unwrap().reply else {
            panic!("a revision")
        };
        assert!(seen.insert(revision), "{revision} came twice");
        host.documents.clear();
    }
}

#[test]
fn a_query_cannot_multiply_a_large_value_without_bound() {
    let mut host = MemoryHost::default();
    host.settings.work.query_bytes = 1 << 20;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 18));
    host.call(&["MODEL.SET", "k", "any", &large]).unwrap();
    let path = format!("$[{}]", vec!["'a'"; 900].join(","));
    let refused = host.call(&["MODEL.GET", "k", &path]).unwrap_err();
    assert_eq!(refused.code(), redis_model::error::ErrorCode::Limit);
    assert!(host.call(&["MODEL.GET", "k", "$['a','a']"]).is_ok());
}

/// A replica is never refused what a master accepted, however that one is configured.
#[test]
fn what_any_configuration_accepts_is_accepted_again_by_a_replica() {
    let none = Settings::NONE;
    for limit in redis_model::limit::CONFIGURED {
        let accepted = match limit.name {
            "model.document-bytes" => none.document.bytes,
            "model.depth" => none.document.depth.into(),
            "model.path-bytes" => none.paths.path_bytes as u64,
            "model.command-steps" => none.work.command_steps,
            "model.query-nodes" => none.work.query_nodes,
            "model.query-bytes" => none.work.query_bytes,
            "model.reply-bytes" => none.work.reply_bytes,
            "model.schema-bytes" => none.schemas.bytes as u64,
            "model.schema-pattern-bytes" => none.schemas.pattern_bytes as u64,
            "model.expression-bytes" => none.expressions.bytes as u64,
            "model.expression-depth" => none.expressions.depth.into(),
            "model.expression-steps" => none.expressions.steps,
            "model.token-reply-bytes" => none.transactions.token_reply_bytes,
            "model.change-bytes" => none.transactions.change_bytes,
            "model.lock-waiters" => none.locks.waiters,
            "model.lock-names" => none.locks.names,
            "model.lock-holders" => none.locks.holders,
            "model.lock-lease-max" => none.locks.lease_ms_max,
            "model.actions" => none.actions.count,
            "model.action-bytes" => none.actions.bytes,
            // A lower bound.
            "model.lock-lease-min" => limit.max - none.locks.lease_ms_min,
            "model.find-entries" => none.finding.entries,
            "model.find-waiters" => none.finding.waiters,
            // A limit of what is kept, not of what is accepted.
            "model.expression-cache-entries" | "model.expression-cache-bytes" => limit.max,
            other => panic!("src/limit.rs: {other} is new: name its value of Settings::NONE here"),
        };
        assert!(accepted >= limit.max, "{}: {accepted} is less than {}", limit.name, limit.max);
    }
}

/// The limit that a refusal names.
fn limit(host: &mut MemoryHost, args: &[&str]) -> String {
    let refused = host.call(args).expect_err("it is beyond a limit");
    assert_eq!(refused.code(), redis_model::error::ErrorCode::Limit, "{refused}");
    let line = refused.line();
    let (_, name) = line.split_once(r#""limit":""#).expect("it is named");
    name.split('"').next().expect("a name ends").to_owned()
}

#[test]
fn all_replies_of_a_command_keep_one_limit() {
    let mut host = MemoryHost::default();
    let large = format!(r#"{{"n":1,"a":"{}"}}"#, "x".repeat(998));
    host.call(&["MODEL.SET", "k", "any", &large]).unwrap();
    host.settings.work.reply_bytes = 3000;
    // Three texts of a thousand bytes; a number counts 64.
    for (fits, exceeds) in [
        ("MODEL.GET k $.a $.a $.a", "MODEL.GET k $.a $.a $.a $.n"),
        ("MODEL.MGET 3 k k k $.a", "MODEL.MGET 4 k k k k $.a"),
        (
            "MODEL.FIELDOP k GET $.a GET $.a GET $.a",
            "MODEL.FIELDOP k SET $.n 2 GET $.a GET $.a GET $.a",
        ),
        (
            "MODEL.TXN 1 k ON k GET $.a GET $.a ON k GET $.a",
            "MODEL.TXN 1 k ON k SET $.n 2 GET $.a GET $.a ON k GET $.a",
        ),
    ] {
        host.call(&fits.split(' ').collect::<Vec<_>>()).expect(fits);
        let args: Vec<&str> = exceeds.split(' ').collect();
        assert_eq!(limit(&mut host, &args), "model.reply-bytes", "{exceeds}");
        let number = host.call(&["MODEL.GET", "k", "$.n"]).unwrap();
        assert_eq!(number.reply.notation(), "1", "{exceeds} changed nothing");
    }
    host.settings.work.reply_bytes = 1000;
    assert_eq!(limit(&mut host, &["MODEL.GET", "k"]), "model.reply-bytes");
}

#[test]
fn a_statement_with_many_matches_is_refused_before_its_whole_reply_exists() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "k", "any", &format!("[{}]", vec!["1"; 100].join(","))]).unwrap();
    host.settings.work.reply_bytes = 100 * 64;
    host.call(&["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]).unwrap();
    host.settings.work.reply_bytes -= 1;
    assert_eq!(limit(&mut host, &["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]), "model.reply-bytes");
    // One text, and one number.
    host.settings.work.reply_bytes = 201;
    assert!(host.call(&["MODEL.GET", "k", "$[*]"]).is_ok());
    assert!(host.call(&["MODEL.FIELDOP", "k", "CLEAR", "$[*]"]).is_ok());
    host.settings.work.reply_bytes = 200;
    assert_eq!(limit(&mut host, &["MODEL.GET", "k", "$[*]"]), "model.reply-bytes");
}

#[test]
fn reading_takes_as_many_paths_as_the_limit_and_no_more() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "k", "any", "1"]).unwrap();
    for head in [&["MODEL.GET", "k"][..], &["MODEL.MGET", "1", "k"]] {
        assert!(host.call(&[head, &["$"; 1024][..]].concat()).is_ok());
        assert_eq!(limit(&mut host, &[head, &["$"; 1025][..]].concat()), "paths");
    }
}

#[test]
fn all_queries_of_a_command_keep_one_limit() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "k", "any", "[1,2,3,4,5,6,7,8,9,10]"]).unwrap();
    host.settings.work.query_nodes = 20;
    for (head, statement) in [
        ("MODEL.GET k", "$[*]"),
        ("MODEL.MGET 1 k", "$[*]"),
        ("MODEL.FIELDOP k", "GET $[*]"),
        ("MODEL.FIELDOP k", "INCR $[*] 1"),
        ("MODEL.TXN 1 k", "ON k GET $[*]"),
    ] {
        let words = |count| format!("{head}{}", format!(" {statement}").repeat(count));
        let (fits, exceeds) = (words(2), words(3));
        host.call(&fits.split(' ').collect::<Vec<_>>()).expect(&fits);
        let args: Vec<&str> = exceeds.split(' ').collect();
        assert_eq!(limit(&mut host, &args), "model.query-nodes", "{exceeds}");
    }
    host.call(&["MODEL.MGET", "2", "k", "k", "$[*]"]).unwrap();
    assert_eq!(limit(&mut host, &["MODEL.MGET", "3", "k", "k", "k", "$[*]"]), "model.query-nodes");
}

#[test]
fn work_of_operators_on_large_arrays_counts() {
    let mut host = MemoryHost::default();
    let array = format!("[{}]", vec!["1"; 800].join(","));
    for (statement, nodes) in [
        (&["PULL", "$", "0", "2"][..], 100),
        (&["ADDUNIQ", "$", "[1]"], 100),
        (&["PULLALL", "$", "[2]"], 100),
        (&["SORT", "$", "ASC", "@"], 100),
        (&["INSERT", "$", "400", "[1]"], 50),
        (&["INSERT", "$", "-80", "[1]"], 10),
        (&["DELRANGE", "$", "80", "90"], 10),
        (&["POP", "$", "400"], 50),
        (&["DEL", "$[400]"], 50),
        (&["MOVE", "$[400]", "$[-1]"], 50),
        (&["PATCH", "$", r#"[{"op":"add","path":"/400","value":1}]"#], 50),
        (&["PATCH", "$", r#"[{"op":"remove","path":"/400"}]"#], 50),
    ] {
        host.settings.work.query_nodes = 1_000_000;
        host.call(&["MODEL.SET", "k", "any", &array]).unwrap();
        let args = [&["MODEL.FIELDOP", "k"], statement].concat();
        host.settings.work.query_nodes = nodes - 1;
        assert_eq!(limit(&mut host, &args), "model.query-nodes", "{statement:?}");
        host.settings.work.query_nodes = nodes;
        host.call(&args).unwrap_or_else(|error| panic!("{statement:?}: {error}"));
    }
    // At the ends nothing moves.
    host.settings.work.query_nodes = 1;
    for statement in [&["APPEND", "$", "[1]"][..], &["PREPEND", "$", "[1]"], &["POP", "$", "0"]] {
        host.call(&[&["MODEL.FIELDOP", "k"], statement].concat()).unwrap();
    }
}

/// One pass over the array, whatever is removed: done element by element this would take hours.
#[test]
fn removing_every_second_of_many_elements_is_one_pass() {
    let mut host = MemoryHost::default();
    host.settings.work.query_nodes = 10_000_000;
    host.settings.work.command_steps = 100_000_000;
    let array = format!("[{}]", vec!["1,2"; 400_000].join(","));
    host.call(&["MODEL.SET", "k", "any", &array]).unwrap();
    let outcome =
        host.call(&["MODEL.FIELDOP", "k", "DEL", "$[?@ == 1]", "PULL", "$", "0", "2", "LEN", "$"]);
    match outcome {
        Ok(outcome) => {
            assert_eq!(outcome.reply.notation(), "[(integer) 400000 (integer) 400000 (integer) 0]")
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn mlock_grants_each_document_once_however_often_it_is_listed() {
    let mut host = MemoryHost::default();
    let names: Vec<String> = (0..512).map(|nth| format!("k{nth}")).collect();
    for name in &names {
        host.call(&["MODEL.SET", name, "any", "{}"]).unwrap();
    }
    let keys: Vec<&str> = names.iter().chain(names.iter().rev()).map(String::as_str).collect();
    let request = [&["MODEL.MLOCK", "1024"][..], &keys, &["n", "o"]].concat();
    let Reply::Array(grants) = host.call(&request).unwrap().reply else { panic!("it is granted") };
    let grants: Vec<String> = grants.iter().map(Reply::notation).collect();
    let (first, second) = grants.split_at(512);
    assert!(first.iter().eq(second.iter().rev()), "one grant for each document");
    assert!(first.is_sorted() && first[0] != first[1], "fences grow in the order of the keys");
    let beyond = [&["MODEL.MLOCK", "1025"][..], &keys, &["k0", "n", "o"]].concat();
    assert_eq!(limit(&mut host, &beyond), "transaction-keys");
}

#[test]
fn mkpath_stops_at_the_depth_limit() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "k", "any", "{}"]).unwrap();
    let path = |depth: usize| format!("${}", ".a".repeat(depth));
    let refused =
        host.call(&["MODEL.FIELDOP", "k", "MKPATH", "SET", &path(2000), "1"]).unwrap_err();
    assert_eq!(refused.code(), redis_model::error::ErrorCode::Limit);
    assert!(host.call(&["MODEL.FIELDOP", "k", "MKPATH", "SET", &path(129), "1"]).is_err());
    assert!(host.call(&["MODEL.FIELDOP", "k", "MKPATH", "SET", &path(128), "1"]).is_ok());
}

/// The value that was at the target is gone: its depth at the source is none of the document.
#[test]
fn a_value_from_deep_below_is_moved_over_a_deep_value() {
    let mut host = MemoryHost::default();
    let (levels, deep) = (60, 100);
    let source = format!("{}1{}", r#"{"d":"#.repeat(levels), "}".repeat(levels));
    let target = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let document = format!(r#"{{"t":{target},"s":{source}}}"#);
    host.call(&["MODEL.SET", "k", "any", &document]).unwrap();
    let from = format!("$.s{}", ".d".repeat(levels));
    host.call(&["MODEL.FIELDOP", "k", "MOVE", &from, "$.t"]).expect("the result is not deep");
    assert_eq!(host.call(&["MODEL.GET", "k", "$.t"]).unwrap().reply.notation(), "1");
    // An exchange would be too deep.
    host.call(&["MODEL.SET", "k", "any", &document]).unwrap();
    let refused = host.call(&["MODEL.FIELDOP", "k", "SWAP", &from, "$.t"]).unwrap_err();
    assert_eq!(refused.code(), redis_model::error::ErrorCode::Limit);
}

/// Keywords are read in any case; names are what they are.
#[test]
fn model_names_are_exact() {
    let mut host = MemoryHost::default();
    let refused = host.call(&["MODEL.SET", "k", "ANY", "{}"]).unwrap_err();
    assert_eq!(refused.code(), redis_model::error::ErrorCode::NoModel);
    assert!(host.call(&["model.set", "k", "any", "{}", "nx"]).is_ok());
}

/// Each request has the fault it is refused for, and all that come behind it in this list.
#[test]
fn errors_of_a_transaction_come_in_their_order() {
    let mut host = MemoryHost::default();
    let tokens = ["MODEL.TXN", "2", "doc", "token", "TOKEN", "token", "ON", "doc", "LEN", "$.a"];
    host.call(&["MODEL.SET", "doc", "any", "{}"]).unwrap();
    let told = host.call(&tokens).unwrap().reply;
    for (words, expected) in [
        ("4 doc token other new TOKEN doc AT 1 ON new NOSUCH", "ERR"),
        ("4 doc token other new TOKEN doc AT 1 ARGS [ ON new PUT none {} IF self.", "ERR"),
        ("4 doc token other new TOKEN doc AT 1 ON new PUT none {} IF self.", "EXPR"),
        ("4 doc token other new TOKEN doc AT 1 ON new PUT none {}", "WRONGTYPE"),
        ("4 doc token other new TOKEN token AT 1 ON new NOSUCH", "ERR"),
        ("4 doc token other new TOKEN token AT 1 ON new PUT none {} IF self.", "EXPR"),
        ("4 doc token other new TOKEN token AT 1 ON new PUT none {}", "TOKENMISMATCH"),
        ("4 doc token other new TOKEN other AT 1 ON new PUT none {}", "TOKENEXPIRED"),
        ("4 doc token other new TOKEN other ON new GET $ PUT none {}", "NOMODEL"),
        ("4 doc token other new TOKEN other ON new INIT none {} GET $", "NOMODEL"),
        ("4 doc token other new TOKEN other ON new GET $ PUT any {}", "WRONGTYPE"),
        ("3 doc other new TOKEN other ON new GET $ PUT any {}", "NOKEY"),
    ] {
        let args = [&["MODEL.TXN"], &words.split(' ').collect::<Vec<_>>()[..]].concat();
        let refused = host.call(&args).expect_err(words);
        assert_eq!(refused.code().word(), expected, "{words}: {refused}");
    }
    // A committed transaction is answered without parsing it.
    host.settings.paths.path_bytes = 1;
    assert_eq!(host.call(&tokens).unwrap().reply, told);
    host.settings.paths.path_bytes = 4096;
    assert!(host.documents.len() == 1 && host.tokens.len() == 1);
}

/// The effects sent to replicas spell the names on the way to each change: they are bounded for a command, and for all
/// keys of a transaction together. Repeating it from the stream is not refused.
#[test]
fn effects_for_replicas_are_bounded() {
    let mut host = MemoryHost::default();
    let document = format!("{{\"{}\":[0,1,2,3,4,5,6,7,8]}}", "n".repeat(10_000));
    host.settings.document.bytes = 20_000;
    for key in ["a", "b", "c"] {
        host.call(&["MODEL.SET", key, "any", &document]).unwrap();
    }
    let one = ["MODEL.FIELDOP", "a", "INCR", "$.*[*]", "1"];
    let all = ["MODEL.TXN", "3", "a", "b", "c", "ON", "a", "INCR", "$.*[0:3]", "1"];
    let rest = ["ON", "b", "INCR", "$.*[0:3]", "1", "ON", "c", "INCR", "$.*[0:3]", "1"];
    let all = [&all[..], &rest].concat();
    for words in [&one[..], &all] {
        let refused = host.call(words).unwrap_err().to_string();
        assert!(refused.starts_with("LIMIT") && refused.contains("journal-bytes"), "{refused}");
        for key in ["a", "b", "c"] {
            let found = host.documents[key.as_bytes()].root.view();
            assert_eq!(redis_model::value::print::to_string(found), document);
        }
    }
    let fewer = ["MODEL.FIELDOP", "a", "INCR", "$.*[0:7]", "1"];
    let outcome = host.call(&fewer).unwrap();
    let mut replica = MemoryHost::default();
    let made = ["MODEL.SET", "a", "any", &document];
    replica.call(&made).unwrap();
    replica.settings.document.bytes = 10;
    replica.replicate(&fewer.map(str::as_bytes), &outcome).unwrap();
    let shown = |host: &MemoryHost| {
        redis_model::value::print::to_string(host.documents[&b"a"[..]].root.view())
    };
    assert_eq!(shown(&replica), shown(&host));
}
