//! `REVISION`: the revision this command gives the document.

use super::{Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Repeats};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static REVISION: OpSpec = OpSpec {
    name: "REVISION",
    operands: &[],
    summary: "Replies the revision the document has when the command is over",
    accepts: "any",
    absent: Absent::Own,
    reply: "an integer",
    errors: &[],
    complexity: "O(1)",
    repeats: Repeats::Nothing,
    since: "0.1.0",
    examples: &[Example::new("{}", "REVISION", "(revision)", "{}")],
    run: Action::Once(revision),
};

fn revision(_: &mut Frame<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    Ok(Reply::Revision)
}
