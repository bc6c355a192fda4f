//! Job queues: a job that is put in, claimed and finished, against scripts with hashes and a sorted set and against lists;
//! a change of many documents found against single commands; and how long it takes from a change that makes a job due to
//! the worker that waits for it.

use super::locks::{self, Baton, CLIENTS, Token};
use super::rows::{self, Row, words};
use super::server::Server;
use super::take_turns;
use super::wire::Connection;
use super::{Line, line, median};

/// Jobs that are due all the time, behind those that are put in.
const STANDING: usize = 10_000;
/// Jobs that are put in, claimed and finished in a round.
const JOBS: usize = 10_000;
const WINDOW: usize = 512;
/// Documents that one command finds and changes.
const FOUND: usize = 1000;

const ENQUEUE: &str = "redis.call('HSET', KEYS[1], 'queue', 'mail', 'tries', 0, 'to', 'ann'); \
    return redis.call('ZADD', KEYS[2], ARGV[1], KEYS[1])";
const CLAIM: &str = "local now = redis.call('TIME')[1]; \
    local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]; \
    if not id then return redis.error_reply('EMPTY') end; redis.call('ZADD', KEYS[1], now + 30, id); \
    return {id, redis.call('HINCRBY', id, 'tries', 1), redis.call('HGET', id, 'to')}";
const FINISH: &str = "if redis.call('HGET', KEYS[1], 'tries') ~= '1' then return redis.error_reply('TAKEN') end; \
    redis.call('ZREM', KEYS[2], KEYS[1]); return redis.call('DEL', KEYS[1])";

fn hand_over_name(clients: usize) -> String {
    format!("hand-over of a job by `FINDOP` with `WAIT`, {clients} clients, p50")
}

/// The lines of the table.
pub fn measure(
    start: &impl Fn(&str) -> Server,
    rounds: usize,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Line> {
    let server = start("queues");
    let mut connection = server.connect();
    load(&mut connection);
    let rows = rows(&mut connection).into_iter().filter(|row| wanted(&row.work)).collect();
    let mut lines = take_turns(&server, &mut connection, rows, rounds);
    for clients in CLIENTS.into_iter().filter(|clients| wanted(&hand_over_name(*clients))) {
        let measured = locks::take_turns(&server, clients, rounds, &Job, &Token);
        let pairs: Vec<_> =
            measured.into_iter().map(|(ours, theirs)| (median(ours), median(theirs))).collect();
        lines.push(line((&hand_over_name(clients), "of a token by `BLPOP`", 1.5), &pairs, "ns"));
    }
    lines
}

/// The time at which a standing job was due, in seconds: after the jobs that are put in.
fn standing_due(nth: usize) -> usize {
    1_000_000_000 + nth
}

fn job(key: String, due: usize) -> Vec<String> {
    let json = format!(r#"{{"queue":"mail","due":{due},"tries":0,"to":"ann"}}"#);
    vec!["MODEL.SET".into(), key, "job".into(), json]
}

fn load(connection: &mut Connection) {
    let index = words("MODEL.DEFINE job {} INDEX due 2 $.queue $.due");
    connection.command(&index.iter().map(String::as_str).collect::<Vec<_>>());
    let index = words("MODEL.DEFINE found {} INDEX state 1 $.state");
    connection.command(&index.iter().map(String::as_str).collect::<Vec<_>>());
    rows::in_batches(connection, STANDING, |nth| job(format!("standing:{nth}"), standing_due(nth)));
    rows::in_batches(connection, STANDING, |nth| {
        let due = standing_due(nth);
        words(&format!("ZADD due {due} standing-hash:{nth}"))
    });
    rows::in_batches(connection, STANDING, |nth| words(&format!("LPUSH list standing-hash:{nth}")));
    for kind in ["found", "single"] {
        rows::in_batches(connection, FOUND, |nth| {
            let json = format!(r#"{{"state":"{kind}","n":0}}"#);
            vec!["MODEL.SET".into(), format!("{kind}:{nth}"), "found".into(), json]
        });
    }
}

fn rows(connection: &mut Connection) -> Vec<Row> {
    let [enqueue, claim, finish] =
        [ENQUEUE, CLAIM, FINISH].map(|script| connection.text(&["SCRIPT", "LOAD", script]));
    let ours = |nth: usize| {
        let mut find = words("MODEL.FINDOP 0 job WHERE");
        find.push("self.queue == 'mail' && self.due <= int(now)".into());
        find.extend(words("ORDER due DO EVAL $.due"));
        find.push("int(now) + 30".into());
        find.extend(words("INCR $.tries 1 GET $.to"));
        let mut done = words(&format!("MODEL.TXN 1 job:{nth} ON job:{nth} IF"));
        done.extend(["self.tries == 1".into(), "DELETE".into()]);
        vec![job(format!("job:{nth}"), nth), find, done]
    };
    let scripts = |nth: usize| {
        vec![
            words(&format!("EVALSHA {enqueue} 2 hash:{nth} due {nth}")),
            words(&format!("EVALSHA {claim} 1 due")),
            words(&format!("EVALSHA {finish} 2 hash:{nth} due")),
        ]
    };
    let lists = |nth: usize| {
        vec![
            words(&format!("HSET hash:{nth} queue mail tries 0 to ann")),
            words(&format!("RPUSH list hash:{nth}")),
            words("BLMOVE list doing RIGHT LEFT 1"),
            words(&format!("HGET hash:{nth} to")),
            words(&format!("LREM doing 1 hash:{nth}")),
            words(&format!("DEL hash:{nth}")),
        ]
    };
    let queue = |against: &str, target: f64, theirs: &dyn Fn(usize) -> Vec<Vec<String>>| {
        let mut nth = 0;
        let work = format!("a job put in, claimed by `FINDOP` and deleted, {STANDING} jobs due");
        Row::of_several((&work, against, target), (JOBS, WINDOW), |_| {
            nth += 1;
            (ours(nth), theirs(nth))
        })
    };
    let found = || {
        let mut find = words("MODEL.FINDOP 0 found WHERE");
        find.push("self.state == 'found'".into());
        find.extend(words(&format!("LIMIT {FOUND} DO INCR $.n 1")));
        let single = |nth: usize| words(&format!("MODEL.FIELDOP single:{nth} INCR $.n 1"));
        (vec![find], (0..FOUND).map(single).collect())
    };
    vec![
        queue("scripts with hashes and a sorted set", 1.0, &scripts),
        queue("`BLMOVE` between lists, without a lease", 2.0, &lists),
        Row::of_several(
            (&format!("`FINDOP` of {FOUND} documents"), "as many `FIELDOP`", 0.7),
            (10, WINDOW),
            |_| found(),
        ),
    ]
}

/// A job for which workers wait: its state says if it can be taken.
struct Job;

impl Baton for Job {
    fn prepare(&self, connection: &mut Connection) {
        connection.command(&["MODEL.SET", "baton", "found", r#"{"state":"open"}"#]);
    }

    fn ask(&self, connection: &mut Connection, _: usize) {
        let find = ["MODEL.FINDOP", "0", "found", "WHERE", "self.state == 'open'"];
        let take = ["WAIT", "60000", "DO", "SET", "$.state", r#""taken""#];
        connection.send(&[&find[..], &take].concat());
    }

    fn granted(&self, reply: &[u8]) -> String {
        assert!(reply.starts_with(b"*1\r\n*3\r\n$5\r\nbaton\r\n"), "the job was taken");
        String::new()
    }

    fn release(&self, connection: &mut Connection, _: usize, _: &str) {
        connection.send(&["MODEL.FIELDOP", "baton", "SET", "$.state", r#""open""#]);
    }

    fn released(&self) -> &'static [u8] {
        b"*1\r\n:1\r\n"
    }
}
