//! Natives as they are parsed, and as they are planned.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use smallvec::SmallVec;

use super::{NativeSpec, Words};
use crate::expr::Program;
use crate::op::Arg;

/// A native as it stands in a block.
pub struct NativeStatement<'a> {
    pub spec: &'static NativeSpec,
    pub args: SmallVec<[Arg<'a>; 2]>,
    /// It is planned only where this is true.
    pub when: Option<Arc<Program>>,
}

impl NativeStatement<'_> {
    /// The native with its texts in memory of its own.
    pub fn to_owned(&self) -> NativeStatement<'static> {
        let args = self.args.iter().cloned().map(Arg::into_owned).collect();
        NativeStatement { spec: self.spec, args, when: self.when.clone() }
    }
}

/// A command to run for a native, once nothing can be refused any more.
#[derive(Debug)]
pub struct NativeCall {
    pub spec: &'static NativeSpec,
    /// The slot of the key.
    pub slot: usize,
    /// The argument of the transaction that names the key.
    pub key_arg: usize,
    /// The words behind the key.
    pub words: Words,
    /// The block and the native in it, for errors.
    pub at: (usize, usize),
}

/// The commands of a transaction, in the list of an earlier one most of the time.
#[derive(Debug, Default)]
pub struct NativeCalls(Vec<NativeCall>);

/// The most commands that a list has room for which is kept.
const KEPT_MAX: usize = 64;

thread_local! {
    /// The list of an earlier transaction, empty.
    static KEPT: Cell<Vec<NativeCall>> = const { Cell::new(Vec::new()) };
}

impl NativeCalls {
    /// An empty list.
    pub fn take() -> NativeCalls {
        NativeCalls(KEPT.take())
    }
}

impl Drop for NativeCalls {
    fn drop(&mut self) {
        if (1..=KEPT_MAX).contains(&self.0.capacity()) {
            self.0.clear();
            KEPT.set(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for NativeCalls {
    type Target = Vec<NativeCall>;

    fn deref(&self) -> &Vec<NativeCall> {
        &self.0
    }
}

impl DerefMut for NativeCalls {
    fn deref_mut(&mut self) -> &mut Vec<NativeCall> {
        &mut self.0
    }
}

/// The server's answer to the command of a native.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeReply {
    Null,
    Int(i64),
    Text(Vec<u8>),
    Ok,
    /// The server refused it all the same.
    Error(Vec<u8>),
}
