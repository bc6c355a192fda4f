//! Requests that wait for a document to be found: when they are asked and run, in slices of bounded time.
//!
//! Requests run between the commands of clients, from the module's timer, never inside of one. What they change goes to
//! replicas in one unit. While writes are paused nothing is served.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ffi::c_int;
use std::mem;
use std::time::{Duration, Instant};

use redis_module::raw;

use super::api::call;
use super::blocked::Told;
use super::caller::Acting;
use super::claim_clients::{self, ClaimRequest};
use super::deferred::Task;
use super::held::HeldString;
use super::host::{ServerHost, Waited};
use super::models::MODELS;
use super::named_keys::NamedKeys;
use super::slots::{self, Redirections};
use super::{claim_users, clock, execution, offers, timer, users};
use crate::claim::{AskedSearch, Claimants};
use crate::command::{CommandSpec, Outcome, ask_for_one, fits_question};
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::host::{ClaimWait, Host};
use crate::index::hash_slot;
use crate::reply::Reply;

/// A slice of work; between two the server serves clients.
const SLICE: Duration = Duration::from_millis(1);
/// Conditions that read the clock are asked again so often.
const TICK_MS: u64 = 100;

/// The state of a model's definition, as far as requests that wait for its documents depend on it.
type ModelState = (u32, u8, u64);

thread_local! {
    /// The next time at which conditions that read the clock are asked, on the steady clock.
    static NEXT_TICK: Cell<u64> = const { Cell::new(0) };
    /// The states of the models that requests wait for, as they were when the requests were asked.
    static MODEL_STATES: RefCell<HashMap<Box<str>, ModelState>> = RefCell::default();
    /// Requests that were not served because their slot is being moved key by key.
    static PUT_OFF: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
}

/// Blocks the client of a command that found nothing, or may not search before earlier requests have.
///
/// # Safety
///
/// `ctx` and `argv` are those of a command which does not reply, and may block.
pub unsafe fn block(
    ctx: *mut raw::RedisModuleCtx,
    command: &'static CommandSpec,
    argv: &[*mut raw::RedisModuleString],
    wait: ClaimWait,
) {
    let ClaimWait { mut question, wait_ms, is_asked } = wait;
    // SAFETY: the caller vouches for `ctx`.
    let (client, database) =
        unsafe { (call!(RedisModule_GetClientId(ctx)), call!(RedisModule_GetSelectedDb(ctx))) };
    // Whoever may change fewer documents asks another question.
    let mut text = question.text.into_vec();
    // SAFETY: as above.
    let user = unsafe { users::name_of(ctx, client) };
    text.extend_from_slice(user.as_deref().unwrap_or_default());
    question.text = text.into();
    remember(&question.model);
    let number = offers::with_line(|line| line.add(question, is_asked));
    // SAFETY: as above.
    let args = argv.iter().map(|arg| unsafe { HeldString::new(*arg) }).collect();
    let request = ClaimRequest { command, client, user, database, args };
    // SAFETY: as above.
    unsafe { claim_clients::block(ctx, number, request, wait_ms) };
    watch(clock::moment().steady_ms);
}

fn remember(model: &str) {
    MODEL_STATES.with_borrow_mut(|states| {
        if !states.contains_key(model) {
            states.insert(model.into(), model_state(model));
        }
    });
}

fn model_state(name: &str) -> ModelState {
    let Ok(model) = MODELS.defined(name.as_bytes()) else { return (0, 0, 0) };
    let version = model.read().get().map_or(0, |definition| definition.version);
    let indexes = model.indexes();
    (version, indexes.progress() as u8, indexes.build().unwrap_or(0))
}

/// The module's timer has fired.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
pub unsafe fn on_timer(ctx: *mut raw::RedisModuleCtx) {
    if !offers::is_waited_for() && !offers::is_pending() {
        return;
    }
    let now_ms = clock::moment().steady_ms;
    claim_clients::end_waits(now_ms);
    offers::with_line(|line| {
        if line.has_clocked() && NEXT_TICK.get() <= now_ms {
            NEXT_TICK.set(now_ms + TICK_MS);
            line.tick();
        }
    });
    if offers::is_pending() {
        // SAFETY: the caller vouches for `ctx`; no key is open outside of a command.
        unsafe { RUN.request(ctx) };
    }
    watch(now_ms);
}

/// Starts the timer for whatever comes next.
fn watch(now_ms: u64) {
    if let Some(ends_ms) = claim_clients::first_end() {
        timer::start(ends_ms, now_ms);
    }
    if offers::with_line(|line| line.has_clocked()) {
        timer::start(NEXT_TICK.get().clamp(now_ms, now_ms + TICK_MS), now_ms);
    }
    if offers::is_pending() && !offers::are_replies_first() && !super::deferred::is_paused() {
        timer::start(now_ms, now_ms);
    }
}

/// Asks and serves requests for a slice of time.
static RUN: Task = Task::new(run_slice);

/// # Safety
///
/// `ctx` is valid and belongs to no command, no key is open, and writes are not paused.
unsafe fn run_slice(ctx: *mut raw::RedisModuleCtx) {
    let began = Instant::now();
    // SAFETY: the caller vouches for `ctx`.
    let home = unsafe { call!(RedisModule_GetSelectedDb(ctx)) };
    let mut claimants = ServerClaimants { ctx, has_served: false };
    let serving = offers::Serving::new();
    while offers::with_line(|line| line.step(&mut claimants)) && began.elapsed() < SLICE {
        // A document that a request has just changed seldom fulfils the condition of another one: its client is told first.
        if std::mem::take(&mut claimants.has_served)
            && offers::with_line(|line| line.is_left_with_one_begun())
        {
            offers::put_replies_first();
            break;
        }
    }
    claimants.select(home);
    drop(serving);
    watch(clock::moment().steady_ms);
}

/// Looks for changes that give no event: of definitions, indexes that were built, permissions, slots that left.
/// Called several times a second.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    if !offers::is_waited_for() {
        MODEL_STATES.with_borrow_mut(HashMap::clear);
        return;
    }
    let models = offers::with_line(|line| line.models());
    let changed: Vec<Box<str>> = MODEL_STATES.with_borrow_mut(|states| {
        states.retain(|model, _| models.contains(model));
        let mut changed = Vec::new();
        for model in models {
            let now = model_state(&model);
            if states.insert(model.clone(), now).is_some_and(|before| before != now) {
                changed.push(model);
            }
        }
        changed
    });
    offers::with_line(|line| changed.iter().for_each(|model| line.ask_model(model)));
    offers::go_on();
    let users = claim_users::changed();
    if !users.is_empty() {
        look_again(&users);
    }
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if slots::is_clustered(ctx) {
            redirect(ctx);
            ask_put_off(ctx);
        }
    }
    watch(clock::moment().steady_ms);
}

/// Asks the requests of users whose permissions have changed, and ends those that are not allowed any more.
#[cold]
fn look_again(users: &[Box<[u8]>]) {
    for first in offers::with_line(|line| line.firsts()) {
        let Some(request) = claim_clients::request(first) else { continue };
        if !request.user.as_ref().is_some_and(|user| users.contains(user)) {
            continue;
        }
        match request.is_permitted() {
            true => offers::with_line(|line| line.ask_for(first)),
            false => end_alike(first, || Told::forbidden(request.command)),
        }
    }
}

/// Replies the same to all requests with the question of this one.
fn end_alike(first: u64, told: impl Fn() -> Told) {
    for number in offers::with_line(|line| line.alike(first)) {
        claim_clients::tell(number, told());
        offers::note_left(number);
    }
}

/// Sends requests whose slot has gone to another node there.
///
/// # Safety
///
/// As for [`on_cron`].
unsafe fn redirect(ctx: *mut raw::RedisModuleCtx) {
    let mut redirections = Redirections::default();
    for first in offers::with_line(|line| line.firsts()) {
        let Some(request) = claim_clients::request(first) else { continue };
        let Some(key) = request.key() else { continue };
        // SAFETY: the caller vouches for `ctx`.
        if let Some(line) = unsafe { redirections.of(ctx, key) } {
            end_alike(first, || Told::Line(line.clone()));
        }
    }
}

/// Asks the requests that were put off while their slot was being moved, where it is whole again: the move may have been
/// given up, which no event tells.
///
/// # Safety
///
/// As for [`on_cron`].
unsafe fn ask_put_off(ctx: *mut raw::RedisModuleCtx) {
    let mut whole = HashMap::new();
    for number in PUT_OFF.take() {
        let Some(request) = claim_clients::request(number) else { continue };
        let Some(key) = request.key() else { continue };
        // SAFETY: the caller vouches for `ctx`.
        let is_whole = || unsafe { slots::has_whole(ctx, key) };
        match *whole.entry(hash_slot(key)).or_insert_with(is_whole) {
            true => offers::with_line(|line| line.ask_for(number)),
            false => put_off(number),
        }
    }
}

fn put_off(number: u64) {
    PUT_OFF.with_borrow_mut(|all| all.insert(number));
}

/// Ends all requests: none can be served here. `told` gets the key that routes each in a cluster.
pub fn end_waiting(told: &mut dyn FnMut(Option<&[u8]>) -> Told) {
    for number in claim_clients::waiting() {
        let Some(request) = claim_clients::request(number) else { continue };
        claim_clients::tell(number, told(request.key()));
        offers::note_left(number);
    }
}

/// The server, outside of any command.
struct ServerClaimants {
    ctx: *mut raw::RedisModuleCtx,
    /// Flag: a client was told of its documents since this was looked at.
    has_served: bool,
}

impl ServerClaimants {
    fn select(&self, database: c_int) {
        // SAFETY: the context is valid; a database that does not exist is refused.
        unsafe { call!(RedisModule_SelectDb(self.ctx, database)) };
    }

    /// Calls with a request, in its database and for its user; none where its client is gone.
    fn with<T>(&self, number: u64, work: impl FnOnce(&ClaimRequest, &[&[u8]]) -> T) -> Option<T> {
        let request = claim_clients::request(number)?;
        self.select(request.database);
        let _acting = Acting::new(request.client);
        let args: Vec<&[u8]> = request.args.iter().map(HeldString::bytes).collect();
        Some(work(&request, &args))
    }

    /// Runs a request; none where it found nothing, or may find something later.
    fn run(
        &self,
        number: u64,
        request: &ClaimRequest,
        args: &[&[u8]],
        waited: Waited<'_>,
    ) -> Option<Told> {
        if !request.is_permitted() {
            return Some(Told::forbidden(request.command));
        }
        let argv = request.argv();
        let (ctx, command) = (self.ctx, request.command);
        let told = |outcome: &mut Result<Outcome>, named: Option<&NamedKeys>| match outcome {
            Ok(outcome) if is_nothing(&outcome.reply) => None,
            Ok(outcome) => {
                let argv = named.map_or(&argv[..], |named| &named.argv);
                // SAFETY: the context is valid, no key is open, and the request keeps its strings.
                unsafe { execution::carry_out(ctx, argv, outcome) };
                Some(Told::Answer(mem::replace(&mut outcome.reply, Reply::Null)))
            }
            Err(error) => is_final(number, error).then(|| Told::Refusal(error.clone())),
        };
        // SAFETY: as above.
        unsafe { execution::execute(ctx, command, &argv, args, Some(waited), told) }
    }
}

impl Claimants for ServerClaimants {
    fn model_at(&mut self, database: i32, key: &[u8]) -> Option<Box<str>> {
        self.select(database);
        // SAFETY: the context is valid; no argument is a key.
        let mut host = unsafe { ServerHost::new(self.ctx, &[], &[]) };
        let document = host.look(key)?;
        Some(document.model.as_ref().map_or(ANY_NAME, |model| model.name()).into())
    }

    fn fits(&mut self, number: u64, key: &[u8]) -> bool {
        let fits = self.with(number, |_, args| {
            // SAFETY: as above.
            let mut host = unsafe { ServerHost::new(self.ctx, &[], args) };
            fits_question(&mut host, args, key)
        });
        fits.unwrap_or(false)
    }

    fn search(&mut self, number: u64) -> AskedSearch {
        let found = self.with(number, |_, args| {
            // SAFETY: as above.
            let mut host = unsafe { ServerHost::new(self.ctx, &[], args) };
            ask_for_one(&mut host, args)
        });
        match found {
            Some(Ok(Some(key))) => AskedSearch::Found(key),
            Some(Err(error)) if is_final(number, &error) => {
                claim_clients::tell(number, Told::Refusal(error));
                AskedSearch::Ended
            }
            None => AskedSearch::Ended,
            Some(_) => AskedSearch::Nothing,
        }
    }

    fn serve(&mut self, number: u64, only: Option<&[u8]>) -> bool {
        let waited = Waited { only };
        match self.with(number, |request, args| self.run(number, request, args, waited)) {
            Some(Some(told)) => {
                claim_clients::tell(number, told);
                self.has_served = true;
                true
            }
            Some(None) => false,
            None => true,
        }
    }
}

fn is_nothing(reply: &Reply) -> bool {
    matches!(reply, Reply::Array(found) if found.is_empty())
}

/// Returns false where a request may be answered later: indexes are being built, or its slot is being moved.
fn is_final(number: u64, error: &Error) -> bool {
    if error.code() == ErrorCode::TryAgain {
        put_off(number);
    }
    !matches!(error.code(), ErrorCode::Indexing | ErrorCode::TryAgain)
}
