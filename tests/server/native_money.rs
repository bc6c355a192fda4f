//! Money that stands partly in documents and partly in sorted sets, hashes, strings and streams is conserved: clients that
//! crash and ask again under their token, servers that are killed, and a replica that is promoted in the middle.
//!
//! Each kind of purse holds an amount; a transaction moves money between two purses of any kind, notes it in a list,
//! and adds an entry to a stream, which is the book: the amounts are what the book says, and all money is there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{AOF_REWRITTEN, Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

const CLIENTS: usize = 5;
const EACH: i64 = 500;
const PATIENCE: Duration = Duration::from_secs(60);

/// The key of a purse, and the kind that holds its money.
const PURSES: [(&str, Kind); 8] = [
    ("{m}doc:1", Kind::Document),
    ("{m}doc:2", Kind::Document),
    ("{m}hash", Kind::Hash("a")),
    ("{m}hash", Kind::Hash("b")),
    ("{m}board", Kind::SortedSet("a")),
    ("{m}board", Kind::SortedSet("b")),
    ("{m}text:1", Kind::Text),
    ("{m}text:2", Kind::Text),
];
const KEYS: [&str; 8] = [
    "{m}doc:1",
    "{m}doc:2",
    "{m}hash",
    "{m}board",
    "{m}text:1",
    "{m}text:2",
    "{m}book",
    "{m}notes",
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Document,
    Hash(&'static str),
    SortedSet(&'static str),
    Text,
}

/// The block that adds to a purse; one that takes is refused where the purse has too little.
fn change(nth: usize, amount: &str, covered: bool) -> Vec<String> {
    let (key, kind) = PURSES[nth];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let quoted = |name: &str| format!("\"{name}\"");
    match kind {
        Kind::Document if covered => {
            words(&["ON", key, "IF", "self.n >= args.n", "INCR", "$.n", amount])
        }
        Kind::Document => words(&["ON", key, "INCR", "$.n", amount]),
        Kind::Hash(field) => words(&["AT", key, "HINCRBY", &quoted(field), amount]),
        Kind::SortedSet(member) => words(&["AT", key, "ZINCRBY", amount, &quoted(member)]),
        Kind::Text => words(&["AT", key, "INCRBY", amount]),
    }
}

/// An expression for what a structure holds.
fn held(nth: usize) -> Option<String> {
    let (key, kind) = PURSES[nth];
    match kind {
        Kind::Document => None,
        Kind::Hash(field) => Some(format!("int(native['{key}'].field('{field}'))")),
        Kind::SortedSet(member) => Some(format!("native['{key}'].score('{member}')")),
        Kind::Text => Some(format!("int(native['{key}'].text())")),
    }
}

fn prepare(server: &Server) {
    let conn = &mut server.conn();
    conn.must(&["MODEL.DEFINE", "purse", "{}", "RULE", "covered", "self.n >= 0"]);
    let mut command = vec!["MODEL.TXN".to_owned(), KEYS.len().to_string()];
    command.extend(KEYS.map(str::to_owned));
    for (nth, (key, kind)) in PURSES.iter().enumerate() {
        if *kind == Kind::Document {
            conn.must(&["MODEL.SET", key, "purse", &format!("{{\"n\":{EACH}}}")]);
        } else {
            command.extend(change(nth, &EACH.to_string(), false));
        }
    }
    conn.must(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

/// One transfer.
fn transfer(rng: &mut Rng, id: &str) -> Vec<String> {
    let from = rng.below(PURSES.len());
    let to = (from + 1 + rng.below(PURSES.len() - 1)) % PURSES.len();
    let n = 1 + rng.below(120);
    let token = format!("{{m}}token:{id}");
    let mut command = vec!["MODEL.TXN".to_owned(), (KEYS.len() + 1).to_string()];
    command.extend(KEYS.map(str::to_owned));
    command.extend([token.clone(), "TOKEN".into(), token]);
    command.extend(["ARGS".into(), format!(r#"{{"n":{n},"id":"{id}"}}"#)]);
    // A structure that has too little is found by an expression on any document.
    if let Some(held) = held(from) {
        command.extend(["ON".into(), "{m}doc:1".into(), "IF".into(), format!("{held} >= args.n")]);
    }
    // Literal or computed, before or behind the other side.
    let computed = rng.one_in(2);
    let amount = |sign: &str| match computed {
        true => format!("={sign}args.n"),
        false => format!("{sign}{n}"),
    };
    let mut sides = [change(from, &amount("-"), true), change(to, &amount(""), false)];
    if rng.one_in(2) {
        sides.reverse();
    }
    command.extend(sides.concat());
    let entry = format!(r#"={{"id": args.id, "from": {from}, "to": {to}, "n": args.n}}"#);
    command.extend(["AT".into(), "{m}book".into(), "XADD".into(), "1000000".into(), entry]);
    command.extend(["AT".into(), "{m}notes".into(), "RPUSH".into(), "=args.id".into()]);
    command
}

/// The state that all clients of a test share.
struct Bank {
    port: AtomicU16,
    stop: AtomicBool,
    failed: AtomicBool,
    /// Transfers that were acknowledged, with the server, and those that were refused.
    committed: Mutex<BTreeMap<String, u16>>,
    refused: Mutex<Vec<String>>,
    seed: u64,
}

/// Tells the others when a client panics.
struct Alarm<'b>(&'b Bank);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Bank {
    fn new(server: &Server, seed: u64) -> Bank {
        Bank {
            port: AtomicU16::new(server.port),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            committed: Mutex::default(),
            refused: Mutex::default(),
            seed,
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    fn client(&self, nth: usize) {
        let _alarm = Alarm(self);
        let mut rng = Rng::new(self.seed.wrapping_add(nth as u64));
        let mut conn: Option<(u16, Conn)> = None;
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let id = format!("{nth}:{number}");
            let request = transfer(&mut rng, &id);
            let request: Vec<&[u8]> = request.iter().map(|word| word.as_bytes()).collect();
            let request = crate::resp::encode(&request);
            loop {
                let answered = self.ask(&mut conn, &mut rng, &id, &request);
                if answered || self.failed.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }

    /// Sends the request once. Returns true if it was answered for good.
    fn ask(&self, conn: &mut Option<(u16, Conn)>, rng: &mut Rng, id: &str, request: &[u8]) -> bool {
        let port = self.port.load(Ordering::Relaxed);
        if conn.as_ref().is_none_or(|(known, _)| *known != port) {
            *conn = Conn::open(port).ok().map(|conn| (port, conn));
        }
        let Some((_, open)) = conn else {
            thread::sleep(Duration::from_millis(2));
            return false;
        };
        // A client that crashes reads no reply, and asks again.
        let crashes = rng.one_in(6);
        let answer = match open.try_send(request) {
            Ok(()) if !crashes => open.try_recv(PATIENCE),
            Ok(()) => Ok(None),
            Err(error) => Err(error),
        };
        match answer {
            Ok(Some(Reply::Array(replies))) => {
                let inner = replies.iter().flat_map(Reply::array);
                assert!(!inner.clone().any(Reply::is_error), "{replies:?}");
                self.committed.lock().unwrap().insert(id.to_owned(), port);
                true
            }
            Ok(Some(reply)) if ["CONDITION", "RULE"].contains(&reply.error_word()) => {
                self.refused.lock().unwrap().push(id.to_owned());
                true
            }
            Ok(Some(reply)) if ["LOADING", "READONLY"].contains(&reply.error_word()) => {
                thread::sleep(Duration::from_millis(2));
                false
            }
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => {
                *conn = None;
                false
            }
        }
    }

    /// Runs the clients while `trouble` goes on.
    fn run(&self, trouble: impl FnOnce()) {
        thread::scope(|scope| {
            for nth in 0..CLIENTS {
                scope.spawn(move || self.client(nth));
            }
            let _alarm = Alarm(self);
            trouble();
            self.stop.store(true, Ordering::Relaxed);
        });
    }

    /// Waits until so many transfers more were committed on the server, and one more was refused.
    fn wait_for_load(&self, server: &Server, count: usize) {
        let now = || {
            let committed = self.committed.lock().unwrap();
            let here = committed.values().filter(|port| **port == server.port).count();
            (here, self.refused.lock().unwrap().len())
        };
        let before = now();
        server.wait_until("there is a load", || {
            assert!(!self.failed.load(Ordering::Relaxed), "a client failed");
            let now = now();
            now.0 >= before.0 + count && now.1 > before.1
        });
    }
}

/// The amount in each purse.
fn amounts(conn: &mut Conn) -> Vec<i64> {
    let amount = |(key, kind): &(&str, Kind)| {
        let reply = match kind {
            Kind::Document => conn.must(&["MODEL.GET", key, "$.n"]),
            Kind::Hash(field) => conn.must(&["HGET", key, field]),
            Kind::SortedSet(member) => conn.must(&["ZSCORE", key, member]),
            Kind::Text => conn.must(&["GET", key]),
        };
        reply.text().parse().expect("an amount")
    };
    PURSES.iter().map(amount).collect()
}

/// All money is there, each amount is what the book says, and the book has what was acknowledged by this server, once,
/// and nothing that was refused.
#[track_caller]
fn check(server: &Server, bank: &Bank) {
    let conn = &mut server.conn();
    let found = amounts(conn);
    assert_eq!(found.iter().sum::<i64>(), EACH * PURSES.len() as i64, "{found:?}");
    assert!(found.iter().all(|n| *n >= 0), "{found:?}");
    let mut expected = vec![EACH; PURSES.len()];
    let mut ids = Vec::new();
    for entry in conn.must(&["XRANGE", "{m}book", "-", "+"]).array() {
        let fields = entry.array()[1].array();
        let number = |nth: usize| fields[nth].text().parse::<i64>().expect("a number");
        ids.push(fields[1].text().to_owned());
        expected[number(3) as usize] -= number(7);
        expected[number(5) as usize] += number(7);
    }
    assert_eq!(found, expected, "the amounts are what the book says");
    let notes: Vec<_> = conn.must(&["LRANGE", "{m}notes", "0", "-1"]).array().to_vec();
    assert_eq!(
        notes,
        ids.iter().map(Reply::bulk).collect::<Vec<_>>(),
        "one note for each entry, in order"
    );
    let mut once = ids.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "no transfer happened twice");
    let committed = bank.committed.lock().unwrap();
    let here = committed.iter().filter(|(_, port)| **port == server.port);
    let missing: Vec<_> = here.filter(|(id, _)| once.binary_search(id).is_err()).collect();
    assert!(missing.is_empty(), "acknowledged, and did not happen: {missing:?}");
    let refused = bank.refused.lock().unwrap();
    assert!(!refused.iter().any(|id| once.binary_search(id).is_ok()), "a refused one happened");
    assert_eq!(server.info("model_natives_refused"), "0");
}

#[test]
fn money_in_documents_and_structures_is_conserved_when_servers_are_killed() {
    let seed = workload::seed("native_money");
    let config = [&AOF_REWRITTEN[..], &["aof-use-rdb-preamble no"]].concat();
    on_every_server_with(&config, |server| {
        prepare(server);
        let bank = Bank::new(server, seed);
        bank.run(|| {
            for _ in 0..3 {
                bank.wait_for_load(server, 60);
                server.kill9();
                server.restart();
            }
            bank.wait_for_load(server, 60);
        });
        check(server, &bank);
        server.kill9();
        server.restart();
        check(server, &bank);
    });
}

#[test]
fn money_in_documents_and_structures_is_conserved_when_a_replica_is_promoted() {
    let seed = workload::seed("native_money");
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        prepare(&master);
        replica.replica_of(&master);
        let bank = Bank::new(&master, seed);
        bank.run(|| {
            bank.wait_for_load(&master, 300);
            // At any moment a replica has each transaction whole.
            for _ in 0..20 {
                let conn = &mut replica.conn();
                conn.must(&["MULTI"]);
                let reads: [&[&str]; 5] = [
                    &["MODEL.MGET", "2", "{m}doc:1", "{m}doc:2", "$.n"],
                    &["HVALS", "{m}hash"],
                    &["ZSCORE", "{m}board", "a"],
                    &["ZSCORE", "{m}board", "b"],
                    &["MGET", "{m}text:1", "{m}text:2"],
                ];
                reads.iter().for_each(|command| drop(conn.must(command)));
                let replies = conn.must(&["EXEC"]);
                let all = replies.array().iter().flat_map(|reply| match reply {
                    Reply::Array(items) => items.clone(),
                    one => vec![one.clone()],
                });
                let sum: i64 =
                    all.map(|reply| reply.text().parse::<i64>().expect("an amount")).sum();
                assert_eq!(sum, EACH * PURSES.len() as i64, "{replies:?}");
            }
            master.kill9();
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            bank.port.store(replica.port, Ordering::Relaxed);
            bank.wait_for_load(&replica, 150);
        });
        check(&replica, &bank);
    });
}
