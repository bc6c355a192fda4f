//! The users of waiting requests, and when their permissions change.
//!
//! The server tells a module nothing of `ACL SETUSER`. So the rules of the users who wait are read several times a second,
//! and compared with those before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;

use super::users::User;

/// Users whose rules are read in one turn; the next turn goes on behind them.
const TURN: usize = 100;

thread_local! {
    static USERS: RefCell<BTreeMap<Box<[u8]>, WaitingUser>> = const { RefCell::new(BTreeMap::new()) };
    /// The last user of the turn before.
    static LAST: Cell<Box<[u8]>> = Cell::default();
}

/// A user with waiting requests.
struct WaitingUser {
    requests: usize,
    /// None for a user that is not known any more.
    rules: Option<Box<[u8]>>,
}

/// A request of the user waits.
pub fn enter(name: &[u8]) {
    USERS.with_borrow_mut(|users| match users.get_mut(name) {
        Some(user) => user.requests += 1,
        None => {
            users.insert(name.into(), WaitingUser { requests: 1, rules: rules_of(name) });
        }
    });
}

/// A request of the user waits no longer.
pub fn leave(name: &[u8]) {
    USERS.with_borrow_mut(|users| {
        let Some(user) = users.get_mut(name) else { return };
        user.requests -= 1;
        if user.requests == 0 {
            users.remove(name);
        }
    });
}

/// The users whose rules have changed since they were read last, of a bounded number that is looked at.
pub fn changed() -> Vec<Box<[u8]>> {
    USERS.with_borrow_mut(|users| {
        let last = LAST.take();
        let behind = (Bound::Excluded(&*last), Bound::Unbounded);
        let until = (Bound::Unbounded, Bound::Included(&*last));
        let after = users.range::<[u8], _>(behind).map(|(name, _)| name);
        let before = users.range::<[u8], _>(until).map(|(name, _)| name);
        let mut names: Vec<Box<[u8]>> = after.chain(before).take(TURN).cloned().collect();
        LAST.set(names.last().cloned().unwrap_or_default());
        names.retain(|name| {
            let now = rules_of(name);
            let user = users.get_mut(name).expect("it is one of them");
            std::mem::replace(&mut user.rules, now) != user.rules
        });
        names
    })
}

fn rules_of(name: &[u8]) -> Option<Box<[u8]>> {
    User::by_name(name)?.rules()
}
