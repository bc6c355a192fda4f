//! Details of a refusal that are found after everything was reverted: `current`, the stored value that a block asked to
//! be told, and `others`, the assertions of later blocks that fail as well.
//!
//! Both are about the documents as they are stored, so that a client can decide what to do next without asking
//! again. They are paid for by the command: where its budget does not suffice, the refusal is `LIMIT`.

use super::context::{Refused, Released, TransactionContext};
use super::natives::{NativeAccess, NativePlan};
use super::request::{ReplyForm, Request};
use super::slot::{Editing, Slot};
use super::transaction::Opened;
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::host::{Documents, Host, Key};
use crate::limit;
use crate::native::{NativeCalls, NativeSource};
use crate::op::read_path;
use crate::path::Path;
use crate::reply::Reply;
use crate::value::edit::{Effects, Journal};

/// The longest JSON text that a refusal carries as `current`.
pub const CURRENT_BYTES_MAX: usize = limit::CURRENT_BYTES.default as usize;

/// The most failed assertions that a refusal lists besides the first.
pub const OTHERS_MAX: usize = limit::OTHER_REFUSALS.default as usize;

/// The refusal with what is known besides. The slots were dropped, and with them everything was reverted.
#[cold]
pub fn explained(host: &mut dyn Host, context: &TransactionContext<'_, '_>, error: Error) -> Error {
    let Some(refused) = context.refused.get() else { return error };
    if context.request.replaying || error.code() == ErrorCode::Limit {
        return error;
    }
    let told = with_current(host, context.request, refused, error)
        .and_then(|error| with_others(host, context, refused, error));
    told.unwrap_or_else(|limit| limit)
}

/// Adds the value at the path that the block names behind `CURRENT`.
fn with_current(
    host: &mut dyn Host,
    request: &Request<'_, '_>,
    refused: Refused,
    error: Error,
) -> Result<Error> {
    let path = match refused.block {
        Some(block) => request.blocks[block].current.as_deref(),
        None => {
            let mut of_key = request.blocks.iter().filter(|block| block.slot == refused.slot);
            of_key.find_map(|block| block.current.as_deref())
        }
    };
    match path {
        Some(path) => told(host, request.keys[refused.slot], path, request.allowance, error),
        None => Ok(error),
    }
}

/// Adds the value at the path behind `CURRENT` to a refusal that it explains; `LIMIT` where that costs too much.
#[cold]
pub fn told(
    host: &mut dyn Host,
    key: Key<'_>,
    path: &Path<'_>,
    allowance: &Allowance<'_>,
    error: Error,
) -> Result<Error> {
    if !matches!(error.code(), ErrorCode::Condition | ErrorCode::Revision | ErrorCode::Rule) {
        return Ok(error);
    }
    let text = current(host, key, path, allowance)
        .map_err(|error| error.text("key", key.name).text("option", b"CURRENT"))?;
    Ok(match text.len() {
        bytes if bytes > CURRENT_BYTES_MAX => error.integer("current-bytes", bytes as i64),
        _ => error.json("current", text),
    })
}

/// The JSON text of what is stored at the path; null where nothing is.
fn current(
    host: &mut dyn Host,
    key: Key<'_>,
    path: &Path<'_>,
    allowance: &Allowance<'_>,
) -> Result<String> {
    let Some(document) = host.open(key)? else { return Ok("null".to_owned()) };
    let reply = read_path(document.root.view(), path, allowance)?;
    let text = match reply.within(allowance)? {
        Reply::Json(text) => text,
        Reply::Number(number) => {
            let mut text = Vec::new();
            number.print(&mut text);
            text
        }
        _ => b"null".to_vec(),
    };
    Ok(String::from_utf8(text).expect("JSON text is UTF-8"))
}

/// Adds the assertions at the beginning of later blocks that fail on the documents as they are stored.
fn with_others(
    host: &mut dyn Host,
    context: &TransactionContext<'_, '_>,
    refused: Refused,
    error: Error,
) -> Result<Error> {
    let request = context.request;
    let (ReplyForm::Blocks, Some(block)) = (request.reply, refused.block) else {
        return Ok(error);
    };
    if !request.blocks[block + 1..].iter().any(|block| request.leads_with_assertion(block)) {
        return Ok(error);
    }
    let mut journals: Vec<_> = request.keys.iter().map(|_| host.take_journal()).collect();
    let others = others(host, context, &mut journals, block + 1);
    journals.into_iter().for_each(|journal| host.keep_journal(journal));
    let others: Vec<_> = others?.iter().map(Error::object).collect();
    match others.is_empty() {
        true => Ok(error),
        false => Ok(error.json("others", format!("[{}]", others.join(",")))),
    }
}

fn others(
    host: &mut dyn Host,
    context: &TransactionContext<'_, '_>,
    journals: &mut [Box<Journal>],
    first: usize,
) -> Result<Vec<Error>> {
    let request = context.request;
    let (limits, allowance) = (&request.settings.document, request.allowance);
    let mut failed = Vec::new();
    let mut collect = |found: Documents<'_>, source: Option<&dyn NativeSource>| -> Result<()> {
        let mut slots = Vec::with_capacity(request.keys.len());
        for ((key, document), journal) in request.keys.iter().zip(found).zip(&mut *journals) {
            let editing = Editing { journal, limits, allowance, effects: Effects::Unrecorded };
            slots.push(Slot::new(key.name, document, editing));
        }
        let mut released = Released::new();
        let opened = Opened::new(context, &mut slots, &mut released);
        failed = match source {
            None => opened.others(first, OTHERS_MAX)?,
            Some(source) => {
                let access = NativeAccess { source, keys: request.keys };
                let plan = NativePlan { access: &access, calls: &mut NativeCalls::default() };
                opened.with_natives(plan).others(first, OTHERS_MAX)?
            }
        };
        Ok(())
    };
    match request.natives {
        None => collect(host.open_all(request.keys)?, None)?,
        Some(roles) => host
            .open_beside(request.keys, roles, &mut |found, source| collect(found, Some(source)))?,
    }
    Ok(failed)
}
