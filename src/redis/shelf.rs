//! Documents by database and key, for the lock engine and for replies to clients that waited.

use std::ffi::{c_char, c_int};

use redis_module::raw;

use super::api::call;
use super::stored;
use crate::document::Document;
use crate::lock::At;

/// Lends documents by their keys. Each key is opened for a moment: a document stays where it is
/// as long as nothing deletes it.
pub struct Shelf<'k> {
    pub ctx: *mut raw::RedisModuleCtx,
    home: c_int,
    selected: c_int,
    /// The keys that the running command has open.
    open: Option<OpenKeys<'k>>,
}

/// Finds the document at a key of the selected database by the key's name: `None` for a key that is not
/// open.
pub type OpenKeys<'k> = &'k dyn Fn(&[u8]) -> Option<Option<*mut Document>>;

impl<'k> Shelf<'k> {
    /// # Safety
    ///
    /// `ctx` is valid as long as the shelf, and nothing deletes documents meanwhile.
    pub unsafe fn new(ctx: *mut raw::RedisModuleCtx) -> Shelf<'k> {
        // SAFETY: the caller vouches for `ctx`.
        let home = unsafe { call!(RedisModule_GetSelectedDb(ctx)) };
        Shelf { ctx, home, selected: home, open: None }
    }

    /// Lends the documents of the keys that the running command has open.
    pub fn lend_open(&mut self, open: OpenKeys<'k>) {
        self.open = Some(open);
    }

    /// Selects a database, for what is replicated and announced.
    pub fn select(&mut self, db: c_int) {
        if self.selected != db {
            // SAFETY: `ctx` is valid; a database that does not exist is refused.
            unsafe { call!(RedisModule_SelectDb(self.ctx, db)) };
            self.selected = db;
        }
    }

    /// The document at a key.
    pub fn document(&mut self, at: At<'_>) -> Option<&mut Document> {
        let open = self.open.filter(|_| at.db == self.home);
        if let Some(found) = open.and_then(|open| open(at.key)) {
            // SAFETY: the key is open, and nothing of its document is borrowed.
            return found.map(|document| unsafe { &mut *document });
        }
        self.select(at.db);
        let (start, len) = (at.key.as_ptr().cast::<c_char>(), at.key.len());
        let mode = raw::REDISMODULE_READ as c_int | raw::REDISMODULE_WRITE as c_int;
        // SAFETY: `ctx` is valid; the string and the key are closed again. The document lives on.
        unsafe {
            let name = call!(RedisModule_CreateString(self.ctx, start, len));
            let key = call!(RedisModule_OpenKey(self.ctx, name, mode));
            let found = stored::at_key(key).ok().flatten();
            call!(RedisModule_CloseKey(key));
            call!(RedisModule_FreeString(self.ctx, name));
            found.map(|document| &mut *document)
        }
    }
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        self.select(self.home);
    }
}
