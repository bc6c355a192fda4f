//! The keyspace, clock and settings that a command works on, and the outcome that it returns.

use std::ffi::CStr;
use std::mem;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::budget::{Allowance, WorkLimits};
use crate::changes::RecordedChanges;
use crate::claim::ClaimQuestion;
use crate::document::{Document, NewDocument, Revisions};
use crate::error::{ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::index::Entries;
use crate::lock::{Engine, LockLimits, Moment, Store};
use crate::model::Models;
use crate::model::schema::SchemaLimits;
use crate::native::{NativeCall, NativeCalls, NativeReply, NativeSource};
use crate::path::PathLimits;
use crate::reply::{Reply, keep_text};
use crate::token::Token;
use crate::value::Limits;
use crate::value::edit::Journal;

pub use crate::keys::Key;

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
    pub actions: ActionLimits,
    pub finding: FindLimits,
}

/// Bounds on one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindLimits {
    /// Entries of an index that one `MODEL.FIND` looks at. Configuration `model.find-entries`.
    pub entries: u64,
    /// Requests that wait for documents to be found. Configuration `model.find-waiters`.
    pub waiters: u64,
}

impl FindLimits {
    pub const DEFAULT: FindLimits = FindLimits {
        entries: crate::limit::FIND_ENTRIES.default,
        waiters: crate::limit::FIND_WAITERS.default,
    };
    pub const NONE: FindLimits = FindLimits { entries: u64::MAX, waiters: u64::MAX };
}

/// Bounds on actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionLimits {
    /// Definitions at a time. Configuration `model.actions`.
    pub count: u64,
    /// Bytes of one definition. Configuration `model.action-bytes`.
    pub bytes: u64,
}

impl ActionLimits {
    pub const DEFAULT: ActionLimits = ActionLimits {
        count: crate::limit::ACTIONS.default,
        bytes: crate::limit::ACTION_BYTES.default,
    };
    pub const NONE: ActionLimits = ActionLimits { count: u64::MAX, bytes: u64::MAX };
}

/// Bounds on one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Bytes of a reply that is recorded under a token. Configuration `model.token-reply-bytes`.
    pub token_reply_bytes: u64,
    /// Bytes of content of one entry of a change stream. Configuration `model.change-bytes`.
    pub change_bytes: u64,
}

impl TransactionLimits {
    /// Room for the replies of some hundred reads; a token is kept in memory as long as its
    /// window is open.
    pub const DEFAULT: TransactionLimits = TransactionLimits {
        token_reply_bytes: crate::limit::TOKEN_REPLY_BYTES.default,
        change_bytes: crate::limit::CHANGE_BYTES.default,
    };
    pub const NONE: TransactionLimits =
        TransactionLimits { token_reply_bytes: u64::MAX, change_bytes: u64::MAX };
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
        actions: ActionLimits::NONE,
        finding: FindLimits::NONE,
    };
    pub const DEFAULT: Settings = Settings {
        document: Limits::DEFAULT,
        paths: PathLimits::DEFAULT,
        work: WorkLimits::DEFAULT,
        expressions: ExprLimits::DEFAULT,
        schemas: SchemaLimits::DEFAULT,
        transactions: TransactionLimits::DEFAULT,
        locks: LockLimits::DEFAULT,
        actions: ActionLimits::DEFAULT,
        finding: FindLimits::DEFAULT,
    };
}

/// The use that a command makes of the documents at its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Change,
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

    /// Opens keys ahead, whose names all differ, for a command that will look at them when its arguments are read: their
    /// documents come from memory in the meantime. Nothing is told of them yet. For the server they are used, also where the
    /// command is refused then: a document that has expired is deleted, and one to be read counts as looked up. A hint,
    /// which a host may ignore.
    fn prefetch(&mut self, _keys: &[Key<'_>], _access: Access) {}

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
    fn open_all(&mut self, keys: &[Key<'_>]) -> Result<Documents<'_>> {
        self.open_all_timed(keys, &mut |_| false).map(|(documents, _)| documents)
    }

    /// As [`Host::open_timed`], for several keys at once, whose names all differ.
    fn open_all_timed(
        &mut self,
        keys: &[Key<'_>],
        reads_clock: &mut dyn FnMut(&[Option<&mut Document>]) -> bool,
    ) -> Result<(Documents<'_>, Option<u64>)>;

    /// Calls `run` with what [`Host::open_all`] gives, for a transaction with natives: a key whose role is not that of a document may hold
    /// anything a structure of the server can be; `WRONGTYPE` where a key of natives holds a document or a token.
    /// The structures are read while the documents are borrowed.
    fn open_beside(
        &mut self,
        keys: &[Key<'_>],
        roles: &[KeyRole],
        run: &mut RunBeside<'_>,
    ) -> Result<()>;

    /// Runs the commands of natives in order and calls `each` with their replies, after the `effects` of the documents were
    /// sent to replicas and announced. The slot of a call is a position in `keys`. Nothing was refused, and nothing of a document is borrowed.
    fn run_natives(
        &mut self,
        effects: &[KeyEffect],
        keys: &[Key<'_>],
        calls: &[NativeCall],
        each: &mut dyn FnMut(NativeReply),
    );

    /// Stores a document, in place of any document at the key. The time to live stays as it was. `entries` are those in all
    /// indexes of its model, where they were computed.
    fn put(&mut self, key: Key<'_>, document: NewDocument, entries: Option<&Entries>);

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
    /// and the scanned keys whose documents are of that model. `ERR` where the server has no `SCAN`.
    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Vec<u8>>)>;

    /// The database the command runs in.
    fn database(&mut self) -> i32;

    /// The documents among which UNIQUE is validated.
    fn index_scope(&mut self) -> IndexScope;

    /// The document at a key that is no argument of the command; none where it is missing or has expired, or the key
    /// holds something else.
    fn look(&mut self, name: &[u8]) -> Option<&Document>;

    /// Flag: a key has expired and is not deleted yet, as on a replica. Also where the server does not tell.
    fn has_expired(&mut self, name: &[u8]) -> bool;

    /// As [`Host::look`], for a command that may change the document: see [`Host::keep_looked`].
    fn look_to_change(&mut self, name: &[u8]) -> Option<&Document> {
        self.look(name)
    }

    /// Flag: the caller may read this key, and this server owns it.
    fn may_look(&mut self, name: &[u8]) -> bool;

    /// Counts a query, for metrics.
    fn note_query(&mut self, _: QueryEvent) {}

    /// Flag: a document of the model is at a key, and this server owns it. Neither its last use nor its expiry changes.
    fn has_document(&mut self, name: &[u8], model: &str) -> bool;

    /// Flag: every document of the key's hash slot is on this server. False while the slot is moved key by key.
    fn has_whole_slot(&mut self, key: &[u8]) -> bool;

    /// As [`Host::may_look`], and the caller may change it, too.
    fn may_change(&mut self, name: &[u8]) -> bool;

    /// The command goes on with the key that it looked at last, to change its document: it stays open, see
    /// [`Host::name_keys`]. The document is not borrowed.
    fn keep_looked(&mut self) {}

    /// Adds keys that the command found, in the order in which it looked at them. Their numbers, as [`Key::arg`] has them, go on behind those of the command's
    /// arguments, of which there are so many. Called once; no document is borrowed.
    fn name_keys(&mut self, arguments: usize, names: &[&[u8]]);

    /// Makes the entries in indexes those of the document at a key, whose content was changed. `entries` are those in the
    /// indexes that the change can have touched, where they were computed.
    fn follow(&mut self, key: Key<'_>, entries: Option<&Entries>);

    /// Flag: changes of models with `CHANGES` are recorded here: this server is a master.
    fn records_changes(&mut self) -> bool;

    /// Refuses a change of a document whose stream could not take its entry: `WRONGTYPE`, `LIMIT`, or `TRYAGAIN` while
    /// the stream of the key's hash slot is on another node. Nothing of a document is borrowed.
    fn check_stream(&mut self, model: &str, key: &[u8]) -> Result<()>;

    /// The number of the last entry of a model's stream; none where it has none. `key` names the hash slot; without one
    /// there is none in a cluster.
    fn stream_position(&mut self, model: &str, key: Option<&[u8]>) -> Option<u64>;

    /// The document for which a command was refused with `UNIQUE`: it may have expired, and the server not have
    /// noticed.
    fn note_conflict(&mut self, name: Option<Vec<u8>>);

    /// The connection the command came from; 0 where there is none.
    fn client(&mut self) -> u64;

    /// Flag: the client may be blocked. Not in `MULTI`, and not in a script.
    fn may_wait(&mut self) -> bool;

    /// The key of the only document that may be found: the command is one that waited for it.
    fn only_document(&mut self) -> Option<Vec<u8>>;

    /// The requests that wait for documents to be found, as a new one for this model sees them.
    fn claim_line(&mut self, model: &str) -> ClaimLineState;

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

/// An event of a query, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryEvent {
    /// A query looks at the entries of an index.
    ByIndex,
    /// One looks at all documents of a model with indexes, by their names.
    OverDocuments,
    /// One visits the keys of the server.
    OverKeys,
    Refused(ErrorCode),
    /// It has looked at so many entries, or visited so many keys, and found so many documents.
    Looked(u64, u64),
}

/// The documents among which UNIQUE is validated: those of a database; in a cluster, of a hash slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexScope {
    pub database: i32,
    pub clustered: bool,
}

/// The use of a key in a transaction with natives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// A block is about the document at the key.
    Document,
    /// Natives are about the structure at the key.
    Native,
    /// Expressions may read what is at the key, or it is the name of a channel.
    Other,
}

/// The documents at several keys, in their order; none where a key is missing.
pub type Documents<'h> = SmallVec<[Option<&'h mut Document>; 4]>;

/// A function that works with documents and structures, see [`Host::open_beside`].
pub type RunBeside<'r> = dyn FnMut(Documents<'_>, &dyn NativeSource) -> Result<()> + 'r;

/// A function that works with locks, see [`Host::with_locks`].
pub type WithLocks<'r> = dyn FnMut(&mut Engine, &mut dyn Store, Moment) + 'r;

/// The outcome of a command that was executed. A refused command has none: it changed nothing.
#[derive(Debug)]
pub struct Outcome {
    pub reply: Reply,
    /// One for each key that was changed, in order.
    pub effects: SmallVec<[KeyEffect; 2]>,
    /// A changed definition of a model or an action, see [`crate::codec::definition`], for replicas, the AOF and other
    /// shards.
    pub definition: Option<Box<[u8]>>,
    /// The client gets its reply later.
    pub waits: Option<Box<Waiting>>,
    /// The client gets its reply when a document is found.
    pub lines_up: Option<Box<ClaimWait>>,
    /// The commands of natives, which were run.
    pub natives: Option<RanNatives>,
    /// Entries for change streams, appended behind everything else.
    pub changes: Option<Box<RecordedChanges>>,
}

impl Outcome {
    /// Flag: there is something to replicate or to announce.
    #[inline]
    pub fn changes_anything(&self) -> bool {
        !self.effects.is_empty()
            || self.definition.is_some()
            || self.natives.is_some()
            || self.changes.is_some()
    }

    /// Keeps the buffers of an outcome that was carried out, for later ones.
    #[inline]
    pub fn recycle(&mut self) {
        mem::replace(&mut self.reply, Reply::Null).recycle();
        for effect in &mut self.effects {
            if let Sent::Effect(effect, _) = &mut effect.sent {
                keep_text(mem::take(effect));
            }
        }
    }
}

/// The commands of natives that ran in a transaction.
#[derive(Debug)]
pub struct RanNatives {
    pub calls: NativeCalls,
    /// How many effects stand before them; those behind are to be sent still.
    pub after: usize,
}

impl From<Reply> for Outcome {
    /// Nothing was changed.
    fn from(reply: Reply) -> Outcome {
        Outcome {
            reply,
            effects: SmallVec::new(),
            definition: None,
            waits: None,
            lines_up: None,
            natives: None,
            changes: None,
        }
    }
}

/// A client that waits for a document to be found.
#[derive(Debug)]
pub struct ClaimWait {
    pub question: ClaimQuestion,
    /// How long it may wait; then the reply is that of a search that found nothing.
    pub wait_ms: u64,
    /// Flag: it was not searched for yet, because earlier requests have to be asked first.
    pub is_asked: bool,
}

/// The line of requests that wait for documents to be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimLineState {
    pub waiting: usize,
    /// Flag: a new request may not search by itself, see [`crate::claim::ClaimLine::is_busy`].
    pub is_busy: bool,
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
    /// The position of the key among the arguments, or behind them, see [`Host::name_keys`].
    pub key_arg: usize,
    /// The keyspace event of a changed content, if it changed.
    pub event: Option<KeyspaceEvent>,
    /// The event of the generic class: of a changed time to live, if it changed, or of the key's end.
    pub generic_event: Option<KeyspaceEvent>,
    /// Flag: clients that watch the key or cache it are told. Not where a read renewed the time to live: the reading
    /// client would be told of its own read, and could cache nothing.
    pub signalled: bool,
    pub sent: Sent,
}

/// A keyspace event: one byte, because effects are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyspaceEvent {
    Set,
    Update,
    Token,
    Lock,
    Unlock,
    /// The generic class has this one and those behind it.
    Expire,
    Persist,
    Delete,
}

impl KeyspaceEvent {
    /// As subscribers receive it.
    pub const fn name(self) -> &'static CStr {
        match self {
            KeyspaceEvent::Set => c"model.set",
            KeyspaceEvent::Update => c"model.update",
            KeyspaceEvent::Token => c"model.token",
            KeyspaceEvent::Lock => c"model.lock",
            KeyspaceEvent::Unlock => c"model.unlock",
            KeyspaceEvent::Expire => c"expire",
            KeyspaceEvent::Persist => c"persist",
            KeyspaceEvent::Delete => c"del",
        }
    }
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
