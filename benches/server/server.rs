//! A server of its own, on a core of its own, and how much processor time it used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::Connection;

/// Where servers run, and where the client does.
pub struct Cores {
    server: Option<usize>,
}

impl Cores {
    /// Pins this process to one core and leaves another to the servers, where there are two.
    pub fn divide() -> Cores {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        if count < 2 {
            eprintln!("bench: only one core: client and server share it");
            return Cores { server: None };
        }
        let own = std::process::id().to_string();
        let pinned =
            Command::new("taskset").args(["-cp", "0", &own]).stdout(Stdio::null()).status();
        if !pinned.is_ok_and(|status| status.success()) {
            eprintln!("bench: taskset does not work: client and server are not pinned");
            return Cores { server: None };
        }
        Cores { server: Some(1) }
    }
}

/// A running server. Killed and cleaned up after when dropped.
pub struct Server {
    process: Child,
    pub port: u16,
    dir: PathBuf,
}

impl Server {
    /// Starts a server with the module. `dir` is its data folder, which is removed with it.
    pub fn start(program: &Path, module: &Path, cores: &Cores, dir: &Path) -> Server {
        fs::create_dir_all(dir).expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new("setpriv");
        // The server does not outlive this process, however that ends.
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(core) = cores.server {
            command.args(["taskset", "-c", &core.to_string()]);
        }
        command.arg(program).arg("--loadmodule").arg(module).arg("--dir").arg(dir);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--logfile", "log", "--daemonize", "no"]);
        let process = command.stdout(Stdio::null()).spawn().expect("setpriv and taskset run");
        let mut server = Server { process, port, dir: dir.into() };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("the server ended ({status}):\n{log}");
            }
            if Connection::open(self.port).is_ok_and(|mut connection| {
                // A line of its own: there is an `async_loading` too.
                connection.text(&["INFO", "persistence"]).lines().any(|line| line == "loading:0")
            }) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server was not ready in time");
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.port).expect("the server listens")
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The data folder lives on; another server may be started on it.
    pub fn stop_and_keep(mut self) {
        self.kill();
        self.dir = PathBuf::new();
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Nanoseconds of processor time since the start, all threads together. Taken when the server
    /// has had time to go to sleep: that is when the scheduler's account is complete.
    pub fn cpu_ns(&self) -> u64 {
        std::thread::sleep(Duration::from_millis(3));
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the server lives");
        let on_cpu = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        let total: u64 = tasks.flatten().filter_map(on_cpu).sum();
        assert!(total > 0, "this kernel keeps no /proc/<pid>/schedstat");
        total
    }

    /// The memory in use by the allocator's account.
    pub fn used_memory(&self) -> u64 {
        let info = self.connect().text(&["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|value| value.parse().ok()).expect("INFO has used_memory")
    }

    pub fn version(&self) -> String {
        let info = self.connect().text(&["INFO", "server"]);
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_string()
        };
        match field("valkey_version:") {
            version if version.is_empty() => format!("Redis {}", field("redis_version:")),
            version => format!("Valkey {version}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if !self.dir.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
