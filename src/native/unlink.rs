//! `UNLINK`: deletes a key.

use super::{KeyOverlay, NATIVES, NativeExample, NativeSpec, Words};
use crate::error::Result;

#[linkme::distributed_slice(NATIVES)]
static UNLINK: NativeSpec = NativeSpec {
    name: "UNLINK",
    operands: &[],
    summary: "Deletes the key",
    works_on: "anything but a document or a token",
    reply: "1, or 0 if the key is missing",
    errors: &[],
    complexity: "O(1); the memory is freed in the background",
    since: "0.5.0",
    examples: &[
        NativeExample::new("SADD 1", "UNLINK", "(integer) 1"),
        NativeExample::new("", "UNLINK", "(integer) 0"),
    ],
    channel: false,
    write: |_, _| Ok(()),
    check,
};

fn check(key: &mut KeyOverlay<'_>, _: &Words) -> Result<()> {
    key.clear();
    Ok(())
}
