//! Models that were defined and ended, more of them than a server remembers: others can be defined all the same,
//! here, after a restart, on a replica and in a cluster.

use std::thread;

use redis_model::model::{ENDED_KEPT, ENDED_MAX, MODELS_MAX};

use crate::cluster::Cluster;
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::resp::{Conn, Reply};
use crate::workload::definitions;

/// Defines and ends so many models.
fn define_and_end(conn: &mut Conn, count: usize) {
    let words =
        |command: &[&str]| command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let pair = |nth: usize| {
        let name = format!("gone:{nth}");
        [words(&["MODEL.DEFINE", &name, "{}"]), words(&["MODEL.UNDEFINE", &name])]
    };
    let replies = conn.pipeline(&(0..count).flat_map(pair).collect::<Vec<_>>());
    assert!(replies.iter().all(|reply| !reply.is_error()), "{:?}", replies.last());
}

/// The version of the first definition of a name. It is above all that was forgotten, so that it is
/// the same on all servers that forgot the same.
fn first_version(server: &Server, name: &str) -> i64 {
    server.must(&["MODEL.DEFINE", name, "{}"]).int()
}

#[test]
fn ended_models_do_not_count_even_after_a_restart() {
    let rdb = ["save 3600 1", "appendonly no"];
    let mixed = ["appendonly yes", "appendfsync no", "aof-use-rdb-preamble yes"];
    let plain = ["appendonly yes", "appendfsync no", "aof-use-rdb-preamble no"];
    on_every_flavor(|flavor| {
        thread::scope(|scope| {
            for config in [&rdb[..], &mixed, &plain] {
                scope.spawn(move || check_ends(&Server::start(flavor, config), config));
            }
        });
    });
}

/// Ends more models than a server remembers, and restarts it: what it has forgotten stays the same.
fn check_ends(server: &Server, config: &[&str]) {
    define_and_end(&mut server.conn(), MODELS_MAX.max(ENDED_MAX) + 1);
    // So many ends were made, and the last of them are remembered.
    let forgotten = (ENDED_MAX + 1 - ENDED_KEPT) as i64 + 1;
    assert_eq!(first_version(server, "a"), forgotten + 1);
    server.must(&["FLUSHALL"]);
    assert_eq!(first_version(server, "b"), forgotten + 1);
    let before = definitions(&mut server.conn());
    let has_rdb = config[0].starts_with("save");
    let stop = || {
        if has_rdb {
            server.must(&["SAVE"]);
        }
        server.kill9();
        server.restart();
    };
    stop();
    assert_eq!(definitions(&mut server.conn()), before);
    assert_eq!(first_version(server, "c"), forgotten + 1);
    if !has_rdb {
        server.rewrite_aof();
        stop();
    }
    assert_eq!(first_version(server, "d"), forgotten + 1);
    // An end that is remembered is a version of its name.
    let last = format!("gone:{}", ENDED_MAX);
    assert_eq!(first_version(server, &last), (ENDED_MAX + 3) as i64);
}

#[test]
fn a_replica_forgets_the_removals_its_master_forgot() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let late = Server::start(flavor, &[]);
        replica.replica_of(&master);
        replica.wait_for_sync(&master);
        define_and_end(&mut master.conn(), ENDED_MAX + 1);
        late.replica_of(&master);
        late.wait_for_sync(&master);
        let expected = first_version(&master, "a");
        assert!(expected > 1);
        for server in [&replica, &late] {
            // Each of the models that were ended is defined for a moment.
            let only = Reply::Array(vec![Reply::bulk("a")]);
            server.wait_until("it knows the last model", || server.must(&["MODEL.MODELS"]) == only);
            server.must(&["REPLICAOF", "NO", "ONE"]);
            assert_eq!(first_version(server, "b"), expected);
        }
    });
}

#[test]
fn a_cluster_works_after_more_removals_than_are_remembered() {
    for flavor in [Flavor::Redis70, Flavor::Valkey91] {
        let mut cluster = Cluster::start(flavor, 2, &[]);
        let name = |server: &Server| server.must(&["MODEL.MODELS"]);
        cluster.nodes[1].must(&["MODEL.DEFINE", "kept", "{}"]);
        define_and_end(&mut cluster.nodes[0].conn(), ENDED_MAX + 1);
        let version = first_version(&cluster.nodes[0], "new");
        cluster.join(&[]);
        let all = Reply::Array(vec![Reply::bulk("kept"), Reply::bulk("new")]);
        for node in &cluster.nodes {
            node.wait_until("it knows the models", || name(node) == all);
        }
        // Every node has forgotten the same, and gives versions above it.
        let describe = |node: &Server| node.must(&["MODEL.DESCRIBE", "new"]).field("version").int();
        assert!(cluster.nodes.iter().all(|node| describe(node) == version));
        for (nth, node) in cluster.nodes.iter().enumerate() {
            let name = format!("later:{nth}");
            node.wait_until("it has forgotten the same", || {
                let defined = first_version(node, &name);
                node.must(&["MODEL.UNDEFINE", &name]);
                defined >= version
            });
        }
    }
}
