//! Random commands, the same for the same seed: what documents go through in tests of persistence,
//! replication and memory.
//!
//! Operators come from the registry, so that a new one is part of the workload the day it is
//! declared. About half of the statements do something; the rest find nothing, or are refused, which
//! is part of the workload.

use redis_model::op::{self, OpSpec, OperandKind};

use crate::native_workload;
use crate::resp::{Conn, Reply};

/// Numbers that look random and are the same on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// A seed from the clock, printed, so that a failure can be run again: `WORKLOAD_SEED=...`.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("WORKLOAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |since| since.as_nanos() as u64) % 1_000_000_000
    });
    println!("to run it again: WORKLOAD_SEED={seed} cargo test --test server {test}");
    seed
}

const NAMES: [&str; 6] = ["a", "b", "c", "né", "x.y", "~/"];

/// Places of the documents [`json`] makes.
const SINGULAR: [&str; 16] = [
    "$",
    "",
    "$.a",
    "$.b",
    "$.c",
    "/a",
    "/né",
    "/~0~1",
    "$['x.y']",
    "$.a.b",
    "$.b[0]",
    "$.c[-1]",
    "/b/-",
    "$.a['né']",
    "$[args.name]",
    "$.b[args.index]",
];
const QUERIES: [&str; 9] = [
    "$.*",
    "$..a",
    "$.b[*]",
    "$[?@.a]",
    "$.c[::2]",
    "$['a','b']",
    "$..[?@ > 3]",
    "$.a[1:]",
    "$..[?@ == args.value]",
];

/// `ARGS`, for the paths and expressions that read them.
fn args(rng: &mut Rng) -> [String; 2] {
    let args = format!(
        r#"{{"name":"{}","index":{},"value":{}}}"#,
        rng.pick(&["a", "b", "né"]),
        rng.below(3) as i64 - 1,
        json(rng, 0)
    );
    ["ARGS".into(), args]
}

/// A JSON value of this depth at most.
pub fn json(rng: &mut Rng, depth: usize) -> String {
    let kinds = if depth == 0 { 5 } else { 8 };
    match rng.below(kinds) {
        0 => rng.pick(&["null", "true", "false"]).to_owned(),
        1 => number(rng),
        2 => (rng.below(2000) as i64 - 1000).to_string(),
        3 | 4 => string(rng),
        5 => array(rng, depth),
        _ => object(rng, depth),
    }
}

fn number(rng: &mut Rng) -> String {
    let numbers = [
        "0",
        "-0.0",
        "1.0",
        "0.1",
        "1e21",
        "-1.5e-7",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "1.7976931348623157e308",
        "5e-324",
    ];
    rng.pick(&numbers).to_owned()
}

fn string(rng: &mut Rng) -> String {
    let strings = [
        r#""""#,
        r#""a""#,
        r#""%s%n""#,
        r#""\u0000\r\n\"\\""#,
        r#""😀é""#,
        r#""2024-02-29T12:00:00.5+02:00""#,
        r#""AQID""#,
    ];
    if rng.one_in(12) {
        return format!("\"{}\"", "long text ".repeat(1 + rng.below(80)));
    }
    rng.pick(&strings).to_owned()
}

fn array(rng: &mut Rng, depth: usize) -> String {
    let items: Vec<_> = (0..rng.below(5)).map(|_| json(rng, depth - 1)).collect();
    format!("[{}]", items.join(","))
}

/// An object whose members have the names the paths ask for.
pub fn object(rng: &mut Rng, depth: usize) -> String {
    let mut members: Vec<String> = Vec::new();
    for name in NAMES {
        if rng.below(3) > 0 {
            members.push(format!("\"{name}\":{}", json(rng, depth.saturating_sub(1))));
        }
    }
    format!("{{{}}}", members.join(","))
}

/// Expressions that stand for an operand of JSON.
const COMPUTED: [&str; 4] = ["=[self, args.value]", "=args.value", "={'at': now}", "=self.none"];

fn operand(rng: &mut Rng, kind: OperandKind) -> String {
    match kind {
        OperandKind::Json if rng.one_in(8) => rng.pick(&COMPUTED).to_owned(),
        OperandKind::JsonArray if rng.one_in(8) => rng.pick(&COMPUTED).to_owned(),
        OperandKind::Number | OperandKind::Integer if rng.one_in(8) => "=args.index + 1".to_owned(),
        OperandKind::Singular => rng.pick(&SINGULAR).to_owned(),
        OperandKind::SingularBelowRoot => rng.pick(&SINGULAR[2..]).to_owned(),
        OperandKind::Path | OperandKind::PathBelowRoot if rng.one_in(3) => {
            rng.pick(&QUERIES).to_owned()
        }
        OperandKind::Path if rng.one_in(4) => rng.pick(&SINGULAR).to_owned(),
        OperandKind::Path | OperandKind::PathBelowRoot => rng.pick(&SINGULAR[2..]).to_owned(),
        OperandKind::Json => json(rng, 2),
        OperandKind::JsonArray => array(rng, 2),
        OperandKind::JsonObject => object(rng, 2),
        OperandKind::JsonString => string(rng),
        OperandKind::Patch => patch(rng),
        OperandKind::Number if rng.one_in(3) => number(rng),
        OperandKind::Number | OperandKind::Integer | OperandKind::Fence => {
            (rng.below(9) as i64 - 4).to_string()
        }
        OperandKind::Name | OperandKind::LockName => rng.pick(&NAMES).to_owned(),
        OperandKind::SortKey => rng.pick(&["@", "@.a", "@['b']", "@[0]"]).to_owned(),
        OperandKind::Base64 => rng.pick(&["", "AQID", "/+8=", "AA=="]).to_owned(),
        OperandKind::Expression => rng.pick(&EXPRESSIONS).to_owned(),
        OperandKind::Duration => rng.pick(&["1h30m", "-250ms", "P1DT2H", "-P30D"]).to_owned(),
        OperandKind::Choice(words) => rng.pick(words).to_owned(),
    }
}

/// Expressions of computed values; some fail.
const EXPRESSIONS: [&str; 7] = [
    "value == null ? 1 : value",
    "has(self.a) ? [self.a] : []",
    "{'was': value, 'key': key, 'revision': revision}",
    "string(now)",
    "size(self) * 2.5",
    "self.a + self.b",
    "self.none",
];

/// Conditions that hold now and then.
const CONDITIONS: [&str; 5] =
    ["true", "has(self.a)", "type(self) == map", "revision % 2 == 0", "self.a == self.b"];

/// The models that [`define`] defines, one by one and anew.
pub const MODELS: [&str; 2] = ["wide", "narrow"];

/// A model's name: the built-in one, or one that may be defined.
fn model(rng: &mut Rng) -> String {
    if rng.one_in(2) { "any".to_owned() } else { rng.pick(&MODELS).to_owned() }
}

/// `MODEL.DEFINE model ...`: what most documents of the workload satisfy.
pub fn define(rng: &mut Rng) -> Vec<String> {
    let schemas = [
        "{}",
        r#"{"properties":{"a":{"default":7}}}"#,
        r#"{"properties":{"b":{"type":["number","object","array"]},"c":{"default":[1]}}}"#,
        r#"{"anyOf":[{"required":["a"]},{"maxProperties":9}]}"#,
    ];
    let mut command = vec!["MODEL.DEFINE".to_owned(), rng.pick(&MODELS).to_owned()];
    command.push(rng.pick(&schemas).to_owned());
    if rng.one_in(2) {
        command.extend(["RULE".into(), "r".into(), "!has(self.a) || self.a != 'a'".into()]);
    }
    if rng.one_in(3) {
        command.extend(["TTL".into(), "5000".into()]);
        if rng.one_in(2) {
            command.extend(["REFRESH".into(), rng.pick(&["WRITE", "READ"]).to_owned()]);
        }
    }
    command
}

/// All that is defined: names, and what `MODEL.DESCRIBE` says but for the number of documents.
pub fn definitions(conn: &mut Conn) -> Vec<(String, Reply)> {
    loop {
        let names = conn.must(&["MODEL.MODELS"]);
        let described = names.array().iter().map(|name| described(conn, name.text()));
        // In a cluster a definition may end between two commands: then all are read again.
        if let Some(definitions) = described.collect() {
            return definitions;
        }
    }
}

/// A name and its definition; none if it is not defined.
fn described(conn: &mut Conn, name: &str) -> Option<(String, Reply)> {
    let described = conn.call(&["MODEL.DESCRIBE", name]);
    if described.is_error() && described.error_word() == "NOMODEL" {
        return None;
    }
    let Reply::Array(mut members) = described else { panic!("{described:?}") };
    members.truncate(members.len() - 2);
    Some((name.to_owned(), Reply::Array(members)))
}

fn patch(rng: &mut Rng) -> String {
    let value = json(rng, 1);
    let patches = [
        format!(r#"[{{"op":"add","path":"/a","value":{value}}}]"#),
        format!(
            r#"[{{"op":"replace","path":"/b","value":{value}}},{{"op":"remove","path":"/c"}}]"#
        ),
        r#"[{"op":"move","from":"/a","path":"/b"}]"#.to_owned(),
        r#"[{"op":"copy","from":"","path":"/c"}]"#.to_owned(),
        format!(r#"[{{"op":"test","path":"/a","value":{value}}}]"#),
    ];
    patches[rng.below(patches.len())].clone()
}

/// One statement of an operator.
pub fn statement(rng: &mut Rng, spec: &OpSpec) -> Vec<String> {
    let operands = spec.operands.iter().map(|declared| operand(rng, declared.kind));
    std::iter::once(spec.name.to_owned()).chain(operands.collect::<Vec<_>>()).collect()
}

/// One statement that seldom fails.
fn simple_statement(rng: &mut Rng) -> Vec<String> {
    let simple = ["SET", "SETNX", "GET", "REVISION", "MERGE", "NOW", "DEL", "EVAL"];
    let spec = op::find(rng.pick(&simple).as_bytes()).expect("an operator");
    statement(rng, spec)
}

/// `MODEL.FIELDOP key ...` with one to three statements of any operators, and options now and then.
pub fn fieldop(rng: &mut Rng, key: &str) -> Vec<String> {
    let mut command = vec!["MODEL.FIELDOP".to_owned(), key.to_owned()];
    if rng.one_in(2) {
        command.extend(["INIT".into(), model(rng), object(rng, 2)]);
    }
    if rng.one_in(3) {
        command.push("MKPATH".into());
    }
    if rng.one_in(2) {
        command.extend(args(rng));
    }
    if rng.one_in(4) {
        command.extend(current(rng));
    }
    if rng.one_in(5) {
        command.extend(expiry(rng, "PERSIST"));
    }
    if rng.one_in(8) {
        command.extend(["IF".into(), rng.pick(&CONDITIONS).to_owned()]);
    }
    for _ in 0..1 + rng.below(3) {
        if rng.one_in(8) {
            command.extend(["WHEN".into(), rng.pick(&CONDITIONS).to_owned()]);
        }
        command.extend(any_statement(rng));
    }
    if rng.one_in(20) {
        command.push("DELETE".into());
    }
    command
}

/// A statement of any operator on values, now and then a strict one.
fn any_statement(rng: &mut Rng) -> Vec<String> {
    let specs = op::of(op::Target::Value);
    let spec = specs[rng.below(specs.len())];
    let mut words = statement(rng, spec);
    if spec.takes_path() && rng.one_in(8) {
        words.insert(0, "STRICT".into());
    }
    words
}

fn current(rng: &mut Rng) -> [String; 2] {
    ["CURRENT".into(), rng.pick(&["$", "$.a", "$[args.name]", "$..b", "/none"]).to_owned()]
}

/// A time to live far away, or the keyword that takes it away.
fn expiry(rng: &mut Rng, none: &str) -> Vec<String> {
    match rng.below(4) {
        0 => vec!["EX".into(), (1000 + rng.below(1000)).to_string()],
        1 => vec!["PX".into(), (1_000_000 + rng.below(1_000_000)).to_string()],
        2 => vec!["PXAT".into(), (4_000_000_000_000 + rng.below(1000) as u64).to_string()],
        _ => vec![none.into()],
    }
}

/// `MODEL.SET key ...` with options now and then.
pub fn set(rng: &mut Rng, key: &str) -> Vec<String> {
    let mut command = vec!["MODEL.SET".into(), key.into(), model(rng), object(rng, 3)];
    match rng.below(6) {
        0 => command.push("NX".into()),
        1 => command.push("XX".into()),
        2 => command.extend(["IFREV".into(), "1".into()]),
        3 => {
            command.extend(["IF".into(), rng.pick(&CONDITIONS).to_owned()]);
            command.extend(current(rng));
            command.extend(args(rng));
        }
        _ => {}
    }
    if rng.one_in(4) {
        command.extend(expiry(rng, "KEEPTTL"));
    }
    command
}

/// `MODEL.TXN` over two to four of the keys, some of them twice, with any statements and natives, options and now
/// and then a token.
pub fn transaction(rng: &mut Rng, prefix: &str) -> Vec<String> {
    let keys: Vec<String> =
        (0..2 + rng.below(3)).map(|_| format!("{prefix}{}", rng.below(KEYS))).collect();
    let mut listed = keys.clone();
    let mut blocks = Vec::new();
    for _ in 0..1 + rng.below(4) {
        block(rng, &keys, &mut blocks);
        if rng.one_in(4) {
            let (key, natives) = native_workload::block(rng, prefix);
            listed.push(key);
            blocks.extend(natives);
        }
    }
    let token = rng.one_in(3).then(|| format!("{prefix}token:{}", rng.below(4)));
    listed.extend(token.clone());
    let mut command = vec!["MODEL.TXN".to_owned(), listed.len().to_string()];
    command.extend(listed);
    if let Some(token) = token {
        command.extend(["TOKEN".into(), token]);
        if rng.one_in(2) {
            command.extend(["WINDOW".into(), rng.pick(&["2000000", "3000000"]).to_owned()]);
        }
    }
    if rng.one_in(2) {
        command.extend(args(rng));
    }
    command.extend(blocks);
    command
}

fn block(rng: &mut Rng, keys: &[String], command: &mut Vec<String>) {
    command.extend(["ON".into(), keys[rng.below(keys.len())].clone()]);
    if rng.one_in(2) {
        command.extend(["INIT".into(), model(rng), object(rng, 2)]);
    }
    if rng.one_in(3) {
        command.push("MKPATH".into());
    }
    if rng.one_in(6) {
        command.extend(expiry(rng, "PERSIST"));
    }
    if rng.one_in(4) {
        command.extend(current(rng));
    }
    for _ in 0..rng.below(3) {
        match rng.below(16) {
            0 => command.extend(["IF".into(), rng.pick(&CONDITIONS).to_owned()]),
            1 => command.extend(["WHEN".into(), "size(docs) > 1".into(), "DELETE".into()]),
            2 => command.push("DELETE".into()),
            3 => command.extend(["CREATE".into(), model(rng), object(rng, 2)]),
            4 if rng.one_in(2) => {
                command.extend(["PUT".into(), model(rng), "={'a': args.index}".into()]);
            }
            4 => command.extend(["PUT".into(), model(rng), object(rng, 2)]),
            5 => command.extend(["EVAL".into(), "$.a".into(), "docs.map(k, docs[k])[0]".into()]),
            // Those that seldom fail, so that whole transactions succeed.
            6..=9 => command.extend(simple_statement(rng)),
            _ => {
                if rng.one_in(8) {
                    command.extend(["WHEN".into(), rng.pick(&CONDITIONS).to_owned()]);
                }
                command.extend(any_statement(rng));
            }
        }
    }
}

/// Takes a lock if it is free: no request waits, and no lease expires while a test runs.
pub fn lock(rng: &mut Rng, prefix: &str) -> Vec<String> {
    let keys: Vec<String> =
        (0..1 + rng.below(3)).map(|_| format!("{prefix}{}", rng.below(KEYS))).collect();
    let mut command = match keys.len() {
        1 => vec!["MODEL.LOCK".to_owned()],
        count => vec!["MODEL.MLOCK".into(), count.to_string()],
    };
    let one = keys.len() == 1;
    command.extend(keys);
    command.extend([rng.pick(&["n", "né"]).to_owned(), rng.pick(&["ann", "bob", "%s"]).to_owned()]);
    if one && rng.one_in(2) {
        command.extend(["INIT".into(), model(rng), object(rng, 2)]);
    }
    if rng.one_in(2) {
        command.push("SHARED".into());
    }
    command.extend(lease(rng));
    command
}

fn lease(rng: &mut Rng) -> [String; 2] {
    ["LEASE".into(), (40_000_000 + rng.below(1000)).to_string()]
}

/// One command of a holder: renews, releases, or saves under its lock. Takes a lock if there is no holder.
pub fn hold(rng: &mut Rng, conn: &mut Conn, prefix: &str) -> Vec<String> {
    let key = format!("{prefix}{}", rng.below(KEYS));
    let other = format!("{prefix}{}", rng.below(KEYS));
    let Some([name, owner, fence]) = grant(rng, conn, &key) else { return lock(rng, prefix) };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let held = |word: &str| words(&[word, &name, &owner, &fence]);
    match rng.below(8) {
        0 => words(&["MODEL.RENEW", &key, &name, &owner, &fence]),
        1 => {
            let [word, lease] = lease(rng);
            words(&["MODEL.RENEW", &key, &name, &owner, &fence, &word, &lease])
        }
        2 => words(&["MODEL.UNLOCK", &key, &name, &owner, &fence]),
        3 => words(&["MODEL.UNLOCK", &key, &name, "FORCE"]),
        4 | 5 => {
            let mut command = words(&["MODEL.FIELDOP", &key]);
            command.extend(held("HOLDING"));
            command.extend(simple_statement(rng));
            if rng.one_in(2) {
                command.extend(held("RELEASE"));
            }
            command
        }
        _ => {
            let mut command = words(&["MODEL.TXN", "2", &key, &other, "ON", &key]);
            command.extend(held("HOLDING"));
            command.extend(held("RELEASE"));
            command.extend(words(&["ON", &other]));
            command.extend(simple_statement(rng));
            command
        }
    }
}

/// A grant of a lock of this document: name, owner and fence.
fn grant(rng: &mut Rng, conn: &mut Conn, key: &str) -> Option<[String; 3]> {
    // There may be no document.
    let Reply::Array(locks) = conn.call(&["MODEL.LOCKS", key]) else { return None };
    let holders = locks.iter().flat_map(|lock| {
        let name = lock.field("name").text();
        lock.field("holders").array().iter().map(move |holder| (name, holder.array()))
    });
    let all: Vec<_> = holders
        .map(|(name, holder)| {
            [name.to_owned(), holder[0].text().to_owned(), holder[1].int().to_string()]
        })
        .collect();
    (!all.is_empty()).then(|| all[rng.below(all.len())].clone())
}

/// How many keys [`command`] uses.
pub const KEYS: usize = 12;

/// Any command that a keyspace of documents sees, on keys named `prefix` and a number.
pub fn command(rng: &mut Rng, prefix: &str) -> Vec<String> {
    let key = format!("{prefix}{}", rng.below(KEYS));
    let other = format!("{prefix}{}", rng.below(KEYS));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match rng.below(58) {
        0..24 => fieldop(rng, &key),
        24..30 => set(rng, &key),
        30 => words(&["DEL", &key]),
        31 => words(&["UNLINK", &key, &other]),
        32 => words(&["COPY", &key, &other, "REPLACE"]),
        33 => words(&["RENAME", &key, &other]),
        34 => words(&["EXPIRE", &key, "5000"]),
        35 => words(&["PERSIST", &key]),
        36 => words(&["SET", &key, "not a document"]),
        37 => words(&["MODEL.GET", &key, "$..*"]),
        38 => words(&["MODEL.FIELDOP", &key, "PX", "1", "REVISION"]),
        39 | 40 => define(rng),
        41 => words(&["MODEL.UNDEFINE", rng.pick(&MODELS)]),
        42 if rng.one_in(2) => words(&["MODEL.EVAL", &key, rng.pick(&EXPRESSIONS)]),
        42 => words(&["MODEL.META", &key]),
        43..46 => lock(rng, prefix),
        _ => transaction(rng, prefix),
    }
}
