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
    pub work: String,
    pub against: String,
    pub target: f64,
    pub ours: Side,
    pub theirs: Side,
}

/// The requests of one side of a row.
pub struct Side {
    pub requests: Requests,
    /// Commands sent at once.
    pub window: usize,
    /// Commands that are one piece of work: what is compared is the time of that.
    pub each: usize,
}

impl Row {
    /// `each` gives one request of ours and its counterpart.
    pub fn new(
        (work, against, target): (&str, &str, f64),
        (count, window): (usize, usize),
        mut each: impl FnMut(&mut Random) -> (Vec<String>, Vec<String>),
    ) -> Row {
        Row::of_several((work, against, target), (count, window), |random| {
            let (ours, theirs) = each(random);
            (vec![ours], vec![theirs])
        })
    }

    /// `each` gives the commands of one piece of work, always as many, and those of its counterpart. `window` is that
    /// of the side with more commands.
    pub fn of_several(
        (work, against, target): (&str, &str, f64),
        (count, window): (usize, usize),
        mut each: impl FnMut(&mut Random) -> (Vec<Vec<String>>, Vec<Vec<String>>),
    ) -> Row {
        let mut random = Random::new(7);
        let (mut ours, mut theirs) = (Requests::default(), Requests::default());
        let push = |requests: &mut Requests, commands: &[Vec<String>]| {
            for command in commands {
                requests.push(&command.iter().map(String::as_str).collect::<Vec<_>>());
            }
        };
        for _ in 0..count {
            let (a, b) = each(&mut random);
            push(&mut ours, &a);
            push(&mut theirs, &b);
        }
        let most = ours.len().max(theirs.len());
        let side = |requests: Requests| Side {
            each: requests.len() / count,
            window: (window * requests.len() / most).max(1),
            requests,
        };
        let (work, against) = (work.into(), against.into());
        Row { work, against, target, ours: side(ours), theirs: side(theirs) }
    }
}

pub fn words(command: &str) -> Vec<String> {
    command.split(' ').map(String::from).collect()
}

pub fn all() -> Vec<Row> {
    const SMALL: (usize, usize) = (PLAYERS, 512);
    const LARGE: (usize, usize) = (ORDERS * 4, 16);
    const ONE_PLACE: (usize, usize) = (30_000, 512);
    let orders: Vec<String> = (0..ORDERS).map(|nth| documents::order(nth + ORDERS)).collect();
    vec![
        Row::new(
            ("`FIELDOP key INCR $.score 1`, 200 B documents", "`HINCRBY`", 1.1),
            SMALL,
            |random| {
                let nth = random.below(PLAYERS);
                (
                    words(&format!("MODEL.FIELDOP doc:{nth} INCR $.score 1")),
                    words(&format!("HINCRBY hash:{nth} score 1")),
                )
            },
        ),
        Row::new(("`FIELDOP key SET $.metadata.theme json`", "`HSET`", 1.25), SMALL, |random| {
            let nth = random.below(PLAYERS);
            let theme = ["dark", "light", "contrast"][random.below(3)];
            (
                words(&format!("MODEL.FIELDOP doc:{nth} SET $.metadata.theme \"{theme}\"")),
                words(&format!("HSET hash:{nth} metadata.theme {theme}")),
            )
        }),
        Row::new(("`GET` of a 200 B document", "`HGETALL`", 0.6), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (words(&format!("MODEL.GET doc:{nth}")), words(&format!("HGETALL hash:{nth}")))
        }),
        Row::new(("`GET` of one field, 200 B documents", "`HGET`", 1.05), SMALL, |random| {
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
        Row::new(("`SET` of a 10 KB document", "`SET` of its text", 6.0), LARGE, |random| {
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
            ("the same `INCR` behind `IF 'self.score >= args.n'`", "`HINCRBY`", 1.6),
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
        Row::new(
            ("the same transfer as an action", "`EVALSHA` on two hashes", 0.3),
            SMALL,
            |random| {
                let (ours, theirs) = transfer(random);
                let keys = ours[2..4].join(" ");
                (words(&format!("MODEL.CALL transfer 2 {keys} ARGS {{\"n\":1}}")), theirs)
            },
        ),
        Row::new(("`INCR $.score 1` as an action", "`HINCRBY`", 1.0), SMALL, |random| {
            let nth = random.below(PLAYERS);
            (
                words(&format!("MODEL.CALL score 1 doc:{nth}")),
                words(&format!("HINCRBY hash:{nth} score 1")),
            )
        }),
        recorded("`SET` of a field, recorded `WITH KEYS`", "keys", SMALL),
        recorded("`SET` of a field, recorded `WITH PATCH`", "patch", SMALL),
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
        Row::of_several(
            ("`MGET` of 100 documents of 200 B", "a pipeline of `HGETALL`", 0.6),
            (PLAYERS / 200, 400),
            |random| {
                let nths: Vec<usize> = (0..100).map(|_| random.below(PLAYERS)).collect();
                let mut ours = words("MODEL.MGET 100");
                ours.extend(nths.iter().map(|nth| format!("doc:{nth}")));
                let theirs = nths.iter().map(|nth| words(&format!("HGETALL hash:{nth}")));
                (vec![ours], theirs.collect())
            },
        ),
        Row::of_several(
            ("`FIELDOP` of 4 statements", "`MULTI`, 4 commands, `EXEC`", 1.0),
            (PLAYERS / 4, 384),
            |random| {
                let nth = random.below(PLAYERS);
                let theme = ["dark", "light", "contrast"][random.below(3)];
                let ours = words(&format!(
                    "MODEL.FIELDOP doc:{nth} INCR $.score 1 INCR $.level 1 INCR $.balance 1 \
                     SET $.metadata.theme \"{theme}\""
                ));
                let incr = |field: &str| words(&format!("HINCRBY hash:{nth} {field} 1"));
                let set = words(&format!("HSET hash:{nth} metadata.theme {theme}"));
                let [multi, exec] = ["MULTI", "EXEC"].map(words);
                (vec![ours], vec![multi, incr("score"), incr("level"), incr("balance"), set, exec])
            },
        ),
        ends("`APPEND` and `POP 0`, arrays of 10", "few", (PLAYERS / 4, 512)),
        ends("`APPEND` and `POP 0`, arrays of 100,000", "many", (PLAYERS / 4, 512)),
        Row::new(
            ("`INCR` in an `Optional[List]` of 20,000", "in one of 20", 1.0),
            ONE_PLACE,
            |random| {
                let nth = random.below(CATALOGUES);
                let incr = |count: usize, item: usize| {
                    words(&format!("MODEL.FIELDOP optional-{count}:{nth} INCR $.items[{item}].n 1"))
                };
                (incr(20_000, 15_000), incr(20, 15))
            },
        ),
        with_natives("a change with `XADD`", &["XADD"], SMALL),
        with_natives("a change with `ZADD`", &["ZADD"], SMALL),
        with_natives("a change with `XADD` and `ZADD`", &["XADD", "ZADD"], SMALL),
        one_native(SMALL),
    ]
}

/// Lists of each length.
const LISTS: usize = 4;

/// An element put in behind all others, and the first one taken out.
fn ends(work: &'static str, list: &'static str, size: (usize, usize)) -> Row {
    Row::of_several((work, "`RPUSH` and `LPOP`", 1.5), size, move |random| {
        let (nth, number) = (random.below(LISTS), random.below(100_000));
        let ours =
            |operation: String| words(&format!("MODEL.FIELDOP array-{list}:{nth} {operation}"));
        (
            vec![ours(format!("APPEND $.items [{number}]")), ours("POP $.items 0".into())],
            vec![
                words(&format!("RPUSH list-{list}:{nth} {number}")),
                words(&format!("LPOP list-{list}:{nth}")),
            ],
        )
    })
}

fn load_lists(connection: &mut Connection) {
    for (list, count) in [("few", 10), ("many", 100_000)] {
        let numbers: Vec<String> = (0..count).map(|nth| nth.to_string()).collect();
        for nth in 0..LISTS {
            let (key, json) =
                (format!("array-{list}:{nth}"), format!("{{\"items\":[{}]}}", numbers.join(",")));
            connection.command(&["MODEL.SET", &key, "any", &json]);
            for part in numbers.chunks(1000) {
                let mut command = vec!["RPUSH".to_string(), format!("list-{list}:{nth}")];
                command.extend_from_slice(part);
                connection.run(&Requests::make(1, |_| command.clone()), 1);
            }
        }
    }
}

/// Arrays and lists say the same.
fn verify_lists(connection: &mut Connection) {
    for list in ["few", "many"] {
        for nth in 0..LISTS {
            let array = connection.text(&["MODEL.GET", &format!("array-{list}:{nth}"), "$.items"]);
            let items = array.trim_matches(['[', ']']).split(',');
            let key = format!("list-{list}:{nth}");
            let reply = connection.command(&["LRANGE", &key, "0", "-1"]);
            let reply = String::from_utf8_lossy(&reply);
            let listed = reply.split("\r\n").skip(2).step_by(2);
            assert!(
                items.eq(listed.filter(|item| !item.is_empty())),
                "{key} came back differently"
            );
        }
    }
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

/// A change of a hash, and what was changed as an entry of a stream.
const RECORDED_SCRIPT: (&str, &str) = (
    "redis.call('HSET', KEYS[1], 'level', ARGV[1]); return redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'op', 'update', 'key', KEYS[1], 'level', ARGV[1])",
    "23437c6de09a9a279e6f13fb3b19853281e87a55",
);

/// The documents whose changes are recorded, for each content.
const RECORDED: usize = 10_000;

/// A change of a document whose model has `CHANGES`, against a script that does the same with a hash.
fn recorded(work: &'static str, with: &'static str, size: (usize, usize)) -> Row {
    Row::new((work, "`EVALSHA` of `HSET` + `XADD`", 0.8), size, move |random| {
        let (nth, level) = (random.below(RECORDED), random.below(1000));
        (
            words(&format!("MODEL.FIELDOP {with}:{nth} SET $.level {level}")),
            words(&format!("EVALSHA {} 2 logged:{nth} log {level}", RECORDED_SCRIPT.1)),
        )
    })
}

/// A change of a hash with an entry of a stream, with a score of a sorted set, and with both.
const NATIVE_SCRIPTS: [(&[&str], (&str, &str)); 3] = [
    (
        &["XADD"],
        (
            "redis.call('HINCRBY', KEYS[1], 'level', 1); return redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'n', ARGV[1])",
            "5a827d926b5bfe8bc260a015ac34d9a79bb17b4d",
        ),
    ),
    (
        &["ZADD"],
        (
            "local n = redis.call('HINCRBY', KEYS[1], 'level', 1); return redis.call('ZADD', KEYS[2], n, ARGV[1])",
            "016c25034909c1ea08c83e06aff26a72308f7b35",
        ),
    ),
    (
        &["XADD", "ZADD"],
        (
            "local n = redis.call('HINCRBY', KEYS[1], 'level', 1); redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'n', ARGV[1]); return redis.call('ZADD', KEYS[3], n, ARGV[1])",
            "704961d98ea0626033e6d7835c57904ce8d342e7",
        ),
    ),
];

/// The key that a native is about, for documents or for hashes.
fn structure(native: &str, side: &str) -> String {
    format!("{side}-{}", native.to_lowercase())
}

/// A transaction on a document with natives, against a script that does the same with a hash.
fn with_natives(work: &'static str, natives: &'static [&'static str], size: (usize, usize)) -> Row {
    let known = NATIVE_SCRIPTS.iter().find(|(known, _)| *known == natives);
    let (_, sha) = known.expect("there is a script for it").1;
    Row::new((work, "`EVALSHA` of the same with a hash", 0.8), size, |random| {
        let nth = random.below(PLAYERS);
        let ours = changed_with(nth, natives);
        let mut theirs = vec!["EVALSHA".into(), sha.into(), (1 + natives.len()).to_string()];
        theirs.push(format!("hash:{nth}"));
        theirs.extend(natives.iter().map(|native| structure(native, "their")));
        theirs.push(nth.to_string());
        (ours, theirs)
    })
}

/// `MODEL.TXN` that changes a document and runs natives with computed operands.
fn changed_with(nth: usize, natives: &[&str]) -> Vec<String> {
    let key = format!("doc:{nth}");
    let mut out = words(&format!("MODEL.TXN {} {key}", 1 + natives.len()));
    out.extend(natives.iter().map(|native| structure(native, "our")));
    out.extend(words(&format!("ARGS {{\"n\":{nth}}} ON {key} INCR $.level 1")));
    for native in natives {
        out.extend(["AT".into(), structure(native, "our"), (*native).into()]);
        match *native {
            "XADD" => out.extend(["1000".into(), "={\"n\":args.n}".into()]),
            _ => out.extend([format!("=docs['{key}'].level"), "=args.n".into()]),
        }
    }
    out
}

/// One native, against the same change and the native's command as two requests: what a native adds to its command.
fn one_native(size: (usize, usize)) -> Row {
    Row::of_several(("a change with `SADD`", "the change, and `SADD`", 1.2), size, |random| {
        let nth = random.below(PLAYERS);
        let change = |head: &str| words(&format!("{head} ON doc:{nth} INCR $.level 1"));
        let mut ours = change(&format!("MODEL.TXN 2 doc:{nth} our-set"));
        let member = format!("member-{nth}");
        ours.extend(["AT", "our-set", "SADD"].map(str::to_owned));
        ours.push(format!("\"{member}\""));
        let add = vec!["SADD".into(), "their-set".into(), member];
        (vec![ours], vec![change(&format!("MODEL.TXN 1 doc:{nth}")), add])
    })
}

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

/// Transfers of each kind, for other measurements.
pub fn transfers(count: usize) -> (Side, Side) {
    let Row { ours, theirs, .. } = Row::new(("", "", 1.0), (count, 1), transfer);
    (ours, theirs)
}

/// The same member of many documents, against a script that does so to hashes.
fn many(work: &'static str, documents: usize, (count, window): (usize, usize)) -> Row {
    Row::new((work, "`EVALSHA` on as many hashes", 0.6), (count, window), |random| {
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
    let of_natives = NATIVE_SCRIPTS.map(|(_, script)| script);
    let scripts = [TRANSFER_SCRIPT, EACH_SCRIPT, RECORDED_SCRIPT];
    for (script, sha) in scripts.into_iter().chain(of_natives) {
        assert_eq!(connection.text(&["SCRIPT", "LOAD", script]), sha);
    }
    for action in [
        "transfer 2 from to ON from IF self.balance>=args.n INCR $.balance =-args.n ON to INCR $.balance =args.n",
        "score 1 doc ON doc INCR $.score 1",
    ] {
        let define = words(&format!("MODEL.ACTION {action}"));
        connection.command(&define.iter().map(String::as_str).collect::<Vec<_>>());
    }
    load_players(&mut connection, PLAYERS);
    load_validated_players(&mut connection, PLAYERS);
    load_hashes(&mut connection, PLAYERS);
    load_recorded(&mut connection);
    load_lists(&mut connection);
    load_optional_lists(&mut connection);
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

/// Documents of models with `CHANGES`, and hashes whose changes a script records.
fn load_recorded(connection: &mut Connection) {
    for with in ["keys", "patch"] {
        let define = ["MODEL.DEFINE", with, "{}", "CHANGES", "1000", "WITH", with];
        assert_eq!(connection.command(&define), *b":1\r\n");
        in_batches(connection, RECORDED, |nth| {
            vec!["MODEL.SET".into(), format!("{with}:{nth}"), with.into(), documents::player(nth)]
        });
    }
    in_batches(connection, RECORDED, |nth| {
        let head = ["HSET".to_string(), format!("logged:{nth}")];
        head.into_iter().chain(documents::player_fields(nth)).collect()
    });
}

/// Lists as Pydantic describes `Optional[List[Item]]`.
fn load_optional_lists(connection: &mut Connection) {
    let define = ["MODEL.DEFINE", "optional", documents::OPTIONAL_LIST_SCHEMA];
    assert_eq!(connection.command(&define), *b":1\r\n");
    for count in [20, 20_000] {
        let items: Vec<_> = (0..count).map(|n| format!(r#"{{"n":{n},"tags":["a"]}}"#)).collect();
        let json = format!(r#"{{"items":[{}]}}"#, items.join(","));
        connection.run(
            &Requests::make(CATALOGUES, |nth| {
                vec![
                    "MODEL.SET".into(),
                    format!("optional-{count}:{nth}"),
                    "optional".into(),
                    json.clone(),
                ]
            }),
            1,
        );
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

pub fn in_batches(
    connection: &mut Connection,
    count: usize,
    request: impl Fn(usize) -> Vec<String>,
) {
    const BATCH: usize = 20_000;
    for start in (0..count).step_by(BATCH) {
        let size = BATCH.min(count - start);
        connection.run(&Requests::make(size, |nth| request(start + nth)), 512);
    }
}

/// Both halves of the data say the same, before and after they were changed alike.
pub fn verify(connection: &mut Connection) {
    verify_lists(connection);
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
