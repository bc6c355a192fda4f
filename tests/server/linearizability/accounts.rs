//! Accounts, as the checker knows them: a balance and a revision each, and what commands do to them.

use super::checker::Model;
use crate::resp::Reply;

/// How many accounts a history is about.
pub const ACCOUNTS: usize = 3;

/// What a revision is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// Nobody has been told. It is above this one.
    Above(i64),
    Is(i64),
}

impl Revision {
    /// What is known when somebody was told this one; none where it cannot be.
    fn told(self, revision: i64) -> Option<Revision> {
        let can = match self {
            Revision::Is(known) => known == revision,
            Revision::Above(least) => revision > least,
        };
        can.then_some(Revision::Is(revision))
    }

    /// What is known after a write that was told this one, or whose reply was lost.
    fn written(self, revision: Option<i64>) -> Option<Revision> {
        let (Revision::Is(least) | Revision::Above(least)) = self;
        match revision {
            Some(revision) => (revision > least).then_some(Revision::Is(revision)),
            None => Some(Revision::Above(least)),
        }
    }
}

pub type Account = (i64, Revision);
pub type State = [Account; ACCOUNTS];

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// Balances and revisions of all, in a transaction.
    ReadAll,
    /// Balances of all, by `MODEL.MGET`.
    GetAll,
    /// If there is enough.
    Transfer {
        from: usize,
        to: usize,
        n: i64,
    },
    Add {
        to: usize,
        n: i64,
    },
    /// If there is at least so much.
    TakeIf {
        from: usize,
        n: i64,
        least: i64,
    },
    /// If the revision is this one.
    AddIfRevision {
        to: usize,
        n: i64,
        revision: i64,
    },
}

/// What was replied.
#[derive(Clone, Debug)]
pub enum Told {
    /// Balances in the order of the accounts, and revisions.
    All(Vec<i64>, Vec<i64>),
    /// The balances and revisions of those that were written, in the order in which they are named.
    Written(Vec<(i64, i64)>),
    /// A condition was false of this balance.
    Condition(i64),
    /// The revision is this one.
    Revision(i64),
    Lost,
}

#[derive(Clone, Debug)]
pub struct Op {
    pub ask: Ask,
    pub told: Told,
}

/// The model.
pub struct Accounts;

impl Model for Accounts {
    type State = State;
    type Op = Op;

    fn apply(state: &State, op: &Op) -> Option<State> {
        match op.ask {
            Ask::ReadAll | Ask::GetAll => read(state, &op.told),
            Ask::Transfer { from, to, n } => {
                guarded(state, &[(from, -n), (to, n)], &op.told, state[from].0 >= n)
            }
            Ask::Add { to, n } => guarded(state, &[(to, n)], &op.told, true),
            Ask::TakeIf { from, n, least } => {
                guarded(state, &[(from, -n)], &op.told, state[from].0 >= least)
            }
            Ask::AddIfRevision { to, n, revision } => {
                let mut state = *state;
                match op.told {
                    Told::Revision(found) if found != revision => {
                        state[to].1 = state[to].1.told(found)?;
                        Some(state)
                    }
                    Told::Written(_) | Told::Lost => {
                        state[to].1 = state[to].1.told(revision)?;
                        write(&state, &[(to, n)], &op.told)
                    }
                    _ => None,
                }
            }
        }
    }
}

fn read(state: &State, told: &Told) -> Option<State> {
    let mut state = *state;
    match told {
        Told::Lost => Some(state),
        Told::All(balances, revisions) => {
            if state.iter().zip(balances).any(|((balance, _), told)| balance != told) {
                return None;
            }
            for (account, told) in state.iter_mut().zip(revisions) {
                account.1 = account.1.told(*told)?;
            }
            Some(state)
        }
        _ => None,
    }
}

/// `holds`: whether the condition is true. A refusal names the first account's balance.
fn guarded(state: &State, changes: &[(usize, i64)], told: &Told, holds: bool) -> Option<State> {
    match told {
        Told::Condition(balance) => (!holds && state[changes[0].0].0 == *balance).then_some(*state),
        // Had it been refused, it would have done nothing: that it never happened says the same.
        Told::Written(_) | Told::Lost if holds => write(state, changes, told),
        _ => None,
    }
}

fn write(state: &State, changes: &[(usize, i64)], told: &Told) -> Option<State> {
    let mut state = *state;
    for (nth, (account, n)) in changes.iter().enumerate() {
        let (balance, revision) = &mut state[*account];
        *balance += n;
        let seen = match told {
            Told::Written(seen) => Some(seen[nth]),
            _ => None,
        };
        if seen.is_some_and(|(told, _)| told != *balance) {
            return None;
        }
        *revision = revision.written(seen.map(|(_, revision)| revision))?;
    }
    Some(state)
}

/// The command, on the accounts of this segment.
pub fn command(ask: &Ask, keys: &[String]) -> Vec<String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let all = keys.join(" ");
    match *ask {
        Ask::GetAll => words(&format!("MODEL.MGET {} {all} $.n", keys.len())),
        Ask::ReadAll => {
            let blocks: Vec<String> =
                keys.iter().map(|key| format!("ON {key} GET $.n REVISION")).collect();
            words(&format!("MODEL.TXN {} {all} {}", keys.len(), blocks.join(" ")))
        }
        Ask::Transfer { from, to, n } => {
            let (from, to) = (&keys[from], &keys[to]);
            words(&format!(
                "MODEL.TXN 2 {from} {to} ON {from} IF self.n>={n} INCR $.n -{n} REVISION \
                 ON {to} INCR $.n {n} REVISION"
            ))
        }
        Ask::Add { to, n } => words(&format!("MODEL.FIELDOP {} INCR $.n {n} REVISION", keys[to])),
        Ask::TakeIf { from, n, least } => words(&format!(
            "MODEL.FIELDOP {} IF self.n>={least} INCR $.n -{n} REVISION",
            keys[from]
        )),
        Ask::AddIfRevision { to, n, revision } => {
            words(&format!("MODEL.FIELDOP {} IFREV {revision} INCR $.n {n} REVISION", keys[to]))
        }
    }
}

/// What the server's reply says.
pub fn told(ask: &Ask, reply: &Reply) -> Told {
    let balance = |reply: &Reply| reply.text().parse::<i64>().expect("a balance");
    let pair = |items: &[Reply]| (balance(&items[0]), items[1].int());
    let word = if reply.is_error() { reply.error_word() } else { "" };
    match (ask, word) {
        (_, "CONDITION") => Told::Condition(number_behind(reply.error(), "\"self.n\":")),
        (_, "REVISION") => Told::Revision(number_behind(reply.error(), "\"revision\":")),
        (Ask::GetAll, _) => Told::All(reply.array().iter().map(balance).collect(), Vec::new()),
        (Ask::ReadAll, _) => {
            let pairs = reply.array().iter().map(|block| pair(block.array()));
            let (balances, revisions) = pairs.unzip();
            Told::All(balances, revisions)
        }
        (Ask::Transfer { .. }, _) => {
            Told::Written(reply.array().iter().map(|block| pair(block.array())).collect())
        }
        _ => Told::Written(vec![pair(reply.array())]),
    }
}

fn number_behind(line: &str, name: &str) -> i64 {
    let rest = line.split(name).nth(1).unwrap_or_else(|| panic!("no {name} in {line}"));
    let digits = rest.split(|c: char| !c.is_ascii_digit() && c != '-').next().expect("digits");
    digits.parse().unwrap_or_else(|_| panic!("no number behind {name} in {line}"))
}
