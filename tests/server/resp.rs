//! A connection that sends any bytes and reads typed replies, in RESP2 and RESP3.
//!
//! It hides nothing a client library would: errors are replies, maps stay maps, a pipeline is `send`
//! several times and `recv` as often. Reading never loses bytes: a `recv` that times out can be
//! repeated, which is how tests watch a blocked client.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::valgrind::patience;

/// How long a reply may take before the test fails. Far above what any server needs, since the
/// machine may be busy: tests never assert a time.
const PATIENCE: Duration = Duration::from_secs(60);

/// One reply, as the server typed it.
#[derive(Clone, PartialEq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    /// RESP3's null and both of RESP2's.
    Null,
    Array(Vec<Reply>),
    /// Pairs in the order sent.
    Map(Vec<(Reply, Reply)>),
    Set(Vec<Reply>),
    Double(f64),
    Bool(bool),
    BigNumber(String),
    Verbatim(String, Vec<u8>),
    Push(Vec<Reply>),
}

impl Reply {
    /// The bulk reply with this text: what a test compares with.
    pub fn bulk(text: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(text.as_ref().to_vec())
    }

    pub fn ok() -> Reply {
        Reply::Simple("OK".to_owned())
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    #[track_caller]
    pub fn error(&self) -> &str {
        match self {
            Reply::Error(text) => text,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// The error's first word, the part clients branch on.
    #[track_caller]
    pub fn error_word(&self) -> &str {
        self.error().split(' ').next().unwrap_or_default()
    }

    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Reply::Int(number) => *number,
            other => panic!("expected an integer, got {other:?}"),
        }
    }

    /// The text of a simple, bulk or verbatim string.
    #[track_caller]
    pub fn text(&self) -> &str {
        let bytes = match self {
            Reply::Simple(text) => return text,
            Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => bytes,
            other => panic!("expected a string, got {other:?}"),
        };
        std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("expected UTF-8, got {self:?}"))
    }

    /// The JSON value the text of this reply holds.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.text())
            .unwrap_or_else(|e| panic!("expected JSON, got {self:?}: {e}"))
    }

    /// The elements of an array, set or push.
    #[track_caller]
    pub fn array(&self) -> &[Reply] {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => items,
            other => panic!("expected an array, got {other:?}"),
        }
    }

    /// The pairs of a map, which in RESP2 is an array of names and values in turn.
    #[track_caller]
    pub fn pairs(&self) -> Vec<(&Reply, &Reply)> {
        match self {
            Reply::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
            Reply::Array(items) if items.len() % 2 == 0 => {
                items.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect()
            }
            other => panic!("expected a map, got {other:?}"),
        }
    }

    /// The value of a map's member, in either protocol.
    #[track_caller]
    pub fn field(&self, name: &str) -> &Reply {
        let pairs = self.pairs();
        let found = pairs.iter().find(|(key, _)| key.text() == name);
        found.unwrap_or_else(|| panic!("no member {name:?} in {self:?}")).1
    }
}

/// Bytes as text, so that a failed comparison can be read.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Simple(text) => write!(f, "+{text}"),
            Reply::Error(text) => write!(f, "-{text}"),
            Reply::Int(number) => write!(f, "{number}"),
            Reply::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Reply::Null => write!(f, "null"),
            Reply::Array(items) => f.debug_list().entries(items).finish(),
            Reply::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish(),
            Reply::Set(items) => f.debug_set().entries(items).finish(),
            Reply::Double(number) => write!(f, "{number:?}"),
            Reply::Bool(truth) => write!(f, "{truth}"),
            Reply::BigNumber(digits) => write!(f, "big {digits}"),
            Reply::Verbatim(format, bytes) => write!(f, "{format}:\"{}\"", bytes.escape_ascii()),
            Reply::Push(items) => {
                write!(f, "push ")?;
                f.debug_list().entries(items).finish()
            }
        }
    }
}

/// One client's connection.
pub struct Conn {
    stream: TcpStream,
    /// Bytes that were received and not yet taken by `recv`.
    received: Vec<u8>,
}

impl Conn {
    pub fn open(port: u16) -> std::io::Result<Conn> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Conn { stream, received: Vec::new() })
    }

    /// Sends one command and reads its reply.
    #[track_caller]
    pub fn call(&mut self, args: &[&str]) -> Reply {
        self.send(args);
        self.recv()
    }

    /// As `call`, for arguments that are not text.
    #[track_caller]
    pub fn call_bytes(&mut self, args: &[&[u8]]) -> Reply {
        self.send_bytes(args);
        self.recv()
    }

    /// As `call`, for setting up: an error reply fails the test.
    #[track_caller]
    pub fn must(&mut self, args: &[&str]) -> Reply {
        match self.call(args) {
            Reply::Error(text) => panic!("{args:?} was refused: {text}"),
            reply => reply,
        }
    }

    /// Sends commands in bundles; gives their replies in order.
    #[track_caller]
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(commands.len());
        for bundle in commands.chunks(100) {
            let encoded: Vec<Vec<u8>> = bundle
                .iter()
                .map(|command| encode(&command.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
                .collect();
            self.send_raw(&encoded.concat());
            replies.extend(bundle.iter().map(|_| self.recv()));
        }
        replies
    }

    /// Sends one command; its reply waits for `recv`.
    #[track_caller]
    pub fn send(&mut self, args: &[&str]) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.send_bytes(&args);
    }

    #[track_caller]
    pub fn send_bytes(&mut self, args: &[&[u8]]) {
        self.send_raw(&encode(args));
    }

    /// Sends bytes as they are, RESP or not.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server closed the connection");
    }

    /// As `send_raw`; an error means that the connection is gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    #[track_caller]
    pub fn recv(&mut self) -> Reply {
        self.recv_within(patience(PATIENCE)).expect("no reply came")
    }

    /// The next reply, or `None` when it has not come in this time; nothing is lost then.
    #[track_caller]
    pub fn recv_within(&mut self, time: Duration) -> Option<Reply> {
        self.try_recv(time).expect("the server closed the connection")
    }

    /// As `recv_within`; an error means that the connection is gone.
    pub fn try_recv(&mut self, time: Duration) -> std::io::Result<Option<Reply>> {
        let end = Instant::now() + time;
        loop {
            let mut parser = Parser { bytes: &self.received, at: 0 };
            if let Some(reply) = parser.reply() {
                let taken = parser.at;
                self.received.drain(..taken);
                return Ok(Some(reply));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.receive_some(left)?;
        }
    }

    fn receive_some(&mut self, within: Duration) -> std::io::Result<()> {
        let mut chunk = [0; 64 * 1024];
        self.stream.set_read_timeout(Some(within))?;
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::ConnectionAborted.into()),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            Err(e) => Err(e),
        }
    }
}

/// A command as every client sends it: an array of bulk strings.
pub fn encode(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads replies from the start of `bytes`. `None` means that they end before the reply does; a
/// reply no server may send fails the test.
pub struct Parser<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Parser<'_> {
    pub fn reply(&mut self) -> Option<Reply> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        let line = self.line()?;
        Some(match kind {
            b'+' => Reply::Simple(line),
            b'-' => Reply::Error(line),
            b':' => Reply::Int(number(&line)),
            b'$' => self.sized(&line)?.map_or(Reply::Null, Reply::Bulk),
            b'_' => Reply::Null,
            b'#' => Reply::Bool(line == "t"),
            b',' => Reply::Double(line.parse().unwrap_or_else(|_| panic!("bad double {line:?}"))),
            b'(' => Reply::BigNumber(line),
            b'!' => Reply::Error(
                String::from_utf8_lossy(&self.sized(&line)?.unwrap_or_default()).into_owned(),
            ),
            b'=' => self.verbatim(&line)?,
            b'*' if line == "-1" => Reply::Null,
            b'*' => Reply::Array(self.replies(number(&line))?),
            b'~' => Reply::Set(self.replies(number(&line))?),
            b'>' => Reply::Push(self.replies(number(&line))?),
            b'%' => Reply::Map(self.pairs(number(&line))?),
            b'|' => {
                // Attributes say something about the reply that follows; no test asks what.
                self.pairs(number(&line))?;
                self.reply()?
            }
            other => panic!("no reply begins with {:?}", other as char),
        })
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// The bytes a length line announces, `Some(None)` for RESP2's null.
    fn sized(&mut self, length: &str) -> Option<Option<Vec<u8>>> {
        if length == "-1" {
            return Some(None);
        }
        let length: usize = number(length);
        let bytes = self.bytes.get(self.at..self.at + length)?.to_vec();
        self.bytes.get(self.at + length..self.at + length + 2)?;
        self.at += length + 2;
        Some(Some(bytes))
    }

    fn verbatim(&mut self, length: &str) -> Option<Reply> {
        let bytes = self.sized(length)?.unwrap_or_default();
        let (format, text) = bytes.split_at(4);
        Some(Reply::Verbatim(String::from_utf8_lossy(&format[..3]).into_owned(), text.to_vec()))
    }

    fn replies(&mut self, count: usize) -> Option<Vec<Reply>> {
        (0..count).map(|_| self.reply()).collect()
    }

    fn pairs(&mut self, count: usize) -> Option<Vec<(Reply, Reply)>> {
        (0..count).map(|_| Some((self.reply()?, self.reply()?))).collect()
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("bad number {text:?}"))
}
