//! The value at the root of a document, which has its packed form behind it in the same block of memory.
//!
//! A read of a small document in a large keyspace waits for memory and not for the processor, once for each block that is
//! far from the one before. So the document and its packed value are one block: [`Root`] ends in a *tail* of bytes whose number is
//! decided when the block is made. A value that outgrows the tail, or is not packed, is the root's own; whoever owns the
//! block makes a new one that fits, see [`Root::is_settled`].

use std::fmt;

use super::leaf::{LeafRef, Splice, rounded};
use super::tree::{Relocate, Repr, Value};
use super::view::View;

/// The bytes behind a root: an array where their number is known to the compiler, else a slice.
pub trait Tail: AsRef<[u8]> + AsMut<[u8]> {}

impl<T: AsRef<[u8]> + AsMut<[u8]> + ?Sized> Tail for T {}

/// A value, and room for its packed form.
///
/// A root under construction has no tail, and is usable wherever a [`Root`] is.
#[repr(C)]
pub struct Root<T: ?Sized = [u8]> {
    /// None where the tail holds it.
    own: Option<Value>,
    /// The length of the tail, for those who have only a thin pointer.
    tail_bytes: u16,
    /// A packed container, or unused.
    tail: T,
}

const _: () = assert!(size_of::<Option<Value>>() == size_of::<Value>());

/// The bytes in front of the tail.
pub const ROOT_BYTES: usize = std::mem::offset_of!(Root<[u8; 0]>, tail);

impl Root<[u8; 0]> {
    /// The value without a tail.
    pub fn bare(value: Value) -> Root<[u8; 0]> {
        Root { own: Some(value), tail_bytes: 0, tail: [] }
    }
}

impl<const N: usize> Root<[u8; N]> {
    /// The same value with a tail, which holds it if it is packed. The tail is as long as
    /// [`Root::tail_wanted`] says, or longer.
    pub fn with_tail(value: Value) -> Root<[u8; N]> {
        let tail_bytes = u16::try_from(N).expect("a tail is as short as a packed container");
        let Repr::Leaf(leaf) = &value.0 else {
            return Root { own: Some(value), tail_bytes, tail: [0; N] };
        };
        let (mut tail, node) = ([0; N], leaf.get().node());
        tail[..node.len()].copy_from_slice(node);
        Root { own: None, tail_bytes, tail }
    }
}

impl<T: Tail + ?Sized> Root<T> {
    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.own {
            None => LeafRef::new(self.tail.as_ref()).view(),
            Some(value) => value.view(),
        }
    }

    /// An owned copy.
    pub fn to_value(&self) -> Value {
        self.view().to_value()
    }

    /// How long a tail has to be that holds the value; 0 where none would.
    pub fn tail_wanted(&self) -> usize {
        match &self.own {
            None => LeafRef::new(self.tail.as_ref()).used(),
            Some(Value(Repr::Leaf(leaf))) => leaf.get().used(),
            Some(_) => 0,
        }
    }

    /// Returns true if the value is where it should be: in the tail if it is packed, and the tail not much longer.
    #[inline]
    pub fn is_settled(&self) -> bool {
        let tail = self.tail.as_ref();
        match &self.own {
            None => tail.len() <= rounded(LeafRef::new(tail).used() + ROOT_BYTES) * 2,
            Some(Value(Repr::Leaf(_))) => false,
            Some(_) => tail.is_empty(),
        }
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Value {
        match self.own.replace(Value::NULL) {
            None => Value::from_packed(self.tail.as_ref()),
            Some(value) => value,
        }
    }

    /// The bytes allocated for the value, not counting the block of the root.
    pub fn heap_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, Value::heap_bytes)
    }

    /// As [`Value::allocations`], not counting the block of the root.
    pub fn allocations(&self, enough: usize) -> usize {
        self.own.as_ref().map_or(0, |value| value.allocations(enough))
    }

    /// As [`Value::relocate`].
    pub fn relocate(&mut self, mover: &mut impl Relocate, start: usize) -> Option<usize> {
        self.own.as_mut()?.relocate(mover, start)
    }
}

impl Root {
    /// The length of the tail, also where this was made of a thin pointer and says that there is none.
    pub fn tail_bytes(&self) -> u16 {
        self.tail_bytes
    }

    /// The value where it is not in the tail.
    #[inline]
    pub(super) fn own(&self) -> Option<&Value> {
        self.own.as_ref()
    }

    /// As [`Root::own`].
    #[inline]
    pub(super) fn own_mut(&mut self) -> Option<&mut Value> {
        self.own.as_mut()
    }

    /// The leaf in the tail, where there is one.
    #[inline]
    pub(super) fn leaf(&self) -> Option<LeafRef<'_>> {
        self.own.is_none().then(|| LeafRef::new(&self.tail))
    }

    /// The leaf that the root is, in the tail or not.
    #[inline]
    pub(super) fn packed(&self) -> Option<LeafRef<'_>> {
        match &self.own {
            None => Some(LeafRef::new(&self.tail)),
            Some(Value(Repr::Leaf(leaf))) => Some(leaf.get()),
            Some(_) => None,
        }
    }

    /// As [`Root::packed`], of a root that is a leaf.
    #[inline]
    pub(super) fn leaf_of_root(&self) -> LeafRef<'_> {
        self.packed().expect("the root is packed")
    }

    /// Changes the leaf that the root is, in the tail or not.
    #[inline(always)]
    pub(super) fn splice(&mut self, splice: &Splice<'_>) {
        match &mut self.own {
            None if splice.in_place(&mut self.tail) => {}
            None => self.splice_elsewhere(splice),
            Some(Value(Repr::Leaf(leaf))) => leaf.splice(splice),
            Some(_) => unreachable!("the root is packed"),
        }
    }

    #[cold]
    fn splice_elsewhere(&mut self, splice: &Splice<'_>) {
        self.own = Some(Value(Repr::Leaf(splice.elsewhere(LeafRef::new(&self.tail)))));
    }

    /// Turns the leaf in the tail into a tree node.
    pub(super) fn unpack(&mut self) {
        debug_assert!(self.own.is_none(), "the tail holds the value");
        self.own = Some(Value::unpacked(LeafRef::new(&self.tail)));
    }

    /// Puts another value here; gives what was there.
    pub(super) fn replace(&mut self, new: Value) -> Value {
        let old = self.take();
        self.own = Some(new);
        old
    }
}

impl<T: Tail + ?Sized> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::print::to_string(self.view()))
    }
}
