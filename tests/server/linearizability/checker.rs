//! The check that a recorded history of concurrent calls is linearizable: that each call can have taken effect at
//! one moment between being sent and being answered, so that all replies are correct.
//!
//! The search is Wing and Gong's with Lowe's memory: it never examines the same set of applied calls with the same
//! state twice. A call without a reply may have taken effect at any moment up to one that the recorder guarantees,
//! or not at all. The checker does not know the calls: a [`Model`] defines the effect of a call on a state.
//!
//! The crate `stateright` has a tester of the same kind. It is not used because it has no memory (it
//! tries every order anew, and copies the history at each step), keeps one call without a reply a
//! client, open until the end of all time where a server that was killed puts an end to it, and
//! asks the specification to make up that call's reply, where a revision is not ours to make up.

use std::collections::HashSet;
use std::fmt::{Debug, Write};
use std::hash::Hash;

/// How many sets of calls and states a search may visit before the test gives up. Histories of fifty
/// calls, four at once, need some hundreds.
const MAX_VISITED: usize = 200_000;
const TOO_CONCURRENT: &str = "the history is too concurrent to be checked";

/// The effect of calls, one at a time.
pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    type Op: Debug;
    type Reply: Debug;

    /// The state after `op` in `state`, or `None` where `reply` would have been wrong. Without a
    /// reply it is the state after `op` as it would have gone, or `None` where it would have been
    /// refused. What only a reply tells (a number the server chose) a state holds as unknown until
    /// some reply does.
    fn apply(
        &self,
        state: &Self::State,
        op: &Self::Op,
        reply: Option<&Self::Reply>,
    ) -> Option<Self::State>;
}

/// One call of a history. Moments are numbers that grow.
#[derive(Clone, Debug)]
pub struct Call<Op, R> {
    pub client: usize,
    pub op: Op,
    /// A moment before the first byte was sent.
    pub sent: u64,
    pub outcome: Outcome<R>,
}

#[derive(Clone, Debug)]
pub enum Outcome<R> {
    /// A moment after the reply was read.
    Answered { at: u64, reply: R },
    /// No reply was read; after this moment the call cannot happen any more.
    Lost { until: u64 },
}

impl<Op, R> Call<Op, R> {
    /// The last moment at which it may have happened.
    fn end(&self) -> u64 {
        match self.outcome {
            Outcome::Answered { at, .. } => at,
            Outcome::Lost { until } => until,
        }
    }

    pub fn is_lost(&self) -> bool {
        matches!(self.outcome, Outcome::Lost { .. })
    }

    fn reply(&self) -> Option<&R> {
        match &self.outcome {
            Outcome::Answered { reply, .. } => Some(reply),
            Outcome::Lost { .. } => None,
        }
    }

    /// Returns true if neither was over before the other began.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.sent < other.end() && other.sent < self.end()
    }
}

/// The calls of a model.
pub type History<M> = [Call<<M as Model>::Op, <M as Model>::Reply>];

/// Why there is no order of the calls that explains all replies.
#[derive(Debug)]
pub struct Refusal<S> {
    /// The longest order found that explains its replies, and the state it leaves.
    longest: Vec<usize>,
    state: S,
}

/// The numbers of the calls in an order in which they could have happened; lost ones that are not
/// among them need not have.
pub fn check<M: Model>(
    model: &M,
    initial: &M::State,
    history: &History<M>,
) -> Result<Vec<usize>, Refusal<M::State>> {
    search(model, initial, history, Set::new(history.len())).expect(TOO_CONCURRENT)
}

/// Returns true if no order explains the replies; false if one does, or if the search gives up.
pub fn is_refused<M: Model>(model: &M, initial: &M::State, history: &History<M>) -> bool {
    matches!(search(model, initial, history, Set::new(history.len())), Some(Err(_)))
}

/// Returns true if this lost call happened in every order that explains the replies.
pub fn must_have_happened<M: Model>(
    model: &M,
    initial: &M::State,
    history: &History<M>,
    nth: usize,
) -> bool {
    assert!(history[nth].is_lost(), "an answered call happened");
    search(model, initial, history, Set::new(history.len()).with(nth))
        .expect(TOO_CONCURRENT)
        .is_err()
}

/// Which calls are decided: in the order so far, or lost and never to happen.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Set(Box<[u64]>);

impl Set {
    fn new(size: usize) -> Set {
        Set(vec![0; size.div_ceil(64)].into())
    }

    fn contains(&self, nth: usize) -> bool {
        self.0[nth / 64] >> (nth % 64) & 1 == 1
    }

    fn with(mut self, nth: usize) -> Set {
        self.0[nth / 64] |= 1 << (nth % 64);
        self
    }
}

/// `None` if the search gave up.
fn search<M: Model>(
    model: &M,
    initial: &M::State,
    history: &History<M>,
    decided: Set,
) -> Option<Result<Vec<usize>, Refusal<M::State>>> {
    let mut by_end: Vec<usize> = (0..history.len()).collect();
    // The call that was answered first most likely happened first.
    by_end.sort_by_key(|&nth| history[nth].end());
    let longest = Refusal { longest: Vec::new(), state: initial.clone() };
    let visited = HashSet::new();
    let mut search = Search { model, history, by_end, visited, order: Vec::new(), longest };
    let is_explained = search.extend(decided, initial.clone());
    let has_given_up = search.visited.len() > MAX_VISITED;
    match (is_explained, has_given_up) {
        (true, _) => Some(Ok(search.order)),
        (false, true) => None,
        (false, false) => Some(Err(search.longest)),
    }
}

struct Search<'a, M: Model> {
    model: &'a M,
    history: &'a History<M>,
    by_end: Vec<usize>,
    visited: HashSet<(Set, M::State)>,
    order: Vec<usize>,
    longest: Refusal<M::State>,
}

impl<M: Model> Search<'_, M> {
    /// Returns true if the order so far, which leaves `state`, goes on to one with all answered calls.
    fn extend(&mut self, decided: Set, state: M::State) -> bool {
        if self.order.len() > self.longest.longest.len() {
            self.longest = Refusal { longest: self.order.clone(), state: state.clone() };
        }
        let Some(horizon) = self.horizon(&decided) else {
            return true;
        };
        if self.visited.len() > MAX_VISITED
            || !self.visited.insert((decided.clone(), state.clone()))
        {
            return false;
        }
        for at in 0..self.by_end.len() {
            let nth = self.by_end[at];
            let call = &self.history[nth];
            // A call that was sent after another had been answered did not happen before it.
            if decided.contains(nth) || call.sent > horizon || call.sent > call.end() {
                continue;
            }
            let Some(next) = self.model.apply(&state, &call.op, call.reply()) else {
                continue;
            };
            // A lost call without effect needs no place in the order.
            if call.is_lost() && next == state {
                continue;
            }
            self.order.push(nth);
            if self.extend(self.decided_after(decided.clone(), nth), next) {
                return true;
            }
            self.order.pop();
        }
        false
    }

    /// The moment by which the next call happens: the first answer to a call not yet in the order.
    fn horizon(&self, decided: &Set) -> Option<u64> {
        let open = self.by_end.iter().filter(|&&nth| !decided.contains(nth));
        open.map(|&nth| &self.history[nth]).find(|call| !call.is_lost()).map(Call::end)
    }

    /// Those decided once this call happened: with it, lost ones that were over when it was sent.
    fn decided_after(&self, mut decided: Set, nth: usize) -> Set {
        let moment = self.history[nth].sent;
        for (other, call) in self.history.iter().enumerate() {
            if call.is_lost() && call.end() < moment {
                decided = decided.with(other);
            }
        }
        decided.with(nth)
    }
}

/// The history as it was recorded, moment by moment, and how far it can be explained.
pub fn describe<Op: Debug, R: Debug, S: Debug>(
    initial: &S,
    history: &[Call<Op, R>],
    refusal: &Refusal<S>,
) -> String {
    let mut events = Vec::new();
    for (nth, call) in history.iter().enumerate() {
        let who = |what: &str| format!("client {} {what} #{nth}", call.client);
        events.push((call.sent, format!("{}: {:?}", who("sends"), call.op)));
        events.push(match &call.outcome {
            Outcome::Answered { at, reply } => (*at, format!("{}: {reply:?}", who("is told"))),
            Outcome::Lost { until } => (*until, who("was never told; the last chance of")),
        });
    }
    events.sort();
    let mut text = format!("initially {initial:?}\n");
    for (moment, event) in events {
        writeln!(text, "{moment:>6}  {event}").expect("a string takes it");
    }
    let explained: Vec<String> = refusal.longest.iter().map(|nth| format!("#{nth}")).collect();
    let left = |&nth: &usize| !refusal.longest.contains(&nth) && !history[nth].is_lost();
    let open: Vec<String> = (0..history.len()).filter(left).map(|nth| format!("#{nth}")).collect();
    writeln!(text, "the longest order that explains its replies: {}", explained.join(" ")).unwrap();
    writeln!(text, "after it: {:?}", refusal.state).unwrap();
    writeln!(text, "answered and not in it: {}", open.join(" ")).unwrap();
    text
}
