//! The effect of commands on a few accounts, documents `{"balance":n}`, as the checker's model.
//!
//! A command is a list of steps, whatever its name: the model runs the steps, and how they are
//! written is the command's form. A revision is what the server says it is. The model holds it as
//! unknown after a change, learns it from the first reply that tells it, and from then on no reply
//! may tell another before the next change. It must have grown with each change.

use std::fmt;
use std::slice::Iter;

use super::checker::Model;
use crate::resp::Reply;

/// How many accounts there are.
pub const ACCOUNTS: usize = 3;

pub fn key(account: usize) -> String {
    format!("lin:{{m}}:{account}")
}

pub fn json(balance: i64) -> String {
    format!(r#"{{"balance":{balance}}}"#)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    Is(i64),
    /// No reply told it yet; it grew from this.
    Above(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    pub balance: i64,
    pub revision: Revision,
}

impl Account {
    /// Takes the server's word for the revision; false where it cannot be that.
    fn learn(&mut self, told: i64) -> bool {
        let is_possible = match self.revision {
            Revision::Is(known) => told == known,
            Revision::Above(old) => told > old,
        };
        self.revision = Revision::Is(told);
        is_possible
    }

    fn change(&mut self, balance: i64) {
        self.balance = balance;
        self.revision = Revision::Above(match self.revision {
            Revision::Is(known) => known,
            // A revision in between was in no reply.
            Revision::Above(old) => old + 1,
        });
    }
}

pub type State = Vec<Account>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `IF 'self.balance >= n'`.
    AtLeast(i64),
    /// `IF 'self.balance == n'`.
    Equals(i64),
    /// `IFREV`.
    IfRevision(i64),
    Read,
    Revision,
    Add(i64),
    /// `SET` of the member, which changes nothing where it is equal.
    Assign(i64),
    /// Another document in its place, which is a change even where it is equal.
    Replace(i64),
}

impl Action {
    /// Those that may refuse the whole command; they tell nothing.
    pub fn is_assertion(self) -> bool {
        matches!(self, Action::AtLeast(_) | Action::Equals(_) | Action::IfRevision(_))
    }
}

/// An action on one account; assertions come before changes of the same account.
pub type Step = (usize, Action);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Txn,
    FieldOp,
    Get,
    MGet,
    Set,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    pub form: Form,
    pub steps: Vec<Step>,
    /// The token with which a transaction happens once, however often it is sent.
    pub token: Option<u64>,
}

impl Op {
    pub fn new(form: Form, steps: &[Step]) -> Op {
        Op { form, steps: steps.to_vec(), token: None }
    }

    /// The command that does it.
    pub fn words(&self) -> Vec<String> {
        let one = key(self.steps[0].0);
        let mut words = match self.form {
            Form::Txn => return self.transaction(),
            Form::MGet => return self.mget(),
            Form::Get => return vec!["MODEL.GET".into(), one, "$.balance".into()],
            Form::FieldOp => vec!["MODEL.FIELDOP".into(), one],
            Form::Set => vec!["MODEL.SET".into(), one],
        };
        if self.form == Form::FieldOp {
            words.extend(self.steps.iter().flat_map(|step| statement(step.1)));
            return words;
        }
        for (_, action) in self.steps.iter().rev() {
            match action {
                Action::Replace(balance) => words.extend(["any".into(), json(*balance)]),
                assertion => words.extend(statement(*assertion)),
            }
        }
        words
    }

    fn transaction(&self) -> Vec<String> {
        let keys: Vec<String> = self.steps.iter().map(|step| key(step.0)).collect();
        let mut listed = keys.clone();
        listed.sort();
        listed.dedup();
        let token = self.token.map(|token| format!("lin:{{m}}:token:{token}"));
        listed.extend(token.clone());
        let mut words = vec!["MODEL.TXN".to_owned(), listed.len().to_string()];
        words.extend(listed);
        words.extend(token.into_iter().flat_map(|token| ["TOKEN".into(), token]));
        for (nth, (_, action)) in self.steps.iter().enumerate() {
            if nth == 0 || keys[nth] != keys[nth - 1] {
                words.extend(["ON".into(), keys[nth].clone()]);
            }
            words.extend(statement(*action));
        }
        words
    }

    fn mget(&self) -> Vec<String> {
        let mut words = vec!["MODEL.MGET".to_owned(), self.steps.len().to_string()];
        words.extend(self.steps.iter().map(|step| key(step.0)));
        words.push("$.balance".into());
        words
    }
}

fn statement(action: Action) -> Vec<String> {
    let path = "$.balance".to_owned();
    match action {
        Action::AtLeast(n) => vec!["IF".into(), format!("self.balance >= {n}")],
        Action::Equals(n) => vec!["IF".into(), format!("self.balance == {n}")],
        Action::IfRevision(revision) => vec!["IFREV".into(), revision.to_string()],
        Action::Read => vec!["GET".into(), path],
        Action::Revision => vec!["REVISION".into()],
        Action::Add(n) => vec!["INCR".into(), path, n.to_string()],
        Action::Assign(n) => vec!["SET".into(), path, n.to_string()],
        Action::Replace(n) => vec!["PUT".into(), "any".into(), json(n)],
    }
}

/// As it is sent.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The numbers that steps replied, in order.
    Told(Vec<i64>),
    /// A condition was false, of an account with this balance.
    False { account: usize, balance: i64 },
    /// Its revision was this one.
    OtherRevision { account: usize, revision: i64 },
}

impl Answer {
    /// Returns true if it says that this assertion was false.
    fn refuses(&self, (account, action): Step) -> bool {
        match (self, action) {
            (Answer::False { account: refused, .. }, Action::AtLeast(_) | Action::Equals(_))
            | (Answer::OtherRevision { account: refused, .. }, Action::IfRevision(_)) => {
                *refused == account
            }
            _ => false,
        }
    }

    /// `None` where it is none of a command that this model knows.
    pub fn read(reply: &Reply) -> Option<Answer> {
        let Reply::Error(line) = reply else {
            let mut told = Vec::new();
            flatten(reply, &mut told)?;
            return Some(Answer::Told(told));
        };
        let (word, object) = line.split_once(' ')?;
        let object: serde_json::Value = serde_json::from_str(object).ok()?;
        let account = object["key"].as_str()?.rsplit(':').next()?.parse().ok()?;
        match word {
            "CONDITION" => {
                Some(Answer::False { account, balance: object["values"]["self.balance"].as_i64()? })
            }
            "REVISION" => {
                Some(Answer::OtherRevision { account, revision: object["revision"].as_i64()? })
            }
            _ => None,
        }
    }
}

fn flatten(reply: &Reply, into: &mut Vec<i64>) -> Option<()> {
    match reply {
        Reply::Int(number) => into.push(*number),
        Reply::Bulk(_) => into.push(reply.text().parse().ok()?),
        Reply::Array(items) => items.iter().try_for_each(|item| flatten(item, into))?,
        _ => return None,
    }
    Some(())
}

pub struct Accounts;

impl Model for Accounts {
    type State = State;
    type Op = Op;
    type Reply = Answer;

    fn apply(&self, state: &State, op: &Op, answer: Option<&Answer>) -> Option<State> {
        let mut next = state.clone();
        let mut told = Told(match answer {
            Some(Answer::Told(values)) => Some(values.iter()),
            _ => None,
        });
        for step in &op.steps {
            if let Some(refusal) = answer.filter(|answer| answer.refuses(*step)) {
                return refused(state, next[step.0], step.1, refusal);
            }
            let account = &mut next[step.0];
            if !holds(account, step.1) || !act(account, step.1, &mut told) {
                return None;
            }
        }
        let is_committed = matches!(answer, None | Some(Answer::Told(_)));
        (is_committed && told.is_over()).then_some(next)
    }
}

/// The state after a refusal, where it was right: as it was, but for a revision that is known now.
fn refused(state: &State, mut account: Account, action: Action, answer: &Answer) -> Option<State> {
    match *answer {
        Answer::Told(_) => unreachable!("it refuses nothing"),
        Answer::False { balance, .. } => {
            let is_right = balance == account.balance && !holds(&mut account, action);
            is_right.then(|| state.clone())
        }
        Answer::OtherRevision { account: nth, revision } => {
            let mut same = state.clone();
            let is_right = same[nth].learn(revision) && action != Action::IfRevision(revision);
            is_right.then_some(same)
        }
    }
}

/// Returns true if an assertion is true. No client expects a revision that the model does not know yet
/// unless it is told of it in between, so that holding one to be the current one is right.
fn holds(account: &mut Account, action: Action) -> bool {
    match action {
        Action::AtLeast(n) => account.balance >= n,
        Action::Equals(n) => account.balance == n,
        Action::IfRevision(expected) => account.learn(expected),
        _ => true,
    }
}

/// Changes the account; whether what was told of it is right.
fn act(account: &mut Account, action: Action, told: &mut Told) -> bool {
    match action {
        Action::AtLeast(_) | Action::Equals(_) | Action::IfRevision(_) => true,
        Action::Read => told.is(account.balance),
        Action::Revision => told.revision(account),
        Action::Add(n) => {
            account.change(account.balance + n);
            told.is(account.balance)
        }
        Action::Assign(n) => {
            if account.balance != n {
                account.change(n);
            }
            told.is(1)
        }
        Action::Replace(n) => {
            account.change(n);
            told.revision(account)
        }
    }
}

/// The rest of a reply; none where there is no reply to compare with.
struct Told<'a>(Option<Iter<'a, i64>>);

impl Told<'_> {
    fn is(&mut self, value: i64) -> bool {
        self.0.as_mut().is_none_or(|values| values.next() == Some(&value))
    }

    fn revision(&mut self, account: &mut Account) -> bool {
        match &mut self.0 {
            None => true,
            Some(values) => values.next().is_some_and(|&revision| account.learn(revision)),
        }
    }

    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|values| values.len() == 0)
    }
}
