//! The commands through the crate `redis`.
//!
//! ```text
//! client PORT [2|3]        RESP2 or RESP3
//! ```
//!
//! docs/clients.md shows pieces of this program; a test runs it against every server.

use std::error::Error;
use std::thread;

use redis::{Client, Connection, RedisResult, Value, cmd};
use serde_json::json;

/// The code of a refusal, and its object of details.
fn refusal(error: &redis::RedisError) -> (String, serde_json::Value) {
    let word = error.code().unwrap_or_default().to_owned();
    let known = error.detail().and_then(|known| serde_json::from_str(known).ok());
    (word, known.unwrap_or_default())
}

fn add(connection: &mut Connection, key: &str, n: i64) -> RedisResult<(String,)> {
    cmd("MODEL.FIELDOP").arg(key).arg("INCR").arg("$.n").arg(n).query(connection)
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("which port?")?;
    let protocol = std::env::args().nth(2).unwrap_or("3".into());
    let client = Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp{protocol}"))?;
    let mut connection = client.get_connection()?;

    // A value is JSON text; a count or a revision is a number.
    let set = cmd("MODEL.SET").arg("{r}:a").arg("any").arg(json!({"n": 1}).to_string()).clone();
    let revision: u64 = set.query(&mut connection)?;
    assert!(revision > 0);
    cmd("MODEL.SET").arg("{r}:b").arg("any").arg(r#"{"n":0}"#).exec(&mut connection)?;
    assert_eq!(add(&mut connection, "{r}:a", 99)?.0, "100");

    let refused = add(&mut connection, "{r}:none", 1).expect_err("nothing is there");
    let (word, known) = refusal(&refused);
    assert!(word == "NOKEY" && known["key"] == "{r}:none", "{refused}");

    // Sent twice under its token, executed once.
    let mut transfer = cmd("MODEL.TXN");
    transfer.arg(3).arg(&["{r}:a", "{r}:b", "{r}:paid"]).arg(&["TOKEN", "{r}:paid"]);
    transfer.arg("ARGS").arg(json!({"n": 30}).to_string());
    transfer.arg(&["ON", "{r}:a", "IF", "self.n >= args.n", "INCR", "$.n", "-30"]);
    transfer.arg(&["ON", "{r}:b", "INCR", "$.n", "30"]);
    type Transferred = ((String,), (String,));
    let first: Transferred = transfer.query(&mut connection)?;
    let again: Transferred = transfer.query(&mut connection)?;
    assert!(first == again && first.0.0 == "70" && first.1.0 == "30");

    // Threads that wait for a lock have connections of their own.
    let visit = |task: String| -> RedisResult<()> {
        let mut connection = client.get_connection()?;
        let mut ask = cmd("MODEL.LOCK");
        ask.arg("{r}:a").arg("visits").arg(&task).arg(&["WAIT", "30000"]);
        let (fence, ..): (u64, u64, u64, Value) = ask.query(&mut connection)?;
        let held = ["visits".to_owned(), task, fence.to_string()];
        let mut save = cmd("MODEL.FIELDOP");
        save.arg("{r}:a").arg("HOLDING").arg(&held).arg(&["INCR", "$.n", "1"]);
        save.arg("RELEASE").arg(&held).exec(&mut connection)
    };
    thread::scope(|scope| {
        let tasks: Vec<_> =
            (0..5).map(|nth| scope.spawn(move || visit(format!("task:{nth}")))).collect();
        tasks.into_iter().try_for_each(|task| task.join().expect("no task panics"))
    })?;
    let n: String = cmd("MODEL.GET").arg("{r}:a").arg("$.n").query(&mut connection)?;
    assert_eq!(n, "75");

    // A lock that is not granted in time is nil.
    cmd("MODEL.LOCK").arg(&["{r}:b", "n", "first"]).exec(&mut connection)?;
    let late = ["{r}:b", "n", "second", "WAIT", "20"];
    let late: Option<(u64, u64, u64, Value)> =
        cmd("MODEL.LOCK").arg(&late).query(&mut connection)?;
    assert!(late.is_none());

    println!("ok");
    Ok(())
}
