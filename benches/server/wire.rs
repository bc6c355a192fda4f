//! The client: raw RESP2 over one connection, requests written beforehand, every reply counted.
//!
//! No client library: its work would be done on the other core but its pacing would not.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Requests in the order they are sent, ready to be sent.
#[derive(Default)]
pub struct Requests {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Appends one command in RESP.
fn put_command(args: &[&[u8]], out: &mut Vec<u8>) {
    let mut put = |kind: char, count: usize, payload: Option<&[u8]>| {
        out.extend_from_slice(format!("{kind}{count}\r\n").as_bytes());
        if let Some(payload) = payload {
            out.extend_from_slice(payload);
            out.extend_from_slice(b"\r\n");
        }
    };
    put('*', args.len(), None);
    args.iter().for_each(|arg| put('$', arg.len(), Some(arg)));
}

impl Requests {
    pub fn push(&mut self, args: &[&str]) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        put_command(&args, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// `count` requests, made by their number.
    pub fn make(count: usize, mut request: impl FnMut(usize) -> Vec<String>) -> Requests {
        let mut requests = Requests::default();
        for nth in 0..count {
            let args = request(nth);
            requests.push(&args.iter().map(String::as_str).collect::<Vec<_>>());
        }
        requests
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of the requests numbered `from..to`.
    fn slice(&self, from: usize, to: usize) -> &[u8] {
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        &self.bytes[start..self.ends[to - 1]]
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How far the buffer was consumed.
    at: usize,
    /// How much is read at once.
    chunk: usize,
    /// Flag: error replies are taken as any others.
    takes_errors: bool,
}

impl Connection {
    pub fn open(port: u16) -> std::io::Result<Connection> {
        Connection::open_with(port, 1 << 18)
    }

    /// One of many, for small replies.
    pub fn open_small(port: u16) -> std::io::Result<Connection> {
        Connection::open_with(port, 1 << 9)
    }

    fn open_with(port: u16, chunk: usize) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(4 * chunk),
            at: 0,
            chunk,
            takes_errors: false,
        })
    }

    /// The same connection, which takes error replies as any others; otherwise one ends the benchmark.
    pub fn taking_errors(mut self) -> Connection {
        self.takes_errors = true;
        self
    }

    /// Sends one command and leaves its reply for [`Connection::receive`].
    pub fn send(&mut self, args: &[&str]) {
        let mut requests = Requests::default();
        requests.push(args);
        self.stream.write_all(&requests.bytes).expect("the server takes requests");
    }

    /// The next reply, as it came.
    pub fn receive(&mut self) -> &[u8] {
        self.reply()
    }

    /// Sends every request, `window` at a time with the next window already on its way, and gives
    /// every reply to `check`.
    pub fn run_checked(
        &mut self,
        requests: &Requests,
        window: usize,
        mut check: impl FnMut(&[u8]),
    ) {
        let total = requests.len();
        let mut sent = 0;
        let mut received = 0;
        while received < total {
            while sent < total && sent < received + 2 * window {
                let end = (sent + window).min(total);
                self.stream
                    .write_all(requests.slice(sent, end))
                    .expect("the server takes requests");
                sent = end;
            }
            let expected = (received + window).min(total);
            while received < expected {
                check(self.reply());
                received += 1;
            }
        }
        assert_eq!(self.at, self.buffer.len(), "as many replies as requests");
    }

    /// Sends every request when the one before was replied to, and gives every reply to `check`.
    pub fn run_one_by_one(&mut self, requests: &Requests, mut check: impl FnMut(&[u8])) {
        for nth in 0..requests.len() {
            self.stream.write_all(requests.slice(nth, nth + 1)).expect("the server takes requests");
            check(self.reply());
        }
    }

    pub fn run(&mut self, requests: &Requests, window: usize) {
        self.run_checked(requests, window, |_| {});
    }

    /// One command, and its reply as it came.
    pub fn command(&mut self, args: &[&str]) -> Vec<u8> {
        let mut requests = Requests::default();
        requests.push(args);
        let mut reply = Vec::new();
        self.run_checked(&requests, 1, |bytes| reply.extend_from_slice(bytes));
        reply
    }

    /// One command whose reply is a bulk string, as text.
    pub fn text(&mut self, args: &[&str]) -> String {
        bulk_text(&self.command(args))
    }

    fn reply(&mut self) -> &[u8] {
        loop {
            if let Some(end) = reply_end(&self.buffer, self.at, self.takes_errors) {
                let start = std::mem::replace(&mut self.at, end);
                return &self.buffer[start..end];
            }
            self.fill();
        }
    }

    fn fill(&mut self) {
        self.buffer.drain(..self.at);
        self.at = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + self.chunk, 0);
        let read = self.stream.read(&mut self.buffer[filled..]).expect("the server replies");
        assert!(read > 0, "the server closed the connection");
        self.buffer.truncate(filled + read);
    }
}

/// The payload of a bulk string.
pub fn bulk_text(reply: &[u8]) -> String {
    assert_eq!(reply[0], b'$', "a bulk string, not {}", String::from_utf8_lossy(reply));
    let line = reply.windows(2).position(|pair| pair == b"\r\n").expect("a length line") + 2;
    String::from_utf8_lossy(reply[line..].strip_suffix(b"\r\n").unwrap_or_default()).into_owned()
}

/// Where the reply at `at` ends; `None` while it is incomplete.
fn reply_end(bytes: &[u8], at: usize, takes_errors: bool) -> Option<usize> {
    let line = bytes.get(at..)?.iter().position(|byte| *byte == b'\n')? + at;
    let text = std::str::from_utf8(&bytes[at + 1..line - 1]).expect("a reply line is text");
    let count = || text.parse::<i64>().expect("a length");
    match bytes[at] {
        b'+' | b':' => Some(line + 1),
        b'$' if count() < 0 => Some(line + 1),
        b'$' => {
            let end = line + 1 + count() as usize + 2;
            (end <= bytes.len()).then_some(end)
        }
        b'*' => (0..count()).try_fold(line + 1, |at, _| reply_end(bytes, at, takes_errors)),
        b'-' if takes_errors => Some(line + 1),
        b'-' => panic!("an error reply: {text}"),
        other => panic!("a reply cannot begin with {:?}", char::from(other)),
    }
}
