//! Loading the module into a server that runs: a load that fails leaves a server that goes on.

use std::thread;
use std::time::Duration;

use crate::harness::{Flavor, Server, module_path, on_every_flavor};
use crate::resp::Reply;

/// Longer than any period at which the module does something by itself.
const WHILE: Duration = Duration::from_secs(3);

/// Returns true if the server aborts by itself, before it has unloaded the module: Valkey 9.1 writes the reason why it
/// cannot unload a module with data types through a null pointer.
fn dies_of_an_unknown_option(flavor: Flavor) -> bool {
    flavor == Flavor::Valkey91
}

/// The load is refused, and the server goes on, with everything that the module would subscribe to happening.
fn check_refused(server: &Server, load: &[&str]) {
    let path = module_path().display().to_string();
    let refusal = server.call(&[&["MODULE", load[0], &path], &load[1..]].concat());
    assert!(refusal.is_error(), "{load:?} gave {refusal:?}");
    let conn = &mut server.conn();
    conn.must(&["SET", "{key}", "value"]);
    conn.must(&["COPY", "{key}", "{key}2"]);
    conn.must(&["RENAME", "{key}2", "{key}3"]);
    server.rewrite_aof();
    thread::sleep(WHILE);
    server.conn().must(&["PING"]);
    if server.info("cluster_enabled") == "0" {
        conn.must(&["SWAPDB", "0", "1"]);
        conn.must(&["SWAPDB", "0", "1"]);
    }
    conn.must(&["DEBUG", "RELOAD"]);
    assert_eq!(conn.must(&["GET", "{key}"]), Reply::bulk("value"));
    conn.must(&["FLUSHALL"]);
}

fn modules(server: &Server) -> Vec<String> {
    let list = server.must(&["MODULE", "LIST"]);
    list.array().iter().map(|module| module.field("name").text().to_owned()).collect()
}

#[test]
fn a_server_survives_a_failed_load_of_the_module() {
    on_every_flavor(|flavor| {
        thread::scope(|scope| {
            scope.spawn(|| check_loads(&Server::start_plain(flavor, &["appendonly yes"])));
            scope.spawn(|| {
                let config = ["cluster-enabled yes", "appendonly yes"];
                let server = Server::start_plain(flavor, &config);
                server.must(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
                server.wait_until("the cluster is up", || {
                    server.must(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok")
                });
                check_loads(&server);
            });
        });
    });
}

/// Loads that are refused, one after another, then one that is not.
fn check_loads(server: &Server) {
    for load in [
        &["LOAD", "argument"][..],
        &["LOADEX", "ARGS", "argument"],
        &["LOADEX", "CONFIG", "model.depth", "0"],
        &["LOADEX", "CONFIG", "model.depth", "deep"],
        &["LOADEX", "CONFIG", "model.lock-lease-min", "51", "CONFIG", "model.lock-lease-max", "50"],
    ] {
        check_refused(server, load);
        assert!(!modules(server).contains(&"model".to_owned()));
    }
    if !dies_of_an_unknown_option(server.flavor) {
        check_refused(server, &["LOADEX", "CONFIG", "model.unknown", "1"]);
    }
    // Redis 7.0 keeps a module with data types, although it has refused the load.
    if !modules(server).contains(&"model".to_owned()) {
        let path = module_path().display().to_string();
        server.must(&["MODULE", "LOADEX", &path, "CONFIG", "model.depth", "9"]);
        let depth = server.must(&["CONFIG", "GET", "model.depth"]);
        assert_eq!(depth.array()[1], Reply::bulk("9"));
    }
    if server.info("cluster_enabled") == "0" {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "item", "{}"]);
        conn.must(&["MODEL.SET", "a", "item", "{}"]);
        conn.must(&["MODEL.LOCK", "a", "l", "me"]);
    }
    thread::sleep(WHILE);
    server.must(&["PING"]);
}
