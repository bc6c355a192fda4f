//! Document values: exact, ordered, compact.
//!
//! A [`Value`] is a JSON value (RFC 8259) held losslessly: an integer is an `i64` for ever, any other
//! number a finite `f64`, strings are UTF-8, objects keep the order in which members were added.
//!
//! Two representations live behind one interface. A container whose encoding takes at most
//! [`pack::LEAF_BYTES_MAX`] bytes is *packed*: one buffer holds it and everything inside. A larger one
//! is a *tree* node whose small children are packed together in runs of a few hundred bytes ([`chunks`]). A small
//! document is therefore one allocation with its [`Root`], and a change in a large one touches one run. Readers see
//! neither: they use [`View`]. Writers use [`edit::Editor`], which records how to undo what it did.
//!
//! Nothing here depends on the representation being one or the other; no result of a public
//! function does either, except [`Value::heap_bytes`].

mod build;
mod chunks;
pub mod edit;
mod hash;
mod leaf;
pub mod limits;
mod member_index;
pub mod names;
pub mod number;
mod object;
mod pack;
pub mod parse;
pub mod patch;
pub mod print;
mod quote;
mod root;
mod saved;
mod text_place;
mod tree;
mod view;
pub mod wire;
pub mod work;

pub use build::{Measured, ValueBuilder, array, nested, nested_size, object};
pub use leaf::PackedWay;
pub use limits::Limits;
pub use number::{NO_SUCH_DOUBLE, Number, exact_double};
pub use root::{ROOT_BYTES, Root, Tail};
pub use saved::FileNames;
pub use tree::{Relocate, Value};
pub use view::{ArrayView, Items, Kind, Members, ObjectView, Text, View};

use smallvec::SmallVec;

/// Where a value stands in its document: the position to take at every container on the way from
/// the root. An array's positions are its indexes; an object's are opaque and stay valid until a
/// member of that object is inserted or removed.
pub type Place = SmallVec<[u32; 8]>;
