//! Indexes follow the keys of the server.
//!
//! Commands of this module tell the index themselves ([`follow`]). Whatever else removes a document goes through the
//! type's own callback ([`on_unlink`]): deletion, expiry, eviction, renaming, moving, a slot that leaves. What brings one
//! without a command of this module gives an event ([`on_arrival`]). Databases are emptied and exchanged as a whole.
//! After a load everything that was gathered ([`loaded`]) is sorted, before the server answers ([`rebuild`]). A new index on
//! documents that are there is built in slices ([`on_cron`]), while changes are followed: a document met twice makes no
//! difference.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::clock::ProcessorSlice;
use super::gathering::{GatheredTable, Gathering};
use super::models::{self, MODELS};
use super::{loaded, log, stored};
use crate::document::Document;
use crate::index::{self, Entries};

/// A slice of a build, in processor time.
const SLICE: Duration = Duration::from_millis(5);
/// The part of a slice in which documents are gathered; then their entries are sorted.
const GATHERING: Duration = Duration::from_millis(3);
/// The entries that are merged before the clock is read.
const MERGED: usize = 256;
/// Between two slices: builds take at most a tenth of the time.
const PAUSE: Duration = Duration::from_millis(45);

/// A pass over all keys, for indexes that were declared when documents were there.
struct Build {
    cursor: ScanCursor,
    database: c_int,
    /// Flag: all documents were gathered, and their entries are being merged.
    is_merging: bool,
    /// The names of the models, and the builds that end with this pass.
    builds: Vec<(Box<str>, u64)>,
    ended: Instant,
}

/// A cursor of the server.
struct ScanCursor(NonNull<raw::RedisModuleScanCursor>);

impl ScanCursor {
    fn new() -> ScanCursor {
        // SAFETY: the call has no preconditions.
        let cursor = unsafe { call!(RedisModule_ScanCursorCreate()) };
        ScanCursor(NonNull::new(cursor).expect("the server gives a cursor"))
    }
}

impl Drop for ScanCursor {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once.
        unsafe { call!(RedisModule_ScanCursorDestroy(self.0.as_ptr())) };
    }
}

thread_local! {
    static BUILD: RefCell<Option<Build>> = const { RefCell::new(None) };
}

/// Makes the entries of a key those of the document that is there now. While a data set is loaded nothing is followed:
/// all is gathered at the end.
pub fn follow(database: c_int, name: &[u8], document: &Document) {
    follow_change(database, name, document, None);
}

/// As [`follow`], after a change. `entries` are those in the indexes that it can have touched, where they were computed.
pub fn follow_change(database: c_int, name: &[u8], document: &Document, entries: Option<&Entries>) {
    if is_replaced() {
        loaded::note_changed(database, name);
    } else if let Some(model) = &document.model {
        model.indexes().follow_change(database, name, document.root.view(), entries);
    }
}

/// Flag: a data set is being loaded in place of the one in force.
fn is_replaced() -> bool {
    models::is_loading() && !models::is_staging()
}

/// A document is removed from its key.
///
/// # Safety
///
/// `ctx` and `value`, a value of the type, are valid during the call.
pub unsafe fn on_unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    // SAFETY: the caller vouches for the value.
    let Some(model) = &unsafe { stored::document(value) }.model else { return };
    // SAFETY: the caller vouches for the context; it lends the key's name.
    unsafe {
        let database = call!(RedisModule_GetDbIdFromOptCtx(ctx));
        let name = bytes(call!(RedisModule_GetKeyNameFromOptCtx(ctx)));
        if is_replaced() {
            loaded::note_changed(database, name);
        }
        model.indexes().follow(database, name, None);
    }
}

/// Another command than one of this module's may have brought a document to a key of a database.
///
/// # Safety
///
/// `ctx` and `key` are valid.
pub unsafe fn on_arrival(
    ctx: *mut raw::RedisModuleCtx,
    key: *mut raw::RedisModuleString,
    database: c_int,
) {
    if !MODELS.has_indexes() {
        return;
    }
    // SAFETY: the caller vouches for both; the document is read while the key is open.
    unsafe {
        let handle = call!(RedisModule_OpenKey(
            ctx,
            key,
            raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY
        ));
        if let Ok(Some(document)) = stored::at_key(handle) {
            follow(database, bytes(key), &*document);
        }
        call!(RedisModule_CloseKey(handle));
    }
}

/// A database is being emptied, or all are.
pub fn flush(database: Option<c_int>) {
    if is_replaced() {
        loaded::note_all_changed();
    }
    index::discard(
        MODELS.indexed().iter().flat_map(|model| model.indexes().flush(database)).collect(),
    );
}

/// Two databases change places. A build begins anew: it may have seen one of them, in its old place.
pub fn swap(one: c_int, other: c_int) {
    if is_replaced() {
        loaded::note_all_changed();
    }
    MODELS.indexed().iter().for_each(|model| model.indexes().swap(one, other));
    BUILD.with_borrow_mut(|build| {
        if let Some(build) = build {
            build.restart();
        }
    });
}

/// The data set is being replaced: nothing is left to build.
pub fn cancel_build() {
    BUILD.take();
}

/// Builds the trees of all models that have indexes from all documents: those that were gathered while they were read, or
/// that are found.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn rebuild(ctx: *mut raw::RedisModuleCtx) {
    let indexed = MODELS.indexed();
    if indexed.is_empty() {
        return loaded::cancel();
    }
    index::discard(indexed.iter().flat_map(|model| model.indexes().begin_build()).collect());
    let began = Instant::now();
    // SAFETY: the caller vouches for `ctx`.
    let taken = unsafe { loaded::take(ctx, &indexed) };
    let how = if taken.is_some() { "as they were read" } else { "by a visit of all keys" };
    // SAFETY: as above.
    let gathering = taken.unwrap_or_else(|| unsafe { gather_all(ctx) });
    let documents: usize = gathering.tables().iter().map(|table| table.gathered.count()).sum();
    for GatheredTable { model, database, gathered } in gathering.into_tables() {
        if let Some(model) = model.upgrade() {
            model.indexes().replace(database, gathered);
        }
    }
    for model in indexed {
        if let Some(build) = model.indexes().build() {
            model.indexes().end_build(build);
        }
    }
    if documents > 0 {
        let took = began.elapsed().as_millis();
        log::notice(
            ctx,
            &format!(
                "indexes of {documents} documents are built: gathered {how}, sorted in {took} ms"
            ),
        );
    }
}

/// Gathers all documents of models that have indexes.
///
/// # Safety
///
/// As for [`rebuild`].
unsafe fn gather_all(ctx: *mut raw::RedisModuleCtx) -> Gathering {
    let mut gathering = Gathering::default();
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        each_database(ctx, |database| {
            let cursor = ScanCursor::new();
            let mut gather = |name: &[u8], document: &Document| {
                if let Some(model) = &document.model
                    && let Some(entries) = model.indexes().entries(document.root.view())
                {
                    gathering.add(model, database, name, &entries);
                }
            };
            while scan(ctx, &cursor, &mut gather) {}
        });
    }
    gathering
}

/// Continues a build, or begins one where an index needs it. Called several times a second.
///
/// # Safety
///
/// As for [`rebuild`].
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    if !MODELS.has_indexes() || models::is_loading() {
        return;
    }
    BUILD.with_borrow_mut(|current| {
        if current.is_none() {
            *current = Build::begin();
        }
        if let Some(build) = current
            && build.ended.elapsed() >= PAUSE
        {
            // SAFETY: the caller vouches for `ctx`.
            if unsafe { build.slice(ctx) } {
                *current = None;
            }
        }
    });
}

impl Build {
    /// A pass for all indexes that need one.
    fn begin() -> Option<Build> {
        let indexed = MODELS.indexed();
        let needed = indexed.iter().filter_map(|model| {
            let build = model.indexes().build()?;
            Some((Box::from(model.name()), build))
        });
        let builds: Vec<_> = needed.collect();
        let ended = Instant::now().checked_sub(PAUSE).unwrap_or_else(Instant::now);
        (!builds.is_empty()).then(|| Build {
            cursor: ScanCursor::new(),
            database: 0,
            is_merging: false,
            builds,
            ended,
        })
    }

    fn restart(&mut self) {
        self.cursor = ScanCursor::new();
        (self.database, self.is_merging) = (0, false);
    }

    /// Builds for a slice of time. Returns true at the end.
    ///
    /// # Safety
    ///
    /// As for [`rebuild`].
    unsafe fn slice(&mut self, ctx: *mut raw::RedisModuleCtx) -> bool {
        let mut slice = ProcessorSlice::begin(SLICE);
        if !self.is_merging {
            // SAFETY: the caller vouches for `ctx`.
            unsafe { self.gather(ctx) };
        }
        let done = self.is_merging && merge(&mut slice);
        self.ended = Instant::now();
        if done {
            let indexed = MODELS.indexed();
            for (name, build) in &self.builds {
                let model = indexed.iter().find(|model| model.name() == &**name);
                model.into_iter().for_each(|model| model.indexes().end_build(*build));
            }
        }
        done
    }

    /// Gathers documents that no index knows.
    ///
    /// # Safety
    ///
    /// As for [`rebuild`].
    unsafe fn gather(&mut self, ctx: *mut raw::RedisModuleCtx) {
        let mut slice = ProcessorSlice::begin(GATHERING);
        let mut gathering = Gathering::default();
        // SAFETY: the caller vouches for `ctx`; a database that does not exist is refused.
        unsafe {
            let home = call!(RedisModule_GetSelectedDb(ctx));
            while !slice.is_over() {
                let database = self.database;
                if !is_ok(call!(RedisModule_SelectDb(ctx, database))) {
                    self.is_merging = true;
                    break;
                }
                let mut visit = |name: &[u8], document: &Document| {
                    let Some(model) = &document.model else { return };
                    let missing =
                        model.indexes().missing_entries(database, name, document.root.view());
                    if let Some(entries) = missing {
                        gathering.add(model, database, name, &entries);
                    }
                };
                if !scan(ctx, &self.cursor, &mut visit) {
                    self.cursor = ScanCursor::new();
                    self.database += 1;
                }
            }
            call!(RedisModule_SelectDb(ctx, home));
        }
        for GatheredTable { model, database, gathered } in gathering.into_tables() {
            if let Some(model) = model.upgrade() {
                model.indexes().gather(database, gathered);
            }
        }
    }
}

/// Merges entries that were gathered. Returns true when none is left.
fn merge(slice: &mut ProcessorSlice) -> bool {
    let indexed = MODELS.indexed();
    while indexed.iter().any(|model| model.indexes().merge(MERGED)) {
        if slice.is_over() {
            return false;
        }
    }
    true
}

/// Calls for each database, which is selected meanwhile.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn each_database(ctx: *mut raw::RedisModuleCtx, mut visit: impl FnMut(c_int)) {
    // SAFETY: the caller vouches for `ctx`; a database that does not exist is refused.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        for database in 0.. {
            if !is_ok(call!(RedisModule_SelectDb(ctx, database))) {
                break;
            }
            visit(database);
        }
        call!(RedisModule_SelectDb(ctx, home));
    }
}

type VisitDocument<'v> = &'v mut dyn FnMut(&[u8], &Document);

/// Visits some documents of the selected database. Returns false at the end.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
unsafe fn scan(
    ctx: *mut raw::RedisModuleCtx,
    cursor: &ScanCursor,
    mut visit: VisitDocument<'_>,
) -> bool {
    let data = (&raw mut visit).cast::<c_void>();
    // SAFETY: the caller vouches for `ctx`; the function lives through the call, which alone uses it.
    unsafe { call!(RedisModule_Scan(ctx, cursor.0.as_ptr(), Some(visit_key), data)) != 0 }
}

unsafe extern "C" fn visit_key(
    _ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
    key: *mut raw::RedisModuleKey,
    data: *mut c_void,
) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the server lends the name and the open key; `data` is that of `scan`.
        unsafe {
            let visit = &mut *data.cast::<VisitDocument<'_>>();
            if let Ok(Some(document)) = stored::at_key(key) {
                visit(bytes(name), &*document);
            }
        }
    }));
}
