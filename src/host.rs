//! The keyspace, clock and settings that a command works on, and the outcome that it returns.

use std::ffi::CStr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::budget::{Allowance, WorkLimits};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::Result;
use crate::expiry::Expiry;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::lock::{Engine, LockLimits, Moment, Store};
use crate::model::Models;
use crate::model::schema::SchemaLimits;
use crate::path::PathLimits;
use crate::reply::Reply;
use crate::token::Token;
use crate::value::Limits;
use crate::value::edit::Journal;

/// A key of the command: its name, and the position of its argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key<'a> {
    pub arg: usize,
    pub name: &'a [u8],
}

/// The configured limits.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub document: Limits,
    pub paths: PathLimits,
    pub work: WorkLimits,
    pub expressions: ExprLimits,
    pub schemas: SchemaLimits,
    pub transactions: TransactionLimits,
    pub locks: LockLimits,
}

/// Bounds on one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Bytes of a reply that is recorded under a token. Configuration `model.token-reply-bytes`.
    pub token_reply_bytes: u64,
}

impl TransactionLimits {
    /// Room for the replies of some hundred reads; a token is kept in memory as long as its
    /// window is open.
    pub const DEFAULT: TransactionLimits =
        TransactionLimits { token_reply_bytes: crate::limit::TOKEN_REPLY_BYTES.default };
    pub const NONE: TransactionLimits = TransactionLimits { token_reply_bytes: u64::MAX };
}

impl Settings {
    /// For commands that a master has validated.
    pub const NONE: Settings = Settings {
        document: Limits::NONE,
        paths: PathLimits::NONE,
        work: WorkLimits::NONE,
        expressions: ExprLimits::NONE,
        schemas: SchemaLimits::NONE,
        transactions: TransactionLimits::NONE,
        locks: LockLimits::NONE,
    };
    pub const DEFAULT: Settings = Settings {
        document: Limits::DEFAULT,
        paths: PathLimits::DEFAULT,
        work: WorkLimits::DEFAULT,
        expressions: ExprLimits::DEFAULT,
        schemas: SchemaLimits::DEFAULT,
        transactions: TransactionLimits::DEFAULT,
        locks: LockLimits::DEFAULT,
    };
}

/// The keyspace and the clock, as one command sees them. Implemented by the server's shell, and in
/// memory by [`crate::testing::MemoryHost`].
pub trait Host {
    /// The server's clock: microseconds since 1970, the same during one command.
    fn now_us(&mut self) -> u64;

    /// The revisions of this server.
    fn revisions(&self) -> &Revisions;

    /// The models of this server.
    fn models(&self) -> &Models;

    /// The compiled expression: from a cache, most of the time; otherwise the command pays for compiling it.
    /// `EXPR` if it does not compile.
    fn compile(
        &mut self,
        source: &[u8],
        names: AllowedNames,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<Program>>;

    /// The limits that apply now.
    fn settings(&self) -> Settings;

    /// Flag: this command comes from a master or an AOF, where it was validated, perhaps under other limits.
    fn replaying(&self) -> bool;

    /// The document at a key; `WRONGTYPE` if it holds something else.
    fn read(&mut self, key: Key<'_>) -> Result<Option<&Document>>;

    /// As [`Host::read`], to be changed in place.
    fn open(&mut self, key: Key<'_>) -> Result<Option<&mut Document>>;

    /// As [`Host::open`], with the clock where `reads_clock` says so of the document: it is read before the
    /// document is borrowed, and reading it takes time.
    fn open_timed(
        &mut self,
        key: Key<'_>,
        reads_clock: &mut dyn FnMut(Option<&Document>) -> bool,
    ) -> Result<(Option<&mut Document>, Option<u64>)>;

    /// As [`Host::open`], for several keys at once, whose names all differ.
    fn open_all(&mut self, keys: &[Key<'_>]) -> Result<Documents<'_>>;

    /// Stores a document, in place of any document at the key. The time to live stays as it was.
    fn put(&mut self, key: Key<'_>, document: NewDocument);

    /// Deletes a key that holds a document.
    fn remove(&mut self, key: Key<'_>);

    /// The token at a key; `WRONGTYPE` if it holds something else.
    fn token(&mut self, key: Key<'_>) -> Result<Option<&Token>>;

    /// Stores a token, in place of any token at the key.
    fn put_token(&mut self, key: Key<'_>, token: Token);

    /// Changes the time to live of a key that exists. Returns false if it was the same before.
    fn expire(&mut self, key: Key<'_>, expiry: Expiry) -> bool;

    /// The expiry of a key, in unix milliseconds.
    fn expires_at(&mut self, key: Key<'_>) -> Option<u64>;

    /// Flag: a command that only reads may change the expiry of a key. Not on a replica, and not while writes are
    /// paused.
    fn may_refresh(&mut self) -> bool;

    /// Scans about `count` keys from `cursor` on, which is 0 at the start. Returns the next cursor, 0 at the end,
    /// and the scanned keys whose documents are of that model.
    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>);

    /// The database the command runs in.
    fn database(&mut self) -> i32;

    /// The connection the command came from; 0 where there is none.
    fn client(&mut self) -> u64;

    /// Flag: the client may be blocked. Not in `MULTI`, and not in a script.
    fn may_wait(&mut self) -> bool;

    /// The moment of the command, for leases and fences.
    fn moment(&mut self) -> Moment;

    /// Calls `run` with the lock engine, with the store that lends the locks of documents by their keys, and with
    /// the moment. No document is borrowed meanwhile. Changes are replicated and announced when the command is
    /// over.
    fn with_locks(&mut self, run: &mut WithLocks<'_>);

    /// An empty journal; giving it back with [`Host::keep_journal`] saves allocations.
    fn take_journal(&mut self) -> Box<Journal>;

    fn keep_journal(&mut self, journal: Box<Journal>);
}

/// The documents at several keys, in their order; none where a key is missing.
pub type Documents<'h> = SmallVec<[Option<&'h mut Document>; 2]>;

/// A function that works with locks, see [`Host::with_locks`].
pub type WithLocks<'r> = dyn FnMut(&mut Engine, &mut dyn Store, Moment) + 'r;

/// The outcome of a command that was executed. A refused command has none: it changed nothing.
#[derive(Debug)]
pub struct Outcome {
    pub reply: Reply,
    /// One for each key that was changed, in order.
    pub effects: SmallVec<[KeyEffect; 2]>,
    /// A changed definition, see [`crate::codec::definition`], for replicas, the AOF and other shards.
    pub definition: Option<Vec<u8>>,
    /// The client gets its reply later.
    pub waits: Option<Waiting>,
}

impl From<Reply> for Outcome {
    /// Nothing was changed.
    fn from(reply: Reply) -> Outcome {
        Outcome { reply, effects: SmallVec::new(), definition: None, waits: None }
    }
}

/// A client that waits for a lock.
#[derive(Debug)]
pub struct Waiting {
    /// The request, see [`Engine`].
    pub waiter: u64,
    /// How long it may wait; then the reply is null.
    pub wait_ms: u64,
    /// The form of the reply when it is granted.
    pub form: LockReply,
}

/// The form of the reply to a request for locks that was granted.
#[derive(Debug)]
pub struct LockReply {
    /// Flag: the reply has the documents, too.
    pub get: bool,
    /// The number of the document of each listed key; none for a command of one key.
    pub order: Option<Vec<usize>>,
}

/// A change of one key, to be signalled, announced and propagated.
#[derive(Debug)]
pub struct KeyEffect {
    /// The position of the key among the arguments.
    pub key_arg: usize,
    /// The keyspace event of a changed content, if it changed.
    pub event: Option<&'static CStr>,
    /// The event of the generic class: of a changed time to live, if it changed, or of the key's end.
    pub generic_event: Option<&'static CStr>,
    /// Flag: clients that watch the key or cache it are told. Not where a read renewed the time to live: the reading
    /// client would be told of its own read, and could cache nothing.
    pub signalled: bool,
    pub sent: Sent,
}

/// The form in which replicas and the AOF receive a change of one key.
#[derive(Debug)]
pub enum Sent {
    /// The command as it is, which is its own effect: once, however many keys it changed.
    Command,
    /// `MODEL.APPLY` with the effect, see [`crate::codec::effect`], and the document's JSON where the
    /// effect needs it.
    Effect(Vec<u8>, Option<JsonText>),
    /// `UNLINK`.
    Unlink,
}

/// JSON text that is an argument of the command already, or was made.
#[derive(Debug)]
pub enum JsonText {
    Arg(usize),
    Made(Vec<u8>),
}
