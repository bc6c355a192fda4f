//! Definitions that change the indexes of documents that exist: some indexes stay, one goes, one is new. And `UNIQUE` on
//! documents that were there before it.

use std::collections::BTreeMap;

use redis_model::testing::coverage::{Missing, until_covered};

use crate::finding::{digest, documents};
use crate::harness::Server;
use crate::replication::on_every_pair;
use crate::resp::{Conn, Reply};

/// Documents enough that a build takes many slices of time.
const DOCUMENTS: usize = 5000;
/// How often the index is built at most until a build is met under way.
const BUILDS_MAX: u64 = 20;

const BEFORE: &str =
    "INDEX by_n 1 $.n INDEX by_old 1 $.old INDEX mail 1 $.mail UNIQUE INDEX by_tag 1 $.tags[*]";
/// Others have other numbers than before; `by_status` is new, `by_old` is gone.
const AFTER: &str = "INDEX by_tag 1 $.tags[*] INDEX by_status 1 $.status INDEX mail 1 $.mail UNIQUE INDEX by_n 1 $.n";

fn words(words: &str) -> Vec<&str> {
    words.split(' ').collect()
}

fn define(conn: &mut Conn, indexes: &str) {
    conn.must(&[&["MODEL.DEFINE", "m", "{}"][..], &words(indexes)].concat());
}

fn fill(conn: &mut Conn) {
    let json = |nth: usize| {
        let (n, tag, status) = (nth % 100, nth % 7, nth % 5);
        format!(
            r#"{{"n":{n},"old":{n},"mail":"m{nth}","tags":[{tag},"t"],"status":"s{status}","x":0}}"#
        )
    };
    let set =
        |nth: usize| ["MODEL.SET", &format!("d{nth}"), "m", &json(nth)].map(str::to_owned).to_vec();
    let commands: Vec<Vec<String>> = (0..DOCUMENTS).map(set).collect();
    commands.chunks(1000).for_each(|chunk| drop(conn.pipeline(chunk)));
}

fn count(conn: &mut Conn, condition: &str) -> Reply {
    conn.call(&["MODEL.COUNT", "m", "WHERE", condition])
}

/// The state of each index, by its name.
fn states(conn: &mut Conn) -> BTreeMap<String, String> {
    states_in(&conn.must(&["MODEL.DESCRIBE", "m"]))
}

fn states_in(described: &Reply) -> BTreeMap<String, String> {
    let state = |index: &Reply| {
        let index = index.array();
        (index[0].text().to_owned(), index[4].text().to_owned())
    };
    described.field("indexes").array().iter().map(state).collect()
}

fn is_ready(conn: &mut Conn) -> bool {
    states(conn).values().all(|state| state == "READY")
}

/// Queries of the kept indexes give what a scan of the documents gives.
#[track_caller]
fn check_kept(conn: &mut Conn, all: &BTreeMap<String, serde_json::Value>) {
    let holding = |holds: &dyn Fn(&serde_json::Value) -> bool| {
        Reply::Int(all.values().filter(|json| holds(json)).count() as i64)
    };
    assert_eq!(count(conn, "self.n < 3"), holding(&|json| json["n"].as_i64() < Some(3)));
    let has = |json: &serde_json::Value| {
        json["tags"].as_array().is_some_and(|tags| tags.contains(&4.into()))
    };
    assert_eq!(count(conn, "4 in self.tags"), holding(&has));
    assert_eq!(count(conn, "self.mail == 'm70'"), holding(&|json| json["mail"] == "m70"));
    assert_eq!(conn.must(&["MODEL.COUNT", "m"]), Reply::Int(all.len() as i64));
}

/// `UNIQUE` holds for documents that were there, and for those of one transaction.
#[track_caller]
fn check_unique(conn: &mut Conn) {
    let refused = conn.call(&["MODEL.SET", "other", "m", r#"{"mail":"m70"}"#]);
    assert_eq!(refused.error_word(), "UNIQUE");
    let refused = conn.call(&["MODEL.FIELDOP", "d71", "SET", "$.mail", r#""m70""#]);
    assert_eq!(refused.error_word(), "UNIQUE");
    let mail = |conn: &mut Conn, key: &str| conn.must(&["MODEL.GET", key, "$.mail"]).json();
    let [one, other] = ["d72", "d73"].map(|key| mail(conn, key).to_string());
    let exchange = ["ON", "d72", "SET", "$.mail", &other, "ON", "d73", "SET", "$.mail", &one];
    conn.must(&[&["MODEL.TXN", "2", "d72", "d73"][..], &exchange].concat());
    assert_eq!(mail(conn, "d72").to_string(), other);
}

/// Writes and reads while the new index is built, in rounds from this one on. Returns how often it was refused.
fn churn(master: &Server, first: usize) -> usize {
    let (conn, mut refused) = (&mut master.conn(), 0);
    for round in first.. {
        let n = (1000 + round).to_string();
        let [moved, fresh] = [format!("d{}", round % 1000), format!("e{round}")];
        conn.must(&["MODEL.FIELDOP", &moved, "SET", "$.n", &n]);
        conn.must(&["MODEL.SET", &fresh, "m", &format!(r#"{{"n":{n},"mail":"{fresh}"}}"#)]);
        assert_eq!(count(conn, &format!("self.n == {n}")), Reply::Int(2));
        if round < DOCUMENTS / 2 {
            conn.must(&["DEL", &format!("d{}", DOCUMENTS - 1 - round)]);
        }
        conn.must(&["RENAME", &fresh, &format!("f{round}")]);
        assert_eq!(count(conn, &format!("self.mail == '{fresh}'")), Reply::Int(1));
        check_unique(conn);
        match count(conn, "self.status == 's1'") {
            Reply::Int(_) => break,
            error => assert_eq!(error.error_word(), "INDEXING"),
        }
        refused += 1;
    }
    refused
}

#[test]
fn a_redefinition_keeps_what_it_shares_and_builds_the_rest() {
    for config in ["appendonly yes", "save 3600 100000"] {
        on_every_pair(&[config, "appendfsync always"], |master, replica| {
            let conn = &mut master.conn();
            define(conn, BEFORE);
            fill(conn);
            // All in one step of the server, before it builds.
            conn.must(&["MULTI"]);
            define(conn, AFTER);
            conn.must(&["MODEL.COUNT", "m", "WHERE", "self.status == 's1'"]);
            conn.must(&["MODEL.CHECK", "m"]);
            conn.must(&["MODEL.DESCRIBE", "m"]);
            let replies = conn.must(&["EXEC"]);
            let [_, counted, checked, described] = replies.array() else { panic!("{replies:?}") };
            assert_eq!(counted.error_word(), "INDEXING");
            assert_eq!(checked.error_word(), "INDEXING");
            let described = states_in(described);
            let ready = described.iter().filter(|(_, state)| *state == "READY");
            let ready: Vec<&str> = ready.map(|(name, _)| name.as_str()).collect();
            assert_eq!(ready, ["by_n", "by_tag", "mail"]);
            assert_eq!(described["by_status"], "BUILDING");

            let mut rounds = 0;
            until_covered(BUILDS_MAX, |again| {
                if again > 0 {
                    define(conn, BEFORE);
                    master.wait_until("its indexes are built", || is_ready(conn));
                    define(conn, AFTER);
                }
                let refused = churn(master, rounds);
                rounds += refused + 1;
                Missing::of(&[("a query of an index that is being built", refused)])
            });
            // A replica builds at its own pace, and serves the kept indexes meanwhile.
            replica.wait_for_sync(master);
            let all = documents(conn);
            check_kept(conn, &all);
            check_kept(&mut replica.conn(), &all);
            replica.wait_until("its indexes are built", || is_ready(&mut replica.conn()));

            let check = |server: &Server| {
                let conn = &mut server.conn();
                check_kept(conn, &all);
                let open = all.values().filter(|json| json["status"] == "s1").count();
                assert_eq!(count(conn, "self.status == 's1'"), Reply::Int(open as i64));
                assert_eq!(count(conn, "self.old == 1").error_word(), "NOINDEX");
                digest(conn)
            };
            let built = check(master);
            assert_eq!(check(replica), built);

            // After a restart everything is there before the server answers.
            master.restart();
            assert!(is_ready(&mut master.conn()));
            assert_eq!(check(master), built);
            check_unique(&mut master.conn());
            replica.wait_until("it follows again", || replica.info("master_link_status") == "up");
            replica.wait_for_sync(master);
            assert_eq!(digest(&mut replica.conn()), digest(&mut master.conn()));

            // Also where the server ends in the middle of a build.
            if config == "appendonly yes" {
                let conn = &mut master.conn();
                conn.must(&["MULTI"]);
                define(conn, BEFORE);
                conn.must(&["MODEL.COUNT", "m", "WHERE", "self.old == 1"]);
                assert_eq!(conn.must(&["EXEC"]).array()[1].error_word(), "INDEXING");
                master.kill9();
                master.restart();
                let conn = &mut master.conn();
                assert!(is_ready(conn));
                let all = documents(conn);
                check_kept(conn, &all);
                assert!(matches!(count(conn, "self.old == 1"), Reply::Int(1..)));
                digest(conn);
            }
        });
    }
}

/// The duplicates that MODEL.CHECK counts, and those that it names.
fn duplicates(conn: &mut Conn) -> (i64, Vec<String>) {
    let (mut cursor, mut count, mut named) = ("0".to_owned(), 0, Vec::new());
    loop {
        let reply = conn.must(&["MODEL.CHECK", "m", "CURSOR", &cursor]);
        count += reply.field("duplicates").int();
        let found = reply.field("found").array().iter().map(Reply::array);
        let found = found.filter(|found| found[0].text() == "duplicate");
        named.extend(found.map(|found| found[1].text().to_owned()));
        cursor = reply.field("cursor").text().to_owned();
        if cursor == "0" {
            let described = conn.must(&["MODEL.DESCRIBE", "m"]);
            let mut indexes = described.field("indexes").array().iter().map(Reply::array);
            let mail = indexes.find(|index| index[0].text() == "mail").expect("it is declared");
            assert_eq!(mail[5].int(), count);
            return (count, named);
        }
    }
}

#[test]
fn duplicates_of_a_new_index_are_counted_and_validated_at_their_next_write() {
    on_every_pair(&["appendonly yes"], |master, replica| {
        let conn = &mut master.conn();
        define(conn, "INDEX by_n 1 $.n");
        fill(conn);
        // Two that were there, before anything says that they must not.
        conn.must(&["MODEL.FIELDOP", "d2", "SET", "$.mail", r#""m1""#]);
        // While nothing is indexed yet, a write cannot see the document that has its value.
        conn.must(&["MULTI"]);
        define(conn, "INDEX by_n 1 $.n INDEX mail 1 $.mail UNIQUE");
        conn.must(&["MODEL.SET", "w", "m", r#"{"mail":"m7"}"#]);
        // It sees those that were written since.
        conn.call(&["MODEL.SET", "w2", "m", r#"{"mail":"m7"}"#]);
        let replies = conn.must(&["EXEC"]);
        assert_eq!(replies.array()[2].error_word(), "UNIQUE");
        assert_eq!(conn.must(&["EXISTS", "w2"]), Reply::Int(0));
        replica.wait_for_sync(master);
        for server in [master, replica] {
            server.wait_until("the index is built", || {
                states(&mut server.conn()).get("mail").is_some_and(|state| state == "READY")
            });
        }
        replica.wait_for_sync(master);
        let expected = (2, vec!["d2".to_owned(), "w".to_owned()]);
        assert_eq!(duplicates(conn), expected);
        assert_eq!(duplicates(&mut replica.conn()), expected);
        // They stay so over a restart.
        master.restart();
        let conn = &mut master.conn();
        assert_eq!(duplicates(conn), expected);

        // Whatever the next write of a document that was there changes, it is validated whole.
        for key in ["d1", "d2", "d7"] {
            let refused = conn.call(&["MODEL.FIELDOP", key, "SET", "$.x", "1"]);
            assert_eq!(refused.error_word(), "UNIQUE", "{key}");
        }
        assert_eq!(conn.call(&["MODEL.SET", "w", "m", r#"{"mail":"m7"}"#]).error_word(), "UNIQUE");
        // A write that gives one of them another value mends it.
        conn.must(&["MODEL.FIELDOP", "d2", "SET", "$.mail", r#""m2""#, "SET", "$.x", "1"]);
        conn.must(&["MODEL.FIELDOP", "d1", "SET", "$.x", "1"]);
        conn.must(&["DEL", "w"]);
        conn.must(&["MODEL.FIELDOP", "d7", "SET", "$.x", "1"]);
        assert_eq!(duplicates(conn), (0, Vec::new()));
        replica.wait_until("it follows again", || replica.info("master_link_status") == "up");
        replica.wait_for_sync(master);
        assert_eq!(digest(&mut replica.conn()), digest(conn));
    });
}
