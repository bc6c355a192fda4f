//! The longest hold: how long the worst commands keep the server's one thread, by its processor time.
//!
//! Other processes make processor time longer: they share caches and the two threads of a core. So a script of known work
//! runs on the same server just before and after each command, and times are divided by how much slower it was than at best.

use super::server::Server;
use super::wire::{Connection, Requests};
use worst::Worst;

#[path = "../../tests/worst/mod.rs"]
mod worst;

/// The bound: no command takes longer than this...
const MS_MAX: f64 = 100.0;
/// ... and so long besides for each byte of large arguments and documents.
const NS_PER_BYTE_MAX: f64 = 25.0;

/// A script that takes some ten milliseconds.
const KNOWN_WORK: &str = "local n = 0 for i = 1, 2000000 do n = n + i % 7 end return n";

/// One command, with the processor time it took.
pub struct Hold {
    pub name: &'static str,
    /// As it would be on a quiet machine.
    pub ms: f64,
    /// As it was measured.
    pub measured_ms: f64,
    /// The time of [`KNOWN_WORK`] around it.
    known_ms: f64,
    /// Bytes of its arguments, of its reply, and of the documents it names, before and after.
    pub bytes: u64,
    /// The limit that refused it, or else nothing.
    pub refused: Option<String>,
}

impl Hold {
    fn ns_per_byte(&self) -> f64 {
        self.ms * 1e6 / self.bytes as f64
    }

    fn is_within_bound(&self) -> bool {
        self.ms <= MS_MAX + self.bytes as f64 * NS_PER_BYTE_MAX / 1e6
    }
}

/// Sends each of the worst commands, at the sizes that default limits allow; the longest first. Only those with
/// `HOLD` of the environment in their names.
pub fn measure(server: &Server) -> Vec<Hold> {
    let only = std::env::var("HOLD").unwrap_or_default();
    let mut preparing = server.connect().taking_errors();
    let mut connection = server.connect().taking_errors();
    let mut send = |command: &[String]| {
        connection.command(&command.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut holds = Vec::new();
    worst::each(1, &only, &mut |worst| {
        send(&["FLUSHALL".to_owned()]);
        prepare(&mut preparing, &worst);
        let found = documents_bytes(&mut send, &worst.command);
        let known = ["EVAL", KNOWN_WORK, "0"].map(str::to_owned);
        let mut timed = |command: &[String]| {
            let before = server.cpu_ns();
            let reply = send(command);
            (reply, (server.cpu_ns() - before) as f64 / 1e6)
        };
        let (_, known_before) = timed(&known);
        let (reply, ms) = timed(&worst.command);
        let (_, known_after) = timed(&known);
        let known_ms = (known_before + known_after) / 2.0;
        let left = documents_bytes(&mut send, &worst.command);
        let arguments: usize = worst.command.iter().map(String::len).sum();
        let bytes = (arguments + reply.len()) as u64 + found + left;
        let hold = Hold {
            name: worst.name,
            ms,
            measured_ms: ms,
            known_ms,
            bytes,
            refused: refusal(&reply),
        };
        eprintln!("bench: {ms:.1} ms, known work {known_ms:.1} ms: {}", hold.name);
        holds.push(hold);
    });
    let quiet_ms = holds.iter().map(|hold| hold.known_ms).fold(f64::INFINITY, f64::min);
    holds.iter_mut().for_each(|hold| hold.ms = hold.measured_ms * quiet_ms / hold.known_ms);
    holds.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    holds
}

/// Commands that are written at once.
const WINDOW: usize = 50;

/// Sends the commands that come before a worst one.
fn prepare(connection: &mut Connection, worst: &Worst) {
    let mut commands = worst.setup.iter();
    let setup = Requests::make(worst.setup.len(), |nth| worst.setup[nth].clone());
    connection.run_checked(&setup, WINDOW, |reply| {
        let command = commands.next().expect("as many replies as commands");
        if reply[0] == b'-' {
            let line = String::from_utf8_lossy(&reply[..reply.len().min(500)]);
            panic!("{}: refused: {line}: {:.200}", worst.name, command.join(" "));
        }
    });
}

/// The bytes of the documents whose keys a command names, as `model.document-bytes` counts them.
fn documents_bytes(send: &mut impl FnMut(&[String]) -> Vec<u8>, command: &[String]) -> u64 {
    let is_key = |word: &&String| {
        word.strip_prefix('k').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let keys: std::collections::BTreeSet<&String> = command.iter().filter(is_key).collect();
    let size = |key: &String| {
        let reply = send(&["MODEL.META".to_owned(), key.clone()]);
        let text = String::from_utf8_lossy(&reply).into_owned();
        let number = text.split("\r\nbytes\r\n:").nth(1)?.split('\r').next()?;
        number.parse::<u64>().ok()
    };
    keys.into_iter().filter_map(size).sum()
}

fn refusal(reply: &[u8]) -> Option<String> {
    let text = reply.strip_prefix(b"-")?;
    let text = String::from_utf8_lossy(text);
    let limit = text.split("\"limit\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Some(limit.or_else(|| text.split(' ').next()).unwrap_or_default().to_owned())
}

/// The longest hold with its name, and those that come next; then whatever exceeds the bound.
pub fn print(holds: &[Hold]) {
    const SHOWN: usize = 30;
    let Some(longest) = holds.first() else { return };
    println!("\nLongest hold: {:.0} ms, {}\n", longest.ms, longest.name);
    println!(
        "| command, at its worst | processor time | as measured | for a byte touched | refused by |"
    );
    println!("|---|---|---|---|---|");
    for hold in holds.iter().take(SHOWN) {
        let refused = hold.refused.as_deref().unwrap_or("");
        println!(
            "| {} | {:.1} ms | {:.1} ms | {:.1} ns | {refused} |",
            hold.name,
            hold.ms,
            hold.measured_ms,
            hold.ns_per_byte()
        );
    }
    let beyond: Vec<_> = holds.iter().filter(|hold| !hold.is_within_bound()).collect();
    println!("\nOf {} commands, {} exceed the bound", holds.len(), beyond.len());
    println!(
        "of {MS_MAX:.0} ms, and {NS_PER_BYTE_MAX:.0} ns besides for each byte of arguments, documents and reply."
    );
    beyond.iter().for_each(|hold| println!("- {}: {:.1} ms", hold.name, hold.ms));
}
