//! Documents that a data set brings, gathered while it is read: each is at hand then, and has to be looked for at the end.
//!
//! Keys that commands of an AOF change meanwhile are recorded, and looked up at the end. Where that is not enough, as when
//! databases are exchanged or many keys change, what was gathered is dropped, and all keys are visited at the end.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::gathering::Gathering;
use super::held::HeldString;
use super::{databases, stored};
use crate::document::NewDocument;
use crate::model::Model;

/// So many changed keys are looked up, however few documents were read.
const CHANGED_MIN: usize = 1000;
/// Of more changed keys than one to so many documents that were read, all keys are visited.
const DOCUMENTS_PER_CHANGED: usize = 4;

#[derive(Default)]
struct Loaded {
    gathering: Gathering,
    documents: usize,
    changed: ChangedKeys,
    changed_count: usize,
    /// Flag: the data set is loaded beside the one in force.
    is_beside: bool,
}

/// The keys that were changed since, by their databases.
type ChangedKeys = HashMap<c_int, HashSet<Box<[u8]>>>;

thread_local! {
    static LOADED: RefCell<Option<Loaded>> = const { RefCell::new(None) };
    /// The document that was read last, unless it is gone.
    static LAST: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

/// A data set is going to be read, perhaps beside the one in force.
pub fn begin(is_beside: bool) {
    LOADED.set(Some(Loaded { is_beside, ..Loaded::default() }));
    LAST.set(ptr::null());
}

/// Drops what was gathered.
pub fn cancel() {
    LOADED.take();
    LAST.set(ptr::null());
}

/// A document of the data set was read, which becomes a value of the server by `store`.
///
/// # Safety
///
/// `io` is valid.
pub unsafe fn on_read(
    io: *mut raw::RedisModuleIO,
    document: NewDocument,
    store: impl FnOnce(NewDocument) -> *mut c_void,
) -> *mut c_void {
    let is_added = LOADED.with_borrow_mut(|loaded| {
        let (Some(loaded), Some(model)) = (loaded, &document.model) else { return false };
        let Some(entries) = model.indexes().entries(document.root.view()) else { return false };
        // SAFETY: the caller vouches for `io`, which lends the name.
        unsafe {
            let key = call!(RedisModule_GetKeyNameFromIO(io));
            if key.is_null() {
                return false;
            }
            let database = call!(RedisModule_GetDbIdFromIO(io));
            loaded.gathering.add(model, database, bytes(key), &entries);
        }
        loaded.documents += 1;
        true
    });
    let value = store(document);
    LAST.set(if is_added { value } else { ptr::null() });
    value
}

/// A document is freed. The server drops one that has expired as soon as it has read it, without an event of the key.
pub fn on_free(value: *const c_void) {
    if LAST.get() == value && !value.is_null() {
        LAST.set(ptr::null());
        LOADED.with_borrow_mut(|loaded| {
            if let Some(loaded) = loaded {
                loaded.gathering.remove_last();
                loaded.documents -= 1;
            }
        });
    }
}

/// A key is changed while the data set is read.
pub fn note_changed(database: c_int, name: &[u8]) {
    let is_too_many = LOADED.with_borrow_mut(|loaded| {
        let Some(loaded) = loaded.as_mut().filter(|loaded| loaded.documents > 0) else {
            return false;
        };
        let is_first = loaded.changed.entry(database).or_default().insert(name.into());
        loaded.changed_count += usize::from(is_first);
        loaded.changed_count > CHANGED_MIN.max(loaded.documents / DOCUMENTS_PER_CHANGED)
    });
    if is_too_many {
        cancel();
    }
}

/// Databases are emptied or exchanged while the data set is read. Before the first document nothing is lost by that: Valkey
/// empties them when the load has begun.
pub fn note_all_changed() {
    let has_read =
        LOADED.with_borrow(|loaded| loaded.as_ref().is_some_and(|loaded| loaded.documents > 0));
    if has_read {
        cancel();
    }
}

/// All documents of models with indexes; none if they have to be looked for.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn take(ctx: *mut raw::RedisModuleCtx, indexed: &[Arc<Model>]) -> Option<Gathering> {
    let loaded = LOADED.take();
    LAST.set(ptr::null());
    let Loaded { mut gathering, changed, is_beside, .. } = loaded?;
    // SAFETY: the caller vouches for `ctx`.
    if is_beside && !unsafe { knows_databases(ctx, &gathering) } {
        return None;
    }
    if !changed.is_empty() {
        for table in gathering.tables_mut() {
            if let Some(changed) = changed.get(&table.database) {
                table.gathered.retain(|name| !changed.contains(name));
            }
        }
        // SAFETY: the caller vouches for `ctx`.
        unsafe { look_up(ctx, changed, &mut gathering) };
    }
    is_whole(&gathering, indexed).then_some(gathering)
}

/// Returns true if documents that were loaded beside others were gathered with their databases, see
/// [`databases::others_with_keys`].
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn knows_databases(ctx: *mut raw::RedisModuleCtx, gathering: &Gathering) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    gathering.tables().iter().any(|table| table.database != 0)
        || unsafe { databases::others_with_keys(ctx) }.is_empty()
}

/// Adds the documents at these keys.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
unsafe fn look_up(ctx: *mut raw::RedisModuleCtx, keys: ChangedKeys, gathering: &mut Gathering) {
    // SAFETY: the caller vouches for `ctx`; each document is read while its key is open.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        for (database, names) in keys {
            if !is_ok(call!(RedisModule_SelectDb(ctx, database))) {
                continue;
            }
            for name in names {
                let string = HeldString::of(&name);
                let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
                let key = call!(RedisModule_OpenKey(ctx, string.as_ptr(), mode));
                if let Ok(Some(document)) = stored::at_key(key)
                    && let Some(model) = &(*document).model
                    && let Some(entries) = model.indexes().entries((*document).root.view())
                {
                    gathering.add(model, database, &name, &entries);
                }
                call!(RedisModule_CloseKey(key));
            }
        }
        call!(RedisModule_SelectDb(ctx, home));
    }
}

/// Returns true if all documents of these models were gathered, with entries in the indexes that are declared now.
fn is_whole(gathering: &Gathering, indexed: &[Arc<Model>]) -> bool {
    indexed.iter().all(|model| {
        let of = gathering.tables().iter();
        let mut of = of.filter(|table| table.model.as_ptr() == Arc::as_ptr(model)).peekable();
        // The list of models holds one each.
        let documents = Model::documents(model) - 1;
        let count: usize = of.clone().map(|table| table.gathered.count()).sum();
        count == documents && of.all(|table| model.indexes().declares(&table.gathered))
    })
}
