//! Access rules and locks: locking a document requires the permission to write it, and a client that loses the
//! permission while it waits is answered and holds nothing.

use crate::acl::{check, user};
use crate::harness::on_every_server;
use crate::locking::{LONG, PATIENCE, answer, check_idle, fence, lock, make, owners, wait};
use crate::resp::Reply;

#[test]
fn locking_requires_the_permission_to_write() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        ["in:1", "in:2", "out:1"].iter().for_each(|key| make(admin, key));
        lock(admin, "out:1", "holder");
        let locks = ["MODEL.LOCKS", "in:1"];
        let writes: [&[&str]; 7] = [
            &["MODEL.LOCK", "in:1", "n", "o", "WAIT", "1", "GET"],
            &["MODEL.MLOCK", "2", "in:1", "in:2", "n", "o"],
            &["MODEL.RENEW", "in:1", "n", "o", "1"],
            &["MODEL.UNLOCK", "in:1", "n", "o", "1"],
            &["MODEL.UNLOCK", "in:1", "n", "FORCE"],
            &["MODEL.FIELDOP", "in:1", "HOLDING", "n", "o", "1", "RELEASE", "n", "o", "1"],
            &["MODEL.LOCK", "in:new", "n", "o", "INIT", "any", "{}"],
        ];
        let of_others: [&[&str]; 10] = [
            &["MODEL.LOCK", "out:new", "n", "o", "INIT", "any", "{}"],
            &["MODEL.LOCK", "out:1", "n", "o"],
            &["MODEL.LOCK", "out:1", "n", "o", "WAIT", LONG],
            &["MODEL.MLOCK", "1", "out:1", "n", "o", "WAIT", LONG],
            &["MODEL.MLOCK", "2", "in:1", "out:1", "n", "o", "WAIT", LONG],
            &["MODEL.MLOCK", "2", "out:1", "in:1", "n", "o"],
            &["MODEL.RENEW", "out:1", "n", "holder", "1"],
            &["MODEL.UNLOCK", "out:1", "n", "holder", "1"],
            &["MODEL.UNLOCK", "out:1", "n", "FORCE"],
            &["MODEL.LOCKS", "out:1"],
        ];
        for (rules, reads, may_write) in
            [("~in:*", true, true), ("%R~in:*", true, false), ("%W~in:*", false, false)]
        {
            let mut conn = user(server, &["+@all", rules]);
            check(&mut conn, &[], &of_others);
            check(&mut conn, if may_write { &writes } else { &[] }, &[]);
            check(&mut conn, &[], if may_write { &[] } else { &writes });
            let locks = [&locks[..]];
            check(&mut conn, if reads { &locks } else { &[] }, if reads { &[] } else { &locks });
        }
        let mut conn = user(server, &["+model.lock", "+model.locks", "allkeys"]);
        check(&mut conn, &[writes[0], &locks], &[writes[1], writes[2], writes[4]]);
        let script = "return redis.pcall('MODEL.LOCK', 'out:1', 'other', 'o')";
        assert!(user(server, &["+@all", "~in:*"]).call(&["EVAL", script, "0"]).is_error());
        assert_eq!(owners(admin, "out:1"), ["holder"]);
        assert_eq!(admin.must(&["EXISTS", "out:new"]), Reply::Int(0));
        assert_eq!(admin.must(&["MODEL.META", "out:1"]).field("locks"), &Reply::Int(1));
    });
}

/// As for `BLPOP`: the server checks permissions when a request comes, and the module before it is granted. A user
/// that is `off` may not log in any more, but its connections go on.
#[test]
fn a_waiting_request_whose_permission_was_withdrawn_is_refused_at_its_grant() {
    let one: &[&str] = &["MODEL.LOCK", "k", "n", "w", "LEASE", LONG, "WAIT", LONG];
    let many: &[&str] = &["MODEL.MLOCK", "2", "k2", "k", "n", "w", "LEASE", LONG, "WAIT", LONG];
    let init: &[&str] =
        &["MODEL.LOCK", "k", "n", "w", "INIT", "any", "{}", "LEASE", LONG, "WAIT", LONG];
    let cases: [(&[&str], &[&str], bool); 14] = [
        (init, &["resetkeys", "%R~*"], false),
        (init, &["-model.lock"], false),
        (init, &["-model.set"], true),
        (one, &["resetkeys"], false),
        (one, &["resetkeys", "%R~*"], false),
        (one, &["resetkeys", "%W~*"], false),
        (one, &["nocommands"], false),
        (one, &["-model.lock"], false),
        (one, &["resetkeys", "~k"], true),
        (one, &["off"], true),
        (many, &["-model.mlock"], false),
        (many, &["resetkeys", "~k"], false),
        (many, &["resetkeys", "~k2"], false),
        (many, &["-model.lock"], true),
    ];
    on_every_server(|server| {
        let admin = &mut server.conn();
        ["k", "k2"].iter().for_each(|key| make(admin, key));
        for (request, rules, granted) in cases {
            let held = lock(admin, "k", "holder");
            let mut waiter = user(server, &["+@all", "allkeys"]);
            waiter.send(request);
            server.wait_until("it waits", || server.info("model_lock_waiters") == "1");
            let mut next = wait(server, "k", "next");
            admin.must(&[&["ACL", "SETUSER", "someone"], rules].concat());
            admin.must(&["MODEL.UNLOCK", "k", "n", "holder", &held]);
            let told = answer(&mut waiter);
            if granted {
                assert!(!told.is_error(), "{request:?} {rules:?}: {told:?}");
                admin.must(&["MODEL.UNLOCK", "k", "n", "FORCE"]);
                admin.must(&["MODEL.UNLOCK", "k2", "n", "FORCE"]);
            } else {
                assert_eq!(told.error_word(), "NOPERM", "{request:?} {rules:?}");
            }
            let granted = fence(&answer(&mut next));
            admin.must(&["MODEL.UNLOCK", "k", "n", "next", &granted]);
            check_idle(server);
        }
    });
}

/// The server closes the connections of a deleted user.
#[test]
fn a_user_that_is_deleted_waits_no_longer_and_holds_nothing() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        ["k", "k2"].iter().for_each(|key| make(admin, key));
        let held = lock(admin, "k", "holder");
        let mut holder = user(server, &["+@all", "allkeys"]);
        holder.must(&["MODEL.LOCK", "k2", "n", "deleted", "EPHEMERAL", "LEASE", LONG]);
        let mut waiters = [(); 3].map(|()| server.conn());
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            waiter.must(&["AUTH", "someone", ""]);
            let owner = nth.to_string();
            waiter.send(&["MODEL.MLOCK", "1", "k", "n", &owner, "LEASE", LONG, "WAIT", LONG]);
        }
        server.wait_until("they wait", || server.info("model_lock_waiters") == "3");
        let mut others = ["k", "k2"].map(|key| wait(server, key, "other"));
        admin.must(&["ACL", "DELUSER", "someone"]);
        for waiter in &mut waiters {
            assert!(waiter.try_recv(PATIENCE).is_err(), "it is hung up on");
        }
        let second = fence(&answer(&mut others[1]));
        server.wait_until("one waits", || server.info("model_lock_waiters") == "1");
        admin.must(&["MODEL.UNLOCK", "k", "n", "holder", &held]);
        let first = fence(&answer(&mut others[0]));
        admin.must(&["MODEL.UNLOCK", "k", "n", "other", &first]);
        admin.must(&["MODEL.UNLOCK", "k2", "n", "other", &second]);
        check_idle(server);
    });
}
