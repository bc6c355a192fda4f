//! The commands: one file each, found through the registry.
//!
//! A command is a static [`CommandSpec`]: its documentation, its syntax and the function that runs it
//! against a [`Host`]. It works in four steps: parse everything to the last argument, look up and
//! check, change within one editor that reverts itself on an error, and return one [`Outcome`]. The host of
//! the command then replies, propagates and announces it.

mod action;
mod args;
mod finding;
mod host;
mod positions;

mod actions;
mod apply;
mod apply_all;
mod call;
mod check;
mod count;
mod define;
mod describe;
mod documents;
mod eval;
mod fieldop;
mod find_documents;
mod findop;
mod get;
mod help;
mod install;
mod lock;
mod locking;
mod locks;
mod meta;
mod mget;
mod mlock;
mod models;
mod renew;
mod set;
mod txn;
mod unaction;
mod undefine;
mod unlock;
mod usage;

use std::panic::Location;
use std::sync::OnceLock;

use linkme::distributed_slice;

use crate::error::{ErrorCode, Result};
use crate::op::words;

pub use args::{Args, expression};
pub use findop::{ask_for_one, fits_question};
pub use host::{
    Access, ActionLimits, Documents, FindLimits, Host, IndexScope, JsonText, Key, KeyEffect,
    KeyRole, KeyspaceEvent, LockReply, Outcome, Sent, Settings, TransactionLimits, Waiting,
    WithLocks,
};
pub use locking::effect_of as lock_effect;
pub use positions::KeyPositions;
pub use usage::usage;

/// The declaration of a command.
pub struct CommandSpec {
    /// With the prefix, in upper case.
    pub name: &'static str,
    /// One sentence without a final stop.
    pub summary: &'static str,
    pub since: &'static str,
    pub complexity: &'static str,
    /// The number of arguments with the name, negative for "at least".
    pub arity: i32,
    pub flags: &'static [Flag],
    pub keys: KeyPositions,
    /// Command tips for cluster clients, as Redis spells them.
    pub tips: &'static [&'static str],
    pub args: &'static [ArgSpec],
    /// The reply, in words.
    pub reply: &'static str,
    /// Its own errors, in order of precedence.
    pub errors: &'static [ErrorCode],
    /// The commands that replicas and the AOF receive, in words.
    pub replicated: &'static str,
    pub examples: &'static [CommandExample],
    pub run: fn(&mut dyn Host, &[&[u8]]) -> Result<Outcome>,
}

/// A property of a command that the server checks before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    Write,
    ReadOnly,
    /// Refused when memory is short.
    DenyOom,
    /// Constant or logarithmic time.
    Fast,
    /// Not for ordinary users: ACL category `dangerous`.
    Dangerous,
    /// May block the client.
    Blocking,
    /// Allowed while a data set is being loaded or is stale.
    Always,
}

/// One argument, for `COMMAND DOCS` and `commands.md`.
pub struct ArgSpec {
    pub name: &'static str,
    pub kind: ArgKind,
    /// The keyword in front.
    pub token: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
}

pub enum ArgKind {
    Key,
    String,
    Integer,
    UnixTime,
    /// The keyword alone.
    Token,
    OneOf(&'static [ArgSpec]),
    Block(&'static [ArgSpec]),
    /// Any statement: the assertions and the registered operators.
    Statement,
    /// Any statement of a transaction: those, and the operators on keys.
    TransactionStatement,
    /// Any native.
    Native,
}

impl ArgSpec {
    pub const fn new(name: &'static str, kind: ArgKind) -> ArgSpec {
        ArgSpec { name, kind, token: None, optional: false, multiple: false }
    }

    pub const fn token(mut self, token: &'static str) -> ArgSpec {
        self.token = Some(token);
        self
    }

    pub const fn optional(mut self) -> ArgSpec {
        self.optional = true;
        self
    }

    pub const fn multiple(mut self) -> ArgSpec {
        self.multiple = true;
        self
    }
}

/// An example that runs as a test and stands in the documentation: commands in a row, from a server without
/// keys on.
pub struct CommandExample(pub &'static [Line]);

/// One command of an example, with its reply.
pub struct Line {
    /// The command as it is typed into a shell. See [`words`].
    pub command: &'static str,
    /// The reply in the notation of [`crate::reply::Reply::notation`], or the error's word.
    pub reply: &'static str,
    /// The position of the line in the source, for the message when it fails.
    pub at: &'static Location<'static>,
}

impl Line {
    #[track_caller]
    pub const fn new(command: &'static str, reply: &'static str) -> Line {
        Line { command, reply, at: Location::caller() }
    }

    /// The words of the command.
    pub fn words(&self) -> Vec<&'static str> {
        words(self.command, self.at)
    }
}

/// All commands, in the order the linker found them. Use [`all`].
#[distributed_slice]
pub static COMMANDS: [CommandSpec];

/// All commands by name.
pub fn all() -> &'static [&'static CommandSpec] {
    static SORTED: OnceLock<Vec<&'static CommandSpec>> = OnceLock::new();
    SORTED.get_or_init(|| {
        let mut specs: Vec<_> = COMMANDS.iter().collect();
        specs.sort_by_key(|spec| spec.name);
        assert!(
            specs.windows(2).all(|pair| pair[0].name < pair[1].name),
            "command names are unique"
        );
        specs
    })
}

/// The command of that name, in any case of letters.
pub fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    all().iter().find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes())).copied()
}

/// Runs a command by its name. `args` begins with it.
pub fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    use crate::error::Error;
    let name = args.first().copied().unwrap_or_default();
    let spec = find(name).ok_or_else(|| Error::syntax("unknown command").text("command", name))?;
    let least = spec.arity.unsigned_abs() as usize;
    if args.len() < least || (spec.arity > 0 && args.len() > least) {
        return Err(Error::syntax("wrong number of arguments").text("command", name));
    }
    (spec.run)(host, args)
}
