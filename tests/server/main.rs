//! Tests against real servers: every flavour the module supports, each test on all of them.
//!
//! One crate, so that it links once. A new file is a module here; `harness` starts and stops servers,
//! `valgrind` puts them under it when asked to, `resp` is the connection and the replies, `cluster` puts
//! servers together, and `harness_selftest` holds these to what they promise. `workload` makes random
//! commands, `locking` takes locks and waits for them. The others are named for what they test.

// Tests are added module by module, and not each uses all of the harness.
#[allow(dead_code)]
mod cluster;
#[allow(dead_code)]
mod harness;
mod lock_init;
mod lock_masses;
mod lock_promises;
mod locking;
#[allow(dead_code)]
mod resp;
mod sizes;
mod soak;
mod tour;
mod valgrind;
#[allow(dead_code)]
mod workload;

mod harness_selftest;

mod acl;
mod acl_databases;
mod acl_locks;
mod actions;
mod changes;
mod changes_cluster;
mod changes_key;
mod changes_told;
mod clients;
mod command_budget;
mod command_info;
mod commands;
mod conditions;
mod defragmentation;
mod document_counts;
mod exporting;
mod expression_attacks;
mod expressions;
mod finding;
mod finding_cluster;
mod finding_load;
mod finding_redefined;
mod finding_slot;
mod finding_soak;
mod finding_sync;
mod finding_walk;
mod findop;
mod findop_ends;
mod findop_many;
mod findop_trouble;
mod findop_wait;
#[path = "../changes/follower.rs"]
mod follower;
mod generators;
mod importing;
mod json_patch;
mod jsonpath;
mod jsonschema;
mod keyspace;
mod linearizability;
mod loading;
mod lock_histories;
mod locks;
mod locks_cluster;
mod locks_trouble;
mod matrix;
mod memory;
mod model_ends;
mod model_keys;
mod model_memory;
mod models;
mod moving_trouble;
mod native_cluster;
mod native_expiry;
mod native_filter;
mod native_money;
mod native_refusals;
mod native_tracking;
mod native_unit;
mod native_workload;
mod natives;
mod operating;
mod packaging;
mod pauses;
mod persistence;
mod recording;
mod refusals;
mod replication;
mod restoring;
mod revisions;
mod schema_attacks;
mod sessions;
mod shapes;
mod shards;
mod transfers;
mod txn_faults;
mod txn_guards;
mod txn_one_block;
mod txn_routing;
mod txn_semantics;
mod txn_token_keys;
mod txn_tokens;
mod txn_undo;
mod violations;
