//! Parsing, execution and replies shared by the lock commands, and the lock edits of other commands.

use smallvec::SmallVec;

use super::args::{Args, find_model};
use super::host::{Host, Key, LockReply, Outcome, Settings, Waiting};
use super::{ArgKind, ArgSpec};
use crate::argument;
use crate::budget::Allowance;
use crate::codec::effect::{Change, Effect};
use crate::codec::locks::encode_edits;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::keys::KeyIndex;
use crate::limit::{self, Limit};
use crate::lock::{Answer, Ask, At, Grant, GrantRef, LockEdit, LockLimits, Locks, Mode};
use crate::reply::{Reply, keep_text};
use crate::txn::{
    self, Block, Content, ContentDocument, ReplyForm, Request, StatementTraits, no_key,
};
use crate::value::{Measured, print};

/// The lease of a request without `LEASE`.
pub const LEASE_MS_DEFAULT: u64 = 30_000;

pub const SHARED: ArgSpec = ArgSpec::new("shared", ArgKind::Token).token("SHARED").optional();
pub const LEASE: ArgSpec = ArgSpec::new("milliseconds", ArgKind::Integer).token("LEASE").optional();
pub const WAIT: ArgSpec = ArgSpec::new("milliseconds", ArgKind::Integer).token("WAIT").optional();
pub const EPHEMERAL: ArgSpec =
    ArgSpec::new("ephemeral", ArgKind::Token).token("EPHEMERAL").optional();
pub const GET: ArgSpec = ArgSpec::new("get", ArgKind::Token).token("GET").optional();

/// The arguments of a lock request behind its keys.
pub struct LockRequest<'a> {
    name: &'a str,
    owner: &'a str,
    mode: Mode,
    lease_ms: u64,
    wait_ms: u64,
    ephemeral: bool,
    get: bool,
    init: Option<InitialDocument<'a>>,
}

/// The document behind `INIT`, for a missing key.
struct InitialDocument<'a> {
    model: &'a [u8],
    content: Measured,
}

impl<'a> LockRequest<'a> {
    /// `creates`: the command has the option `INIT`.
    pub fn parse(
        mut args: Args<'a>,
        settings: &Settings,
        creates: bool,
    ) -> Result<LockRequest<'a>> {
        let name = argument::lock_name(args.next("the name of a lock")?, "name")?;
        let owner = argument::lock_name(args.next("an owner")?, "owner")?;
        let (mut lease_ms, mut wait_ms) = (None, None);
        let (mut shared, mut ephemeral, mut get) = (false, false, false);
        let mut init = None;
        loop {
            if creates && init.is_none() && args.keyword("INIT") {
                let (model, content) = args.model_and_json(settings)?;
                init = Some(InitialDocument { model, content });
            } else if !shared && args.keyword("SHARED") {
                shared = true;
            } else if lease_ms.is_none() && args.keyword("LEASE") {
                lease_ms = Some(parse_lease(args.next("a lease")?, &settings.locks)?);
            } else if wait_ms.is_none() && args.keyword("WAIT") {
                wait_ms = Some(parse_wait(args.next("how long to wait")?, limit::LOCK_WAIT)?);
            } else if !ephemeral && args.keyword("EPHEMERAL") {
                ephemeral = true;
            } else if !get && args.keyword("GET") {
                get = true;
            } else {
                break;
            }
        }
        args.finish()?;
        let limits = &settings.locks;
        let default = LEASE_MS_DEFAULT.clamp(limits.lease_ms_min, limits.lease_ms_max);
        let lease_ms = lease_ms.unwrap_or(default);
        let mode = if shared { Mode::Shared } else { Mode::Exclusive };
        let wait_ms = wait_ms.unwrap_or(0);
        Ok(LockRequest { name, owner, mode, lease_ms, wait_ms, ephemeral, get, init })
    }

    /// Requests the lock of one document, which `INIT` creates first if the key is missing. A new document has no
    /// holders, so that the request is granted in the same step. A request that waits creates nothing later: if
    /// the key is deleted meanwhile, it gets `NOKEY` as any other.
    pub fn run_on_one(
        mut self,
        host: &mut dyn Host,
        key: Key<'_>,
        args: &[&[u8]],
    ) -> Result<Outcome> {
        let created = match self.init.take() {
            Some(init) => init.create(host, key, args)?,
            None => None,
        };
        let Some(created) = created else { return self.run(host, &[key], false) };
        let granted = self.run(host, &[key], false).expect("a new document has room for a lock");
        assert!(matches!(granted.reply, Reply::Array(_)), "a new document's lock is granted");
        Ok(Outcome { reply: granted.reply, ..created })
    }

    /// Requests the lock on these documents, each once however often it is listed. `many`: the reply is an array.
    pub fn run(&self, host: &mut dyn Host, listed: &[Key<'_>], many: bool) -> Result<Outcome> {
        let mut keys: SmallVec<[Key<'_>; 1]> = SmallVec::new();
        let mut index = KeyIndex::default();
        let mut order = many.then(|| Vec::with_capacity(listed.len()));
        for key in listed {
            let located = |error: Error| error.text("key", key.name);
            host.open(*key).map_err(located)?.ok_or_else(no_key).map_err(located)?;
            let nth = index.find(key.name).unwrap_or_else(|| {
                keys.push(*key);
                index.push(key.name)
            });
            if let Some(order) = &mut order {
                order.push(nth);
            }
        }
        let form = LockReply { get: self.get, order };
        match self.ask(host, &keys)? {
            Answer::Busy => Ok(Reply::Null.into()),
            Answer::Waits(waiter) => {
                let mut outcome = Outcome::from(Reply::Null);
                outcome.waits = Some(Box::new(Waiting { waiter, wait_ms: self.wait_ms, form }));
                Ok(outcome)
            }
            Answer::Granted(grants) => {
                let mut replies = SmallVec::<[Reply; 1]>::new();
                for (key, grant) in keys.iter().zip(&grants) {
                    let document = host.read(*key)?.expect("a locked document exists");
                    replies.push(form.one(grant, document));
                }
                Ok(form.all(replies).into())
            }
        }
    }

    fn ask(&self, host: &mut dyn Host, keys: &[Key<'_>]) -> Result<Answer> {
        let (db, limits) = (host.database(), host.settings().locks);
        let documents: SmallVec<[At<'_>; 1]> =
            keys.iter().map(|key| At { db, key: key.name }).collect();
        let ask = Ask {
            documents: &documents,
            name: self.name.as_bytes(),
            owner: self.owner.as_bytes(),
            mode: self.mode,
            lease_ms: self.lease_ms,
            ephemeral: self.ephemeral.then(|| host.client()),
            waits: self.wait_ms > 0 && host.may_wait(),
        };
        let mut answer = Ok(Answer::Busy);
        host.with_locks(&mut |engine, store, moment| {
            answer = engine.ask(store, moment, &limits, ask);
        });
        answer
    }
}

impl InitialDocument<'_> {
    /// Creates the document if the key is missing, as `INIT` of any command does. Returns none where a document
    /// exists.
    fn create(self, host: &mut dyn Host, key: Key<'_>, args: &[&[u8]]) -> Result<Option<Outcome>> {
        let settings = host.settings();
        let allowance = Allowance::for_request(&settings.work, args, settings.document.bytes)?;
        let located = |error: Error| error.text("key", key.name);
        let model = find_model(host.models(), self.model).map_err(located)?;
        if host.open(key).map_err(located)?.is_some() {
            return Ok(None);
        }
        // Requests that are still queued wait for a document that was deleted: they get `NOKEY`.
        let at = At { db: host.database(), key: key.name };
        host.with_locks(&mut |engine, _, _| engine.remove(at, &Locks::default()));
        let content = Some(Content::initial(model, ContentDocument::given(self.content)));
        let request = Request {
            keys: &[key],
            blocks: &[Block { content, ..Block::default() }],
            statements: &[],
            traits: StatementTraits::NONE,
            models: &[],
            args: None,
            docs: None,
            settings: &settings,
            allowance: &allowance,
            replaying: false,
            reply: ReplyForm::Revision,
            token: None,
            natives: None,
        };
        txn::execute(host, &request).map(Some)
    }
}

impl LockReply {
    /// The reply for one document and its grant.
    pub fn one(&self, grant: &Grant, document: &Document) -> Reply {
        let json = match self.get {
            true => {
                let mut text = Vec::with_capacity(document.root.view().text_hint());
                print::json(document.root.view(), &mut text);
                Reply::Json(text)
            }
            false => Reply::Null,
        };
        let mut fields = Reply::list(4);
        fields.extend([
            Reply::Int(grant.fence as i64),
            Reply::Int(grant.lease_ms as i64),
            Reply::Int(document.revision as i64),
            json,
        ]);
        Reply::Array(fields)
    }

    /// The reply of the command, from those for each document.
    pub fn all(&self, mut replies: SmallVec<[Reply; 1]>) -> Reply {
        match &self.order {
            None => replies.swap_remove(0),
            Some(order) => Reply::Array(order.iter().map(|nth| replies[*nth].clone()).collect()),
        }
    }
}

/// A grant as a client names it: `name owner fence`.
pub fn parse_grant<'a>(args: &mut Args<'a>) -> Result<GrantRef<'a>> {
    let name = argument::lock_name(args.next("the name of a lock")?, "name")?.as_bytes();
    let owner = argument::lock_name(args.next("an owner")?, "owner")?.as_bytes();
    let fence = argument::fence(args.next("a fence")?)?;
    Ok(GrantRef { name, owner, fence })
}

pub fn parse_lease(arg: &[u8], limits: &LockLimits) -> Result<u64> {
    match u64::try_from(argument::integer(arg)?) {
        Ok(ms) if ms > limits.lease_ms_max => {
            Err(Error::limit(limit::LOCK_LEASE_MAX, limits.lease_ms_max).text("argument", arg))
        }
        Ok(ms) if ms > 0 && ms < limits.lease_ms_min => {
            Err(Error::limit(limit::LOCK_LEASE_MIN, limits.lease_ms_min).text("argument", arg))
        }
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err(Error::syntax("a lease is at least a millisecond").text("argument", arg)),
    }
}

pub fn parse_wait(arg: &[u8], most: Limit) -> Result<u64> {
    match u64::try_from(argument::integer(arg)?) {
        Ok(ms) if ms > most.default => Err(Error::limit(most, most.default).text("argument", arg)),
        Ok(ms) => Ok(ms),
        _ => Err(Error::syntax("WAIT is not negative").text("argument", arg)),
    }
}

/// Takes the locks of the document at a key, for the document that replaces it.
pub fn take_over(host: &mut dyn Host, key: Key<'_>) -> Result<Locks> {
    let found = host.open(key)?;
    Ok(found.map(|document| std::mem::take(&mut document.locks)).unwrap_or_default())
}

/// The effect by which replicas repeat edits of one document's locks, an argument of `MODEL.APPLY`.
pub fn effect_of<'e>(edits: impl ExactSizeIterator<Item = &'e LockEdit>) -> Vec<u8> {
    let encoded = encode_edits(edits);
    let change = Change::Locks(&encoded);
    let effect = Effect { revision: 0, expiry: Expiry::Keep, change }.encode();
    keep_text(encoded);
    effect
}
