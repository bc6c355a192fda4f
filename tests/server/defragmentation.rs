//! Active defragmentation moves the memory of documents while they change. It runs on a server with the bundled
//! allocator of official builds.

use crate::finding;
use crate::harness::{Flavor, Server};
use crate::replication::{check_equal, run_workload};
use crate::resp::Conn;
use crate::workload::{self, Rng};

/// Whatever can be moved is moved, nearly all the time; a large document takes many steps.
const EAGER: [&str; 8] = [
    "activedefrag yes",
    "active-defrag-ignore-bytes 1",
    "active-defrag-threshold-lower 1",
    "active-defrag-threshold-upper 2",
    "active-defrag-cycle-min 60",
    "active-defrag-cycle-max 80",
    "active-defrag-max-scan-fields 1",
    "hz 100",
];
/// How many blocks are to be moved, at least.
const MOVES: u64 = 10_000;
const DOCUMENTS: usize = 400;
/// How many small documents come and go besides, most of them, so that there is much to move.
const SMALL: usize = 3000;

fn moves(server: &Server) -> u64 {
    server.info("active_defrag_hits").parse().expect("a number")
}

/// A document of the kind that this number stands for, with text of a random length.
fn document(rng: &mut Rng, kind: usize) -> String {
    let text = |rng: &mut Rng, most: usize| "text ".repeat(1 + rng.below(most));
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let members = |items: Vec<String>| format!("{{{}}}", items.join(","));
    match kind % 8 {
        // Packed, in one block.
        0 => finding::json(rng),
        1 => list((0..20).map(|n| n.to_string()).collect()),
        // Trees: arrays of numbers, of texts and of arrays; objects with few and with many members.
        2 => list((0..600 + rng.below(300)).map(|n| (n * 7).to_string()).collect()),
        3 => list((0..40).map(|_| format!("\"{}\"", text(rng, 30))).collect()),
        4 => list((0..60).map(|_| list(vec![text(rng, 9).len().to_string(); 30])).collect()),
        5 => members((0..300).map(|n| format!(r#""a member named {n}":{n}"#)).collect()),
        6 => {
            let inner = |rng: &mut Rng| format!(r#"{{"id":1,"t":"{}","l":["x"]}}"#, text(rng, 40));
            members((0..80).map(|n| format!(r#""m{n}":{}"#, inner(rng))).collect())
        }
        // One long string.
        _ => format!("\"{}\"", text(rng, 4000)),
    }
}

/// Stores a document of a kind; those of the first have a model with indexes.
fn set(conn: &mut Conn, rng: &mut Rng, key: &str, kind: usize) {
    let model = if kind.is_multiple_of(8) { "m" } else { "any" };
    conn.must(&["MODEL.SET", key, model, &document(rng, kind)]);
}

/// Many small documents, of which one in four stays.
fn make_holes(conn: &mut Conn, rng: &mut Rng) {
    let key = |nth: usize| format!("small:{nth}");
    for nth in 0..SMALL {
        set(conn, rng, &key(nth), nth % 2);
    }
    for nth in (0..SMALL).filter(|_| !rng.one_in(4)) {
        conn.must(&["DEL", &key(nth)]);
    }
}

/// Replaces, deletes and edits documents, and leaves holes of every size.
fn churn(conn: &mut Conn, rng: &mut Rng) {
    for _ in 0..DOCUMENTS {
        let nth = rng.below(DOCUMENTS);
        let key = &format!("doc:{nth}");
        match rng.below(6) {
            0 => drop(conn.must(&["DEL", key])),
            1..4 => {
                set(conn, rng, key, nth);
                if rng.one_in(2) {
                    let owner = "owner ".repeat(1 + rng.below(20));
                    conn.must(&["MODEL.LOCK", key, "a lock", &owner, "LEASE", "40000000"]);
                }
            }
            4 => {
                let token = &format!("token:{}", rng.below(DOCUMENTS));
                let reply = &format!("\"{}\"", "reply ".repeat(rng.below(200)));
                conn.must(&["DEL", token]);
                let change = ["ON", "told", "SET", "$", reply, "GET", "$"];
                let command = ["MODEL.TXN", "2", "told", token, "TOKEN", token];
                conn.must(&[&command[..], &change].concat());
            }
            // Refused where the document is of another kind.
            _ => {
                conn.call(&[
                    "MODEL.FIELDOP",
                    key,
                    "APPEND",
                    "$",
                    "12345",
                    "DELRANGE",
                    "$",
                    "3",
                    "9",
                ]);
                conn.call(&["MODEL.FIELDOP", key, "SET", "$.m7.t", "\"other\"", "DEL", "$.m8"]);
            }
        }
    }
}

#[test]
fn documents_of_every_kind_stay_as_they_are_when_their_memory_moves() {
    let seed = workload::seed("defragmentation");
    let master = Server::start(Flavor::Redis82, &EAGER);
    let replica = Server::start(Flavor::Redis82, &[]);
    replica.replica_of(&master);
    let (conn, rng) = (&mut master.conn(), &mut Rng::new(seed));
    conn.must(&["MODEL.SET", "told", "any", "null"]);
    conn.must(&finding::DEFINE);
    (0..DOCUMENTS).for_each(|nth| {
        set(conn, rng, &format!("doc:{nth}"), nth);
    });
    master.wait_until("memory has moved", || {
        make_holes(conn, rng);
        churn(conn, rng);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        moves(&master) > MOVES
    });
    // Trees of indexes still say what the documents say, and the same on both.
    let by_status = ["MODEL.COUNT", "m", "WHERE", "self.status == 's1'"];
    assert!(conn.must(&by_status).int() > 0);
    assert_eq!(replica.must(&by_status), conn.must(&by_status));
    assert_eq!(finding::digest(&mut replica.conn()), finding::digest(conn));
    // Any other command, on what was moved and is being moved.
    run_workload(&master, rng, 300);
    check_equal(&master, &replica);
    assert_eq!(moves(&replica), 0);
    // A document that was moved is written and read like any other.
    master.must(&["DEBUG", "RELOAD"]);
    check_equal(&master, &replica);
    master.must(&["FLUSHALL"]);
    for counter in ["model_documents", "model_tokens"] {
        master.wait_until("everything is freed", || master.info(counter) == "0");
    }
}
