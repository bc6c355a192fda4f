//! Indexes in a cluster: while slots move in every way there is, imports are given up and masters change, each document is
//! found once, and replicas have the trees of their masters.

mod service;

use service::{Documents, wait_for_model};

use crate::cluster::{Cluster, SlotMove, fail_over, stream_state};
use crate::finding::digest;
use crate::harness::{Flavor, Server, on_every_flavor};

const SLOTS: usize = 3;

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
                SlotMove::new(*slot, one, other).by_keys("8", || {
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
        SlotMove::new(slots[0], replica, one).by_keys("8", || {
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
    let is_held = |from: &Server| stream_state(from) == "waiting-to-pause";
    hold(one, "1");
    documents.change_while(30, || {
        SlotMove::new(slots[0], one, other).begin_stream();
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
                SlotMove::new(*slot, from, to).by_stream();
            }
            documents.wait_for_load();
        }
    });
    cluster.wait_until_agreed();
    documents.check();
    documents.check_replicas();
    // The destination is lost in the middle, and comes back without anything of the slot.
    hold(other, "1");
    SlotMove::new(slots[1], other, one).begin_stream();
    other.wait_until("all was sent", || is_held(other));
    one.kill9();
    other.wait_until("the migration has failed", || !is_held(other));
    one.restart();
    wait_for_model(&cluster);
    cluster.wait_until_agreed();
    documents.check();
}
