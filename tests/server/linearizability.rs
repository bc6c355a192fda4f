//! Histories of clients that read and write the same accounts at once, that are cut off between send and
//! receive, and whose server is killed: each can be explained by one order of its operations.

mod accounts;
mod checker;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use self::accounts::{ACCOUNTS, Accounts, Ask, Op, Revision, State, Told};
use self::checker::{Event, explain};
use crate::harness::{Server, on_every_server, on_every_server_with};
use crate::resp::{Conn, Reply, encode};
use crate::workload::{self, Rng};

const CLIENTS: usize = 4;
const OPS: usize = 12;
const BALANCE: i64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened in all histories together: a test that saw none of it would say nothing.
#[derive(Default, Debug)]
struct Coverage {
    overlaps: usize,
    conditions: usize,
    revisions: usize,
    lost: usize,
    lost_and_happened: usize,
    written_under_revision: usize,
}

impl Coverage {
    fn add(&mut self, history: &[Event<Op>], order: &[usize]) {
        for (nth, event) in history.iter().enumerate() {
            let overlap = |other: &Event<Op>| {
                other.client != event.client
                    && other.sent > event.sent
                    && event.replied.is_some_and(|replied| other.sent < replied)
            };
            self.overlaps += history.iter().filter(|other| overlap(other)).count();
            match (&event.op.told, &event.op.ask) {
                (Told::Condition(_), _) => self.conditions += 1,
                (Told::Revision(_), _) => self.revisions += 1,
                (Told::Lost, Ask::ReadAll | Ask::GetAll) => {}
                (Told::Lost, _) => {
                    self.lost += 1;
                    self.lost_and_happened += usize::from(order.contains(&nth));
                }
                (_, Ask::AddIfRevision { .. }) => self.written_under_revision += 1,
                _ => {}
            }
        }
    }

    fn check(&self) {
        let least = self.overlaps.min(self.conditions).min(self.revisions).min(self.lost);
        assert!(least > 20, "{self:?}");
        assert!(self.lost_and_happened > 5 && self.written_under_revision > 5, "{self:?}");
    }
}

/// One history on accounts of its own.
struct Segment {
    keys: Vec<String>,
    start: State,
    clock: AtomicU64,
    history: Mutex<Vec<Event<Op>>>,
    /// How a transfer is made.
    torn: bool,
}

impl Segment {
    fn new(conn: &mut Conn, number: usize) -> Segment {
        let keys: Vec<String> = (0..ACCOUNTS).map(|nth| format!("{{{number}}}:{nth}")).collect();
        let account = |key: &String| {
            let set = ["MODEL.SET", key, "any", &format!(r#"{{"n":{BALANCE}}}"#)];
            (BALANCE, Revision::Is(conn.must(&set).int()))
        };
        let start: Vec<_> = keys.iter().map(account).collect();
        let start = start.try_into().expect("one for each account");
        Segment { keys, start, clock: AtomicU64::new(0), history: Mutex::default(), torn: false }
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// One client. `lose`: how often it is cut off, one in so many.
    fn client(&self, client: usize, server: &Server, mut rng: Rng, lose: usize) {
        let mut conn = None;
        let mut revision = self.start[0].1;
        for _ in 0..OPS {
            let ask = ask(&mut rng, revision);
            let sent = self.now();
            let cut_off = rng.one_in(lose);
            let reply = self.ask(&mut conn, server, &ask, cut_off);
            let told = reply.map_or(Told::Lost, |reply| accounts::told(&ask, &reply));
            if let Told::All(_, revisions) = &told
                && let Some(seen) = revisions.first()
            {
                revision = Revision::Is(*seen);
            }
            let replied = (!matches!(told, Told::Lost)).then(|| self.now());
            let event = Event { client, sent, replied, op: Op { ask, told } };
            self.history.lock().unwrap().push(event);
        }
    }

    /// None where the reply is lost.
    fn ask(
        &self,
        conn: &mut Option<Conn>,
        server: &Server,
        ask: &Ask,
        cut_off: bool,
    ) -> Option<Reply> {
        if self.torn
            && let Ask::Transfer { from, to, n } = *ask
        {
            return self.ask_torn(conn, server, from, to, n);
        }
        let words = accounts::command(ask, &self.keys);
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        loop {
            let open = connect(conn, server);
            let reply = match open.try_send(&encode(&bytes)) {
                Ok(()) if !cut_off => open.try_recv(PATIENCE).ok().flatten(),
                _ => None,
            };
            match reply {
                // A server that loads its data did not look at the command.
                Some(reply) if reply.is_error() && reply.error_word() == "LOADING" => {
                    thread::sleep(Duration::from_millis(2));
                }
                Some(reply) => return Some(reply),
                None => {
                    *conn = None;
                    return None;
                }
            }
        }
    }

    /// A transfer as two commands, told as if it were one.
    fn ask_torn(
        &self,
        conn: &mut Option<Conn>,
        server: &Server,
        from: usize,
        to: usize,
        n: i64,
    ) -> Option<Reply> {
        let mut replies = Vec::new();
        for ask in [Ask::TakeIf { from, n, least: n }, Ask::Add { to, n }] {
            let words = accounts::command(&ask, &self.keys);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let reply = connect(conn, server).call(&words);
            if reply.is_error() {
                return Some(reply);
            }
            replies.push(reply);
            thread::yield_now();
        }
        Some(Reply::Array(replies))
    }

    /// Whatever was cut off is over; then all accounts are read once more.
    fn finish(mut self, server: &Server, conn: &mut Conn) -> (State, Vec<Event<Op>>) {
        server.wait_until("those cut off are gone", || {
            let clients = conn.must(&["INFO", "clients"]);
            clients.text().contains("connected_clients:1\r")
        });
        let sent = self.now();
        let words = accounts::command(&Ask::ReadAll, &self.keys);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = accounts::told(&Ask::ReadAll, &conn.must(&words));
        let op = Op { ask: Ask::ReadAll, told };
        let replied = Some(self.now());
        let mut history = std::mem::take(self.history.get_mut().unwrap());
        history.push(Event { client: CLIENTS, sent, replied, op });
        history.sort_by_key(|event| event.sent);
        (self.start, history)
    }
}

/// The server may have been killed: it comes back.
fn connect<'c>(conn: &'c mut Option<Conn>, server: &Server) -> &'c mut Conn {
    conn.get_or_insert_with(|| {
        loop {
            match Conn::open(server.port) {
                Ok(conn) => return conn,
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    })
}

fn ask(rng: &mut Rng, revision: Revision) -> Ask {
    let from = rng.below(ACCOUNTS);
    let to = (from + 1 + rng.below(ACCOUNTS - 1)) % ACCOUNTS;
    let n = 1 + rng.below(15) as i64;
    let Revision::Is(revision) = revision else { unreachable!("a client was told it") };
    match rng.below(8) {
        0 => Ask::GetAll,
        1 | 2 => Ask::ReadAll,
        3 => Ask::Add { to, n },
        4 => Ask::TakeIf { from, n, least: 5 + n },
        5 => Ask::AddIfRevision { to: 0, n, revision },
        _ => Ask::Transfer { from, to, n },
    }
}

fn show(start: &State, history: &[Event<Op>]) -> String {
    let mut lines = vec![format!("{start:?}")];
    lines.extend(history.iter().map(|event| {
        let replied = event.replied.map_or("lost".to_owned(), |replied| replied.to_string());
        format!("client {} {:>4}..{replied:<4} {:?}", event.client, event.sent, event.op)
    }));
    lines.join("\n")
}

/// Runs one history; `trouble` goes on meanwhile.
fn run(
    server: &Server,
    segment: Segment,
    (seed, number): (u64, usize),
    lose: usize,
    trouble: impl FnOnce(),
) -> (State, Vec<Event<Op>>) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let segment = &segment;
            let rng = Rng::new(seed ^ (number * CLIENTS + client) as u64);
            scope.spawn(move || segment.client(client, server, rng, lose));
        }
        trouble();
    });
    let mut conn = server.conn();
    segment.finish(server, &mut conn)
}

fn check(start: &State, history: &[Event<Op>], coverage: &mut Coverage) {
    match explain::<Accounts>(start, history) {
        Some(order) => coverage.add(history, &order),
        None => panic!("no order explains this history:\n{}", show(start, history)),
    }
}

#[test]
fn histories_can_be_explained() {
    let seed = workload::seed("linearizability");
    on_every_server(|server| {
        let mut coverage = Coverage::default();
        for number in 0..150 {
            let segment = Segment::new(&mut server.conn(), number);
            let (start, history) = run(server, segment, (seed, number), 12, || {});
            check(&start, &history, &mut coverage);
        }
        coverage.check();
    });
}

#[test]
fn histories_over_a_killed_server_can_be_explained() {
    let seed = workload::seed("linearizability");
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let mut coverage = Coverage::default();
        for number in 0..6 {
            let segment = Segment::new(&mut server.conn(), number);
            let (start, history) = run(server, segment, (seed, number), 20, || {
                thread::sleep(Duration::from_millis(1));
                server.kill9();
                server.restart();
            });
            check(&start, &history, &mut coverage);
        }
        assert!(coverage.lost > 5, "{coverage:?}");
    });
}

#[test]
fn a_transfer_in_two_steps_is_found_out() {
    let seed = workload::seed("linearizability");
    on_every_server(|server| {
        let refused = (0..60).any(|number| {
            let mut segment = Segment::new(&mut server.conn(), number);
            segment.torn = true;
            let (start, history) = run(server, segment, (seed, number), usize::MAX, || {});
            explain::<Accounts>(&start, &history).is_none()
        });
        assert!(refused, "nobody saw the money on its way");
    });
}

/// A history of operations with their moments, on three accounts of 20 with the revisions 1, 2 and 3.
fn is_explained(events: &[(u64, Option<u64>, Ask, Told)]) -> bool {
    let start = [1, 2, 3].map(|revision| (BALANCE, Revision::Is(revision)));
    let event = |(sent, replied, ask, told): &(u64, Option<u64>, Ask, Told)| Event {
        client: *sent as usize,
        sent: *sent,
        replied: *replied,
        op: Op { ask: *ask, told: told.clone() },
    };
    let history: Vec<_> = events.iter().map(event).collect();
    explain::<Accounts>(&start, &history).is_some()
}

#[test]
fn the_checker_tells_right_from_wrong() {
    let all = |a, b| Told::All(vec![a, b, 20], vec![]);
    let move_5 = Ask::Transfer { from: 0, to: 1, n: 5 };
    let moved = Told::Written(vec![(15, 10), (25, 11)]);
    let add = Ask::Add { to: 0, n: 1 };
    let added = |balance, revision| Told::Written(vec![(balance, revision)]);
    // Who reads while money moves sees either.
    for seen in [all(20, 20), all(15, 25)] {
        let read = (1, Some(2), Ask::GetAll, seen);
        assert!(is_explained(&[(0, Some(3), move_5, moved.clone()), read]));
    }
    let read_after = |seen| (4, Some(5), Ask::GetAll, seen);
    let before = (0, Some(3), move_5, moved.clone());
    assert!(is_explained(&[before.clone(), read_after(all(15, 25))]));
    assert!(!is_explained(&[before.clone(), read_after(all(20, 20))]), "a stale read");
    assert!(!is_explained(&[before.clone(), read_after(all(15, 20))]), "a torn transaction");
    assert!(!is_explained(&[before, read_after(all(10, 30))]), "a transfer that happened twice");
    // A lost reply says nothing; what was read since does.
    let lost = (0, None, move_5, Told::Lost);
    for seen in [all(20, 20), all(15, 25)] {
        assert!(is_explained(&[lost.clone(), read_after(seen)]));
    }
    let there_and_back = [(1, Some(2)), (3, Some(4))].map(|(sent, replied)| (sent, replied));
    let [first, second] = there_and_back;
    assert!(!is_explained(&[
        lost,
        (first.0, first.1, Ask::GetAll, all(15, 25)),
        (second.0, second.1, Ask::GetAll, all(20, 20)),
    ]));
    // Two writers, one of whose changes is gone.
    let writers = |second: Told| [(0, Some(2), add, added(21, 10)), (1, Some(3), add, second)];
    assert!(is_explained(&writers(added(22, 11))));
    assert!(!is_explained(&writers(added(21, 11))), "a lost update");
    assert!(!is_explained(&writers(added(22, 10))), "a revision that came twice");
    // A write under a revision that another one has ended.
    let under = |told| (4, Some(5), Ask::AddIfRevision { to: 0, n: 1, revision: 1 }, told);
    let write = (0, Some(3), add, added(21, 10));
    assert!(is_explained(&[write.clone(), under(Told::Revision(10))]));
    assert!(!is_explained(&[write.clone(), under(added(22, 11))]));
    assert!(!is_explained(&[write, under(Told::Revision(1))]));
    // A condition is refused where it is false, and only there.
    let take = |told| [(0, Some(1), Ask::TakeIf { from: 0, n: 1, least: 21 }, told)];
    assert!(is_explained(&take(Told::Condition(20))));
    assert!(!is_explained(&take(Told::Condition(19))));
    assert!(!is_explained(&take(added(19, 10))));
}
