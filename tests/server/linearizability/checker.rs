//! Whether a recorded history of concurrent operations can be explained by one order of them.
//!
//! The search is that of Wing and Gong with Lowe's memory: it takes an operation that no other one ended
//! before, lets it happen, and goes on; which operations have happened in which state is remembered, so
//! nothing is tried twice. An operation whose reply was lost may have happened at any time after it was
//! sent, or never.
//!
//! The tester of the crate `stateright` does the same search without the memory, keeps one operation in
//! flight for each thread and wants an answer for each: lost replies, which are the point here, would have
//! to be cut off or guessed. So these are a hundred lines of our own.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What operations do to a state.
pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    type Op: Debug;

    /// The state after the operation, if it can have happened in this one with the reply that was seen.
    fn apply(state: &Self::State, op: &Self::Op) -> Option<Self::State>;
}

/// One operation: what was asked and replied, and between which moments.
#[derive(Debug)]
pub struct Event<Op> {
    pub client: usize,
    pub sent: u64,
    /// None where the reply was lost.
    pub replied: Option<u64>,
    pub op: Op,
}

/// An order that explains the history: the operations that happened. None where there is none.
pub fn explain<M: Model>(start: &M::State, history: &[Event<M::Op>]) -> Option<Vec<usize>> {
    assert!(history.len() <= 128, "a history fits into one set of bits");
    let answered = |event: &Event<M::Op>| event.replied.is_some();
    let mut needed = 0_u128;
    for (nth, _) in history.iter().enumerate().filter(|(_, event)| answered(event)) {
        needed |= 1 << nth;
    }
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    let found = search::<M>(history, needed, 0, start, &mut order, &mut seen);
    found.then_some(order)
}

fn search<M: Model>(
    history: &[Event<M::Op>],
    needed: u128,
    done: u128,
    state: &M::State,
    order: &mut Vec<usize>,
    seen: &mut HashSet<(u128, M::State)>,
) -> bool {
    if done & needed == needed {
        return true;
    }
    if !seen.insert((done, state.clone())) {
        return false;
    }
    let open = |nth: &usize| done & 1 << nth == 0;
    // What was sent after another one's reply comes after that one.
    let first_reply = (0..history.len()).filter(open).filter_map(|nth| history[nth].replied).min();
    for nth in (0..history.len()).filter(open) {
        if first_reply.is_some_and(|replied| history[nth].sent > replied) {
            continue;
        }
        if let Some(next) = M::apply(state, &history[nth].op) {
            order.push(nth);
            if search::<M>(history, needed, done | 1 << nth, &next, order, seen) {
                return true;
            }
            order.pop();
        }
    }
    false
}
