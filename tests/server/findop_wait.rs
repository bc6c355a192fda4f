//! `MODEL.FINDOP` with `WAIT` on every server: who is served, whatever makes a match, and requests that do not wait. The
//! ends of waiting are in `findop_ends`, many requests at once in `findop_many`.

use std::time::Duration;

use crate::findop::{define, keys, set};
use crate::harness::{Server, on_every_server};
use crate::locking::answer;
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};

pub const LONG: &str = "60000";

/// Takes a job of a state: it is `taken` afterwards.
pub fn take<'a>(condition: &'a str, wait: &'a str) -> Vec<&'a str> {
    let head = ["MODEL.FINDOP", "0", "job", "WHERE", condition, "WAIT", wait];
    [&head[..], &["DO", "SET", "$.state", "\"taken\""]].concat()
}

/// A client that waits.
pub fn wait(server: &Server, command: &[&str]) -> Conn {
    let mut conn = server.conn();
    wait_on(server, &mut conn, command);
    conn
}

pub fn wait_on(server: &Server, conn: &mut Conn, command: &[&str]) {
    let waiting: u64 = server.info("model_find_waiters").parse().unwrap();
    conn.send(command);
    until_waiting(server, waiting + 1);
}

#[track_caller]
pub fn until_waiting(server: &Server, count: u64) {
    let count = count.to_string();
    server.wait_until(&format!("{count} wait"), || server.info("model_find_waiters") == count);
}

#[track_caller]
pub fn check_idle(server: &Server) {
    until_waiting(server, 0);
    server.wait_until("no client is blocked", || server.info("blocked_clients") == "0");
}

#[track_caller]
pub fn check_still_waits(conn: &mut Conn) {
    assert_eq!(conn.recv_within(Duration::from_millis(150)), None);
}

/// The keys in the reply to a client that waited.
#[track_caller]
pub fn taken(conn: &mut Conn) -> Vec<String> {
    let reply = answer(conn);
    keys(&reply).into_iter().map(str::to_owned).collect()
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let open = take("self.state == 'open'", LONG);
        let big = take("self.state == 'open' && self.n > 10", LONG);
        let mut waiters: Vec<Conn> = [&open, &big, &open, &open].map(|it| wait(server, it)).into();
        set(conn, "a", "closed", 1);
        for waiter in &mut waiters {
            check_still_waits(waiter);
        }
        set(conn, "a", "open", 20);
        assert_eq!(taken(&mut waiters[0]), ["a"]);
        // The second one wants another.
        set(conn, "b", "open", 5);
        assert_eq!(taken(&mut waiters[2]), ["b"]);
        set(conn, "c", "open", 11);
        assert_eq!(taken(&mut waiters[1]), ["c"]);
        set(conn, "d", "open", 11);
        assert_eq!(taken(&mut waiters[3]), ["d"]);
        for key in ["a", "b", "c", "d"] {
            assert_eq!(conn.must(&["MODEL.GET", key, "$.state"]), Reply::bulk("\"taken\""));
        }
        check_idle(server);
        assert_eq!(server.info("model_find_claims"), "4");
        assert_eq!(server.info("model_find_wait_ms_count"), "4");
        // Whoever finds something does not wait.
        set(conn, "e", "open", 1);
        assert_eq!(keys(&conn.must(&open)), ["e"]);
    });
}

#[test]
fn the_first_of_the_line_takes_what_it_orders_and_others_one_document() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let ordered = |limit: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'open'"];
            let options = ["ORDER", "state_n", "LIMIT", limit, "WAIT", LONG];
            [&head[..], &options, &["DO", "DELETE"]].concat()
        };
        let mut first = wait(server, &ordered("2"));
        let mut second = wait(server, &ordered("9"));
        conn.must(&["MULTI"]);
        for (key, n) in [("d", 40), ("c", 30), ("b", 20), ("a", 10)] {
            set(conn, key, "open", n);
        }
        conn.must(&["EXEC"]);
        assert_eq!(taken(&mut first), ["a", "b"]);
        assert_eq!(taken(&mut second), ["c", "d"]);
        let mut first = wait(server, &take("self.state == 'other'", LONG));
        let mut second = wait(server, &ordered("9"));
        conn.must(&["MULTI"]);
        set(conn, "d", "open", 40);
        set(conn, "c", "open", 30);
        conn.must(&["EXEC"]);
        assert_eq!(taken(&mut second), ["c"]);
        set(conn, "x", "other", 1);
        assert_eq!(taken(&mut first), ["x"]);
        check_idle(server);
    });
}

#[test]
fn whatever_makes_a_match_wakes_the_request() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["MODEL.ACTION", "open", "1", "doc", "ON", "doc", "SET", "$.state", "\"open\""]);
        set(conn, "kept", "open", 7);
        let Reply::Bulk(payload) = conn.must(&["DUMP", "kept"]) else { panic!("a payload") };
        conn.must(&["MODEL.FIELDOP", "kept", "SET", "$.state", "\"kept\""]);
        set(conn, "closed", "closed", 1);
        let request = take("self.state == 'open'", LONG);
        let script = "return redis.call('MODEL.FIELDOP', 'closed', 'SET', '$.state', '\"open\"')";
        let open = ["SET", "$.state", "\"open\""];
        let change = |words: &[&'static str]| [words, &open[..]].concat();
        for command in [
            &["MODEL.SET", "new", "job", r#"{"state":"open","n":1}"#][..],
            &change(&["MODEL.FIELDOP", "closed"]),
            &change(&["MODEL.TXN", "1", "closed", "ON", "closed"]),
            &["MODEL.CALL", "open", "1", "closed"],
            &["EVAL", script, "1", "closed"],
            &change(&["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'closed'", "DO"]),
        ] {
            let mut waiter = wait(server, &request);
            conn.must(command);
            assert_eq!(taken(&mut waiter).len(), 1, "{command:?}");
            conn.must(&["MODEL.FIELDOP", "closed", "SET", "$.state", "\"closed\""]);
        }
        // In MULTI the document is there when all of it is over.
        let mut waiter = wait(server, &request);
        conn.must(&["MULTI"]);
        conn.must(&change(&["MODEL.FIELDOP", "closed"]));
        conn.must(&["MODEL.GET", "closed", "$.state"]);
        assert_eq!(conn.must(&["EXEC"]).array()[1], Reply::bulk("\"open\""));
        assert_eq!(taken(&mut waiter), ["closed"]);
        // Ways of the server's own commands.
        let mut waiter = wait(server, &request);
        assert_eq!(conn.call_bytes(&[b"RESTORE", b"restored", b"0", &payload]), Reply::ok());
        assert_eq!(taken(&mut waiter), ["restored"]);
        let mut by_key = wait(server, &take("self.state == 'taken' && key == 'copied'", LONG));
        conn.must(&["COPY", "restored", "copied"]);
        assert_eq!(taken(&mut by_key), ["copied"]);
        let mut by_key = wait(server, &take("self.state == 'taken' && key == 'renamed'", LONG));
        conn.must(&["RENAME", "copied", "renamed"]);
        assert_eq!(taken(&mut by_key), ["renamed"]);
        let other = &mut server.conn();
        other.must(&["SELECT", "1"]);
        let mut waiter = wait(server, &request);
        set(other, "moved", "open", 1);
        other.must(&["MOVE", "moved", "0"]);
        assert_eq!(taken(&mut waiter), ["moved"]);
        // A database changes its place under a request, which waits in the one of its number.
        let mut waiter = wait(server, &request);
        set(other, "swapped", "open", 1);
        check_still_waits(&mut waiter);
        conn.must(&["SWAPDB", "0", "1"]);
        assert_eq!(taken(&mut waiter), ["swapped"]);
        conn.must(&["SWAPDB", "0", "1"]);
        check_idle(server);
    });
}

/// A document that a request changed is offered to the others when the client was told.
#[test]
fn requests_hand_a_document_on_to_each_other() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let step = |from: &'static str, to: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", from, "WAIT", LONG];
            [&head[..], &["DO", "SET", "$.state", to]].concat()
        };
        let mut third = wait(server, &step("self.state == 'b'", "\"c\""));
        let mut second = wait(server, &step("self.state == 'a'", "\"b\""));
        let mut first = wait(server, &step("self.state == 'open'", "\"a\""));
        let queries = server.info("model_queries_by_index");
        set(conn, "j", "open", 1);
        assert_eq!(taken(&mut first), ["j"]);
        assert_eq!(taken(&mut second), ["j"]);
        assert_eq!(taken(&mut third), ["j"]);
        assert_eq!(conn.must(&["MODEL.GET", "j", "$.state"]), Reply::bulk("\"c\""));
        // They were planned when they came.
        assert_eq!(server.info("model_queries_by_index"), queries);
        check_idle(server);
    });
}

#[test]
fn flushes_reloads_and_definitions_under_a_request() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        let mut waiter = wait(server, &request);
        set(conn, "a", "closed", 1);
        conn.must(&["FLUSHALL"]);
        conn.must(&["DEBUG", "RELOAD"]);
        check_still_waits(&mut waiter);
        set(conn, "a", "open", 1);
        assert_eq!(taken(&mut waiter), ["a"]);
        // Other indexes on documents that are there are built meanwhile.
        let mut waiter = wait(server, &request);
        let schema = r#"{"properties":{"n":{"maximum":50}}}"#;
        conn.must(&["MODEL.DEFINE", "job", schema, "INDEX", "state", "1", "$.state"]);
        set(conn, "b", "open", 1);
        assert_eq!(taken(&mut waiter), ["b"]);
        let (mut one, mut other) = (wait(server, &request), wait(server, &request));
        conn.must(&["MODEL.DEFINE", "job", schema]);
        assert_eq!(answer(&mut one).error_word(), "NOINDEX");
        assert_eq!(answer(&mut other).error_word(), "NOINDEX");
        conn.must(&["FLUSHALL"]);
        conn.must(&["MODEL.DEFINE", "job", schema, "INDEX", "state", "1", "$.state"]);
        // Some servers free in the background what they flushed.
        let ready = take("self.state == 'open'", "0");
        server.wait_until("the index is built", || !server.call(&ready).is_error());
        let mut waiter = wait(server, &request);
        conn.must(&["MODEL.UNDEFINE", "job"]);
        assert_eq!(answer(&mut waiter).error_word(), "NOMODEL");
        check_idle(server);
    });
}

#[test]
fn time_makes_a_match() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "due", "1", "$.due"]);
        let request = |wait: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.due <= string(now)", "ORDER"];
            let tail = ["due", "WAIT", wait, "DO", "EVAL", "$.due", "string(now + duration('1h'))"];
            [&head[..], &tail].concat()
        };
        for key in ["a", "b"] {
            conn.must(&["MODEL.SET", key, "job", "{}"]);
        }
        let mut waiters = [(); 3].map(|()| wait(server, &request(LONG)));
        for key in ["a", "b"] {
            conn.must(&["MODEL.FIELDOP", key, "EVAL", "$.due", "string(now + duration('300ms'))"]);
        }
        assert_eq!(taken(&mut waiters[0]).len(), 1);
        assert_eq!(taken(&mut waiters[1]).len(), 1);
        check_still_waits(&mut waiters[2]);
        conn.must(&["MODEL.FIELDOP", "b", "EVAL", "$.due", "string(now)"]);
        assert_eq!(taken(&mut waiters[2]), ["b"]);
        // A late request does not overtake one whose moment has come.
        assert_eq!(conn.must(&request("1")), Reply::Array(vec![]));
        check_idle(server);
    });
}

#[test]
fn transactions_and_scripts_never_wait() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        conn.must(&["MULTI"]);
        conn.must(&request);
        assert_eq!(conn.must(&["EXEC"]).array(), [Reply::Array(vec![])]);
        let call = "return redis.call(unpack(ARGV))";
        let found = conn.must(&[&["EVAL", call, "0"], &request[..]].concat());
        assert_eq!(found, Reply::Array(vec![]));
        // A request in a script takes what it finds: it stands in no line.
        let mut waiter = wait(server, &request);
        let script = "redis.call('MODEL.SET', KEYS[1], 'job', '{\"state\":\"open\",\"n\":1}')
            return redis.call(unpack(ARGV))";
        let found = conn.must(&[&["EVAL", script, "1", "a"], &request[..]].concat());
        assert_eq!(keys(&found), ["a"]);
        check_still_waits(&mut waiter);
        set(conn, "b", "open", 1);
        assert_eq!(taken(&mut waiter), ["b"]);
        check_idle(server);
    });
}

#[test]
fn a_refusal_is_the_reply_and_the_next_request_is_served() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let head =
            ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'open'", "WAIT", LONG, "DO"];
        let request = |statements: &[&'static str]| [&head[..], statements].concat();
        let mut first = wait(server, &request(&["INCR", "$.n", "100"]));
        let mut second = wait(server, &request(&["IF", "self.n > 5", "DELETE"]));
        let mut third = wait(server, &request(&["DELETE"]));
        set(conn, "a", "open", 1);
        assert_eq!(answer(&mut first).error_word(), "SCHEMA");
        assert_eq!(answer(&mut second).error_word(), "CONDITION");
        assert_eq!(taken(&mut third), ["a"]);
        check_idle(server);
    });
}

#[test]
fn the_stream_of_changes_has_what_a_served_request_did() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        let index = ["INDEX", "state", "1", "$.state", "CHANGES", "100"];
        conn.must(&[&["MODEL.DEFINE", "job", "{}"], &index[..]].concat());
        let mut waiter = wait(master, &take("self.state == 'open'", LONG));
        set(conn, "a", "open", 1);
        assert_eq!(taken(&mut waiter), ["a"]);
        assert_eq!(conn.must(&["XLEN", "job!changes"]).int(), 2);
        check_equal(master, replica);
        check_idle(master);
    });
}
