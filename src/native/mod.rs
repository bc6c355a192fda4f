//! Natives: commands on the server's own structures that happen in the step of a transaction, or not at all.
//!
//! A native is a static [`NativeSpec`], one file each, found through the registry: syntax, documentation, and two
//! functions. `write` makes the words of the server's command from the operands, which were parsed and evaluated
//! as those of operators are. `check` refuses what the server would refuse, on an [`Overlay`]: the keyspace as it
//! was, with the natives before it. When documents, models and natives have passed, documents are committed and
//! the commands run in order; nothing in this room changes anything.
//!
//! The set is closed to commands whose refusals can be foreseen: none that blocks, takes away what it replies,
//! runs a script or belongs to a module.

mod call;
mod example;
mod overlay;
mod parse;
mod source;
mod text;
mod words;

mod hdel;
mod hincrby;
mod hset;
mod incrby;
mod lpush;
mod pexpire;
mod publish;
mod rpush;
mod sadd;
mod set;
mod spublish;
mod srem;
mod unlink;
mod xadd;
mod zadd;
mod zincrby;
mod zrem;

use std::sync::OnceLock;

use linkme::distributed_slice;

use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand};

pub use call::{NativeCall, NativeCalls, NativeReply, NativeStatement};
pub use example::NativeExample;
pub use overlay::{KeyOverlay, Overlay};
pub use parse::{NATIVE_BLOCK, parse_native};
pub use source::{NativeKind, NativeSource, StreamId, ask};
pub use text::strict_integer;
pub use words::Words;

/// The complete declaration of a native.
pub struct NativeSpec {
    /// The server's command, in upper case.
    pub name: &'static str,
    pub operands: &'static [Operand],
    /// One sentence without a final stop.
    pub summary: &'static str,
    /// The kind of value at the key, in words.
    pub works_on: &'static str,
    /// The reply, in words.
    pub reply: &'static str,
    /// The errors its own code gives, in order of precedence. `NOPERM` and those of limits come on top.
    pub errors: &'static [ErrorCode],
    pub complexity: &'static str,
    pub since: &'static str,
    pub examples: &'static [NativeExample],
    /// Flag: the key is the name of a channel, and nothing is at it.
    pub channel: bool,
    /// Appends the words behind the key.
    pub write: fn(&[Arg<'_>], &mut Words) -> Result<()>,
    /// Refuses what the server would refuse, and notes what the command does.
    pub check: fn(&mut KeyOverlay<'_>, &Words) -> Result<()>,
}

impl NativeSpec {
    /// The syntax, `ZADD score member`.
    pub fn usage(&self) -> String {
        let operands = self.operands.iter().map(|operand| operand.name.to_owned());
        std::iter::once(self.name.to_owned()).chain(operands).collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for NativeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All natives, in the order the linker found them. Use [`all`].
#[distributed_slice]
pub static NATIVES: [NativeSpec];

/// All natives by name.
pub fn all() -> &'static [&'static NativeSpec] {
    static SORTED: OnceLock<Vec<&'static NativeSpec>> = OnceLock::new();
    SORTED.get_or_init(|| {
        let mut specs: Vec<_> = NATIVES.iter().collect();
        specs.sort_by_key(|spec| spec.name);
        let unique = specs.windows(2).all(|pair| pair[0].name < pair[1].name);
        assert!(unique, "names of natives are unique");
        specs
    })
}

impl NativeSpec {
    /// Its position in [`NATIVES`].
    #[inline]
    pub fn number(&'static self) -> usize {
        let bytes = std::ptr::from_ref(self).addr() - NATIVES.as_ptr().addr();
        bytes / size_of::<NativeSpec>()
    }
}

/// The native of that name, in any case of letters.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static NativeSpec> {
    static TABLE: OnceLock<NativeTable> = OnceLock::new();
    TABLE.get_or_init(NativeTable::of_all).find(name)
}

/// Several times as many slots as there are natives, so that a look-up ends at the first one or two.
const NAME_SLOTS: usize = 64;

/// All natives by their names, hashed.
struct NativeTable([Option<(u64, &'static NativeSpec)>; NAME_SLOTS]);

impl NativeTable {
    fn of_all() -> NativeTable {
        assert!(all().len() < NAME_SLOTS / 2, "the table has room");
        let mut slots = [None; NAME_SLOTS];
        for spec in all().iter().copied() {
            let folded = folded(spec.name.as_bytes()).expect("names are up to eight letters");
            let mut slot = first_slot(folded);
            while slots[slot].is_some() {
                slot = (slot + 1) % NAME_SLOTS;
            }
            slots[slot] = Some((folded, spec));
        }
        NativeTable(slots)
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<&'static NativeSpec> {
        let folded = folded(name)?;
        let mut slot = first_slot(folded);
        loop {
            let (known, spec) = self.0[slot]?;
            if known == folded {
                return Some(spec);
            }
            slot = (slot + 1) % NAME_SLOTS;
        }
    }
}

/// The letters of a name without their case, in one integer; none for a text that can be no name.
#[inline]
fn folded(name: &[u8]) -> Option<u64> {
    if name.len() > 8 || !name.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    Some(name.iter().fold(0, |folded, letter| folded << 8 | u64::from(letter & !0x20)))
}

#[inline]
fn first_slot(folded: u64) -> usize {
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natives_are_found_by_their_names_alone() {
        for spec in all() {
            for name in [spec.name.to_owned(), spec.name.to_lowercase()] {
                assert_eq!(find(name.as_bytes()).map(|found| found.name), Some(spec.name));
            }
            for other in [format!("{}x", spec.name), spec.name[1..].to_owned() + "@"] {
                assert!(find(other.as_bytes()).is_none(), "{other}");
            }
            assert_eq!(NATIVES[spec.number()].name, spec.name);
        }
        for other in ["", "WHEN", "ZADDZADDZ", "set\0", "\u{17f}et"] {
            assert!(find(other.as_bytes()).is_none(), "{other}");
        }
    }
}
