//! Runs the servers of tests under valgrind's memcheck, for `scripts/valgrind`, which reads what it reports.
//!
//! With REDIS_MODEL_VALGRIND set, tests of every flavour run on Redis 7.0 alone: its program is Debian's and has
//! its libraries beside it, where the others bring a libc or an allocator that valgrind cannot replace. A test that names one of
//! those gets it as it is, without valgrind. The options, such as where to report, come in VALGRIND_OPTS, which valgrind reads.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Flavor, Server};
use crate::resp::{Conn, Reply, encode};

const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

pub fn is_on() -> bool {
    static ON: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("REDIS_MODEL_VALGRIND").is_some());
    *ON
}

/// How long to wait for a server that takes at most this long by itself.
pub fn patience(usual: Duration) -> Duration {
    if is_on() { usual * 5 } else { usual }
}

/// Returns true if tests of every flavour run on this one.
pub fn includes(flavor: Flavor) -> bool {
    !is_on() || flavor == Flavor::Redis70
}

/// Returns true if servers of this flavour run under valgrind.
fn watches(flavor: Flavor) -> bool {
    is_on() && flavor == Flavor::Redis70
}

/// The signal to a server when the tests end early: under valgrind one that leaves it time to report. `scripts/valgrind`
/// waits.
pub fn death_signal(flavor: Flavor) -> &'static str {
    if watches(flavor) { "TERM" } else { "KILL" }
}

/// Adds to a command what starts a server: its launcher, or valgrind on the program that the launcher execs.
pub fn add_server(command: &mut Command, flavor: Flavor, launcher: &Path) {
    if !watches(flavor) {
        command.arg(launcher);
        return;
    }
    let folder = launcher.parent().expect("a launcher has a folder");
    command.arg("valgrind").arg(folder.join("bin/redis-server"));
    command.env("LD_LIBRARY_PATH", folder.join("lib"));
}

/// Asks a server to end, so that it reports what it lost, and waits a while. What its documents and definitions hold is
/// freed first: then nothing is left of them but what was lost. A server that does not answer is left to be killed.
pub fn end(server: &Server) {
    if !watches(server.flavor) || !server.is_running() || ask_to_end(server).is_err() {
        return;
    }
    let end = Instant::now() + patience(ANSWERED_WITHIN);
    while server.is_running() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
}

fn ask_to_end(server: &Server) -> io::Result<()> {
    let mut conn = Conn::open(server.port)?;
    let mut ask = |args: &[&[u8]]| {
        conn.try_send(&encode(args))?;
        conn.try_recv(patience(ANSWERED_WITHIN))?.ok_or(io::Error::from(ErrorKind::TimedOut))
    };
    // A replica may not write; a node of a cluster or a user without permission is refused, which is as well.
    ask(&[b"REPLICAOF", b"NO", b"ONE"])?;
    ask(&[b"FLUSHALL"])?;
    if let Reply::Array(models) = ask(&[b"MODEL.MODELS"])? {
        for model in &models {
            ask(&[b"MODEL.UNDEFINE", model.text().as_bytes()])?;
        }
    }
    conn.try_send(&encode(&[b"SHUTDOWN", b"NOSAVE", b"NOW", b"FORCE"]))
}
