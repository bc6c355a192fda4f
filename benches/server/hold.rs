//! The longest hold: how long the worst commands keep the server's one thread, by its processor time.

use super::server::Server;

#[path = "../../tests/worst/mod.rs"]
mod worst;

/// One command, with the processor time it took.
pub struct Hold {
    pub name: &'static str,
    pub ms: f64,
    /// The limit that refused it, or else nothing.
    pub refused: Option<String>,
}

/// Sends each of the worst commands, at the sizes that default limits allow; the longest first.
pub fn measure(server: &Server) -> Vec<Hold> {
    let mut connection = server.connect().taking_errors();
    let mut send = |command: &[String]| {
        connection.command(&command.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut holds: Vec<Hold> = worst::all(1)
        .into_iter()
        .map(|worst| {
            send(&["FLUSHALL".to_owned()]);
            worst.setup.iter().for_each(|command| drop(send(command)));
            let before = server.cpu_ns();
            let reply = send(&worst.command);
            let ms = (server.cpu_ns() - before) as f64 / 1e6;
            Hold { name: worst.name, ms, refused: refusal(&reply) }
        })
        .collect();
    holds.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    holds
}

fn refusal(reply: &[u8]) -> Option<String> {
    let text = reply.strip_prefix(b"-")?;
    let text = String::from_utf8_lossy(text);
    let limit = text.split("\"limit\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Some(limit.or_else(|| text.split(' ').next()).unwrap_or_default().to_owned())
}

/// The longest hold with its name, and those that come next.
pub fn print(holds: &[Hold]) {
    const SHOWN: usize = 20;
    let Some(longest) = holds.first() else { return };
    println!("\nLongest hold: {:.0} ms, {}\n", longest.ms, longest.name);
    println!("| command, at its worst | processor time | refused by |");
    println!("|---|---|---|");
    for hold in holds.iter().take(SHOWN) {
        let refused = hold.refused.as_deref().unwrap_or("");
        println!("| {} | {:.1} ms | {refused} |", hold.name, hold.ms);
    }
}
