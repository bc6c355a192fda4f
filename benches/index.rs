//! The ordered set of an index, beside the standard library's: bytes of an entry, an update, a range, and building all at
//! once. docs/internals/indexes.md has the measurements and the other structures that were tried.
//!
//!   cargo bench --bench index [ENTRIES ...]    by default 10,000 and 1,000,000; with 10,000,000 it takes 3 GB
//!
//! Entries are a number and a name such as `order:00012345`, in random order. Times are processor time of one core.

#[path = "shared/counting.rs"]
#[allow(dead_code)]
mod counting;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use counting::ROUNDED;
use redis_model::index::Direction;
use redis_model::index::key;
use redis_model::index::tree::EntryTree;
use redis_model::value::View;

const UPDATES: usize = 200_000;
const RANGES: usize = 2000;
const RANGE: usize = 100;

/// A random number that is the same in every run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Processor time of this thread.
fn processor_ns() -> u64 {
    // The kernel accounts for a thread's time at the tick, and when it gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("the first number is the time")
}

/// Nanoseconds of each of `count` pieces of work.
fn time<T>(count: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let start = processor_ns();
    let made = work();
    ((processor_ns() - start) as f64 / count as f64, made)
}

/// Bytes that are allocated, as an allocator with size classes gives them.
fn allocated() -> isize {
    ROUNDED.load(Ordering::Relaxed)
}

fn entry(value: u64, nth: usize) -> Vec<u8> {
    let mut entry = Vec::with_capacity(24);
    key::put(Some(View::Int(value as i64)), false, &mut entry);
    entry.extend_from_slice(format!("order:{nth:08}").as_bytes());
    entry
}

trait Set {
    const NAME: &'static str;
    fn build(sorted: Vec<Vec<u8>>) -> Self;
    fn insert(&mut self, entry: &[u8]) -> bool;
    fn remove(&mut self, entry: &[u8]) -> bool;
    fn range(&self, from: &[u8]) -> usize;
}

impl Set for EntryTree {
    const NAME: &'static str = "packed chunks";

    fn build(sorted: Vec<Vec<u8>>) -> EntryTree {
        EntryTree::from_sorted(sorted.into_iter())
    }

    fn insert(&mut self, entry: &[u8]) -> bool {
        EntryTree::insert(self, entry)
    }

    fn remove(&mut self, entry: &[u8]) -> bool {
        EntryTree::remove(self, entry)
    }

    fn range(&self, from: &[u8]) -> usize {
        self.page(from, &[255], Direction::Ascending, RANGE).len()
    }
}

impl Set for BTreeSet<Box<[u8]>> {
    const NAME: &'static str = "BTreeSet";

    fn build(sorted: Vec<Vec<u8>>) -> BTreeSet<Box<[u8]>> {
        sorted.into_iter().map(Vec::into_boxed_slice).collect()
    }

    fn insert(&mut self, entry: &[u8]) -> bool {
        BTreeSet::insert(self, entry.into())
    }

    fn remove(&mut self, entry: &[u8]) -> bool {
        BTreeSet::remove(self, entry)
    }

    fn range(&self, from: &[u8]) -> usize {
        let from = (Bound::Included(from), Bound::Unbounded);
        let page: Vec<Vec<u8>> = BTreeSet::range::<[u8], _>(self, from)
            .take(RANGE)
            .map(|entry| entry.to_vec())
            .collect();
        black_box(page).len()
    }
}

/// Prints a row: values from `0..different`.
fn measure<S: Set>(entries: usize, different: usize, what: &str) {
    let state = &mut 7;
    let mut values: Vec<u64> = (0..entries).map(|_| random(state) % different as u64).collect();
    let all: Vec<Vec<u8>> = values.iter().enumerate().map(|(nth, v)| entry(*v, nth)).collect();
    let before = allocated();
    let (insert, mut grown) = time(entries, || {
        let mut set = S::build(Vec::new());
        all.iter().for_each(|entry| assert!(set.insert(entry)));
        set
    });
    let bytes = (allocated() - before) as f64 / entries as f64;
    let (update, ()) = time(UPDATES, || {
        for _ in 0..UPDATES {
            let nth = random(state) as usize % entries;
            let value = random(state) % different as u64;
            let old = entry(values[nth], nth);
            assert!(grown.remove(&old) && grown.insert(&entry(value, nth)));
            values[nth] = value;
        }
    });
    let (range, seen) = time(RANGES, || {
        let mut seen = 0;
        for _ in 0..RANGES {
            let nth = random(state) as usize % entries;
            seen += grown.range(&entry(values[nth], nth));
        }
        seen
    });
    assert!(seen > RANGES * RANGE / 2);
    drop(grown);
    let (bulk, built) = time(entries, || {
        let mut all = all;
        all.sort_unstable();
        S::build(all)
    });
    drop(black_box(built));
    println!(
        "| {} | {entries} | {what} | {bytes:.1} | {insert:.0} ns | {update:.0} ns | {:.1} µs | {bulk:.0} ns |",
        S::NAME,
        range / 1000.0
    );
}

fn main() {
    let args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mut sizes: Vec<usize> = args.map(|arg| arg.parse().expect("a number of entries")).collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 1_000_000];
    }
    println!("| set | entries | values | bytes/entry | insert | update | {RANGE} entries | bulk |");
    println!("|---|---|---|---|---|---|---|---|");
    for entries in sizes {
        for (different, what) in [(10, "ten"), (usize::MAX >> 33, "different")] {
            measure::<EntryTree>(entries, different, what);
            measure::<BTreeSet<Box<[u8]>>>(entries, different, what);
        }
    }
}
