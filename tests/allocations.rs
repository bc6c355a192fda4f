//! How often ordinary commands allocate memory, exactly: one allocation more, or one less, is a change to be seen.
//!
//! A command of a few statements that changes documents in place needs no memory of its own: statements, keys,
//! slots and effects lie on the stack, journals and lists of replies are those of earlier commands. The
//! host in memory keeps both as the server's shell does.

#![cfg(not(feature = "module"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use redis_model::command;
use redis_model::testing::MemoryHost;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks it for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

const PLAYER: &str = r#"{"id":7,"name":"player-7","score":100,"level":3,"balance":5000,"meta":{"theme":"dark","lang":"en"}}"#;

const PARAMS: &str = r#"{"properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}"#;

/// A host with documents of one shape, whose names are shared, and without a model and with one.
fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    let schema = r#"{"type":"object","properties":{"score":{"type":"integer","minimum":0}}}"#;
    host.call(&["MODEL.DEFINE", "player", schema]).unwrap();
    let transfer =
        "ON from IF self.balance>=args.n INCR $.balance =-args.n ON to INCR $.balance =args.n";
    for (name, head) in
        [("plain", vec!["2", "from", "to"]), ("valid", vec!["2", "from", "to", "PARAMS", PARAMS])]
    {
        let blocks = transfer.split(' ');
        let words = ["MODEL.ACTION", name].into_iter().chain(head).chain(blocks);
        host.call(&words.collect::<Vec<_>>()).unwrap();
    }
    host.call(&["MODEL.ACTION", "hit", "1", "d", "ON", "d", "INCR", "$.score", "1"]).unwrap();
    let rank = r#"MODEL.ACTION rank 2 d b ON d INCR $.score 1 AT b ZADD =docs.d.score "ann""#;
    host.call(&rank.split(' ').collect::<Vec<_>>()).unwrap();
    for nth in 0..10 {
        host.call(&["MODEL.SET", &format!("doc:{nth}"), "any", PLAYER]).unwrap();
        host.call(&["MODEL.SET", &format!("player:{nth}"), "player", PLAYER]).unwrap();
    }
    host.call(&["MODEL.SET", "list", "any", r#"{"items":[1,2,3]}"#]).unwrap();
    let index = "MODEL.DEFINE job {} INDEX due 2 $.queue $.due";
    host.call(&index.split(' ').collect::<Vec<_>>()).unwrap();
    for nth in 0..3 {
        host.call(&["MODEL.SET", &format!("job:{nth}"), "job", r#"{"queue":"mail","due":5}"#])
            .unwrap();
    }
    host
}

/// The allocations of a command, when commands like it came before.
fn allocations(host: &mut MemoryHost, command: &[&str]) -> u64 {
    let args: Vec<&[u8]> = command.iter().map(|arg| arg.as_bytes()).collect();
    let mut counted = 0;
    // So often that the paths are known.
    for _ in 0..10 {
        let before = ALLOCATIONS.get();
        let mut outcome = command::run(host, &args).unwrap();
        // As the shell does when the reply was sent.
        outcome.recycle();
        drop(outcome);
        counted = ALLOCATIONS.get() - before;
    }
    counted
}

#[test]
fn commands_allocate_exactly_so_often() {
    let mut host = host();
    let condition = "self.balance >= args.n";
    let due = "self.queue == 'mail' && self.due <= int(now)";
    let many: Vec<&str> =
        "MODEL.FIELDOP doc:1 INCR $.score 1 INCR $.level 1 INCR $.balance 1".split(' ').collect();
    let native: Vec<&str> =
        r#"MODEL.TXN 2 doc:1 board ARGS {"n":1} ON doc:1 INCR $.score =args.n AT board ZADD =args.n "ann""#
            .split(' ')
            .collect();
    let commands: &[(u64, &[&str])] = &[
        (0, &["MODEL.FIELDOP", "doc:1", "INCR", "$.score", "1"]),
        (0, &["MODEL.FIELDOP", "doc:1", "INCR", "$.score", "0.5"]),
        (0, &["MODEL.FIELDOP", "doc:1", "SET", "$.meta.theme", "\"light\""]),
        (0, &["MODEL.FIELDOP", "doc:1", "IF", "self.score > 1", "INCR", "$.score", "1"]),
        (0, &["MODEL.FIELDOP", "player:1", "INCR", "$.score", "1"]),
        // The seconds of the clock, as queues ask for them.
        (0, &["MODEL.FIELDOP", "doc:1", "IF", "int(now) > 1", "INCR", "$.score", "1"]),
        (0, &many),
        (
            1,
            &[
                "MODEL.FIELDOP",
                "doc:1",
                "ARGS",
                r#"{"n":1}"#,
                "IF",
                condition,
                "INCR",
                "$.score",
                "1",
            ],
        ),
        // The array behind APPEND.
        (1, &["MODEL.FIELDOP", "list", "APPEND", "$.items", "[4]", "POP", "$.items", "0"]),
        (0, &["MODEL.FIELDOP", "list", "SET", "$.items[-1]", "4", "GET", "$.items[0]"]),
        (0, &["MODEL.GET", "doc:1", "$.score"]),
        (0, &["MODEL.GET", "doc:1", "$.name"]),
        (0, &["MODEL.GET", "doc:1"]),
        (
            0,
            &[
                "MODEL.TXN",
                "2",
                "doc:1",
                "doc:2",
                "ON",
                "doc:1",
                "INCR",
                "$.balance",
                "-1",
                "ON",
                "doc:2",
                "INCR",
                "$.balance",
                "1",
            ],
        ),
        (
            1,
            &[
                "MODEL.TXN",
                "2",
                "doc:1",
                "doc:2",
                "ARGS",
                r#"{"n":1}"#,
                "ON",
                "doc:1",
                "IF",
                condition,
                "INCR",
                "$.balance",
                "-1",
                "ON",
                "doc:2",
                "INCR",
                "$.balance",
                "1",
            ],
        ),
        (0, &["MODEL.CALL", "hit", "1", "doc:1"]),
        (0, &["MODEL.CALL", "hit", "1", "player:1"]),
        // The object behind ARGS.
        (1, &["MODEL.CALL", "plain", "2", "doc:1", "doc:2", "ARGS", r#"{"n":1}"#]),
        (1, &["MODEL.CALL", "valid", "2", "doc:1", "doc:2", "ARGS", r#"{"n":1}"#]),
        // The object behind ARGS and the block of natives; the host in memory takes six for the structure.
        (8, &native),
        (6, &["MODEL.CALL", "rank", "2", "doc:1", "board"]),
        // The name of the lock, for what replicas are told.
        (1, &["MODEL.LOCK", "doc:2", "n", "task:7"]),
        // The keys of the search and its range, what it finds, and the names for the statements.
        (11, &["MODEL.FINDOP", "0", "job", "WHERE", due, "ORDER", "due", "DO", "GET", "$.due"]),
        (21, &["MODEL.FIND", "job", "WHERE", due, "GET", "$.due"]),
    ];
    let count = |host: &mut MemoryHost| -> Vec<_> {
        commands.iter().map(|(_, command)| (allocations(host, command), *command)).collect()
    };
    assert_eq!(count(&mut host), commands);
    // Changes of other models are recorded.
    let define = ["MODEL.DEFINE", "recorded", "{}", "CHANGES", "100"].map(str::as_bytes);
    command::run(&mut host, &define).unwrap();
    assert_eq!(count(&mut host), commands);
}
