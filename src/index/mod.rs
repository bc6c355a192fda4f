//! Indexes: the documents of a model in the order of what is in them, to find them without looking at all.
//!
//! A model declares indexes with its definition ([`IndexSource`]). Each is an ordered set ([`tree`]) of byte strings that
//! sort as the values of its parts do ([`key`]), with the name of the document's key behind them. So the entries of an
//! index are in the order of the contract, equal ones by key, and the position of a query is the last entry it has seen:
//! it can be resumed after any change, without a state here.
//!
//! A table ([`table`]) records which entries each document has. Whatever happened to a key, [`ModelIndexes::follow`] is
//! told what is there now, compares, and changes what differs: no caller has to know what was there before, and telling
//! twice does no harm.
//!
//! Guarantees: a document has the same entries, however it came to its key; a page of entries is copied, so nothing is
//! locked while documents are looked at. Nothing here knows a server, opens a key, or is saved.

mod building;
mod chunk;
mod cursor;
mod digest;
mod entries;
mod gathered;
mod handle;
mod hash_slot;
pub mod key;
mod older;
mod page;
mod planner;
mod reads;
mod ready;
mod records;
mod runs;
mod set;
mod source;
mod suggestion;
mod table;
pub mod tree;

pub use cursor::{Cursor, KeysCursor, QueryCursor};
pub use digest::EntryDigest;
#[cfg(test)]
pub use entries::PASSED;
pub use entries::{Entries, IndexMask};
pub use gathered::Gathered;
pub use handle::{Checked, IndexTotals, ModelIndexes, Progress, discard};
pub use hash_slot::{hash_slot, in_slot_of};
pub use page::EntryPage;
pub use planner::{IndexPlan, IndexPlanner};
pub use ready::ReadyIndexes;
#[cfg(test)]
pub use set::COMPUTED;
pub use set::{IndexSet, condition_steps};
pub use source::{INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexSource, PART_VALUES_MAX, PARTS_MAX};
pub use suggestion::suggested_index;
pub use table::Table;
pub use tree::Direction;
#[cfg(test)]
pub use tree::EntryTree;
