//! Changes of documents whose model has `CHANGES`: their streams are looked at before anything is changed.

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
    check_keys(host, request)?;
    let mut records = false;
    // Many documents of a model have one stream.
    let mut checked: Vec<(Box<str>, u16)> = Vec::new();
    let clustered = host.index_scope().clustered;
    for block in request.blocks {
        let key = request.keys[block.slot];
        if may_change(request, block) {
            for model in models(host, request, block, key) {
                // Asked only where a model has CHANGES: others pay for nothing.
                if !records && !host.records_changes() {
                    return Ok(false);
                }
                records = true;
                let stream = (model, if clustered { hash_slot(key.name) } else { 0 });
                if !checked.contains(&stream) {
                    host.check_stream(&stream.0, key.name)
                        .map_err(|error| request.located_at(error, block.slot))?;
                    checked.push(stream);
                }
            }
        }
    }
    Ok(records)
}

/// Refuses a request that writes to the key of a change stream, which is the module's.
fn check_keys(host: &mut dyn Host, request: &Request<'_, '_>) -> Result<()> {
    let clustered = host.index_scope().clustered;
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
    for block in request.blocks.iter().filter(|block| may_write(request, block)) {
        let checked = check(request.keys[block.slot].name);
        checked.map_err(|error| request.located_at(error, block.slot))?;
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

/// The names of the models with `CHANGES` that a document at the key has or may get by this block.
fn models(
    host: &mut dyn Host,
    request: &Request<'_, '_>,
    block: &Block<'_>,
    key: Key<'_>,
) -> Vec<Box<str>> {
    // A key of another type is refused when all are opened.
    let found = host.open(key).ok().flatten().and_then(|document| document.model.clone());
    let content = block.content.as_ref().and_then(|content| content.model.clone());
    let named = request.models.iter().filter(|(nth, _)| block.statements.contains(nth));
    let all = found.into_iter().chain(content).chain(named.filter_map(|(_, model)| model.clone()));
    let recorded = all.filter(|model| model.changes().is_some());
    let mut names: Vec<Box<str>> = recorded.map(|model| Model::name(&model).into()).collect();
    names.sort();
    names.dedup();
    names
}
