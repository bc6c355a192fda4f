//! Many requests that wait at once: bounds, a thousand different conditions, workers that finish each job once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::findop::{define, set};
use crate::findop_wait::{LONG, check_idle, take, taken, until_waiting, wait};
use crate::harness::{Server, on_every_server, on_every_server_with};
use crate::locking::Stops;
use crate::replication::check_equal;
use crate::resp::Conn;

#[test]
fn requests_that_wait_are_bounded() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["CONFIG", "SET", "model.find-waiters", "2"]);
        let request = take("self.state == 'open'", LONG);
        let waiters = [(); 2].map(|()| wait(server, &request));
        let reply = conn.call(&request);
        assert_eq!(reply.error_word(), "LIMIT");
        assert!(reply.error().contains("model.find-waiters"));
        drop(waiters);
        check_idle(server);
        conn.must(&["CONFIG", "SET", "model.find-waiters", "10000"]);
        let long = format!("{{\"s\":\"{}\"}}", "x".repeat(1 << 20));
        let args = ["ARGS", &long];
        let request = [&request[..5], &args, &request[5..]].concat();
        let reply = conn.call(&request);
        assert_eq!(reply.error_word(), "LIMIT");
        assert!(reply.error().contains("findop-wait-bytes"));
    });
}

/// A thousand different conditions: the one that a document fulfils is served, and the others go on waiting.
#[test]
fn a_thousand_conditions_wait_beside_each_other() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let mut waiters: Vec<Conn> = (0..1000).map(|_| server.conn()).collect();
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            waiter.send(&take(&format!("self.state == 's{nth}'"), LONG));
        }
        until_waiting(server, 1000);
        for nth in [999, 0, 500] {
            let key = format!("j:{nth}");
            set(conn, &key, &format!("s{nth}"), 1);
            assert_eq!(taken(&mut waiters[nth]), [key]);
        }
        until_waiting(server, 997);
        let many: Vec<Vec<String>> = (0..1000)
            .step_by(25)
            .map(|nth| {
                let json = format!("{{\"state\":\"s{nth}\",\"n\":2}}");
                ["MODEL.SET", &format!("k:{nth}"), "job", &json].map(str::to_owned).to_vec()
            })
            .collect();
        conn.pipeline(&many);
        for nth in (0..1000).step_by(25).filter(|nth| ![0, 500].contains(nth)) {
            assert_eq!(taken(&mut waiters[nth]), [format!("k:{nth}")]);
        }
        drop(waiters);
        check_idle(server);
    });
}

/// Workers that take and finish jobs while they come, some of which die with a job: each job is finished once.
#[test]
fn many_workers_finish_each_job_once() {
    const JOBS: usize = 300;
    let config = ["appendonly yes", "appendfsync always", "repl-ping-replica-period 3600"];
    on_every_server_with(&config, |server| {
        let replica = Server::start(server.flavor, &[]);
        replica.replica_of(server);
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "due", "1", "$.due"]);
        let finished = Mutex::new(BTreeMap::<String, usize>::new());
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stops = Stops(&stop);
            for worker in 0..6 {
                let (stop, finished) = (&stop, &finished);
                scope.spawn(move || {
                    let conn = &mut server.conn();
                    let head = ["MODEL.FINDOP", "1", "done", "job", "WHERE"];
                    let query = ["self.due <= string(now)", "ORDER", "due", "WAIT", "200", "DO"];
                    let lease =
                        ["EVAL", "$.due", "string(now + duration('2s'))", "INCR", "$.n", "1"];
                    let request = [&head[..], &query, &lease].concat();
                    let mut taken = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let reply = conn.must(&request);
                        let Some(row) = reply.array().first() else { continue };
                        let (key, revision) = (row.array()[0].text(), row.array()[1].int());
                        taken += 1;
                        if worker == 0 && taken % 10 == 0 {
                            // It dies here: another one gets the job when the lease is over.
                            continue;
                        }
                        let revision = revision.to_string();
                        let done = ["MODEL.TXN", "2", key, "done", "ON", key, "IFREV", &revision];
                        let done = [&done[..], &["DELETE", "AT", "done", "RPUSH"]].concat();
                        let native = format!("\"{key}\"");
                        let reply = conn.call(&[&done[..], &[&native]].concat());
                        if !reply.is_error() {
                            *finished.lock().unwrap().entry(key.to_owned()).or_default() += 1;
                        }
                    }
                });
            }
            for nth in 0..JOBS {
                let json = r#"{"due":"","n":0}"#;
                conn.must(&["MODEL.SET", &format!("j:{nth}"), "job", json]);
            }
            server.wait_until("all are finished", || finished.lock().unwrap().len() == JOBS);
        });
        let finished = finished.into_inner().unwrap();
        assert!(finished.values().all(|count| *count == 1), "{finished:?}");
        assert_eq!(conn.must(&["LLEN", "done"]).int(), JOBS as i64);
        assert_eq!(conn.must(&["MODEL.COUNT", "job"]).int(), 0);
        assert_ne!(server.info("model_find_claims"), "0");
        check_idle(server);
        check_equal(server, &replica);
        let digest = server.debug_digest();
        server.kill9();
        server.restart();
        assert_eq!(server.debug_digest(), digest);
    });
}
