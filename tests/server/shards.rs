//! Several servers as one service, under load, in trouble: three shards with a replica each whose slots
//! are moved, whose masters are killed and paused, and which a node joins; and a pair that Sentinel
//! watches. Acknowledged changes are kept, the money of each hash tag is conserved, every request is answered,
//! and every node knows the definitions.

mod clients;

use std::time::Duration;

use clients::Service;

use crate::cluster::{Cluster, node_id};
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::locking::{PATIENCE, check_idle};
use crate::resp::{Conn, Reply, encode};
use crate::transfers;
use crate::workload;

const MASTERS: usize = 3;
/// How many slots are moved at a time, the lowest of a shard: those of the hash tags are among them.
const MOVED: usize = 60;
const LOAD: usize = 8;
/// A node counts as failed after three seconds; the rest of the cluster continues without it.
const CONFIG: [&str; 3] = [
    "cluster-node-timeout 3000",
    "cluster-require-full-coverage no",
    "cluster-allow-replica-migration no",
];

/// Two hash tags of each shard.
fn tags(cluster: &Cluster) -> Vec<String> {
    let names: Vec<String> = (0..6000).map(|nth| format!("t{nth}")).collect();
    let ask = |name: &String| ["CLUSTER", "KEYSLOT", name].map(str::to_owned).to_vec();
    let asked: Vec<_> = names.iter().map(ask).collect();
    let slots = cluster.nodes[0].conn().pipeline(&asked);
    let mut tags = Vec::new();
    for shard in 0..MASTERS {
        let first = cluster.first_slot(shard) as i64;
        let low = slots
            .iter()
            .zip(&names)
            .filter(|(slot, _)| (first..first + MOVED as i64).contains(&slot.int()));
        tags.extend(low.take(2).map(|(_, name)| name.clone()));
    }
    assert_eq!(tags.len(), 2 * MASTERS);
    tags
}

/// The replica of a master, and the node it was before the trouble if it lives.
fn replica_of<'c>(cluster: &'c Cluster, master: &Server) -> &'c Server {
    let port = master.port.to_string();
    let is_its = |node: &&Server| {
        node.is_running() && node.info("role") == "slave" && node.info("master_port") == port
    };
    cluster.nodes.iter().find(is_its).expect("every master has a replica")
}

/// The role that a server reports; none where the connection ends before: Sentinel closes those of servers that it
/// reconfigures.
fn role(server: &Server) -> Option<Reply> {
    let mut conn = Conn::open(server.port).ok()?;
    conn.try_send(&encode(&[b"ROLE"])).ok()?;
    conn.try_recv(PATIENCE).ok()?
}

fn wait_for_master(server: &Server) {
    let is_master = |role: Reply| role.array()[0] == Reply::bulk("master");
    server.wait_until("it is a master", || role(server).is_some_and(is_master));
}

/// Waits until a server that was a master follows the one that took its place.
fn wait_for_follower(server: &Server) {
    let follows = |role: Reply| role.array().get(3) == Some(&Reply::bulk("connected"));
    server.wait_until("it follows", || role(server).is_some_and(follows));
}

/// By the server itself, as Valkey can; which slots it has to be told.
fn migrate_slots(cluster: &Cluster, from: &Server, to: &Server, first: usize) {
    cluster.wait_until_agreed();
    let (low, high) = (first.to_string(), (first + MOVED - 1).to_string());
    let id = node_id(to);
    from.must(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &low, &high, "NODE", &id]);
    from.wait_until("the slots have moved", || {
        let all = from.must(&["CLUSTER", "GETSLOTMIGRATIONS"]);
        let states: Vec<_> = all.array().iter().map(|one| one.field("state").text()).collect();
        assert!(!states.contains(&"failed"), "{all:?}");
        states.iter().all(|state| *state == "success")
    });
    cluster.wait_until_agreed();
}

/// The names and versions of all definitions.
fn definitions(server: &Server) -> Vec<(String, Reply)> {
    workload::definitions(&mut server.conn())
}

#[test]
fn a_cluster_keeps_its_promises_while_slots_move_and_masters_die() {
    let seed = workload::seed("shards");
    std::thread::scope(|scope| {
        for flavor in [Flavor::Redis70, Flavor::Valkey91] {
            scope.spawn(move || check_cluster(flavor, seed));
        }
    });
}

fn check_cluster(flavor: Flavor, seed: u64) {
    let mut cluster = Cluster::start_with_replicas(flavor, MASTERS, &CONFIG);
    transfers::define(&cluster.nodes[0]);
    for node in &cluster.nodes {
        node.wait_until("it knows the model", || definitions(node).len() == 1);
    }
    let tags = tags(&cluster);
    for tag in &tags {
        Service::fill(&mut cluster.conn_of(&format!("{{{tag}}}")), tag);
    }
    let slots: Vec<usize> = tags.iter().map(|tag| cluster.slot(tag)).collect();
    let ports = cluster.nodes.iter().map(|node| node.port).collect();
    let service = Service::new(ports, tags, seed);
    service.run(5, || {
        service.wait_for_load(LOAD);
        move_slots(&cluster, &service);
        kill_a_master(&cluster, &service, slots[0]);
        pause_a_master(&cluster, &service, slots[2]);
    });
    for (tag, slot) in slots.iter().enumerate() {
        service.check(&mut cluster.master_of(*slot).conn(), tag);
    }
    check_joining(&mut cluster, &slots, &service);
    cluster.nodes.iter().for_each(check_idle);
    let known = definitions(&cluster.nodes[0]);
    assert_eq!(known.len(), 2);
    for node in &cluster.nodes {
        node.wait_until("all know the same models", || definitions(node) == known);
    }
    for slot in &slots[2..] {
        let master = cluster.master_of(*slot);
        let replica = replica_of(&cluster, master);
        replica.wait_for_sync(master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
    }
}

/// Back and forth, in both ways there are.
fn move_slots(cluster: &Cluster, service: &Service) {
    let [first, second, third] = [0, 1, 2].map(|nth| &cluster.nodes[nth]);
    for (from, to) in [(first, second), (second, first), (second, third), (third, second)] {
        // The lowest slots move back, too: of a shard that has slots of one below it these, and of
        // one that has slots of one above it its own.
        cluster.reshard(from, to, MOVED);
        service.wait_for_load(LOAD);
    }
    if first.flavor.is_valkey() {
        let slot = cluster.first_slot(2);
        let home = cluster.master_of(slot);
        let mut shards = cluster.nodes[..MASTERS].iter().map(|node| cluster.master_of_shard(node));
        let other =
            shards.find(|master| master.port != home.port).expect("there are three masters");
        for (from, to) in [(home, other), (other, home)] {
            let [from, to] = [from, to].map(|node| cluster.master_of_shard(node));
            migrate_slots(cluster, from, to, slot);
            service.wait_for_load(LOAD);
        }
    }
}

/// A definition that is made while it is away reaches it when it is back.
fn kill_a_master(cluster: &Cluster, service: &Service, slot: usize) {
    let victim = cluster.master_of(slot);
    let replica = replica_of(cluster, victim);
    victim.kill9();
    wait_for_master(replica);
    // Nothing can be promised for this shard until it has a replica again.
    replica.must(&["MODEL.DEFINE", "late", r#"{"type":"object"}"#]);
    victim.restart();
    wait_for_follower(victim);
    victim.wait_until("it knows the late model", || definitions(victim).len() == 2);
    service.wait_for_load(LOAD);
}

fn pause_a_master(cluster: &Cluster, service: &Service, slot: usize) {
    let victim = cluster.master_of(slot);
    let replica = replica_of(cluster, victim);
    victim.pause();
    wait_for_master(replica);
    victim.resume();
    wait_for_follower(victim);
    service.wait_for_load(LOAD);
}

/// A node that joins knows the models before it has slots, and holds to their rules when it has.
fn check_joining(cluster: &mut Cluster, slots: &[usize], service: &Service) {
    let known = definitions(&cluster.nodes[0]);
    cluster.join(&CONFIG);
    let joined = cluster.nodes.last().expect("it joined");
    joined.wait_until("it knows the models", || definitions(joined) == known);
    let from = cluster.master_of(slots[0]);
    cluster.reshard(from, joined, MOVED);
    assert_eq!(cluster.master_of(slots[0]).port, joined.port);
    let conn = &mut joined.conn();
    let account = format!("acct:{{{}}}:0", service.tags[0]);
    let refused = conn.call(&["MODEL.FIELDOP", &account, "INCR", "$.balance", "-100000"]);
    assert_eq!(refused.error_word(), "RULE");
    service.check(conn, 0);
}

#[test]
fn a_pair_keeps_its_promises_when_sentinel_promotes_its_replica() {
    let seed = workload::seed("shards");
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        transfers::define(&master);
        Service::fill(&mut master.conn(), "pair");
        replica.replica_of(&master);
        let sentinel = Server::start_sentinel(&master, "pair", Duration::from_millis(1500));
        let watched = || sentinel.must(&["SENTINEL", "REPLICAS", "pair"]).array().len();
        sentinel.wait_until("it has found the replica", || watched() == 1);
        let ports = vec![master.port, replica.port];
        let service = Service::new(ports, vec!["pair".to_owned()], seed);
        service.run(4, || {
            service.wait_for_load(LOAD);
            master.kill9();
            wait_for_master(&replica);
            master.restart();
            wait_for_follower(&master);
            service.wait_for_load(LOAD);
            replica.pause();
            wait_for_master(&master);
            replica.resume();
            wait_for_follower(&replica);
            service.wait_for_load(LOAD);
        });
        service.check(&mut master.conn(), 0);
        for server in [&master, &replica] {
            check_idle(server);
        }
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
    });
}
