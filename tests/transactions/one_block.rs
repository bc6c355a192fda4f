//! Agreement of `MODEL.FIELDOP` with a `MODEL.TXN` of one block: random commands, with the model redefined
//! in between, on two hosts that have to stay equal in every reply, refusal, document, version, revision,
//! time to live and effect.

use redis_model::command::{self, Outcome};
use redis_model::error::Error;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::testing::coverage::{Missing, until_covered};

use crate::random::Rng;
use crate::{BATCHES_MAX, bytes, call};

const DEFINITIONS: [&[&str]; 7] = [
    &["{}"],
    &[r#"{"properties":{"level":{"default":3}}}"#],
    &[
        r#"{"properties":{"level":{"default":4},"log":{"default":[]},"o":{"properties":{"y":{"default":0}}}}}"#,
    ],
    &[r#"{"properties":{"n":{"type":"integer"}}}"#, "RULE", "low", "!has(self.n) || self.n >= 0"],
    &[r#"{"required":["n"]}"#, "RULE", "jump", "self.n <= oldSelf.n + 3"],
    &["{}", "TTL", "100", "REFRESH", "WRITE"],
    &[
        "{}",
        "TTL",
        "100",
        "REFRESH",
        "READ",
        "RULE",
        "old",
        "now > timestamp('2001-01-01T00:00:00Z')",
    ],
];

const ARGS: &str = r#"{"n":"n","one":1}"#;

const STATEMENTS: [&[&str]; 47] = [
    &["INCR", "$.n", "1"],
    &["INCR", "$.n", "-2"],
    &["INCR", "$.n", "0"],
    &["SET", "$.n", "1"],
    &["SET", "$.n", "\"text\""],
    &["SET", "$.level", "3"],
    &["SET", "$.o", "{}"],
    &["SETNX", "$.level", "7"],
    &["SETNX", "$.n", "2"],
    &["SETXX", "$.n", "2"],
    &["DEL", "$.n"],
    &["DEL", "$.level"],
    &["DEL", "$.none"],
    &["DEL", "$.*"],
    &["APPEND", "$.log", "[1]"],
    &["APPEND", "$.log", "[]"],
    &["POP", "$.log", "-1"],
    &["MERGE", "$", r#"{"level":3}"#],
    &["MERGE", "$", r#"{"n":1,"o":{"x":1}}"#],
    &["INCR", "$.o.x", "1"],
    &["INCR", "$.*", "1"],
    &["EVAL", "$.n", "value == null ? 0 : value"],
    &["NOW", "$.at", "ms"],
    &["GET", "$"],
    &["GET", "$.level"],
    &["REVISION"],
    &["IF", "has(self.n)"],
    &["IF", "self.level >= 3"],
    &["IF", "now > timestamp('2001-01-01T00:00:00Z')"],
    &["EXISTS"],
    &["MISSING"],
    &["IFREV", "1"],
    &["WHEN", "has(self.level)", "SET", "$.seen", "true"],
    &["WHEN", "false", "SET", "$.n", "9"],
    &["HOLDING", "l", "o", "7"],
    &["HOLDING", "l", "o", "(fence)"],
    &["RELEASE", "l", "o", "(fence)"],
    &["MOVE", "$.n", "$.level"],
    &["INCR", "$[args.n]", "=args.one"],
    &["SET", "$[args.n]", "4"],
    &["INCR", "$[?@ == args.one]", "1"],
    &["SET", "$[?@ == args.none]", "1"],
    &["STRICT", "INCR", "$.n", "1"],
    &["STRICT", "SET", "$[?@ == args.one]", "=args.one + 1"],
    &["PULLALL", "$.log", "[1,2]"],
    &["DELETE"],
    &["WHEN", "self.n > 3", "DELETE"],
];

const OPTIONS: [&[&str]; 10] = [
    &[],
    &[],
    &[],
    &["MKPATH"],
    &["INIT", "m", r#"{"n":1}"#],
    &["INIT", "any", r#"{"n":1}"#],
    &["EX", "100"],
    &["PERSIST"],
    &["CURRENT", "$"],
    &["CURRENT", "$[args.n]"],
];

/// A command's outcome as text, with what two forms of one command say differently taken out.
fn shown(done: Result<Outcome, Error>, one_block: bool) -> String {
    match done {
        Err(error) => error.line().replace(r#","block":0"#, ""),
        Ok(Outcome { reply, effects, .. }) => {
            let reply = match reply {
                Reply::Array(mut replies) if one_block => replies.remove(0),
                reply => reply,
            };
            let effects: Vec<_> = effects
                .iter()
                .map(|effect| {
                    let events = (effect.event, effect.generic_event, effect.signalled);
                    format!("{events:?} {:?}", effect.sent)
                })
                .collect();
            format!("{} {effects:?}", reply.notation())
        }
    }
}

fn draw(rng: &mut Rng, fence: u64) -> Vec<String> {
    let mut words = vec!["ARGS".to_owned(), ARGS.to_owned()];
    words.extend(rng.pick(&OPTIONS).iter().map(|word| (*word).to_owned()));
    for _ in 0..1 + rng.below(4) {
        let statement = rng.pick(&STATEMENTS);
        words.extend(statement.iter().map(|word| word.replace("(fence)", &fence.to_string())));
    }
    words
}

#[derive(Default)]
struct Counts {
    refused: u64,
    changed: u64,
    unchanged: u64,
}

#[test]
fn a_fieldop_and_a_transaction_of_one_block_agree() {
    let seed = crate::seed();
    let mut rng = Rng::new(seed);
    let mut counts = Counts::default();
    until_covered(BATCHES_MAX, |_| {
        (0..400).for_each(|_| run_both(seed, &mut rng, &mut counts));
        let mut missing = Missing::default();
        missing.expect("refusals", counts.refused, 501);
        missing.expect("changes", counts.changed, 501);
        missing.expect("commands that changed nothing", counts.unchanged, 501);
        missing
    });
}

/// Runs some commands in both forms, on hosts of their own, and counts them.
fn run_both(seed: u64, rng: &mut Rng, counts: &mut Counts) {
    let mut hosts = [MemoryHost::default(), MemoryHost::default()];
    let mut fence = 0;
    both(&mut hosts, &["MODEL.DEFINE", "m", "{}"]);
    for _ in 0..24 {
        match rng.below(12) {
            0 => {
                let model = rng.pick(&["m", "any"]);
                let document = rng.pick(&[r#"{"n":1}"#, r#"{"n":1,"o":{}}"#, "{}", "[1]"]);
                both(&mut hosts, &["MODEL.SET", "k", model, document]);
            }
            1 | 2 => {
                let definition = [&["MODEL.DEFINE", "m"][..], rng.pick(&DEFINITIONS)].concat();
                both(&mut hosts, &definition);
            }
            3 => {
                let granted = both(&mut hosts, &["MODEL.LOCK", "k", "l", "o"]);
                if let Some(Reply::Array(grant)) = granted
                    && let Reply::Int(found) = grant[0]
                {
                    fence = found as u64;
                }
            }
            4 if rng.one_in(4) => {
                hosts.iter_mut().for_each(|host| host.unlink(b"k"));
            }
            _ => {
                let words = draw(rng, fence);
                // A time to live for a missing document is refused before the statements by the one,
                // which cannot create it, and after them by the other.
                let lives = words.iter().any(|word| word == "EX" || word == "PERSIST");
                if lives && !hosts[0].documents.contains_key(&b"k"[..]) {
                    continue;
                }
                let own =
                    |head: &[&str]| head.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
                let forms = [
                    [own(&["MODEL.FIELDOP", "k"]), words.clone()].concat(),
                    // `ARGS` stands before the block.
                    [own(&["MODEL.TXN", "1", "k", "ARGS", ARGS, "ON", "k"]), words[2..].to_vec()]
                        .concat(),
                ];
                let before = bytes(&hosts[0]);
                hosts.iter_mut().for_each(|host| host.now_us += 1000);
                let one = shown(call(&mut hosts[0], &forms[0]), false);
                let other = shown(call(&mut hosts[1], &forms[1]), true);
                assert_eq!(one, other, "{forms:?} TRANSACTIONS_SEED={seed}");
                match (one.starts_with('['), bytes(&hosts[0]) == before) {
                    (false, true) => counts.refused += 1,
                    (true, true) => counts.unchanged += 1,
                    (true, false) => counts.changed += 1,
                    (false, false) => panic!("a refusal changed something: {forms:?}"),
                }
            }
        }
        hosts.iter_mut().for_each(|host| drop(host.settle()));
        assert_eq!(bytes(&hosts[0]), bytes(&hosts[1]), "TRANSACTIONS_SEED={seed}");
        let issued = |host: &MemoryHost| (host.revisions.seen(), host.revisions.is_told());
        assert_eq!(issued(&hosts[0]), issued(&hosts[1]), "TRANSACTIONS_SEED={seed}");
    }
}

/// Runs a command on both; the reply, if it is accepted.
fn both(hosts: &mut [MemoryHost; 2], words: &[&str]) -> Option<Reply> {
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let [one, other] = hosts.each_mut().map(|host| {
        host.now_us += 1000;
        command::run(host, &args).ok().map(|outcome| outcome.reply)
    });
    assert_eq!(one, other);
    one
}
