//! Money is conserved: clients that crash between send and receive and ask again under their token,
//! servers that are killed, and a replica that is promoted in the middle.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{AOF_REWRITTEN, Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply, encode};
use crate::workload::{self, Rng};

const ACCOUNTS: usize = 6;
const CLIENTS: usize = 6;
const BALANCE: i64 = 300;
const TAG: &str = "m";
/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(60);

fn account(tag: &str, nth: usize) -> String {
    format!("acct:{{{tag}}}:{nth}")
}

pub fn define(server: &Server) {
    let schema = r#"{"properties":{"balance":{"type":"integer"}},"required":["balance"]}"#;
    server.must(&["MODEL.DEFINE", "acct", schema, "RULE", "covered", "self.balance >= 0"]);
}

/// Fills the accounts of a hash tag.
pub fn fill(conn: &mut Conn, tag: &str) {
    for nth in 0..ACCOUNTS {
        let json = format!(r#"{{"balance":{BALANCE},"log":[]}}"#);
        conn.must(&["MODEL.SET", &account(tag, nth), "acct", &json]);
    }
}

fn prepare(server: &Server) {
    define(server);
    fill(&mut server.conn(), TAG);
}

/// A client's knowledge of one transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// By the server on this port.
    Committed(u16),
    Refused,
    /// The reply was lost, and it was not asked again.
    Unknown,
}

type Book = Mutex<HashMap<String, Known>>;

/// The state that all clients of a test share.
struct Bank {
    port: AtomicU16,
    stop: AtomicBool,
    /// A part of the test panicked: what the others still do is of no use.
    failed: AtomicBool,
    book: Book,
    seed: u64,
}

impl Bank {
    fn new(server: &Server, seed: u64) -> Bank {
        let port = AtomicU16::new(server.port);
        let (stop, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Bank { port, stop, failed, book: Book::default(), seed }
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Transfers until it is told to stop; then everything that may be asked again is answered.
    fn client(&self, nth: usize) {
        let _alarm = Alarm(self);
        let mut rng = Rng::new(self.seed.wrapping_add(nth as u64));
        let mut conn = None;
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) || self.has_failed() {
                return;
            }
            let id = format!("{nth}:{number}");
            let with_token = !rng.one_in(4);
            let request = request(&mut rng, TAG, &id, with_token);
            let known = self.ask(&mut conn, &mut rng, &request, with_token);
            self.book.lock().unwrap().insert(id, known);
        }
    }

    /// Asks until there is an answer, or once where asking twice could pay twice.
    fn ask(
        &self,
        conn: &mut Option<(u16, Conn)>,
        rng: &mut Rng,
        request: &[u8],
        with_token: bool,
    ) -> Known {
        loop {
            // After a failure no server may be left to answer.
            if self.has_failed() {
                return Known::Unknown;
            }
            let port = self.port.load(Ordering::Relaxed);
            if conn.as_ref().is_none_or(|(known, _)| *known != port) {
                *conn = Conn::open(port).ok().map(|conn| (port, conn));
            }
            let Some((_, open)) = conn else {
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            // A client that crashes has sent all of it, or half.
            let crashes = rng.one_in(6);
            let sent =
                if crashes && rng.one_in(4) { &request[..request.len() / 2] } else { request };
            let answer = match open.try_send(sent) {
                Ok(()) if !crashes => open.try_recv(PATIENCE),
                Ok(()) => Ok(None),
                Err(error) => Err(error),
            };
            match answer {
                Ok(Some(Reply::Array(_))) => return Known::Committed(port),
                Ok(Some(reply)) if ["CONDITION", "RULE"].contains(&reply.error_word()) => {
                    return Known::Refused;
                }
                // Another server that starts in its place, or is a replica still.
                Ok(Some(reply)) if ["LOADING", "READONLY"].contains(&reply.error_word()) => {
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(Some(other)) => panic!("{other:?}"),
                Ok(None) | Err(_) => {
                    *conn = None;
                    if !with_token {
                        return Known::Unknown;
                    }
                }
            }
        }
    }
}

/// Tells the others when the part of the test that holds it panics, so that none waits for another and
/// what it said is not buried.
struct Alarm<'b>(&'b Bank);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// A transfer of any size between two accounts of a hash tag, which notes its id in both and sometimes leaves
/// a receipt.
pub fn request(rng: &mut Rng, tag: &str, id: &str, with_token: bool) -> Vec<u8> {
    let from = rng.below(ACCOUNTS);
    let to = (from + 1 + rng.below(ACCOUNTS - 1)) % ACCOUNTS;
    let (from, to, n) = (account(tag, from), account(tag, to), 1 + rng.below(80));
    let receipt = rng.one_in(3).then(|| format!("receipt:{{{tag}}}:{id}"));
    let token = format!("token:{{{tag}}}:{id}");
    let mut keys = vec![from.clone(), to.clone()];
    keys.extend(receipt.clone());
    keys.extend(with_token.then(|| token.clone()));
    let mut words = vec!["MODEL.TXN".to_owned(), keys.len().to_string()];
    words.extend(keys);
    if with_token {
        words.extend(["TOKEN".into(), token]);
    }
    words.extend(["ARGS".into(), format!(r#"{{"n":{n}}}"#)]);
    let entry = |sign: &str| format!(r#"[["{id}",{sign}{n}]]"#);
    let minus = format!("-{n}");
    // An account without enough money is refused by the condition, or by the model's rule in the end.
    let condition = rng.one_in(2).then_some(["IF", "self.balance >= args.n"]);
    for (key, amount, entry, condition) in
        [(from, minus, entry("-"), condition), (to, n.to_string(), entry(""), None)]
    {
        words.extend(["ON".into(), key]);
        words.extend(condition.into_iter().flatten().map(str::to_owned));
        words.extend(["INCR".into(), "$.balance".into(), amount]);
        words.extend(["APPEND".into(), "$.log".into(), entry]);
    }
    if let Some(receipt) = receipt {
        words.extend(["ON".into(), receipt, "CREATE".into(), "any".into(), "{}".into()]);
    }
    let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    encode(&bytes)
}

/// The entries of each transfer in the accounts of a hash tag, by its id. The money is all there, and each
/// transfer happened whole.
pub fn sides(conn: &mut Conn, tag: &str) -> HashMap<String, Vec<i64>> {
    let mut sides: HashMap<String, Vec<i64>> = HashMap::new();
    let mut total = 0;
    for nth in 0..ACCOUNTS {
        let document = conn.must(&["MODEL.GET", &account(tag, nth)]).json();
        let log = document["log"].as_array().expect("a log").clone();
        let mut balance = BALANCE;
        for entry in log {
            let (id, n) = (entry[0].as_str().expect("an id"), entry[1].as_i64().expect("n"));
            sides.entry(id.to_owned()).or_default().push(n);
            balance += n;
        }
        assert_eq!(document["balance"], balance, "the balance is what the log says");
        assert!(balance >= 0);
        total += balance;
    }
    assert_eq!(total, BALANCE * ACCOUNTS as i64, "no money came or went");
    for (id, sides) in &sides {
        assert!(sides.len() == 2 && sides[0] + sides[1] == 0, "{id}: {sides:?}");
    }
    sides
}

/// Each transfer happened whole or not at all, and as often as the clients were told. What was
/// acknowledged by another server than this may have been lost with it.
fn check_book(server: &Server, bank: &Bank) {
    let sides = sides(&mut server.conn(), TAG);
    let book = bank.book.lock().unwrap();
    for (id, known) in &*book {
        let happened = sides.contains_key(id);
        match known {
            Known::Committed(port) if *port == server.port => {
                assert!(happened, "{id} was acknowledged and did not happen");
            }
            Known::Committed(_) | Known::Unknown => {}
            Known::Refused => assert!(!happened, "{id} was refused and happened"),
        }
    }
    let conn = &mut server.conn();
    for key in conn.must(&["KEYS", "receipt:*"]).array() {
        let id = key.text().rsplit("}:").next().expect("an id");
        assert!(sides.contains_key(id), "a receipt for {id}, which did not happen");
    }
}

/// Runs the clients while `trouble` goes on.
fn run(bank: &Bank, trouble: impl FnOnce()) {
    thread::scope(|scope| {
        for nth in 0..CLIENTS {
            scope.spawn(move || bank.client(nth));
        }
        let _alarm = Alarm(bank);
        trouble();
        bank.stop.store(true, Ordering::Relaxed);
    });
}

/// Waits until so many transfers more were committed on the server.
fn wait_for_load(server: &Server, bank: &Bank, count: usize) {
    let committed = || {
        let book = bank.book.lock().unwrap();
        book.values().filter(|known| **known == Known::Committed(server.port)).count()
    };
    let before = committed();
    server.wait_until("there is a load", || {
        assert!(!bank.has_failed(), "a client failed: its own message says why");
        committed() >= before + count
    });
}

#[test]
fn money_is_conserved_when_clients_crash_and_servers_are_killed() {
    let seed = workload::seed("transfers");
    let config = [&AOF_REWRITTEN[..], &["aof-use-rdb-preamble no"]].concat();
    on_every_server_with(&config, |server| {
        prepare(server);
        let bank = Bank::new(server, seed);
        run(&bank, || {
            for _ in 0..3 {
                wait_for_load(server, &bank, 60);
                server.kill9();
                server.restart();
            }
            wait_for_load(server, &bank, 60);
        });
        check_book(server, &bank);
        server.rewrite_aof();
        server.kill9();
        server.restart();
        check_book(server, &bank);
    });
}

#[test]
fn money_is_conserved_when_a_replica_is_promoted() {
    let seed = workload::seed("transfers");
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        prepare(&master);
        replica.replica_of(&master);
        let bank = Bank::new(&master, seed);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| watch_sum(&replica, &bank, &done));
            run(&bank, || {
                wait_for_load(&master, &bank, 300);
                master.kill9();
                replica.must(&["REPLICAOF", "NO", "ONE"]);
                bank.port.store(replica.port, Ordering::Relaxed);
                wait_for_load(&replica, &bank, 150);
            });
            done.store(true, Ordering::Relaxed);
        });
        check_book(&replica, &bank);
    });
}

/// Whoever reads all accounts at one moment sees all the money, wherever.
fn watch_sum(server: &Server, bank: &Bank, done: &AtomicBool) {
    let _alarm = Alarm(bank);
    let conn = &mut server.conn();
    while !done.load(Ordering::Relaxed) && !bank.has_failed() {
        conn.send_raw(&look(TAG));
        check_sum(&conn.recv());
    }
}

/// Asks for all balances of a hash tag at one moment.
pub fn look(tag: &str) -> Vec<u8> {
    let mut words = vec!["MODEL.MGET".to_owned(), ACCOUNTS.to_string()];
    words.extend((0..ACCOUNTS).map(|nth| account(tag, nth)));
    words.push("$.balance".to_owned());
    let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    encode(&bytes)
}

pub fn check_sum(balances: &Reply) {
    let balance = |reply: &Reply| reply.text().parse::<i64>().expect("a balance");
    let sum: i64 = balances.array().iter().map(balance).sum();
    assert_eq!(sum, BALANCE * ACCOUNTS as i64);
}
