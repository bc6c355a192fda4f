//! Changes of documents whose model has `CHANGES`: their streams are looked at before anything is changed.

use std::sync::Arc;

use smallvec::SmallVec;

use super::request::{Block, Request};
use super::statement::Statement;
use crate::changes::stream;
use crate::error::{Error, ErrorCode, Result};
use crate::host::{Host, Key};
use crate::index::hash_slot;
use crate::model::Model;

/// Refuses a request that may change documents whose streams cannot take an entry. Returns true if changes are
/// recorded here.
#[cold]
pub fn prepare(host: &mut dyn Host, request: &Request<'_, '_>) -> Result<bool> {
    if request.replaying {
        return Ok(false);
    }
    let clustered = host.index_scope().clustered;
    check_keys(host, request, clustered)?;
    let mut streams = CheckedStreams { clustered, checked: SmallVec::new() };
    for block in request.blocks.iter().filter(|block| may_change(request, block)) {
        let key = request.keys[block.slot];
        let refused = |error: Error| request.located_at(error, block.slot);
        // A key of another type is refused when all are opened.
        let found = host.open(key).ok().flatten();
        if let Some(model) = found.and_then(|document| recorded(document.model.as_ref()))
            && !streams.check(host, model, key).map_err(refused)?
        {
            return Ok(false);
        }
        for model in named(request, block).filter_map(|model| recorded(model.as_ref())) {
            if !streams.check(host, model, key).map_err(refused)? {
                return Ok(false);
            }
        }
    }
    Ok(!streams.checked.is_empty())
}

/// The streams that a request may append to. Many documents of a model have one.
struct CheckedStreams {
    clustered: bool,
    checked: SmallVec<[(Arc<Model>, u16); 2]>,
}

impl CheckedStreams {
    /// Refuses a change of a document whose stream takes no entry. Returns false if no changes are recorded here, which
    /// is asked only where a model has `CHANGES`: others pay for nothing.
    fn check(&mut self, host: &mut dyn Host, model: Arc<Model>, key: Key<'_>) -> Result<bool> {
        if self.checked.is_empty() && !host.records_changes() {
            return Ok(false);
        }
        let slot = if self.clustered { hash_slot(key.name) } else { 0 };
        let is_known = |(known, of): &(Arc<Model>, u16)| Arc::ptr_eq(known, &model) && *of == slot;
        if !self.checked.iter().any(is_known) {
            host.check_stream(model.name(), key.name)?;
            self.checked.push((model, slot));
        }
        Ok(true)
    }
}

/// The model, if it has `CHANGES`.
fn recorded(model: Option<&Arc<Model>>) -> Option<Arc<Model>> {
    model.filter(|model| model.changes().is_some()).cloned()
}

/// The models that a document at the key of a block may get by it.
fn named<'r>(
    request: &'r Request<'_, '_>,
    block: &'r Block<'_>,
) -> impl Iterator<Item = &'r Option<Arc<Model>>> {
    let content = block.content.as_ref().map(|content| &content.model);
    let of_statements = request.models.iter().filter(|(nth, _)| block.statements.contains(nth));
    content.into_iter().chain(of_statements.map(|(_, model)| model))
}

/// Refuses a request that writes to the key of a change stream, which is the module's.
fn check_keys(host: &mut dyn Host, request: &Request<'_, '_>, clustered: bool) -> Result<()> {
    let check = |name: &[u8]| {
        let Some(model) = stream::model_of(name, clustered) else { return Ok(()) };
        let model = host.models().defined(model.as_bytes()).ok();
        if model.is_none_or(|model| model.changes().is_none()) {
            return Ok(());
        }
        let message =
            "the key is that of the change stream of a model, to which nothing else is written";
        Err(Error::new(ErrorCode::WrongType, message))
    };
    for block in request.blocks {
        if let Err(error) = check(request.keys[block.slot].name)
            && may_write(request, block)
        {
            return Err(request.located_at(error, block.slot));
        }
    }
    match &request.token {
        Some(token) => check(token.key.name).map_err(|error| error.text("key", token.key.name)),
        None => Ok(()),
    }
}

/// Returns true if the block may write to its key.
fn may_write(request: &Request<'_, '_>, block: &Block<'_>) -> bool {
    let natives = block.natives.as_ref();
    let runs_native = natives
        .is_some_and(|natives| natives.statements.iter().any(|statement| !statement.spec.channel));
    runs_native || block.expiry.is_some() || may_change(request, block)
}

fn may_change(request: &Request<'_, '_>, block: &Block<'_>) -> bool {
    block.content.is_some() || request.statements_of(block).iter().any(Statement::may_write)
}
