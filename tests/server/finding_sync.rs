//! Indexes of replicas over full syncs of every kind: a replica has the trees of its master, and until it has, those of the
//! documents that it still serves.

use crate::finding::{DEFINE, change, check, check_all, digest, digests, fill, find, json};
use crate::finding_load::{AS_READ, BY_VISIT};
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::resp::Conn;
use crate::workload::Rng;

const WAYS: [&[&str]; 5] = [
    &["repl-diskless-sync no", "repl-diskless-load disabled"],
    &["repl-diskless-sync yes", "repl-diskless-load disabled"],
    &["repl-diskless-sync yes", "repl-diskless-load swapdb"],
    &["repl-diskless-sync yes", "repl-diskless-load on-empty-db"],
    // By two connections at once.
    &["repl-diskless-sync yes", "dual-channel-replication-enabled yes"],
];

#[test]
fn a_replica_has_the_trees_of_its_master_however_a_full_sync_is_done() {
    for config in WAYS {
        on_every_flavor(|flavor| {
            if config[1].starts_with("dual") && !flavor.is_valkey() {
                return;
            }
            let (master, replica) = (Server::start(flavor, config), Server::start(flavor, config));
            let rng = &mut Rng::new(21);
            fill(&master, rng);
            fill(&replica, rng);
            let conn = &mut master.conn();
            // A table that the new data has nothing of, and one that the old has nothing of.
            conn.must(&["SELECT", "1"]);
            conn.must(&["FLUSHDB"]);
            let in_another = |conn: &mut Conn| {
                conn.must(&["SELECT", "2"]);
                let (found, digest) = (find(conn, &[]), digest(conn));
                conn.must(&["SELECT", "0"]);
                (found, digest)
            };
            conn.must(&["SELECT", "2"]);
            conn.must(&["MODEL.SET", "in2", "m", r#"{"n":1}"#]);
            conn.must(&["SELECT", "0"]);
            replica.replica_of(&master);
            (0..30).for_each(|_| change(conn, rng));
            check_all(conn);
            replica.wait_for_sync(&master);
            assert_eq!(digests(&replica), digests(&master));
            check_all(&mut replica.conn());
            assert_eq!(in_another(&mut replica.conn()), in_another(conn));
            let log = replica.log();
            let count = |text: &str| log.matches(text).count();
            let loads = count("REPLICA sync: Finished with success");
            // This server does not tell the databases of documents that it loads beside others.
            let visits = flavor == Flavor::Redis70 && config[1].ends_with("swapdb");
            let [once, never] = match visits {
                true => [BY_VISIT, AS_READ],
                false => [AS_READ, BY_VISIT],
            };
            assert!(loads > 0 && count(once) == loads, "{log}");
            assert_eq!(count(never), 0, "{log}");
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            let conn = &mut replica.conn();
            (0..30).for_each(|_| change(conn, rng));
            check_all(conn);
        });
    }
}

/// Documents that are more than what connections hold on the way.
const COUNT: usize = 150;
const BYTES: usize = 100_000;

fn write(master: &Server, rng: &mut Rng, keys: impl Iterator<Item = usize>) {
    let conn = &mut master.conn();
    for nth in keys {
        let mut json = json(rng);
        json.insert_str(1, &format!("\"text\":\"{}\",", "t".repeat(BYTES)));
        conn.must(&["MODEL.SET", &format!("k{nth}"), "m", &json]);
    }
}

/// Lets the replica miss what is written, so that it needs a full sync of the data that it knows, and waits until it loads
/// this beside the old.
fn load_beside(master: &Server, replica: &Server, rng: &mut Rng) {
    replica.must(&["CONFIG", "SET", "key-load-delay", "30000"]);
    replica.pause();
    master.must(&["CLIENT", "KILL", "TYPE", "replica"]);
    write(master, rng, COUNT / 2..COUNT / 2 + 10);
    master.must(&["DEL", "k1", "k2"]);
    replica.resume();
    replica.wait_until("it loads", || replica.info("async_loading") == "1");
}

#[test]
fn a_replica_finds_its_old_documents_until_it_has_new_ones() {
    let config = [
        "repl-diskless-sync yes",
        "repl-diskless-load swapdb",
        "repl-backlog-size 16kb",
        "rdbcompression no",
    ];
    on_every_flavor(|flavor| {
        let rng = &mut Rng::new(22);
        let master = Server::start(flavor, &config);
        let replica = Server::start(
            flavor,
            &[&config[..], &["loading-process-events-interval-bytes 1024"]].concat(),
        );
        master.must(&DEFINE);
        write(&master, rng, 0..COUNT);
        replica.replica_of(&master);
        let old = digest(&mut replica.conn());
        load_beside(&master, &replica, rng);
        assert_eq!(digest(&mut replica.conn()), old);
        assert_eq!(find(&mut replica.conn(), &[]).len(), COUNT);
        assert_eq!(replica.info("async_loading"), "1", "it answered while it loaded");
        // The sync fails, and nothing has changed. The next one does not begin yet.
        master.must(&["CONFIG", "SET", "repl-diskless-sync-delay", "600"]);
        master.must(&["CLIENT", "KILL", "TYPE", "replica"]);
        replica.must(&["CONFIG", "SET", "key-load-delay", "0"]);
        replica.wait_until("it loads no more", || replica.info("async_loading") == "0");
        assert_eq!(replica.info("master_link_status"), "down");
        assert_eq!(check(&mut replica.conn()), COUNT);
        assert_eq!(digest(&mut replica.conn()), old);
        master.must(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        replica.wait_for_sync(&master);
        assert_eq!(check(&mut replica.conn()), COUNT - 2);
        assert_eq!(digest(&mut replica.conn()), digest(&mut master.conn()));
        // One that is completed. A command on locks meanwhile is answered from the old data, and the new locks are known at the end.
        for nth in 20..COUNT {
            master.must(&["MODEL.LOCK", &format!("k{nth}"), "l", "owner", "LEASE", "600000"]);
        }
        load_beside(&master, &replica, rng);
        let read = || replica.info("loading_loaded_bytes").parse::<usize>().unwrap_or(0);
        replica.wait_until("documents are read", || read() > 30 * BYTES);
        replica.must(&["MODEL.LOCKS", "k20"]);
        assert_eq!(replica.info("async_loading"), "1");
        replica.must(&["CONFIG", "SET", "key-load-delay", "0"]);
        replica.wait_for_sync(&master);
        let held = |server: &Server| {
            server.must(&["MODEL.LOCKS", "k20"]);
            server.info("model_locks_held")
        };
        assert_ne!(held(&master), "0");
        assert_eq!(held(&replica), held(&master));
        assert_eq!(digest(&mut replica.conn()), digest(&mut master.conn()));
    });
}
