//! Finding documents: queries against what an application does with sorted sets and a script, what indexes cost a write,
//! their memory, and how long they take to build and to load.

use std::time::Duration;

use super::documents::{self, Random};
use super::rows::{self, Row, words};
use super::server::Server;
use super::wire::Connection;
use super::{Line, line};

/// Documents with the same group.
const GROUP: usize = 10;
/// The most rows of a page.
const PAGE: usize = 100;
const INDEXES: &str =
    "INDEX by_group 1 $.group INDEX by_score 1 $.score INDEX by_level 2 $.level $.name";
const MODELS: [&str; 2] = ["indexed", "plain"];

/// The names in the fields of hashes whose keys a sorted set has behind a value.
const FIND_SCRIPT: &str = "local entries = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';'); \
    local rows = {}; for nth, entry in ipairs(entries) do local key = string.sub(entry, #ARGV[1] + 2); \
    rows[nth] = {key, redis.call('HMGET', key, 'name')[1]} end; return rows";
const RANGE_SCRIPT: &str = "local keys = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'LIMIT', 0, 100); \
    local rows = {}; for nth, key in ipairs(keys) do rows[nth] = {key, redis.call('HMGET', key, 'name')[1]} end; return rows";
const COUNT_SCRIPT: &str = "local entries = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';'); \
    local count = 0; for _, entry in ipairs(entries) do \
    count = count + redis.call('EXISTS', string.sub(entry, #ARGV[1] + 2)) end; return count";

fn group(nth: usize, count: usize) -> String {
    format!("g{:07}", nth % (count / GROUP))
}

/// A player with a group.
fn player(nth: usize, count: usize) -> String {
    let mut json = documents::player(nth);
    json.pop();
    format!("{json},\"group\":\"{}\"}}", group(nth, count))
}

fn define(connection: &mut Connection, model: &str) {
    let indexes = if model == MODELS[0] { words(INDEXES) } else { Vec::new() };
    let head = ["MODEL.DEFINE", model, "{}"];
    let define: Vec<&str> = head.into_iter().chain(indexes.iter().map(String::as_str)).collect();
    assert_eq!(connection.command(&define), *b":1\r\n");
}

fn load(connection: &mut Connection, model: &str, count: usize) {
    rows::in_batches(connection, count, |nth| {
        vec!["MODEL.SET".into(), format!("{model}:{nth}"), model.into(), player(nth, count)]
    });
}

fn load_hashes(connection: &mut Connection, count: usize) {
    rows::load_hashes(connection, count);
    rows::in_batches(connection, count, |nth| {
        let entry = format!("{}:hash:{nth}", group(nth, count));
        vec!["ZADD".into(), "groups".into(), "0".into(), entry]
    });
    let score = |nth: usize| {
        let fields = documents::player_fields(nth);
        let at = fields.iter().position(|field| field == "score").expect("a player has a score");
        fields[at + 1].clone()
    };
    rows::in_batches(connection, count, |nth| {
        vec!["ZADD".into(), "scores".into(), score(nth), format!("hash:{nth}")]
    });
}

/// The rows about this many documents.
pub fn measure(
    start: &impl Fn(&str) -> Server,
    count: usize,
    rounds: usize,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Line> {
    let server = start(&format!("finding-{count}"));
    let mut connection = server.connect();
    let rows: Vec<Row> =
        rows(&mut connection, count).into_iter().filter(|row| wanted(&row.work)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let taken = MODELS.map(|model| {
        define(&mut connection, model);
        let before = server.used_memory();
        load(&mut connection, model, count);
        (server.used_memory() - before) as f64 / count as f64
    });
    load_hashes(&mut connection, count);
    verify(&mut connection, count);
    let info = connection.text(&["INFO", "model"]);
    let number = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.parse().ok()).expect("a number of INFO")
    };
    let entries = number("model_index_entries");
    eprintln!(
        "bench: {count} documents: {:.1} bytes of indexes for each entry",
        number("model_index_bytes") / entries
    );
    let mut lines = super::take_turns(&server, &mut connection, rows, rounds);
    let work = format!("memory of each of {count} documents with three indexes");
    lines.push(line((&work, "without an index", 2.5), &[(taken[0], taken[1])], "B"));
    lines
}

fn rows(connection: &mut Connection, count: usize) -> Vec<Row> {
    let [find, range, counted] = [FIND_SCRIPT, RANGE_SCRIPT, COUNT_SCRIPT]
        .map(|script| connection.text(&["SCRIPT", "LOAD", script]));
    let of = |work: &str| format!("{work}, {count} documents");
    let members = |model: &'static str, member: &'static str| {
        move |random: &mut Random| {
            let (nth, by) = (random.below(count), 1 + random.below(1000));
            words(&format!("MODEL.FIELDOP {model}:{nth} INCR $.{member} {by}"))
        }
    };
    let writes =
        |work: &str, against: &str, target: f64, sides: [(&'static str, &'static str); 2]| {
            let [ours, theirs] = sides.map(|(model, member)| members(model, member));
            Row::new((&of(work), against, target), (50_000, 512), |random| {
                let mut same = *random;
                (ours(random), theirs(&mut same))
            })
        };
    vec![
        Row::new(
            (
                &of("`FIND` by equality, 10 documents, a field of each"),
                "`ZRANGEBYLEX` and `HMGET` in a script",
                1.2,
            ),
            (10_000, 64),
            |random| {
                let group = group(random.below(count), count);
                let mut ours = words("MODEL.FIND indexed WHERE");
                ours.extend(["self.group == args.g".into(), "ARGS".into()]);
                ours.extend(words(&format!("{{\"g\":\"{group}\"}} GET $.name")));
                (ours, words(&format!("EVALSHA {find} 1 groups {group}")))
            },
        ),
        Row::new(
            (&of("`FIND` of a range, `LIMIT 100`"), "`ZRANGEBYSCORE` and `HMGET` in a script", 1.2),
            (1000, 16),
            |random| {
                let score = random.below(900_000);
                let mut ours = words("MODEL.FIND indexed WHERE");
                ours.extend(["self.score >= args.n".into(), "ORDER".into()]);
                ours.extend(words(&format!(
                    "by_score ARGS {{\"n\":{score}}} LIMIT {PAGE} GET $.name"
                )));
                (ours, words(&format!("EVALSHA {range} 1 scores {score}")))
            },
        ),
        Row::new(
            (&of("`COUNT` of 10 documents"), "`ZRANGEBYLEX` and `EXISTS` in a script", 1.2),
            (10_000, 64),
            |random| {
                let group = group(random.below(count), count);
                let mut ours = words("MODEL.COUNT indexed WHERE");
                ours.extend(["self.group == args.g".into(), "ARGS".into()]);
                ours.push(format!("{{\"g\":\"{group}\"}}"));
                (ours, words(&format!("EVALSHA {counted} 1 groups {group}")))
            },
        ),
        writes(
            "`INCR` of an indexed member",
            "of one that is not indexed",
            1.5,
            [("indexed", "score"), ("indexed", "balance")],
        ),
        writes(
            "`INCR` of a member that is not indexed",
            "in a model without index",
            1.05,
            [("indexed", "balance"), ("plain", "balance")],
        ),
    ]
}

/// Both sides find the same.
fn verify(connection: &mut Connection, count: usize) {
    let names = |reply: &[u8]| {
        let text = String::from_utf8_lossy(reply).replace('"', "");
        let mut names: Vec<String> =
            text.lines().filter(|line| line.starts_with("player-")).map(str::to_owned).collect();
        names.sort();
        names
    };
    for row in rows(connection, count).into_iter().take(2) {
        let mut found = [row.ours, row.theirs].map(|side| {
            let mut found = Vec::new();
            connection.run_checked(&side.requests, side.window, |reply| found.push(names(reply)));
            found
        });
        // Equal scores are in the order of keys.
        let is_whole = |names: &Vec<String>| names.len() == GROUP;
        found.iter_mut().for_each(|side| side.retain(is_whole));
        assert_eq!(found[0], found[1], "{}", row.work);
    }
}

/// Building indexes on documents that exist, and loading documents with them, against loading documents without.
pub fn loads(start: &impl Fn(&str) -> Server, count: usize) -> Vec<Line> {
    const ROUNDS: usize = 3;
    for model in MODELS {
        let server = start(model);
        let mut connection = server.connect();
        define(&mut connection, model);
        load(&mut connection, model, count);
        connection.command(&["SAVE"]);
        server.stop_and_keep();
    }
    let idle = start("empty").cpu_ns();
    let loaded = |model: &str| {
        let server = start(model);
        let used = (server.cpu_ns() - idle) as f64 / count as f64;
        (server, used)
    };
    let build = || {
        let (server, used) = loaded(MODELS[1]);
        let mut connection = server.connect().taking_errors();
        let before = server.cpu_ns();
        let define = words(&format!("MODEL.DEFINE plain {{}} {INDEXES}"));
        connection.command(&define.iter().map(String::as_str).collect::<Vec<_>>());
        let query = ["MODEL.COUNT", "plain", "WHERE", "self.group == 'none'"];
        while connection.command(&query)[0] == b'-' {
            std::thread::sleep(Duration::from_millis(50));
        }
        let built = (server.cpu_ns() - before) as f64 / count as f64;
        server.stop_and_keep();
        (built, used)
    };
    let load = || {
        let (server, with) = loaded(MODELS[0]);
        server.stop_and_keep();
        let (server, without) = loaded(MODELS[1]);
        server.stop_and_keep();
        (with, without)
    };
    let loads: Vec<_> = (0..ROUNDS).map(|_| load()).collect();
    let builds: Vec<_> = (0..ROUNDS).map(|_| build()).collect();
    let of = |work: &str| format!("{work} of {count} documents");
    let against = "RDB load of them without";
    vec![
        line((&of("RDB load, three indexes,"), against, 2.0), &loads, "ns"),
        line((&of("build of three indexes"), against, 2.0), &builds, "ns"),
    ]
}
