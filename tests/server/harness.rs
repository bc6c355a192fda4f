//! Starts real servers for a test and takes them away again.
//!
//! A `Server` is a process of its own, on a free port bound to loopback, in a temporary folder, with
//! the module loaded. When it is dropped its process is gone, and a test that left it crashed,
//! or with a panic in its log, fails, whatever the test itself saw. When the test process dies,
//! however it dies, the kernel kills its servers.
//!
//! Where the servers come from: `scripts/servers`. A missing one fails the test; it is never skipped.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::resp::{Conn, Reply, encode};
use crate::valgrind;

/// How long a server may take over anything before the test gives up on it.
static PATIENCE: LazyLock<Duration> = LazyLock::new(|| valgrind::patience(Duration::from_secs(60)));

/// Texts in the log of a server that crashed, or whose module panicked.
const CRASH_MARKERS: [&str; 5] =
    ["BUG REPORT", "panicked at", "ASSERTION FAILED", "Guru Meditation", "AddressSanitizer"];

/// An AOF that holds every acknowledged command, and is rewritten again and again under a load.
pub const AOF_REWRITTEN: [&str; 4] = [
    "appendonly yes",
    "appendfsync always",
    "auto-aof-rewrite-percentage 20",
    "auto-aof-rewrite-min-size 16kb",
];

/// The servers the module supports, each in the version the tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Redis70,
    Redis80,
    /// With the bundled allocator of official builds, on which active defragmentation runs.
    Redis82,
    Valkey91,
}

impl Flavor {
    pub const ALL: [Flavor; 4] =
        [Flavor::Redis70, Flavor::Redis80, Flavor::Redis82, Flavor::Valkey91];

    pub fn name(self) -> &'static str {
        match self {
            Flavor::Redis70 => "redis-7.0",
            Flavor::Redis80 => "redis-8.0",
            Flavor::Redis82 => "redis-8.2",
            Flavor::Valkey91 => "valkey-9.1",
        }
    }

    pub fn is_valkey(self) -> bool {
        self == Flavor::Valkey91
    }

    /// Where its programs are.
    pub fn folder(self) -> PathBuf {
        target_dir().join("servers").join(self.name())
    }

    /// The launcher, which `exec`s: its process id is the server's.
    fn program(self) -> PathBuf {
        let program = if self.is_valkey() { "valkey-server" } else { "redis-server" };
        let path = self.folder().join(program);
        assert!(path.exists(), "{} is missing: run scripts/servers", path.display());
        path
    }
}

fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent")
}

/// The module under test: what `make build` leaves, or the file REDIS_MODEL_SO names.
pub fn module_path() -> PathBuf {
    let built = || target_dir().join("release/libredis_model.so");
    let path = std::env::var_os("REDIS_MODEL_SO").map_or_else(built, PathBuf::from);
    // Servers run in folders of their own.
    std::path::absolute(&path)
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| panic!("{} is missing: run `make build`", path.display()))
}

/// Runs `body` on a fresh server of every flavour, at the same time.
pub fn on_every_server(body: impl Fn(&Server) + Sync) {
    on_every_server_with(&[], body);
}

/// As `on_every_server`, with lines of configuration.
pub fn on_every_server_with(config: &[&str], body: impl Fn(&Server) + Sync) {
    on_every_flavor(|flavor| body(&Server::start(flavor, config)));
}

/// Runs `body` on the shared server of every flavour: the quick way, for tests that use only keys
/// of their own and change nothing else of the server.
pub fn on_every_shared(body: impl Fn(&Server) + Sync) {
    on_every_flavor(|flavor| body(&shared(flavor)));
}

/// Runs `body` once a flavour, in parallel. The panic after a failure repeats the messages of the flavours, so that
/// the end of the output names the reason.
pub fn on_every_flavor(body: impl Fn(Flavor) + Sync) {
    let body = &body;
    let failures: Vec<String> = thread::scope(|scope| {
        let start = |flavor: Flavor| {
            let thread = thread::Builder::new().name(flavor.name().to_owned());
            (flavor, thread.spawn_scoped(scope, move || body(flavor)).expect("a thread starts"))
        };
        let wanted = Flavor::ALL.into_iter().filter(|flavor| is_wanted(*flavor));
        let threads: Vec<_> = wanted.map(start).collect();
        let failure = |(flavor, thread): (Flavor, thread::ScopedJoinHandle<()>)| {
            let panic = thread.join().err()?;
            Some(format!("{}: {}", flavor.name(), message_of(&*panic)))
        };
        threads.into_iter().filter_map(failure).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("a panic without a message")
}

/// Returns true if tests of every flavour run on this one: REDIS_MODEL_SERVER names the only one, to look at it alone.
fn is_wanted(flavor: Flavor) -> bool {
    let named = std::env::var("REDIS_MODEL_SERVER").ok();
    named.is_none_or(|name| name == flavor.name()) && valgrind::includes(flavor)
}

/// A running server, or one that was stopped and can be started again with the same data.
pub struct Server {
    pub flavor: Flavor,
    pub port: u16,
    /// Keeps the port from other test processes, also between the stop of the process and its next start.
    _reservation: UdpSocket,
    dir: PathBuf,
    child: Mutex<Option<Child>>,
    /// A library that is loaded in front of all others.
    preload: Option<PathBuf>,
    /// Words after the configuration.
    args: &'static [&'static str],
    /// Crash markers that a test expects.
    tolerated: Mutex<Vec<String>>,
}

impl Server {
    /// Starts a server with the module, on default configuration and these lines of redis.conf.
    #[track_caller]
    pub fn start(flavor: Flavor, config: &[&str]) -> Server {
        Server::start_with_args(flavor, config, &[])
    }

    /// As `start`, with arguments for the module after `loadmodule`.
    #[track_caller]
    pub fn start_with_args(flavor: Flavor, config: &[&str], module_args: &[&str]) -> Server {
        let load = format!("loadmodule {} {}", module_path().display(), module_args.join(" "));
        let lines: Vec<&str> =
            std::iter::once(load.as_str()).chain(config.iter().copied()).collect();
        Server::start_plain(flavor, &lines)
    }

    /// Starts a server without the module.
    #[track_caller]
    pub fn start_plain(flavor: Flavor, config: &[&str]) -> Server {
        // A port that was free may be taken by the time the server binds it; that is the one reason to try again.
        for _ in 0..20 {
            let server = Server::prepare(flavor, config);
            match server.launch() {
                Ok(()) => return server,
                Err(_) if server.log().contains("Address already in use") => {}
                Err(e) => panic!("{} did not start: {e}\n{}", flavor.name(), server.log_tail()),
            }
        }
        panic!("no free port found");
    }

    /// Starts a Sentinel that watches a pair of servers alone and promotes the replica when the master is
    /// away for longer than this.
    #[track_caller]
    pub fn start_sentinel(master: &Server, pair: &str, away: Duration) -> Server {
        let away = away.as_millis();
        let config = [
            format!("sentinel monitor {pair} 127.0.0.1 {} 1", master.port),
            format!("sentinel down-after-milliseconds {pair} {away}"),
            format!("sentinel failover-timeout {pair} 10000"),
        ];
        let config: Vec<&str> = config.iter().map(String::as_str).collect();
        let mut sentinel = Server::prepare(master.flavor, &config);
        sentinel.args = &["--sentinel"];
        if let Err(e) = sentinel.launch() {
            panic!("{} did not start: {e}\n{}", sentinel.flavor.name(), sentinel.log_tail());
        }
        sentinel
    }

    /// As `start`, on a wall clock that [`Server::step_clock_back`] moves.
    #[track_caller]
    pub fn start_with_clock(flavor: Flavor) -> Server {
        let load = format!("loadmodule {}", module_path().display());
        let mut server = Server::prepare(flavor, &[&load]);
        let library = server.dir.join("libstep.so");
        let mut rustc = Command::new("rustc");
        rustc.args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "-C",
            "panic=abort",
            "-O",
            "-o",
        ]);
        rustc.arg(&library).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/clock/step.rs"));
        let status = rustc.env("STEP", server.dir.join("step")).status();
        assert!(status.expect("rustc is there").success(), "the clock is compiled");
        server.preload = Some(library);
        if let Err(e) = server.launch() {
            panic!("{} did not start: {e}\n{}", flavor.name(), server.log_tail());
        }
        server
    }

    /// The wall clock of a server that was started with one goes back by an hour.
    pub fn step_clock_back(&self) {
        File::create(self.dir.join("step")).expect("the folder is there");
    }

    /// Tries to start a second process on the port of this one, as happens when two processes choose a free port at once.
    pub fn launch_on_the_same_port(&self) -> Result<(), String> {
        let mut second = Server::prepare(self.flavor, &[&format!("port {}", self.port)]);
        second.port = self.port;
        second.launch()
    }

    /// Makes the folder and the configuration; nothing runs yet.
    fn prepare(flavor: Flavor, config: &[&str]) -> Server {
        let (port, _reservation) = free_port();
        let dir = fresh_dir(flavor);
        let mut text = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.display());
        text += "save \"\"\nenable-debug-command yes\nenable-module-command yes\nrepl-diskless-sync-delay 0\n";
        for line in config {
            text += line;
            text += "\n";
        }
        fs::write(dir.join("server.conf"), text).expect("the configuration can be written");
        let (child, tolerated) = (Mutex::new(None), Mutex::default());
        Server { flavor, port, _reservation, dir, child, preload: None, args: &[], tolerated }
    }

    /// Starts the process and waits until it answers and has loaded its data.
    fn launch(&self) -> Result<(), String> {
        let log = || OpenOptions::new().append(true).create(true).open(self.log_path());
        let streams = (log().map_err(|e| e.to_string())?, log().map_err(|e| e.to_string())?);
        let mut command = under_kernel_care(self.flavor);
        command.arg(self.dir.join("server.conf")).args(self.args);
        command.stdin(Stdio::null()).stdout(streams.0).stderr(streams.1);
        command.envs(self.preload.iter().map(|library| ("LD_PRELOAD", library)));
        let child = spawn(command);
        *self.child.lock().unwrap() = Some(child.map_err(|e| e.to_string())?);
        let end = Instant::now() + *PATIENCE;
        loop {
            if !self.is_running() {
                self.forget_process();
                return Err("it exited".to_owned());
            }
            if self.answers() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err("it does not answer".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns true if this process answers PING with PONG, which a server that still loads its data does not do.
    /// Another process may answer on the port, before this one has found it in use and ended. A process that another
    /// thread has just forked may hold the socket by which `free_port` probed the port: that connection is reset.
    fn answers(&self) -> bool {
        let Ok(mut conn) = Conn::open(self.port) else {
            return false;
        };
        if conn.try_send(&encode(&[b"PING"])).is_err() {
            return false;
        }
        match conn.try_recv(*PATIENCE) {
            Ok(Some(Reply::Simple(pong))) if pong == "PONG" => {}
            // A test may rename any command.
            Ok(Some(Reply::Error(text))) if text.contains("unknown command") => {}
            _ => return false,
        }
        if conn.try_send(&encode(&[b"INFO", b"server"])).is_err() {
            return false;
        }
        let Ok(Some(Reply::Bulk(info))) = conn.try_recv(*PATIENCE) else {
            return false;
        };
        let own = self.pid().map(|pid| format!("process_id:{pid}"));
        own.is_some_and(|own| String::from_utf8_lossy(&info).lines().any(|line| line == own))
    }

    /// A connection that speaks RESP2, with typed replies: what most tests use.
    #[track_caller]
    pub fn conn(&self) -> Conn {
        Conn::open(self.port).unwrap_or_else(|e| panic!("cannot connect: {e}\n{}", self.log_tail()))
    }

    /// As `conn`, in RESP3.
    #[track_caller]
    pub fn conn_resp3(&self) -> Conn {
        let mut conn = self.conn();
        conn.must(&["HELLO", "3"]);
        conn
    }

    /// A connection of the `redis` crate, in RESP2.
    #[track_caller]
    pub fn client(&self) -> redis::Connection {
        self.client_at(&format!("redis://127.0.0.1:{}/", self.port))
    }

    /// As `client`, in RESP3.
    #[track_caller]
    pub fn client_resp3(&self) -> redis::Connection {
        self.client_at(&format!("redis://127.0.0.1:{}/?protocol=resp3", self.port))
    }

    #[track_caller]
    fn client_at(&self, url: &str) -> redis::Connection {
        let connected = redis::Client::open(url).and_then(|client| client.get_connection());
        connected.unwrap_or_else(|e| panic!("cannot connect: {e}\n{}", self.log_tail()))
    }

    /// One command on a connection of its own.
    #[track_caller]
    pub fn call(&self, args: &[&str]) -> Reply {
        self.conn().call(args)
    }

    /// As `call`; an error reply fails the test.
    #[track_caller]
    pub fn must(&self, args: &[&str]) -> Reply {
        self.conn().must(args)
    }

    /// SIGKILL: the server dies with no chance to save anything.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().expect("a server can be killed");
            child.wait().expect("a killed server can be waited for");
        }
    }

    /// SIGSTOP: the server does nothing until it is resumed, and its connections stay open.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT, after `pause`.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        let pid = self.pid().expect("the server runs").to_string();
        let kill = Command::new("kill").args([name, &pid]).status();
        assert!(kill.expect("kill is there").success());
    }

    /// SHUTDOWN, which saves what the configuration says, and waits for the end of the process.
    #[track_caller]
    pub fn shutdown(&self) {
        let mut conn = self.conn();
        conn.send(&["SHUTDOWN"]);
        if let Ok(Some(Reply::Error(text))) = conn.try_recv(*PATIENCE) {
            panic!("SHUTDOWN was refused: {text}\n{}", self.log_tail());
        }
        self.wait_until("the process ends", || !self.is_running());
        self.forget_process();
    }

    /// Starts it again on the same port with the same data and configuration; if it runs, after `shutdown`.
    #[track_caller]
    pub fn restart(&self) {
        self.restart_without_rewrite();
        // Until the module has had it rewritten, half a unit may be in a file that the server cut; docs/operating.md says more.
        let log = self.log();
        let this_run = log.rsplit("is starting").next().unwrap_or_default();
        if this_run.contains("Truncating the AOF") {
            self.wait_until("the AOF is rewritten", || {
                let log = self.log();
                let (_, since) = log.rsplit_once("Truncating the AOF").expect("it was truncated");
                since.contains("Background AOF rewrite finished successfully")
            });
        }
    }

    pub fn restart_without_rewrite(&self) {
        if self.is_running() {
            self.shutdown();
        }
        self.forget_process();
        // A child of a killed server, which was writing a file, has the server's socket until it ends.
        self.wait_until("the port is free", || is_free(self.port));
        if let Err(e) = self.launch() {
            panic!("{} did not start again: {e}\n{}", self.flavor.name(), self.log_tail());
        }
    }

    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap();
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// Reaps a process that has ended, so that it is not taken for one that died by itself.
    fn forget_process(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.wait();
        }
    }

    /// Makes this server a replica and waits until it has all the master has.
    #[track_caller]
    pub fn replica_of(&self, master: &Server) {
        self.must(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        self.wait_for_sync(master);
    }

    /// Waits until this replica has applied everything the master has written so far.
    #[track_caller]
    pub fn wait_for_sync(&self, master: &Server) {
        let wanted: u64 = master.info("master_repl_offset").parse().expect("an offset is a number");
        self.wait_until("the replica has caught up", || {
            self.info("master_link_status") == "up"
                && self
                    .info("slave_repl_offset")
                    .parse::<u64>()
                    .is_ok_and(|offset| offset >= wanted)
        });
    }

    /// DEBUG DIGEST: equal on two servers exactly when they hold the same data.
    #[track_caller]
    pub fn debug_digest(&self) -> String {
        self.must(&["DEBUG", "DIGEST"]).text().to_owned()
    }

    /// One field of INFO everything; empty when there is none of this name.
    #[track_caller]
    pub fn info(&self, field: &str) -> String {
        let info = self.must(&["INFO", "everything"]);
        let line = info.text().lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    /// Repeats `condition` until it holds; a test that waits for ever fails with the log's end instead.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + *PATIENCE;
        while !condition() {
            if Instant::now() >= end {
                eprintln!("{}", self.must(&["INFO", "model"]).text());
            }
            assert!(Instant::now() < end, "waited too long until {what}\n{}", self.log_tail());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Rewrites the AOF, and waits until the new files have taken the place of the old.
    #[track_caller]
    pub fn rewrite_aof(&self) {
        self.begin_aof_rewrite();
        self.wait_for_aof();
    }

    /// Begins a rewrite of the AOF, after one that is in progress.
    #[track_caller]
    pub fn begin_aof_rewrite(&self) {
        self.wait_until("a rewrite of the AOF begins", || {
            let reply = self.call(&["BGREWRITEAOF"]);
            let is_begun = !reply.is_error();
            // The server or the module has begun one itself.
            assert!(is_begun || reply.error().contains("already in progress"), "{reply:?}");
            is_begun
        });
    }

    /// Waits until no rewrite of the AOF is in progress or scheduled.
    #[track_caller]
    pub fn wait_for_aof(&self) {
        self.wait_until("the AOF is rewritten", || {
            // In this order: what was scheduled is in progress next.
            self.info("aof_rewrite_scheduled") == "0" && self.info("aof_rewrite_in_progress") == "0"
        });
        assert_eq!(self.info("aof_last_bgrewrite_status"), "ok");
    }

    /// Where the server keeps its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything the process ever wrote, over restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(60)..].join("\n");
        format!(
            "--- end of the log of {} in {} ---\n{tail}\n---",
            self.flavor.name(),
            self.dir.display()
        )
    }

    /// Lets a log line with this text pass that would otherwise fail the test when the server is dropped.
    pub fn tolerate(&self, text: &str) {
        self.tolerated.lock().unwrap().push(text.to_owned());
    }

    /// Faults of the server that the test itself may not have noticed; `from` is the position in the log to start from.
    fn complaint(&self, from: usize) -> Option<String> {
        let died = self.child.lock().unwrap().as_mut().and_then(|child| child.try_wait().ok()?);
        if let Some(status) = died {
            return Some(format!("the server died by itself ({status})"));
        }
        let tolerated = self.tolerated.lock().unwrap();
        let log = self.log();
        let crashed = log[from.min(log.len())..].lines().find(|line| {
            CRASH_MARKERS.iter().any(|marker| line.contains(marker))
                && !tolerated.iter().any(|text| line.contains(text.as_str()))
        });
        // Only an AOF that the server cut is rewritten by the module.
        let rewritten = "the server cut the AOF when it loaded it";
        let needless = log.lines().find(|line| line.contains(rewritten));
        let needless = needless.filter(|_| !log.contains("Truncating the AOF"));
        crashed.or(needless).map(|line| format!("the log says: {line}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let complaint = self.complaint(0);
        valgrind::end(self);
        self.kill9();
        if thread::panicking() {
            eprintln!("{}", self.log_tail());
        } else if let Some(complaint) = complaint {
            panic!("{complaint}\n{}", self.log_tail());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A server shared by the tests of this process; see `shared`.
pub struct Shared {
    server: Arc<Server>,
    log_from: usize,
}

impl std::ops::Deref for Shared {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The test that used the server fails if it broke, not the whole run's end.
impl Drop for Shared {
    fn drop(&mut self) {
        let complaint = self.server.complaint(self.log_from);
        if thread::panicking() {
            eprintln!("{}", self.server.log_tail());
        } else if let Some(complaint) = complaint {
            panic!("{complaint}\n{}", self.server.log_tail());
        }
    }
}

/// The one server of this flavour that tests share, with the module loaded; started when first asked for, and again if it
/// died. A test on it uses a key prefix of its own, and neither flushes nor configures.
pub fn shared(flavor: Flavor) -> Shared {
    static SERVERS: [Mutex<Option<Arc<Server>>>; Flavor::ALL.len()] =
        [const { Mutex::new(None) }; Flavor::ALL.len()];
    // A start that failed leaves `None` and a poisoned lock; the next test may try again.
    let mut slot = SERVERS[flavor as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if slot.as_ref().is_some_and(|server| !server.is_running()) {
        // The test that used it reports the death; were it dropped here, this one would report it again.
        std::mem::forget(slot.take());
    }
    let server = slot.get_or_insert_with(|| Arc::new(Server::start(flavor, &[]))).clone();
    let log_from = server.log().len();
    Shared { server, log_from }
}

/// Returns true if no process listens on a port.
fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A port that is free now, as is the one a cluster bus would use, 10000 above, and its reservation: the UDP port of the
/// same number, which servers do not use. Test processes that run side by side thus never share a port. Below
/// the ephemeral range, so that no outgoing connection takes it.
fn free_port() -> (u16, UdpSocket) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test processes start at different places, so that they seldom meet.
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + ((std::process::id() * 97 + step) % 10_000) as u16;
        let Ok(reservation) = UdpSocket::bind(("127.0.0.1", port)) else {
            continue;
        };
        if is_free(port) && is_free(port + 10_000) {
            return (port, reservation);
        }
    }
}

/// A new folder below target/tmp. Those of test processes that are no more (kept after a failure,
/// or of shared servers) are swept when the first one is made.
fn fresh_dir(flavor: Flavor) -> PathBuf {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server");
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.split('.').next()).unwrap_or_default();
            if !Path::new("/proc").join(pid).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        root
    });
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = ROOT.join(format!("{}.{number}-{}", std::process::id(), flavor.name()));
    fs::create_dir_all(&dir).expect("a temporary folder can be made");
    dir
}

/// A server that the kernel stops when the thread that starts it ends: setpriv, of util-linux, says
/// prctl(PR_SET_PDEATHSIG) for us and execs, so there is no unsafe code here.
fn under_kernel_care(flavor: Flavor) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig").arg(valgrind::death_signal(flavor)).arg("--");
    valgrind::add_server(&mut command, flavor, &flavor.program());
    command
}

/// Starts a process from a thread that lives as long as this process does. A test's own thread ends with
/// the test, before a shared server may.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // The caller waits for the answer, or has panicked and needs none.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, answer) = channel();
    SPAWNER.lock().unwrap().send((command, reply)).expect("the spawner lives");
    answer.recv().expect("the spawner answers")
}
