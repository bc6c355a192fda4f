//! Tests against real servers: every flavour the module supports, each test on all of them.
//!
//! One crate, so that it links once. A new file is a module here; `harness` starts and stops servers,
//! `resp` is the connection and the replies, `cluster` puts servers together, and `harness_selftest` holds both to what they promise.

// Tests are added module by module, and not each uses all of the harness.
#[allow(dead_code)]
mod cluster;
#[allow(dead_code)]
mod harness;
#[allow(dead_code)]
mod resp;

mod harness_selftest;
