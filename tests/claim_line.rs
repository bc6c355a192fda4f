//! The line of waiting requests over a world of documents and conditions that are numbers, so that millions of steps take
//! seconds: what `tests/claims.rs` does with commands. Requests come, leave and are served; documents change, go, expire
//! and come back; time passes; databases are flushed and definitions change; the line is driven in pieces of any size.
//!
//! After each served request: its documents fulfil its condition, no earlier request that waits is fulfilled by one of
//! them, and the lease of the worker before was over. When nothing is pending, no request that waits is fulfilled by any
//! document. Every request is answered once, or leaves.
//!
//! `CLAIM_LINE_SEED=n cargo test --test claim_line` repeats a run, `CLAIM_LINE_STEPS=n` makes it as long.

#[path = "locks/random.rs"]
mod random;

use std::collections::BTreeMap;

use redis_model::claim::{AskedSearch, ClaimLine, ClaimQuestion, Claimants};

use random::Rng;

/// Keys of each database.
const KEYS: usize = 12;
const DATABASES: usize = 2;
const MODELS: [&str; 2] = ["job", "task"];
/// Requests beyond these leave: with few groups every tick asks all whose conditions read the clock.
const WAITING: usize = 30;
/// How long a worker has a document.
const LEASE: u64 = 50;

#[derive(Clone, Copy)]
struct Document {
    model: usize,
    class: u8,
    /// From this moment on it may be taken.
    due: u64,
    tries: u8,
    /// The end of the lease of the worker that has it.
    leased: u64,
}

/// The condition of a request, and what it does.
#[derive(Clone, Copy, PartialEq)]
struct Want {
    database: usize,
    model: usize,
    /// The class wanted; any where there is none.
    class: Option<u8>,
    /// Flag: documents that are due now are wanted. Otherwise those that were due from the beginning.
    reads_clock: bool,
    /// The order of the search: by due time, or by key.
    by_due: bool,
    limit: usize,
    deletes: bool,
}

impl Want {
    fn draw(rng: &mut Rng) -> Want {
        let deletes = rng.one_in(8);
        Want {
            database: usize::from(rng.one_in(5)),
            model: usize::from(rng.one_in(4)),
            class: rng.one_in(2).then(|| rng.below(6) as u8),
            reads_clock: rng.one_in(3),
            by_due: rng.one_in(2),
            limit: if rng.one_in(4) { 3 } else { 1 },
            deletes,
        }
    }

    fn question(&self) -> ClaimQuestion {
        // Requests that do different things with the same documents ask the same question.
        let text = [self.class.unwrap_or(u8::MAX), u8::from(self.by_due)];
        ClaimQuestion {
            database: self.database as i32,
            model: MODELS[self.model].into(),
            text: text.into(),
            reads_clock: self.reads_clock,
        }
    }

    fn fits(&self, document: &Document, now: u64) -> bool {
        let due = if self.reads_clock { document.due <= now } else { document.due == 0 };
        due && document.model == self.model
            && self.class.is_none_or(|class| class == document.class)
    }
}

fn key_of(nth: usize) -> Vec<u8> {
    vec![b'a' + nth as u8]
}

fn nth_of(key: &[u8]) -> usize {
    usize::from(key[0] - b'a')
}

#[derive(Default)]
struct World {
    line: ClaimLine,
    docs: Docs,
    waiting: BTreeMap<u64, Want>,
    /// Documents that changed and were not offered yet.
    changed: Vec<(usize, usize)>,
    /// Pieces of the line's work.
    pieces: u64,
    served: u64,
    refused: u64,
    left: u64,
}

#[derive(Default)]
struct Docs {
    now: u64,
    all: [[Option<Document>; KEYS]; DATABASES],
}

impl Docs {
    /// The documents that a request finds, in its order.
    fn search(&self, want: &Want, limit: usize) -> Vec<usize> {
        let keys = &self.all[want.database];
        let fits = |nth: &usize| keys[*nth].is_some_and(|doc| want.fits(&doc, self.now));
        let mut found: Vec<usize> = (0..KEYS).filter(fits).collect();
        if want.by_due {
            found.sort_by_key(|nth| keys[*nth].map(|doc| doc.due));
        }
        found.truncate(limit);
        found
    }
}

/// The line is taken out of the world while it works.
struct Server<'w>(&'w mut World);

impl World {
    /// A request takes documents: all or nothing, refused where one was tried too often.
    fn take(&mut self, number: u64, want: Want, found: &[usize]) {
        let now = self.docs.now;
        let keys = &mut self.docs.all[want.database];
        for nth in found {
            let document = keys[*nth].expect("it was found");
            assert!(want.fits(&document, now), "{number} got what it did not want");
            assert!(document.leased <= now, "{number} took what another one has");
            let earlier = self.waiting.range(..number);
            let mut earlier = earlier.filter(|(_, other)| other.database == want.database);
            let due = earlier.find(|(_, other)| other.fits(&document, now));
            assert!(due.is_none(), "{number} got {nth} before {:?}", due.map(|(other, _)| other));
        }
        if found.iter().any(|nth| keys[*nth].is_some_and(|document| document.tries == 6)) {
            self.refused += 1;
            return;
        }
        self.served += 1;
        for nth in found {
            let document = keys[*nth].as_mut().expect("it was found");
            (document.due, document.leased) = (now + LEASE, now + LEASE);
            document.tries += 1;
            if want.deletes {
                keys[*nth] = None;
            }
            self.changed.push((want.database, *nth));
        }
    }

    /// A request comes: it finds documents by itself where no earlier one may be due to get them.
    fn come(&mut self, want: Want) {
        let model = MODELS[want.model];
        let is_busy = !self.changed.is_empty() || self.line.is_busy(want.database as i32, model);
        let found = if is_busy { Vec::new() } else { self.docs.search(&want, want.limit) };
        match found.is_empty() {
            true => {
                let number = self.line.add(want.question(), is_busy);
                assert!(self.waiting.insert(number, want).is_none(), "numbers are new");
            }
            false => self.take(u64::MAX, want, &found),
        }
    }

    fn leave(&mut self, rng: &mut Rng) {
        let Some(nth) = (!self.waiting.is_empty()).then(|| rng.below(self.waiting.len())) else {
            return;
        };
        let number = *self.waiting.keys().nth(nth).expect("there are as many");
        self.waiting.remove(&number);
        self.line.remove(number);
        self.left += 1;
    }

    /// A client changes a document, makes or deletes it.
    fn change(&mut self, rng: &mut Rng) {
        let (database, nth) = (usize::from(rng.one_in(5)), rng.below(KEYS));
        let place = &mut self.docs.all[database][nth];
        if rng.one_in(6) {
            *place = None;
        } else {
            let later = self.docs.now + rng.below(80) as u64;
            *place = Some(Document {
                model: usize::from(rng.one_in(4)),
                class: rng.below(6) as u8,
                due: rng.pick(&[0, 0, later]),
                tries: rng.below(7) as u8,
                leased: 0,
            });
        }
        self.changed.push((database, nth));
    }

    /// Does a bounded piece of the work. Returns false if there is none.
    fn step(&mut self) -> bool {
        let mut line = std::mem::take(&mut self.line);
        for (database, nth) in self.changed.drain(..) {
            line.offer(database as i32, key_of(nth));
        }
        let stepped = line.step(&mut Server(self));
        self.pieces += u64::from(stepped);
        self.line = line;
        stepped
    }

    fn run_to_rest(&mut self) {
        self.line.tick();
        let mut steps = 0;
        while self.step() || !self.changed.is_empty() {
            steps += 1;
            assert!(steps < 100_000, "the work ends");
        }
    }

    /// No request that waits is fulfilled by a document.
    fn check_rest(&self) {
        assert_eq!(self.line.len(), self.waiting.len());
        assert!(!self.line.is_pending());
        for (number, want) in &self.waiting {
            let found = self.docs.search(want, 1);
            assert!(found.is_empty(), "{number} waits for what is there");
        }
    }

    /// Something else happens, seldom.
    fn shake(&mut self, rng: &mut Rng) {
        match rng.below(4) {
            0 => self.docs.all[rng.below(DATABASES)] = Default::default(),
            1 => self.line.ask_model(MODELS[rng.below(2)]),
            2 => {
                // Databases change their places under the requests.
                self.docs.all.swap(0, 1);
                self.changed.clear();
                self.line.ask_all();
            }
            _ => {
                let Some(number) = self.waiting.keys().next().copied() else { return };
                self.line.ask_for(number);
            }
        }
    }
}

impl Claimants for Server<'_> {
    fn model_at(&mut self, database: i32, key: &[u8]) -> Option<Box<str>> {
        let document = self.0.docs.all[database as usize][nth_of(key)]?;
        Some(MODELS[document.model].into())
    }

    fn fits(&mut self, request: u64, key: &[u8]) -> bool {
        let want = &self.0.waiting[&request];
        let document = &self.0.docs.all[want.database][nth_of(key)];
        document.is_some_and(|document| want.fits(&document, self.0.docs.now))
    }

    fn search(&mut self, request: u64) -> AskedSearch {
        match self.0.docs.search(&self.0.waiting[&request], 1).first() {
            Some(nth) => AskedSearch::Found(key_of(*nth)),
            None => AskedSearch::Nothing,
        }
    }

    fn serve(&mut self, request: u64, only: Option<&[u8]>) -> bool {
        let want = self.0.waiting[&request];
        let found = match only {
            Some(key) if self.fits(request, key) => vec![nth_of(key)],
            Some(_) => Vec::new(),
            None => self.0.docs.search(&want, want.limit),
        };
        if found.is_empty() {
            return false;
        }
        self.0.waiting.remove(&request).expect("it is answered once");
        self.0.take(request, want, &found);
        true
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn millions_of_steps_serve_every_request_in_its_turn() {
    let seed = from_environment("CLAIM_LINE_SEED", 1);
    let steps = from_environment("CLAIM_LINE_STEPS", 1_000_000);
    println!("CLAIM_LINE_SEED={seed}");
    let (mut world, mut rng) = (World::default(), Rng::new(seed));
    for step in 0..steps {
        match rng.below(20) {
            0..=5 if world.waiting.len() < WAITING => world.come(Want::draw(&mut rng)),
            // Some changes at a time, as a transaction makes them.
            6..=9 => (0..1 + rng.below(4)).for_each(|_| world.change(&mut rng)),
            10 if rng.one_in(3) => world.leave(&mut rng),
            11 => world.line.tick(),
            // While a document is being offered, a condition on the clock may become true behind its back.
            12 => {
                world.run_to_rest();
                world.docs.now += rng.below(30) as u64;
            }
            13 if rng.one_in(20) => world.shake(&mut rng),
            _ => (0..rng.below(12)).for_each(|_| _ = world.step()),
        }
        if step % 50 == 49 {
            world.run_to_rest();
            world.check_rest();
        }
    }
    let World { pieces, served, refused, left, .. } = world;
    println!("{pieces} pieces, {served} served, {refused} refused, {left} left");
    assert!(pieces > 2 * steps, "{pieces}");
    assert!(served > steps / 20 && refused > steps / 200 && left > steps / 1000);
}
