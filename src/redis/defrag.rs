//! Active defragmentation: moves a document's buffers to better places.
//!
//! A small document is done in one step. A large one is visited node by node; when the time is up,
//! the number of nodes visited is the cursor to go on from. The document may have changed until
//! then: some nodes are then visited twice or not at all this time round, which harms nothing.

use std::ffi::{c_int, c_ulong, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redis_module::raw;

use super::api::{call, is_ok};
use super::stored;
use crate::token::Token;
use crate::value::Relocate;

/// The part of the server that the mover uses; unit tests have another.
trait DefragContext {
    /// The block's new address, or null when it stays.
    fn move_block(&mut self, block: *mut c_void) -> *mut c_void;
    fn should_stop(&mut self) -> bool;
}

struct ServerContext(*mut raw::RedisModuleDefragCtx);

impl DefragContext for ServerContext {
    fn move_block(&mut self, block: *mut c_void) -> *mut c_void {
        // SAFETY: the context is valid during the callback, and the block came from this allocator.
        unsafe { call!(RedisModule_DefragAlloc(self.0, block)) }
    }

    fn should_stop(&mut self) -> bool {
        // SAFETY: as above.
        unsafe { call!(RedisModule_DefragShouldStop(self.0)) != 0 }
    }
}

pub unsafe extern "C" fn defrag(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    let finished = catch_unwind(AssertUnwindSafe(|| {
        let mut cursor: c_ulong = 0;
        // SAFETY: `ctx` is valid during the callback. Outside a resumed step there is no cursor.
        let resumed = is_ok(unsafe { call!(RedisModule_DefragCursorGet(ctx, &raw mut cursor)) });
        let start = if resumed { cursor as usize } else { 0 };
        // SAFETY: the server lends the place where it keeps its pointer to a live value.
        let stopped_at = unsafe { step(&mut ServerContext(ctx), &mut *value, start) };
        match stopped_at {
            // SAFETY: as above.
            Some(visited) => {
                !is_ok(unsafe { call!(RedisModule_DefragCursorSet(ctx, visited as c_ulong)) })
            }
            None => true,
        }
    }));
    c_int::from(matches!(finished, Ok(false)))
}

/// A token is done in one step.
pub unsafe extern "C" fn defrag_token(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the server lends the place where it keeps its pointer to a live token.
        unsafe { move_token(&mut ServerContext(ctx), &mut *value) };
    }));
    0
}

/// # Safety
///
/// `value` points to a live token that is not used elsewhere now.
unsafe fn move_token(context: &mut dyn DefragContext, value: &mut *mut c_void) {
    let moved = context.move_block(*value);
    if !moved.is_null() {
        *value = moved;
    }
    // SAFETY: the caller vouches for the token; if it was moved, it is at its new place whole.
    let token = unsafe { &mut *value.cast::<Token>() };
    Mover { context }.boxed(token.reply_buffer());
}

/// Moves what it can from the node numbered `start` on; returns where it had to stop.
///
/// # Safety
///
/// `value` points to a live document that is not used elsewhere now.
unsafe fn step(
    context: &mut dyn DefragContext,
    value: &mut *mut c_void,
    start: usize,
) -> Option<usize> {
    if start == 0 {
        let moved = context.move_block(*value);
        if !moved.is_null() {
            *value = moved;
        }
    }
    // SAFETY: the caller vouches for the document; if it was moved, it is at its new place whole.
    let document = unsafe { &mut *stored::from_raw(*value) };
    document.root.relocate(&mut Mover { context }, start)
}

struct Mover<'c> {
    context: &'c mut dyn DefragContext,
}

impl Relocate for Mover<'_> {
    fn boxed<T: ?Sized>(&mut self, owner: &mut Box<T>) {
        let old: *mut T = &raw mut **owner;
        if size_of_val(&**owner) == 0 {
            return;
        }
        let moved = self.context.move_block(old.cast::<c_void>());
        if !moved.is_null() {
            let new = old.with_addr_of(moved);
            // SAFETY: the content was moved to `moved`, whose block the old box's block became. The old
            // box is overwritten without being dropped.
            unsafe { std::ptr::write(owner, Box::from_raw(new)) };
        }
    }

    fn vec<T>(&mut self, owner: &mut Vec<T>) {
        if owner.capacity() == 0 || size_of::<T>() == 0 {
            return;
        }
        let moved = self.context.move_block(owner.as_mut_ptr().cast::<c_void>());
        if !moved.is_null() {
            let (len, capacity) = (owner.len(), owner.capacity());
            // SAFETY: as above, for the vector's buffer.
            unsafe {
                std::ptr::write(owner, Vec::from_raw_parts(moved.cast::<T>(), len, capacity))
            };
        }
    }

    fn should_stop(&mut self) -> bool {
        self.context.should_stop()
    }
}

/// A pointer with the same metadata at another address.
trait WithAddrOf {
    fn with_addr_of(self, address: *mut c_void) -> Self;
}

impl<T: ?Sized> WithAddrOf for *mut T {
    fn with_addr_of(mut self, address: *mut c_void) -> *mut T {
        // SAFETY: the data pointer is the first word of a thin or fat pointer.
        unsafe { *(&raw mut self).cast::<*mut c_void>() = address };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::NewDocument;
    use crate::value::edit::{Editor, Journal};
    use crate::value::{Limits, parse, print};

    unsafe extern "C" {
        fn malloc(size: usize) -> *mut c_void;
        fn malloc_usable_size(block: *mut c_void) -> usize;
        fn free(block: *mut c_void);
    }

    /// Moves every block, and stops as often as it is asked.
    #[derive(Default)]
    struct MovesEverything {
        moved: usize,
    }

    impl DefragContext for MovesEverything {
        fn move_block(&mut self, block: *mut c_void) -> *mut c_void {
            self.moved += 1;
            // SAFETY: without a server, blocks come from the system's malloc; the old content is poisoned
            // so that a use of it shows.
            unsafe {
                let size = malloc_usable_size(block);
                let new = malloc(size);
                std::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), size);
                std::ptr::write_bytes(block.cast::<u8>(), 0xdd, size);
                free(block);
                new
            }
        }

        fn should_stop(&mut self) -> bool {
            true
        }
    }

    fn text(value: *mut c_void) -> String {
        // SAFETY: the tests own the document.
        print::to_string(unsafe { &*stored::from_raw(value) }.root.view())
    }

    fn boxed(json: &str) -> *mut c_void {
        let content = parse::json(json.as_bytes(), &Limits::NONE).unwrap();
        Box::into_raw(NewDocument::new(content, None, 0, 1).settle()).cast()
    }

    /// Runs all steps, with `between` after each; gives how many steps and moves it took.
    fn run(value: &mut *mut c_void, mut between: impl FnMut(*mut c_void)) -> (usize, usize) {
        let mut context = MovesEverything::default();
        let (mut start, mut steps) = (0, 0);
        loop {
            steps += 1;
            // SAFETY: the tests own the document.
            match unsafe { step(&mut context, value, start) } {
                Some(visited) => {
                    assert!(visited > start, "every step gets on");
                    start = visited;
                    between(*value);
                }
                None => return (steps, context.moved),
            }
        }
    }

    /// Members of the large document, and elements of its array: several share a buffer.
    const MEMBERS: usize = 700;

    fn large() -> String {
        let item = |n: usize| {
            format!(r#"{{"id":{n},"text":"{}","tags":[{n},"t"]}}"#, "long ".repeat(n % 60))
        };
        let members = (0..MEMBERS).map(|n| format!(r#""a rather unusual name {n}":{}"#, item(n)));
        format!(
            "{{{},\"z\":[{}]}}",
            members.collect::<Vec<_>>().join(","),
            (0..MEMBERS).map(item).collect::<Vec<_>>().join(",")
        )
    }

    #[test]
    fn every_buffer_moves_and_the_content_stays() {
        for json in ["5", "[]", r#"{"a":[1,2,{"b":"c"}]}"#, &large()] {
            let mut value = boxed(json);
            let before = text(value);
            let (steps, moved) = run(&mut value, |_| {});
            assert_eq!(text(value), before);
            assert!(
                moved >= 1 && (json.len() < 100 || (steps > 5 && moved > 600)),
                "{steps} steps, {moved} moves"
            );
            // SAFETY: the test owns it; every buffer is freed where it was moved to.
            drop(unsafe { Box::from_raw(stored::from_raw(value)) });
        }
    }

    #[test]
    fn a_token_moves_whole() {
        let digest = crate::token::Digest::of([&b"request"[..]].into_iter());
        let token = Token::new(digest, &crate::reply::Reply::Text(b"reply".into()));
        let mut value: *mut c_void = Box::into_raw(Box::new(token.clone())).cast();
        let mut context = MovesEverything::default();
        // SAFETY: the test owns it; every buffer is freed where it was moved to.
        let moved = unsafe {
            move_token(&mut context, &mut value);
            Box::from_raw(value.cast::<Token>())
        };
        assert_eq!((*moved, context.moved), (token, 2));
    }

    #[test]
    fn the_document_may_change_between_steps() {
        let mut value = boxed(&large());
        let mut left = MEMBERS;
        run(&mut value, |value| {
            // SAFETY: the test owns it.
            let document = unsafe { &mut *stored::from_raw(value) };
            let mut journal = Journal::default();
            let size = document.size();
            let mut editor = Editor::new(&mut document.root, size, Limits::NONE, &mut journal);
            let (position, _, _) = editor.view().as_object().unwrap().entries().next().unwrap();
            editor.remove_member(&[], position).unwrap();
            let size = editor.size();
            editor.commit();
            document.set_size(size);
            left -= 1;
        });
        // SAFETY: as above.
        let document = unsafe { Box::from_raw(stored::from_raw(value)) };
        assert_eq!(document.root.view().as_object().unwrap().len(), left + 1);
        assert_eq!(document.size(), document.root.view().size());
    }
}
