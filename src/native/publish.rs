//! `PUBLISH`: sends a message to a channel.

use super::text::push_value;
use super::{NATIVES, NativeExample, NativeSpec, Words};
use crate::error::Result;
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static PUBLISH: NativeSpec = NativeSpec {
    name: "PUBLISH",
    operands: &[Operand { name: "value", kind: OperandKind::Json }],
    summary: "Sends a message to the channel that has the name of the key",
    works_on: "a name: nothing at the key is looked at",
    reply: "the number of clients that were sent it, without those of other servers",
    errors: &[],
    complexity: "O(N) with N the number of subscribers",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"PUBLISH '"gone"'"#, "(integer) 0"),
        NativeExample::new("SADD 1", r#"PUBLISH '{"gone":1}'"#, "(integer) 0"),
    ],
    channel: true,
    write,
    check: |_, _| Ok(()),
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_value(args[0].json().value.view(), words);
    Ok(())
}
