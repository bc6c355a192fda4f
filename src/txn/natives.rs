//! Natives of a transaction: evaluated in the order of the blocks, checked when the documents have passed, and run
//! when these are committed.

use smallvec::SmallVec;

use super::context::Refused;
use super::request::NativeBlock;
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::host::Key;
use crate::native::{
    NativeCall, NativeCalls, NativeReply, NativeSource, NativeStatement, Overlay, Words,
};
use crate::op::{self, Around};
use crate::reply::Reply;
use crate::value::View;

/// Steps of a native: its check and its command, both of which the server does in about a microsecond.
const NATIVE: u64 = 200;
/// The longest reply of a native in a token's record, but for refusals that nothing foretold.
pub const REPLY_BYTES: usize = 48;

/// The structures of the server at the keys of a transaction.
pub struct NativeAccess<'r> {
    pub source: &'r dyn NativeSource,
    pub keys: &'r [Key<'r>],
}

/// The natives that a transaction plans.
pub struct NativePlan<'r> {
    pub access: &'r NativeAccess<'r>,
    pub calls: &'r mut NativeCalls,
}

impl NativePlan<'_> {
    /// `LIMIT`, `NOPERM` or another refusal of the server that a command would meet after those before it. Errors
    /// carry the number of the native in its block.
    pub fn check(&self) -> Result<(), (Error, Refused)> {
        let mut overlay = Overlay::new(self.access.source);
        // The number of the last call about each key.
        let mut last = SmallVec::<[usize; 8]>::from_elem(0, self.access.keys.len());
        self.calls.iter().enumerate().for_each(|(nth, call)| last[call.slot] = nth);
        for (nth, call) in self.calls.iter().enumerate() {
            let key = self.access.keys[call.slot];
            overlay.check(key, call, last[call.slot] == nth).map_err(|error| {
                let refused = Refused { slot: call.slot, block: Some(call.at.0) };
                let error = error
                    .integer("statement", call.at.1 as i64)
                    .text("operator", call.spec.name.as_bytes());
                (error, refused)
            })?;
        }
        Ok(())
    }
}

/// The key of a block of natives, and what their expressions read.
pub struct NativeTarget<'r> {
    /// The number of the block.
    pub number: usize,
    pub slot: usize,
    pub key_arg: usize,
    pub around: &'r Around<'r>,
    /// The document found that the natives are run for.
    pub this: Option<View<'r>>,
}

/// Evaluates the natives of one block into `calls`, and adds the places of their replies.
pub fn plan_block(
    block: &NativeBlock<'_>,
    target: &NativeTarget<'_>,
    calls: &mut Vec<NativeCall>,
    replies: &mut Vec<Reply>,
) -> Result<()> {
    let NativeTarget { number, slot, key_arg, around, .. } = *target;
    for (nth, statement) in block.statements.iter().enumerate() {
        let spec = statement.spec;
        let words = evaluate(statement, target).map_err(|error| {
            error.integer("statement", nth as i64).text("operator", spec.name.as_bytes())
        })?;
        let Some(words) = words else {
            replies.push(Reply::Null);
            continue;
        };
        replies.push(Reply::Native(calls.len() as u32).within(around.allowance)?);
        calls.push(NativeCall { spec, slot, key_arg, words, at: (number, nth) });
    }
    Ok(())
}

/// The words of a native; none where its `WHEN` is false.
fn evaluate(statement: &NativeStatement<'_>, target: &NativeTarget<'_>) -> Result<Option<Words>> {
    let NativeTarget { around, this, .. } = *target;
    if let Some(when) = &statement.when
        && !when.test(&around.scope(this, None), around.limits)?
    {
        return Ok(None);
    }
    let spec = statement.spec;
    let mut words = Words::default();
    match op::computed(spec.operands, &statement.args, around, this)? {
        Some(computed) => (spec.write)(&computed, &mut words)?,
        None => (spec.write)(&statement.args, &mut words)?,
    }
    pay(around.allowance, words.bytes())?;
    Ok(Some(words))
}

fn pay(allowance: &Allowance<'_>, bytes: usize) -> Result<()> {
    allowance.spend(NATIVE)?;
    allowance.transfer(bytes as u64 / crate::budget::weight::REPLY_BYTES)
}

/// The reply of the server as one of the transaction.
pub fn reply_of(reply: NativeReply) -> Reply {
    match reply {
        NativeReply::Null => Reply::Null,
        NativeReply::Int(value) => Reply::Int(value),
        NativeReply::Text(text) => Reply::Text(text),
        NativeReply::Ok => Reply::Ok,
        NativeReply::Error(text) => Reply::Refused(text),
    }
}
