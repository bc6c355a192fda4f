//! The rows of the table that compare server processor time per command. A new row is one more
//! entry of [`all`]; data it needs is loaded in [`load`].

use super::documents::{self, Random};
use super::server::Server;
use super::wire::{Connection, Requests, bulk_text};

/// Documents of about 200 bytes, and hashes of the same fields.
const PLAYERS: usize = 100_000;
/// Documents of about 10 KB, and strings of the same text.
const ORDERS: usize = 1000;
/// Documents of about 1 MB, and small ones of the same shape.
const CATALOGUES: usize = 16;

/// Two workloads to be compared on one server. Both change the same things equally often, so that
/// afterwards both halves of the data must agree.
pub struct Row {
    pub work: &'static str,
    pub against: &'static str,
    pub target: f64,
    pub ours: Requests,
    pub theirs: Requests,
    /// Commands sent at once.
    pub window: usize,
}

impl Row {
    /// `each` gives one request of ours and its counterpart.
    fn new(
        (work, against, target): (&'static str, &'static str, f64),
        (count, window): (usize, usize),
        mut each: impl FnMut(&mut Random) -> (Vec<String>, Vec<String>),
    ) -> Row {
        let mut random = Random::new(7);
        let (mut ours, mut theirs) = (Requests::default(), Requests::default());
        for _ in 0..count {
            let (a, b) = each(&mut random);
            ours.push(&a.iter().map(String::as_str).collect::<Vec<_>>());
            theirs.push(&b.iter().map(String::as_str).collect::<Vec<_>>());
        }
        Row { work, against, target, ours, theirs, window }
    }
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(String::from).collect()
}

pub fn all() -> Vec<Row> {
    const SMALL: (usize, usize) = (PLAYERS, 512);
    const LARGE: (usize, usize) = (ORDERS * 4, 16);
    const ONE_PLACE: (usize, usize) = (30_000, 512);
    let orders: Vec<String> = (0..ORDERS).map(|nth| documents::order(nth + ORDERS)).collect();
    vec![
        Row::new(
            ("`FIELDOP key INCR $.score 1`, 200 B documents", "`HINCRBY`", 1.3),
            SMALL,
            |random| {
                let nth = random.below(PLAYERS);
                (
                    words(&format!("MODEL.FIELDOP doc:{nth} INCR $.score 1")),
                    words(&format!("HINCRBY hash:{nth} score 1")),
                )
            },
        ),
        Row::new(("`FIELDOP key SET $.metadata.theme json`", "`HSET`", 1.3), SMALL, |random| {
            let nth = random.below(PLAYERS);
            let theme = ["dark", "light", "contrast"][random.below(3)];
            (
                words(&format!("MODEL.FIELDOP doc:{nth} SET $.metadata.theme \"{theme}\"")),
                words(&format!("HSET hash:{nth} metadata.theme {theme}")),
            )
        }),
        Row::new(("`GET` of a 200 B document", "`HGETALL`", 1.0), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (words(&format!("MODEL.GET doc:{nth}")), words(&format!("HGETALL hash:{nth}")))
        }),
        Row::new(("`GET` of one field, 200 B documents", "`HGET`", 1.3), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (
                words(&format!("MODEL.GET doc:{nth} $.score")),
                words(&format!("HGET hash:{nth} score")),
            )
        }),
        Row::new(("`GET` of a 10 KB document", "`GET` of its text", 3.0), LARGE, |random| {
            let nth = random.below(ORDERS);
            (words(&format!("MODEL.GET order:{nth}")), words(&format!("GET text:{nth}")))
        }),
        Row::new(("`SET` of a 10 KB document", "`SET` of its text", 5.0), LARGE, |random| {
            let (nth, order) = (random.below(ORDERS), &orders[random.below(ORDERS)]);
            (
                vec!["MODEL.SET".into(), format!("order:{nth}"), "any".into(), order.clone()],
                vec!["SET".into(), format!("text:{nth}"), order.clone()],
            )
        }),
        Row::new(
            ("`INCR $.views 1` in a 1 MB document", "in a 200 B one", 1.1),
            ONE_PLACE,
            |random| {
                let nth = random.below(CATALOGUES);
                (
                    words(&format!("MODEL.FIELDOP large:{nth} INCR $.views 1")),
                    words(&format!("MODEL.FIELDOP small:{nth} INCR $.views 1")),
                )
            },
        ),
        Row::new(
            (
                "`INCR $.items[2500].qty 1` in a 1 MB document",
                "`$.items[1].qty` in a 200 B one",
                1.1,
            ),
            ONE_PLACE,
            |random| {
                let nth = random.below(CATALOGUES);
                (
                    words(&format!("MODEL.FIELDOP large:{nth} INCR $.items[2500].qty 1")),
                    words(&format!("MODEL.FIELDOP small:{nth} INCR $.items[1].qty 1")),
                )
            },
        ),
        Row::new(
            ("the same `INCR` behind `IF 'self.score >= args.n'`", "`HINCRBY`", 2.0),
            SMALL,
            |random| {
                let nth = random.below(PLAYERS);
                let mut ours = words(&format!("MODEL.FIELDOP doc:{nth} ARGS {{\"n\":1}} IF"));
                ours.push("self.score >= args.n".into());
                ours.extend(words("INCR $.score 1"));
                (ours, words(&format!("HINCRBY hash:{nth} score 1")))
            },
        ),
        Row::new(
            ("the same `INCR` on a model with a schema and a rule", "on `any`", 1.3),
            SMALL,
            |random| {
                let nth = random.below(PLAYERS);
                let incr = |key: &str| words(&format!("MODEL.FIELDOP {key}:{nth} INCR $.level 1"));
                (incr("player"), incr("doc"))
            },
        ),
        Row::new(
            ("the same, schema and rule, in a 1 MB document", "in a 200 B one", 1.1),
            ONE_PLACE,
            |random| {
                let nth = random.below(CATALOGUES);
                let incr = |key: &str, item: usize| {
                    words(&format!(
                        "MODEL.FIELDOP validated-{key}:{nth} INCR $.items[{item}].qty 1"
                    ))
                };
                (incr("large", 2500), incr("small", 1))
            },
        ),
        Row::new(
            ("transfer with a condition, two documents, `TXN`", "`EVALSHA` on two hashes", 0.5),
            SMALL,
            transfer,
        ),
        many("`INCR` in each of 2 documents, `TXN`", 2, (PLAYERS / 2, 256)),
        many("`INCR` in each of 10 documents, `TXN`", 10, (PLAYERS / 10, 64)),
        many("`INCR` in each of 100 documents, `TXN`", 100, (PLAYERS / 50, 8)),
        Row::new(
            ("`TXN` of an `INCR` in a 1 MB document and one in another", "in 200 B ones", 1.1),
            ONE_PLACE,
            |random| {
                let (nth, other) = (random.below(CATALOGUES), random.below(PLAYERS));
                let incr = |key: &str, item: usize| {
                    words(&format!(
                        "MODEL.TXN 2 {key}:{nth} doc:{other} ON {key}:{nth} INCR $.items[{item}].qty 1 \
                         ON doc:{other} INCR $.level 1"
                    ))
                };
                (incr("large", 2500), incr("small", 1))
            },
        ),
        Row::new(("`INCR $.level =args.n`", "`INCR $.level 1`", 2.0), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (
                words(&format!("MODEL.FIELDOP doc:{nth} ARGS {{\"n\":1}} INCR $.level =args.n")),
                words(&format!("MODEL.FIELDOP doc:{nth} INCR $.level 1")),
            )
        }),
        Row::new(("`INCR $[args.f] 1`", "`INCR $.level 1`", 1.5), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (
                words(&format!(
                    "MODEL.FIELDOP doc:{nth} ARGS {{\"f\":\"level\"}} INCR $[args.f] 1"
                )),
                words(&format!("MODEL.FIELDOP doc:{nth} INCR $.level 1")),
            )
        }),
        Row::new(
            ("`INCR` at a filter that compares with `args.in`", "with the text pasted", 1.2),
            ONE_PLACE,
            |random| {
                let incr = |head: String, stock: &str| {
                    let path = format!("$.items[?@.in_stock=={stock}].qty");
                    [words(&head), vec!["INCR".into(), path, "1".into()]].concat()
                };
                let nth = random.below(CATALOGUES);
                let bound = format!("MODEL.FIELDOP small:{nth} ARGS {{\"in\":true}}");
                (incr(bound, "args.in"), incr(format!("MODEL.FIELDOP small:{nth}"), "true"))
            },
        ),
        // Rows to come with their feature, measured against the same with keys: LOCK and UNLOCK.
    ]
}

/// The scripts that an application uses today for a transfer, and for a change of several hashes at once.
const TRANSFER_SCRIPT: (&str, &str) = (
    "local n = tonumber(ARGV[1]); if tonumber(redis.call('HGET', KEYS[1], 'balance')) < n then return redis.error_reply('CONDITION') end; redis.call('HINCRBY', KEYS[1], 'balance', -n); return redis.call('HINCRBY', KEYS[2], 'balance', n)",
    "4ad09f23c08e8bd7dadbb45f0dd02f77cd2c0e5c",
);
const EACH_SCRIPT: (&str, &str) = (
    "for _, key in ipairs(KEYS) do redis.call('HINCRBY', key, 'level', 1) end; return 1",
    "72087b63a9abffdc159dee0d20f06d0040a85ddb",
);

/// Accounts are left out that may run dry: a refusal would cost less.
fn transfer(random: &mut Random) -> (Vec<String>, Vec<String>) {
    let mut from = random.below(PLAYERS);
    while documents::balance(from) < 1000 {
        from = random.below(PLAYERS);
    }
    let to = (from + 1 + random.below(PLAYERS - 1)) % PLAYERS;
    let mut ours =
        words(&format!("MODEL.TXN 2 doc:{from} doc:{to} ARGS {{\"n\":1}} ON doc:{from} IF"));
    ours.push("self.balance >= args.n".into());
    ours.extend(words(&format!("INCR $.balance -1 ON doc:{to} INCR $.balance 1")));
    (ours, words(&format!("EVALSHA {} 2 hash:{from} hash:{to} 1", TRANSFER_SCRIPT.1)))
}

/// The same member of many documents, against a script that does so to hashes.
fn many(work: &'static str, documents: usize, (count, window): (usize, usize)) -> Row {
    Row::new((work, "`EVALSHA` on as many hashes", 1.0), (count, window), |random| {
        let first = random.below(PLAYERS - documents);
        let keys = |kind: &str| {
            (first..first + documents).map(|nth| format!("{kind}:{nth}")).collect::<Vec<_>>()
        };
        let docs = keys("doc");
        let blocks = docs.iter().flat_map(|key| words(&format!("ON {key} INCR $.level 1")));
        let mut ours = words(&format!("MODEL.TXN {documents}"));
        ours.extend(docs.iter().cloned());
        ours.extend(blocks);
        let mut theirs = words(&format!("EVALSHA {} {documents}", EACH_SCRIPT.1));
        theirs.extend(keys("hash"));
        (ours, theirs)
    })
}

/// Fills a server with the data of all rows.
pub fn load(server: &Server) {
    let mut connection = server.connect();
    for (script, sha) in [TRANSFER_SCRIPT, EACH_SCRIPT] {
        assert_eq!(connection.text(&["SCRIPT", "LOAD", script]), sha);
    }
    load_players(&mut connection, PLAYERS);
    load_validated_players(&mut connection, PLAYERS);
    load_hashes(&mut connection, PLAYERS);
    let set_as =
        |model: &str, key: String, json: String| vec!["MODEL.SET".into(), key, model.into(), json];
    let set = |key: String, json: String| set_as("any", key, json);
    let rule = ["RULE", "counted", "self.views >= 0"];
    let define = [&["MODEL.DEFINE", "catalogue", documents::CATALOGUE_SCHEMA][..], &rule].concat();
    assert_eq!(connection.command(&define), *b":1\r\n");
    let orders = ORDERS..2 * ORDERS;
    for nth in orders {
        let (json, nth) = (documents::order(nth), nth - ORDERS);
        connection.run(&Requests::make(1, |_| set(format!("order:{nth}"), json.clone())), 1);
        connection.run(
            &Requests::make(1, |_| vec!["SET".into(), format!("text:{nth}"), json.clone()]),
            1,
        );
    }
    for nth in 0..CATALOGUES {
        for (key, json) in
            [("large", documents::catalogue(nth)), ("small", documents::small_catalogue(nth))]
        {
            connection.run(&Requests::make(1, |_| set(format!("{key}:{nth}"), json.clone())), 1);
            let validated = format!("validated-{key}:{nth}");
            let validated = set_as("catalogue", validated, json);
            connection.run(&Requests::make(1, |_| validated.clone()), 1);
        }
    }
}

/// Documents of a model with a schema for every member, and a rule.
pub fn load_validated_players(connection: &mut Connection, count: usize) {
    let define = ["MODEL.DEFINE", "player", documents::PLAYER_SCHEMA, "RULE", "levels"];
    let define = [&define[..], &["self.level <= self.score + 1000000"]].concat();
    assert_eq!(connection.command(&define), *b":1\r\n");
    in_batches(connection, count, |nth| {
        vec!["MODEL.SET".into(), format!("player:{nth}"), "player".into(), documents::player(nth)]
    });
}

pub fn load_players(connection: &mut Connection, count: usize) {
    in_batches(connection, count, |nth| {
        vec!["MODEL.SET".into(), format!("doc:{nth}"), "any".into(), documents::player(nth)]
    });
}

pub fn load_hashes(connection: &mut Connection, count: usize) {
    in_batches(connection, count, |nth| {
        let head = ["HSET".to_string(), format!("hash:{nth}")];
        head.into_iter().chain(documents::player_fields(nth)).collect()
    });
}

fn in_batches(connection: &mut Connection, count: usize, request: impl Fn(usize) -> Vec<String>) {
    const BATCH: usize = 20_000;
    for start in (0..count).step_by(BATCH) {
        let size = BATCH.min(count - start);
        connection.run(&Requests::make(size, |nth| request(start + nth)), 512);
    }
}

/// Both halves of the data say the same, before and after they were changed alike.
pub fn verify(connection: &mut Connection) {
    let mut random = Random::new(99);
    for _ in 0..500 {
        let nth = random.below(PLAYERS);
        let (doc, hash) = (format!("doc:{nth}"), format!("hash:{nth}"));
        for (path, field) in
            [("$.score", "score"), ("$.balance", "balance"), ("$.metadata.theme", "metadata.theme")]
        {
            let json = connection.text(&["MODEL.GET", &doc, path]);
            let bare =
                json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(&json);
            assert_eq!(bare, connection.text(&["HGET", &hash, field]), "{doc} {path}");
        }
        assert_eq!(connection.command(&["HGETALL", &hash])[..5], *b"*20\r\n");
    }
    for nth in 0..ORDERS {
        let json = connection.text(&["MODEL.GET", &format!("order:{nth}")]);
        let text = connection.text(&["GET", &format!("text:{nth}")]);
        assert!(json == text, "order:{nth} came back differently");
    }
    for nth in 0..CATALOGUES {
        let views = |connection: &mut Connection, key: &str| {
            connection.text(&["MODEL.GET", &format!("{key}:{nth}"), "$.views"])
        };
        assert_eq!(views(connection, "large"), views(connection, "small"));
    }
}

/// Whole documents come back as they were sent.
pub fn verify_fresh(connection: &mut Connection) {
    for nth in (0..PLAYERS).step_by(997) {
        let reply = connection.command(&["MODEL.GET", &format!("doc:{nth}")]);
        assert_eq!(bulk_text(&reply), documents::player(nth));
    }
    for nth in 0..CATALOGUES {
        let json = connection.text(&["MODEL.GET", &format!("large:{nth}")]);
        assert!(json == documents::catalogue(nth), "large:{nth} came back differently");
    }
}
