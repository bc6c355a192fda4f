//! Indexes in a cluster: while slots move in every way there is, imports are given up and masters change, each document is
//! found once, and replicas have the trees of their masters.

mod service;

use service::{Documents, wait_for_model};

use crate::cluster::{Cluster, fail_over, node_id};
use crate::finding::digest;
use crate::harness::{Flavor, Server, on_every_flavor};

const SLOTS: usize = 3;

/// Moves a slot key by key. `halfway` is called when some of its keys have moved.
fn move_by_keys(from: &Server, to: &Server, slot: usize, halfway: impl FnOnce()) {
    let slot = slot.to_string();
    let setslot = ["CLUSTER", "SETSLOT", &slot];
    to.must(&[&setslot[..], &["IMPORTING", &node_id(from)]].concat());
    from.must(&[&setslot[..], &["MIGRATING", &node_id(to)]].concat());
    let carry = |most: &str| {
        let keys = from.must(&["CLUSTER", "GETKEYSINSLOT", &slot, most]);
        for key in keys.array() {
            // A key that a client deletes meanwhile gives NOKEY.
            from.must(&["MIGRATE", "127.0.0.1", &to.port.to_string(), key.text(), "0", "20000"]);
        }
        !keys.array().is_empty()
    };
    carry("8");
    halfway();
    while carry("100") {}
    let id = node_id(to);
    // Redis remembers the owner when the destination knows first.
    for node in [to, from] {
        node.must(&[&setslot[..], &["NODE", &id]].concat());
    }
}

/// The state of the migration that began last.
fn last_move(node: &Server) -> String {
    let all = node.must(&["CLUSTER", "GETSLOTMIGRATIONS"]);
    all.array()[0].field("state").text().to_owned()
}

fn begin_move(from: &Server, to: &Server, slot: usize) {
    let (slot, id) = (slot.to_string(), node_id(to));
    from.must(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &slot, &slot, "NODE", &id]);
}

/// Moves a slot as a whole, as Valkey can.
fn move_whole(from: &Server, to: &Server, slot: usize) {
    begin_move(from, to, slot);
    from.wait_until("the slot has moved", || {
        let state = last_move(from);
        assert_ne!(state, "failed");
        state == "success"
    });
}

#[test]
fn each_document_is_found_once_while_slots_move_key_by_key_and_masters_change() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start_with_replicas(flavor, 2, &[]);
        let [one, other, _, replica] = &cluster.nodes[..] else { panic!("two pairs") };
        let documents = Documents::new(&cluster, SLOTS);
        let slots = documents.slots();
        let check_trees = || {
            for node in &cluster.nodes {
                digest(&mut node.conn());
            }
        };
        documents.change_while(10, || {
            for slot in &slots {
                move_by_keys(one, other, *slot, || {
                    documents.wait_for_load();
                    check_trees();
                });
                documents.wait_for_load();
            }
        });
        cluster.wait_until_agreed();
        documents.check();
        documents.check_replicas();
        documents.change_while(20, || {
            fail_over(other, replica);
            documents.wait_for_load();
            check_trees();
        });
        documents.check();
        documents.check_replicas();
        cluster.wait_until_agreed();
        // Some documents of a slot are here and some there.
        move_by_keys(replica, one, slots[0], || {
            documents.check();
            documents.check_replicas();
        });
        cluster.wait_until_agreed();
        documents.check();
        documents.check_replicas();
    });
}

#[test]
fn each_document_is_found_once_while_slots_move_as_a_whole_or_fail_to() {
    let cluster = Cluster::start_with_replicas(Flavor::Valkey91, 2, &[]);
    let [one, other, ..] = &cluster.nodes[..] else { panic!("two pairs") };
    let documents = Documents::new(&cluster, SLOTS);
    let slots = documents.slots();
    // The last step of a migration waits: all documents are on both nodes.
    let hold = |from: &Server, value: &str| {
        from.must(&["DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", value]);
    };
    let is_held = |from: &Server| last_move(from) == "waiting-to-pause";
    hold(one, "1");
    documents.change_while(30, || {
        begin_move(one, other, slots[0]);
        one.wait_until("all was sent", || is_held(one));
        documents.wait_for_load();
        digest(&mut other.conn());
    });
    assert_ne!(other.info("model_index_documents"), "0", "the slot is on both nodes");
    documents.check();
    one.must(&["CLUSTER", "CANCELSLOTMIGRATIONS"]);
    other.wait_until("the slot is gone", || other.info("model_index_documents") == "0");
    hold(one, "0");
    documents.check();
    documents.check_replicas();
    documents.change_while(40, || {
        for (from, to) in [(one, other), (other, one), (one, other)] {
            for slot in &slots {
                move_whole(from, to, *slot);
            }
            documents.wait_for_load();
        }
    });
    cluster.wait_until_agreed();
    documents.check();
    documents.check_replicas();
    // The destination is lost in the middle, and comes back without anything of the slot.
    hold(other, "1");
    begin_move(other, one, slots[1]);
    other.wait_until("all was sent", || is_held(other));
    one.kill9();
    other.wait_until("the migration has failed", || !is_held(other));
    one.restart();
    wait_for_model(&cluster);
    cluster.wait_until_agreed();
    documents.check();
}
