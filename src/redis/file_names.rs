//! The shared names of the RDB that is being written or read.
//!
//! The aux field of a file has them and stands in front of the keys. So a document is written with numbers of names from
//! the moment when the aux field was written until the file is complete, or has failed: `DUMP` in the time between
//! files writes payloads that stand by themselves. A file that is written by a child process ends with it.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::value::FileNames;

static WRITTEN: AtomicBool = AtomicBool::new(false);
static READ: Mutex<Option<FileNames>> = Mutex::new(None);

thread_local! {
    /// The buffer of the document written last.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The names have been written to a file.
pub fn begin_write() {
    WRITTEN.store(true, Ordering::Relaxed);
}

/// The file is complete, or has failed.
pub fn end_write() {
    WRITTEN.store(false, Ordering::Relaxed);
}

/// Flag: documents are being written to a file that has the names.
pub fn are_written() -> bool {
    WRITTEN.load(Ordering::Relaxed)
}

fn read() -> std::sync::MutexGuard<'static, Option<FileNames>> {
    READ.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The names of the file that is being read.
pub fn begin_read<'n>(names: impl IntoIterator<Item = &'n str>) {
    *read() = Some(FileNames::admit(names));
}

/// The file has been read.
pub fn end_read() {
    *read() = None;
}

/// Calls with the names of the file that is being read.
pub fn with_read<T>(decode: impl FnOnce(Option<&FileNames>) -> T) -> T {
    decode(read().as_ref())
}

/// An empty buffer.
pub fn take_buffer() -> Vec<u8> {
    BUFFER.take()
}

/// Keeps a buffer for the next document, unless it is large.
pub fn keep_buffer(mut buffer: Vec<u8>) {
    const KEEP: usize = 1 << 14;
    buffer.clear();
    if buffer.capacity() <= KEEP {
        BUFFER.set(buffer);
    }
}
