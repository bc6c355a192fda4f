//! The world as a command sees it, and the outcome it gives back.

use std::ffi::CStr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::budget::{Allowance, WorkLimits};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::Result;
use crate::expiry::Expiry;
use crate::expr::{ExprLimits, Names, Program};
use crate::lock::{Engine, LockLimits, Moment, Store};
use crate::model::Models;
use crate::model::schema::SchemaLimits;
use crate::path::PathLimits;
use crate::reply::Reply;
use crate::token::Token;
use crate::value::Limits;
use crate::value::edit::Journal;

/// A key of the command: its name, and which argument it is.
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
    /// Room for what a client reads of some hundred documents; a token is kept in memory as long as its
    /// window is open.
    pub const DEFAULT: TransactionLimits =
        TransactionLimits { token_reply_bytes: crate::limit::TOKEN_REPLY_BYTES.default };
    pub const NONE: TransactionLimits = TransactionLimits { token_reply_bytes: u64::MAX };
}

impl Settings {
    /// For what a master has judged already.
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
        names: Names,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<Program>>;

    /// The limits that apply now.
    fn settings(&self) -> Settings;

    /// Whether this command comes from a master or an AOF: it was judged there, under other limits.
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

    /// Stores a document, in the place of one that may be there. The time to live stays as it was.
    fn put(&mut self, key: Key<'_>, document: NewDocument);

    /// Deletes a key that holds a document.
    fn remove(&mut self, key: Key<'_>);

    /// The token at a key; `WRONGTYPE` if it holds something else.
    fn token(&mut self, key: Key<'_>) -> Result<Option<&Token>>;

    /// Stores a token, in the place of one that may be there.
    fn put_token(&mut self, key: Key<'_>, token: Token);

    /// Changes the time to live of a key that exists; says whether it was another one before.
    fn expire(&mut self, key: Key<'_>, expiry: Expiry) -> bool;

    /// When a key expires, in unix milliseconds.
    fn expires_at(&mut self, key: Key<'_>) -> Option<u64>;

    /// Whether a command that only reads may change when a key expires: not on a replica, and not
    /// while writes are paused.
    fn may_refresh(&mut self) -> bool;

    /// Goes on through the keyspace where `cursor` says, from 0 on, over about `count` keys. Gives the
    /// next cursor, 0 at the end, and the keys met whose documents are of that model.
    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>);

    /// The database the command runs in.
    fn database(&mut self) -> i32;

    /// The connection the command came from; 0 where there is none.
    fn client(&mut self) -> u64;

    /// Whether the client may be made to wait: not in `MULTI`, and not in a script.
    fn may_wait(&mut self) -> bool;

    /// The moment of the command, for leases and fences.
    fn moment(&mut self) -> Moment;

    /// Changes locks: with those who wait, with what lends the locks of documents by their keys, and with
    /// the moment. Nothing of a document is borrowed meanwhile. What has changed is told to others when
    /// the command is over.
    fn with_locks(&mut self, run: &mut WithLocks<'_>);

    /// An empty journal; giving it back with [`Host::keep_journal`] saves allocations.
    fn take_journal(&mut self) -> Box<Journal>;

    fn keep_journal(&mut self, journal: Box<Journal>);
}

/// The documents at several keys, in their order; none where a key is missing.
pub type Documents<'h> = SmallVec<[Option<&'h mut Document>; 2]>;

/// What is done with locks, see [`Host::with_locks`].
pub type WithLocks<'r> = dyn FnMut(&mut Engine, &mut dyn Store, Moment) + 'r;

/// What a command did. A command that is refused has none: nothing happened.
#[derive(Debug)]
pub struct Outcome {
    pub reply: Reply,
    /// One for each key that was changed, in order.
    pub effects: SmallVec<[KeyEffect; 1]>,
    /// What became of a model, see [`crate::codec::definition`]: for replicas, the AOF and other shards.
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
    /// What it is told when it is granted.
    pub form: LockReply,
}

/// The form of the reply to a request for locks that was granted.
#[derive(Debug)]
pub struct LockReply {
    /// Whether the documents are told, too.
    pub get: bool,
    /// Which of the documents each of the listed keys is; none where one key stands for itself.
    pub order: Option<Vec<usize>>,
}

/// A change of one key, to be signalled, announced and propagated.
#[derive(Debug)]
pub struct KeyEffect {
    /// Which argument of the command the key is.
    pub key_arg: usize,
    /// The keyspace event of a changed content, if it changed.
    pub event: Option<&'static CStr>,
    /// The event of the generic class: of a changed time to live, if it changed, or of the key's end.
    pub generic_event: Option<&'static CStr>,
    /// Whether clients that watch the key, or keep what they read of it, are told. Not where reading
    /// began its time to live anew: who reads would be told of that, and could never keep anything.
    pub signalled: bool,
    pub sent: Sent,
}

/// What replicas and the AOF are sent for a change of one key.
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
