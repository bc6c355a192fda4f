//! Users that may use some databases only, which Valkey has from 9.1 on: natives and requests that wait ask for a
//! permission in their own database.

use crate::harness::{Flavor, Server, on_every_flavor};
use crate::resp::{Conn, Reply};

/// Runs `body` with an administrator, and with a user that may do everything in the databases 0 and 3.
fn with_databases(body: impl Fn(&Server, &mut Conn, Conn) + Sync) {
    on_every_flavor(|flavor| {
        if flavor != Flavor::Valkey91 {
            return;
        }
        let server = Server::start(flavor, &[]);
        let mut admin = server.conn();
        let rules = ["on", "nopass", "~*", "&*", "+@all", "resetdbs", "db=0,3"];
        admin.must(&[&["ACL", "SETUSER", "u"][..], &rules].concat());
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        body(&server, &mut admin, user);
    });
}

const TRANSACTION: [&str; 14] =
    ["MODEL.TXN", "3", "doc", "s", "c", "ON", "doc", "INIT", "any", "{}", "AT", "s", "SADD", "1"];

#[test]
fn natives_run_in_the_databases_of_their_user() {
    with_databases(|server, admin, mut user| {
        for database in ["0", "3"] {
            user.must(&["SELECT", database]);
            let reply = user.must(&[&TRANSACTION[..], &["AT", "c", "PUBLISH", "1"]].concat());
            assert_eq!(reply.array()[1].array(), [Reply::Int(1)], "{database}: {reply:?}");
        }
        let script = "redis.call('SELECT', ARGV[1]) return redis.call(unpack(ARGV, 2))";
        let mut in_script = |database: &'static str| {
            user.call(&[&["EVAL", script, "0", database][..], &TRANSACTION].concat())
        };
        assert!(!in_script("3").is_error());
        assert!(in_script("4").is_error());
        // Other rules are asked for, too.
        admin.must(&["ACL", "SETUSER", "u", "-sadd"]);
        let digest = server.debug_digest();
        assert_eq!(in_script("3").error_word(), "NOPERM");
        assert_eq!(user.call(&TRANSACTION).error_word(), "NOPERM");
        assert_eq!(server.debug_digest(), digest);
    });
}

#[test]
fn requests_that_wait_are_served_in_the_databases_of_their_user() {
    with_databases(|server, admin, mut user| {
        let index = ["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n"];
        admin.must(&index);
        admin.must(&["SELECT", "3"]);
        user.must(&["SELECT", "3"]);
        let find = ["MODEL.FINDOP", "1", "s", "m", "WHERE", "self.n == 1", "WAIT", "60000", "DO"];
        user.send(&[&find[..], &["SET", "$.n", "2", "AT", "s", "SADD", "1"]].concat());
        server.wait_until("the request waits", || server.info("blocked_clients") == "1");
        admin.must(&["MODEL.SET", "doc", "m", r#"{"n":1}"#]);
        let reply = user.recv();
        assert_eq!(reply.array()[0].array()[0], Reply::bulk("doc"), "{reply:?}");
        let found = user.must(&["MODEL.FIND", "m", "WHERE", "self.n == 2", "GET", "$.n"]);
        assert_eq!(found.array()[1].array().len(), 1, "{found:?}");

        let grant = admin.must(&["MODEL.LOCK", "doc", "name", "admin"]);
        let fence = grant.array()[0].int().to_string();
        user.send(&["MODEL.LOCK", "doc", "name", "user", "WAIT", "60000"]);
        server.wait_until("the request waits", || server.info("blocked_clients") == "1");
        admin.must(&["MODEL.UNLOCK", "doc", "name", "admin", &fence]);
        let reply = user.recv();
        assert!(!reply.is_error(), "{reply:?}");
    });
}
