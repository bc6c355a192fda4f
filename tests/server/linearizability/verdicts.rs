//! The checker is held to histories made by hand: right ones it accepts, each kind of wrong one it
//! refuses, and calls without a reply it takes both ways, within their bounds. And to many small ones,
//! for which trying every order is the measure.

use super::accounts::{Account, Accounts, Action, Answer, Form, Op, Revision, State};
use super::checker::{Call, Model, Outcome, check, must_have_happened};
use crate::workload::{self, Rng};

use Action::{Add, AtLeast, Equals, IfRevision, Read, Replace};

type Calls = Vec<Call<Op, Answer>>;

fn initially() -> State {
    let account = |revision| Account { balance: 100, revision: Revision::Is(revision) };
    vec![account(10), account(20), account(30)]
}

/// A call of a client of its own, answered.
fn told(sent: u64, at: u64, op: Op, values: &[i64]) -> Call<Op, Answer> {
    answered(sent, at, op, Answer::Told(values.to_vec()))
}

fn answered(sent: u64, at: u64, op: Op, reply: Answer) -> Call<Op, Answer> {
    Call { client: 0, op, sent, outcome: Outcome::Answered { at, reply } }
}

fn lost(sent: u64, until: u64, op: Op) -> Call<Op, Answer> {
    Call { client: 0, op, sent, outcome: Outcome::Lost { until } }
}

fn read_both() -> Op {
    Op::new(Form::Txn, &[(0, Read), (1, Read)])
}

fn read() -> Op {
    Op::new(Form::Get, &[(0, Read)])
}

fn read_revision() -> Op {
    Op::new(Form::FieldOp, &[(0, Read), (0, Action::Revision)])
}

fn transfer(n: i64) -> Op {
    Op::new(Form::Txn, &[(0, AtLeast(n)), (0, Add(-n)), (1, Add(n))])
}

fn add(n: i64) -> Op {
    Op::new(Form::FieldOp, &[(0, Add(n))])
}

fn write_if(revision: i64, balance: i64) -> Op {
    Op::new(Form::Set, &[(0, IfRevision(revision)), (0, Replace(balance))])
}

#[track_caller]
fn accepts(calls: &Calls) -> Vec<usize> {
    check(&Accounts, &initially(), calls).expect("it is linearizable")
}

#[track_caller]
fn refuses(calls: &Calls) {
    let order = check(&Accounts, &initially(), calls);
    assert!(order.is_err(), "{order:?} is no order of {calls:?}");
}

#[test]
fn a_right_concurrent_history_is_accepted() {
    // The second read is over before the transfer is answered, and saw it; the first did not.
    let order = accepts(&vec![
        told(1, 10, transfer(30), &[70, 130]),
        told(2, 4, read_both(), &[100, 100]),
        told(5, 7, read_both(), &[70, 130]),
        told(3, 11, add(5), &[75]),
        told(12, 13, read_revision(), &[75, 999]),
    ]);
    assert_eq!(order, [1, 0, 2, 3, 4]);
}

#[test]
fn overlapping_calls_may_take_effect_in_either_order() {
    for (first, second) in [([105], [106]), ([106], [101])] {
        accepts(&vec![told(1, 3, add(5), &first), told(2, 4, add(1), &second)]);
    }
    // One after the other there is but one order.
    refuses(&vec![told(1, 2, add(5), &[106]), told(3, 4, add(1), &[101])]);
}

#[test]
fn a_stale_read_is_refused() {
    let calls = |sent| vec![told(1, 3, add(5), &[105]), told(sent, 5, read(), &[100])];
    accepts(&calls(2));
    refuses(&calls(4));
    // Nor does one read go back behind another while the write goes on.
    refuses(&vec![
        told(1, 9, add(5), &[105]),
        told(2, 3, read(), &[105]),
        told(4, 5, read(), &[100]),
    ]);
}

#[test]
fn a_lost_update_is_refused() {
    refuses(&vec![told(1, 4, add(5), &[105]), told(2, 3, add(7), &[107])]);
    let put = Op::new(Form::FieldOp, &[(0, Equals(100)), (0, Action::Assign(105))]);
    refuses(&vec![told(1, 4, put.clone(), &[1]), told(2, 3, put.clone(), &[1])]);
    let seen = Answer::False { account: 0, balance: 105 };
    accepts(&vec![told(1, 4, put.clone(), &[1]), answered(2, 3, put, seen)]);
}

#[test]
fn a_torn_transaction_is_refused() {
    for seen in [[70, 100], [100, 130]] {
        refuses(&vec![told(1, 4, transfer(30), &[70, 130]), told(2, 3, read_both(), &seen)]);
    }
    // Two reads of one document each may lie on either side of it.
    let read_other = Op::new(Form::Get, &[(1, Read)]);
    accepts(&vec![
        told(1, 9, transfer(30), &[70, 130]),
        told(2, 8, read(), &[100]),
        told(3, 7, read_other, &[130]),
    ]);
}

#[test]
fn a_transfer_done_twice_is_refused() {
    let calls = |lost_too: bool| {
        let mut calls =
            vec![told(1, 2, transfer(30), &[70, 130]), told(8, 9, read_both(), &[40, 160])];
        if lost_too {
            calls.push(lost(3, 7, transfer(30)));
        }
        calls
    };
    refuses(&calls(false));
    // It was sent twice, that is, and both may have happened.
    accepts(&calls(true));
    // Without a reply it happens once at most.
    refuses(&vec![lost(1, 4, transfer(30)), told(5, 6, read_both(), &[40, 160])]);
}

#[test]
fn a_guard_that_did_not_guard_is_refused() {
    refuses(&vec![told(1, 2, transfer(101), &[-1, 201])]);
    let refused = |balance| Answer::False { account: 0, balance };
    accepts(&vec![answered(1, 2, transfer(101), refused(100))]);
    refuses(&vec![answered(1, 2, transfer(101), refused(99))]);
    refuses(&vec![answered(1, 2, transfer(30), refused(100))]);
    // A refused call changed nothing.
    refuses(&vec![
        answered(1, 2, transfer(101), refused(100)),
        told(3, 4, read_both(), &[-1, 201]),
    ]);
}

#[test]
fn a_write_on_another_revision_is_refused() {
    accepts(&vec![told(1, 2, write_if(10, 7), &[11]), told(3, 4, write_if(11, 8), &[12])]);
    refuses(&vec![told(1, 2, write_if(10, 7), &[11]), told(3, 4, write_if(10, 8), &[12])]);
    // Even if no reply has shown the current revision.
    refuses(&vec![told(1, 2, add(5), &[105]), told(3, 4, write_if(10, 8), &[12])]);
    let refused = |revision| Answer::OtherRevision { account: 0, revision };
    accepts(&vec![told(1, 2, add(5), &[105]), answered(3, 4, write_if(10, 8), refused(12))]);
    refuses(&vec![answered(1, 2, write_if(10, 8), refused(10))]);
    refuses(&vec![answered(1, 2, write_if(9, 8), refused(11))]);
}

#[test]
fn a_revision_stands_for_one_content() {
    accepts(&vec![told(1, 2, add(5), &[105]), told(3, 4, read_revision(), &[105, 11])]);
    // It changed with the content, grew, and is the same for all until the next change.
    refuses(&vec![told(1, 2, add(5), &[105]), told(3, 4, read_revision(), &[105, 10])]);
    refuses(&vec![told(1, 2, add(5), &[105]), told(3, 4, read_revision(), &[105, 9])]);
    let and_again = |values: &[i64]| {
        vec![
            told(1, 2, add(5), &[105]),
            told(3, 4, read_revision(), &[105, 11]),
            told(5, 8, add(1), &[106]),
            told(6, 7, read_revision(), values),
        ]
    };
    for right in [[105, 11], [106, 12]] {
        accepts(&and_again(&right));
    }
    for wrong in [[105, 12], [106, 11]] {
        refuses(&and_again(&wrong));
    }
}

#[test]
fn a_call_without_a_reply_may_have_happened_or_not() {
    let calls = |seen| vec![lost(1, 9, add(5)), told(10, 11, read(), &[seen])];
    assert_eq!(accepts(&calls(100)), [1]);
    assert_eq!(accepts(&calls(105)), [0, 1]);
    refuses(&calls(110));
    let happened = |seen| must_have_happened(&Accounts, &initially(), &calls(seen), 0);
    assert!(happened(105) && !happened(100));
    // One that would have been refused changed nothing, whenever it came.
    accepts(&vec![lost(1, 9, transfer(500)), told(10, 11, read_both(), &[100, 100])]);
    refuses(&vec![lost(1, 9, transfer(500)), told(10, 11, read_both(), &[-400, 600])]);
}

#[test]
fn a_call_without_a_reply_happens_within_its_bounds() {
    let seen_late = |until| {
        vec![lost(1, until, add(5)), told(4, 5, read(), &[100]), told(6, 7, read(), &[105])]
    };
    // Between the reads it may happen while it can.
    assert_eq!(accepts(&seen_late(9)), [1, 0, 2]);
    refuses(&seen_late(3));
    // Nor before it was sent.
    refuses(&vec![told(1, 2, read(), &[105]), lost(3, 9, add(5))]);
    // One whose server was gone when it was sent never happens.
    refuses(&vec![lost(3, 2, add(5)), told(4, 5, read(), &[105])]);
}

#[test]
fn many_concurrent_calls_are_checked_without_trying_every_order() {
    // Twelve calls at once have 12! orders, and 2^12 sets.
    let mut calls: Calls = (0..12).map(|nth| told(nth, 100, read(), &[100])).collect();
    calls.push(told(50, 101, read(), &[99]));
    refuses(&calls);
    let mut calls: Calls = (0..12).map(|nth| lost(nth, 99, add(1 << nth))).collect();
    calls.push(told(100, 101, read(), &[100 + 0b1010_0110_0101]));
    assert_eq!(accepts(&calls).len(), 7);
}

/// A few calls with moments and replies at random, so that some histories are right.
fn random_history(rng: &mut Rng) -> Calls {
    let call = |rng: &mut Rng| {
        let (one, other) = (rng.below(10) as u64, rng.below(10) as u64);
        // Odd beginnings and even ends: no two calls meet at a moment.
        let (sent, at) = (2 * one.min(other) + 1, 2 * one.max(other) + 2);
        let value = 100 + rng.below(3) as i64;
        match rng.below(6) {
            0 | 1 => told(sent, at, read(), &[value]),
            2 => told(sent, at, add(1), &[value + 1]),
            3 => lost(sent, at, add(1)),
            4 => lost(sent, at, write_if_equal(value)),
            _ => told(sent, at, write_if_equal(value), &[1]),
        }
    };
    (0..4 + rng.below(2)).map(|_| call(rng)).collect()
}

fn write_if_equal(balance: i64) -> Op {
    Op::new(Form::FieldOp, &[(0, Equals(balance)), (0, Action::Assign(balance - 1))])
}

/// Returns true if some order explains the history: all orders are tried, of all calls or without lost ones.
fn is_explained(calls: &Calls, order: &mut Vec<usize>, state: &State) -> bool {
    let is_missing = |nth: &usize| !order.contains(nth);
    let missing: Vec<usize> = (0..calls.len()).filter(is_missing).collect();
    if missing.iter().all(|&nth| calls[nth].is_lost()) {
        return true;
    }
    missing.into_iter().any(|nth| {
        let call = &calls[nth];
        let (end, reply) = match &call.outcome {
            Outcome::Answered { at, reply } => (*at, Some(reply)),
            Outcome::Lost { until } => (*until, None),
        };
        let is_in_time = order.iter().all(|&before| calls[before].sent < end);
        let next = Accounts.apply(state, &call.op, reply).filter(|_| is_in_time);
        next.is_some_and(|next| {
            order.push(nth);
            let is_explained = is_explained(calls, order, &next);
            order.pop();
            is_explained
        })
    })
}

#[test]
fn the_verdicts_are_those_of_trying_every_order() {
    let mut rng = Rng::new(workload::seed("verdicts"));
    let mut explained = 0;
    for _ in 0..4000 {
        let calls = random_history(&mut rng);
        let expected = is_explained(&calls, &mut Vec::new(), &initially());
        let order = check(&Accounts, &initially(), &calls);
        assert_eq!(order.is_ok(), expected, "{order:?} {calls:#?}");
        explained += usize::from(expected);
    }
    assert!((200..3800).contains(&explained), "{explained} of 4000 are right");
}
