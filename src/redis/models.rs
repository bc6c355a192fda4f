//! The models and the actions of this server.
//!
//! Besides commands, definitions are loaded from the RDB's aux field, arrive from a master or an AOF as `MODEL.INSTALL`, and
//! from other shards over the cluster's bus ([`super::bus`]). A full sync that keeps serving the old data
//! (`repl-diskless-load swapdb`) loads the new models beside those in force; they take over when it succeeds.
//! [`super::carrier`] writes them into an AOF.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use redis_module::raw;

use crate::model::{ActionSource, Actions, Entry, ModelEntry, Models, Registry, Source};

/// The models in force.
pub static MODELS: Models = Models::new();
/// The actions in force.
pub static ACTIONS: Actions = Actions::new();
/// The definitions of a data set that is being loaded beside the one in force.
static STAGED: Mutex<Option<(Models, Actions)>> = Mutex::new(None);
/// Flag: a data set is being loaded, and its payloads are trusted.
static LOADING: AtomicBool = AtomicBool::new(false);

fn staged() -> MutexGuard<'static, Option<(Models, Actions)>> {
    STAGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Calls with the models of the data set that is being loaded.
pub fn with_loading<T>(load: impl FnOnce(&Models) -> T) -> T {
    match &*staged() {
        Some((models, _)) => load(models),
        None => load(&MODELS),
    }
}

/// Returns true if nothing was ever defined here.
pub fn is_empty() -> bool {
    MODELS.is_empty() && ACTIONS.is_empty()
}

/// Flag: a data set is being loaded, rather than a single key by `RESTORE`.
pub fn is_loading() -> bool {
    LOADING.load(Ordering::Relaxed)
}

/// Flag: a data set is being loaded beside the one in force.
pub fn is_staging() -> bool {
    staged().is_some()
}

/// Installs the definitions of an RDB. One that does not compile here is kept and reported.
pub fn load(models: &[ModelEntry], actions: &[Entry<ActionSource>], mut report: impl FnMut(&str)) {
    match &*staged() {
        Some((staged_models, staged_actions)) => {
            install(staged_models, models, &mut report);
            install(staged_actions, actions, &mut report);
        }
        None => {
            install(&MODELS, models, &mut report);
            install(&ACTIONS, actions, &mut report);
        }
    }
}

fn install<S: Source>(registry: &Registry<S>, entries: &[Entry<S>], report: &mut impl FnMut(&str)) {
    for entry in entries {
        if let Err(error) = registry.install(entry) {
            let noun = S::NOUN;
            report(&format!("the {noun} {:?} cannot be used here: {error}", entry.name));
        }
    }
}

/// The load of a data set begins. Its models replace those in force, unless it is loaded beside the data set in force.
pub fn begin_load() {
    LOADING.store(true, Ordering::Relaxed);
    if staged().is_none() {
        MODELS.replace(Models::new());
        ACTIONS.replace(Actions::new());
    }
}

/// The load of a data set has ended, with success or not.
pub fn end_load() {
    LOADING.store(false, Ordering::Relaxed);
}

/// A data set is loaded beside the one in force from now on.
pub fn begin_staging() {
    *staged() = Some((Models::new(), Actions::new()));
}

/// Puts the models of the data set that was loaded beside the one in force into force: its load has ended, though the
/// server tells of that later.
pub fn commit_staged() {
    end_load();
    if let Some((models, actions)) = staged().take() {
        MODELS.replace(models);
        ACTIONS.replace(actions);
    }
}

/// Drops the models of a data set that could not be loaded.
pub fn discard_staged() {
    *staged() = None;
}

/// Sends a definition to replicas and the AOF.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn replicate(ctx: *mut raw::RedisModuleCtx, entry: &[u8]) {
    // SAFETY: set once, while the module was loaded.
    let replicate = unsafe { raw::RedisModule_Replicate }
        .expect("RedisModule_Replicate exists on every supported server");
    // SAFETY: the caller vouches for `ctx`; the buffer is copied.
    unsafe {
        replicate(ctx, c"MODEL.INSTALL".as_ptr(), c"b".as_ptr(), entry.as_ptr(), entry.len());
    }
}
