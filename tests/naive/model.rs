//! The contract of `MODEL.SET` and `MODEL.FIELDOP`, read as naively as possible: every command works on
//! a copy of the whole document and throws it away when it is refused.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use redis_model::op::{self, Absent, OpSpec};
use serde_json::Value;

use super::number::Num;
use super::operators;
use super::path::{self, Child, Found, Location, Path, Step};

/// The first word of an error.
pub type Word = &'static str;

/// An operand: what is typed, and what it means, if it means anything.
#[derive(Clone, Debug)]
pub struct Operand {
    pub text: String,
    pub means: Result<Means, Word>,
}

#[derive(Clone, Debug)]
pub enum Means {
    Path(Path),
    /// Of JSON, of a number and of a string.
    Json(Value),
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Months(i64, i128),
    SortKey(Vec<Step>),
    /// The word, in upper case.
    Choice(&'static str),
    /// One of a few whose meaning is known here too.
    Expression(&'static str),
}

impl Operand {
    /// The path, where the declaration says it is one and the syntax was checked.
    fn path(&self) -> &Path {
        match &self.means {
            Ok(Means::Path(path)) => path,
            _ => panic!("not a path: {}", self.text),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Statement {
    Exists,
    Missing,
    /// The operand may be none.
    IfRevision(Result<u64, Word>),
    Operate {
        operator: &'static str,
        operands: Vec<Operand>,
        /// `STRICT` stands before it.
        strict: bool,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expiry {
    Keep,
    Persist,
    At(u64),
}

#[derive(Clone, Debug)]
pub struct FieldOp {
    pub init: Option<Result<Value, Word>>,
    /// The model of a document that is created.
    pub model: &'static str,
    pub make_path: bool,
    pub expiry: Result<Expiry, Word>,
    /// The path behind `CURRENT`.
    pub current: Option<Operand>,
    pub statements: Vec<Statement>,
}

/// Why a command is refused. Where several places are at fault, any of them may be named.
#[derive(Debug)]
pub struct Refusal {
    pub words: BTreeSet<Word>,
    /// The operator that was refused, once the command was underway.
    pub operator: Option<&'static str>,
}

impl Refusal {
    fn of(word: Word) -> Refusal {
        Refusal { words: BTreeSet::from([word]), operator: None }
    }
}

/// The effect of an accepted command.
pub struct Accepted {
    pub document: Option<Value>,
    /// One reply for each operator, in the notation of replies; none where it is the revision.
    pub replies: Vec<Option<String>>,
    /// For each operator, whether it changed something, even if it was changed back.
    pub changed: Vec<bool>,
}

/// The deepest nesting, which holds after every single change; and the largest document with which the
/// model follows.
pub const DEPTH_MAX: usize = 128;
const HUGE: usize = 100_000;
/// The word for commands that are too large for this test.
pub const TOO_LARGE: Word = "too large to be tested";

/// One run of `MODEL.FIELDOP`.
pub fn run(
    command: &FieldOp,
    stored: Option<(&Value, u64)>,
    now_us: u64,
) -> Result<Accepted, Refusal> {
    check_syntax(command)?;
    let (mut document, revision) = match (stored, &command.init) {
        (Some((document, revision)), _) => (Some(document.clone()), Some(revision)),
        (None, Some(init)) => (Some(init.clone().expect("the syntax was checked")), None),
        (None, None) => (None, None),
    };
    if document.is_none() && command.expiry != Ok(Expiry::Keep) {
        return Err(Refusal::of("NOKEY"));
    }
    let mut replies = Vec::new();
    let mut changed = Vec::new();
    for statement in &command.statements {
        match statement {
            Statement::Exists if document.is_none() => return Err(Refusal::of("CONDITION")),
            Statement::Missing if document.is_some() => return Err(Refusal::of("CONDITION")),
            Statement::IfRevision(_) if document.is_none() => return Err(Refusal::of("NOKEY")),
            Statement::IfRevision(expected) if expected.ok() != revision => {
                return Err(Refusal::of("REVISION"));
            }
            Statement::Operate { operator, operands, strict } => {
                let refused = |words| Refusal { words, operator: Some(operator) };
                let document =
                    document.as_mut().ok_or_else(|| refused(BTreeSet::from(["NOKEY"])))?;
                let mut step =
                    Run { document, make_path: command.make_path, now_us, touched: false };
                if *strict && step.matches(operands[0].path()).is_empty() {
                    return Err(refused(BTreeSet::from(["NOPATH"])));
                }
                replies.push(step.operate(operator, operands).map_err(refused)?);
                changed.push(step.touched);
            }
            _ => {}
        }
    }
    Ok(Accepted { document, replies, changed })
}

/// The text that a refusal tells of what is stored at a path.
pub fn current(stored: Option<&Value>, path: &Operand) -> String {
    let Some(stored) = stored else { return "null".to_owned() };
    let mut document = stored.clone();
    let run = Run { document: &mut document, make_path: false, now_us: 0, touched: false };
    match run.get(path.path()) {
        text if text == "(nil)" => "null".to_owned(),
        text => text,
    }
}

/// Refuses a command that is malformed, before anything is looked up: the first mistake counts.
fn check_syntax(command: &FieldOp) -> Result<(), Refusal> {
    if let Some(Err(word)) = &command.init {
        return Err(Refusal::of(word));
    }
    command.expiry.map_err(Refusal::of)?;
    if let Some(Operand { means: Err(word), .. }) = &command.current {
        return Err(Refusal::of(word));
    }
    for statement in &command.statements {
        match statement {
            Statement::Unknown => return Err(Refusal::of("ERR")),
            Statement::IfRevision(Err(word)) => return Err(Refusal::of(word)),
            Statement::Operate { operator, operands, .. } => {
                if let Some(word) = operands.iter().find_map(|o| o.means.as_ref().err()) {
                    let words = BTreeSet::from([*word]);
                    return Err(Refusal { words, operator: Some(operator) });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The declaration of an operator. The model believes what it says of a path without a value and of the reply for
/// many places: an example of each operator shows both.
fn declared(operator: &str) -> &'static OpSpec {
    op::find(operator.as_bytes()).expect("the operator was drawn from the registry")
}

struct Run<'d> {
    document: &'d mut Value,
    make_path: bool,
    now_us: u64,
    touched: bool,
}

type Words = BTreeSet<Word>;

fn one<T>(result: Result<T, Word>) -> Result<T, Words> {
    result.map_err(|word| Words::from([word]))
}

impl Run<'_> {
    fn operate(&mut self, operator: &str, operands: &[Operand]) -> Result<Option<String>, Words> {
        let operands: Vec<&Means> = operands.iter().map(|o| o.means.as_ref().unwrap()).collect();
        let reply = match (operator, &operands[..]) {
            ("REVISION", _) => return Ok(None),
            ("GET", [Means::Path(path)]) => self.get(path),
            ("DEL", [Means::Path(path)]) => self.del(path),
            ("COPY", [Means::Path(from), Means::Path(to)]) => one(self.copy(from, to))?,
            ("MOVE", [Means::Path(from), Means::Path(to)]) => self.move_value(from, to)?,
            ("SWAP", [Means::Path(a), Means::Path(b)]) => one(self.swap(a, b))?,
            (_, [Means::Path(Path::Singular(steps)), rest @ ..]) => {
                one(self.singular(operator, steps, rest))?
            }
            (_, [Means::Path(path), rest @ ..]) => self.each(operator, path, rest)?,
            _ => panic!("{}:{}: say here what {operator} does", file!(), line!()),
        };
        one(self.check_limits())?;
        Ok(Some(reply))
    }

    fn check_limits(&self) -> Result<(), Word> {
        let (depth, size) = measure(self.document);
        match () {
            () if depth > DEPTH_MAX => Err("LIMIT"),
            () if size > HUGE => Err(TOO_LARGE),
            () => Ok(()),
        }
    }

    fn put(&mut self, location: &[Child], new: Value) {
        let old = path::at_mut(self.document, location);
        self.touched |= !same_text(old, &new);
        *old = new;
    }

    fn put_at(&mut self, found: Found, new: Value) -> Result<(), Word> {
        match found {
            Found::Present(location) => self.put(&location, new),
            Found::Gap { parent, last, deeper } => {
                path::fill(self.document, &parent, &last, &deeper, new);
                self.touched = true;
            }
            Found::Blocked(word) => return Err(word),
        }
        Ok(())
    }

    /// At one place, or where nothing is.
    fn singular(
        &mut self,
        operator: &str,
        steps: &[Step],
        rest: &[&Means],
    ) -> Result<String, Word> {
        let found = path::resolve(self.document, steps, self.make_path);
        let old = match &found {
            Found::Present(location) => (Some(path::at(self.document, location)), location.len()),
            _ => (None, 0),
        };
        if old.0.is_none() {
            match declared(operator).absent {
                Absent::Null => return Ok("(nil)".to_owned()),
                Absent::Zero => return Ok("(integer) 0".to_owned()),
                Absent::NoPath => return Err("NOPATH"),
                Absent::Create => {}
                Absent::Own => {
                    panic!("{}:{}: say in operate what {operator} does", file!(), line!())
                }
            }
        }
        if let Found::Blocked(word) = found {
            return Err(word);
        }
        let done = operators::operate(operator, old, rest, self.now_us)?;
        self.touched |= done.touched;
        if let Some(new) = done.new {
            self.put_at(found, new)?;
        }
        Ok(done.reply.text())
    }

    /// At every match, what is inside first. The replies stand in the order of the matches.
    fn each(
        &mut self,
        operator: &str,
        path: &Path,
        rest: &[&Means],
    ) -> Result<String, BTreeSet<Word>> {
        let matches = self.matches(path);
        let mut inside_first: Vec<usize> = (0..matches.len()).collect();
        inside_first.sort_by_key(|nth| std::cmp::Reverse(matches[*nth].len()));
        let mut replies = vec![operators::Reply::Nil; matches.len()];
        let mut words = Words::new();
        for nth in inside_first {
            let old = (Some(path::at(self.document, &matches[nth])), matches[nth].len());
            match operators::operate(operator, old, rest, self.now_us) {
                Ok(done) => {
                    self.touched |= done.touched;
                    replies[nth] = done.reply;
                    if let Some(new) = done.new {
                        // A place outside of this one may replace it, but only later.
                        let too_deep = matches[nth].len() + measure(&new).0 > DEPTH_MAX;
                        words.extend(too_deep.then_some("LIMIT"));
                        self.put(&matches[nth], new);
                    }
                }
                Err(word) => drop(words.insert(word)),
            }
        }
        if !words.is_empty() {
            return Err(words);
        }
        if !matches!(declared(operator).run, op::Action::Total(_)) {
            return Ok(operators::Reply::Many(replies).text());
        }
        let count = |reply: &operators::Reply| match reply {
            operators::Reply::Count(count) => *count,
            _ => unreachable!("{operator} counts"),
        };
        Ok(operators::Reply::Count(replies.iter().map(count).sum()).text())
    }

    /// Every match once.
    fn matches(&self, path: &Path) -> Vec<Location> {
        let all = match path {
            Path::Query(segments) => path::select(self.document, segments),
            Path::Singular(steps) => match path::resolve(self.document, steps, false) {
                Found::Present(location) => vec![location],
                _ => Vec::new(),
            },
        };
        let mut seen = BTreeSet::new();
        all.into_iter().filter(|location| seen.insert(location.clone())).collect()
    }

    fn get(&self, path: &Path) -> String {
        let Path::Query(segments) = path else {
            let found = self.matches(path);
            let text = |location: &Location| path::at(self.document, location).to_string();
            return found.first().map_or("(nil)".to_owned(), text);
        };
        let found = path::select(self.document, segments);
        let found: Vec<Value> =
            found.iter().map(|location| path::at(self.document, location).clone()).collect();
        Value::Array(found).to_string()
    }

    fn del(&mut self, path: &Path) -> String {
        let mut matches = self.matches(path);
        // Places inside of others, and places behind others, go first.
        matches.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| b.cmp(a)));
        matches.iter().for_each(|location| path::remove(self.document, location));
        self.touched |= !matches.is_empty();
        operators::Reply::Count(matches.len()).text()
    }

    fn copy(&mut self, from: &Path, to: &Path) -> Result<String, Word> {
        let source = self.matches(from).pop().ok_or("NOPATH")?;
        let copy = path::at(self.document, &source).clone();
        let target = path::resolve(self.document, steps(to), self.make_path);
        self.put_at(target, copy)?;
        Ok("(integer) 1".to_owned())
    }

    /// A mark stands where the value was until it is where it goes.
    fn move_value(&mut self, from: &Path, to: &Path) -> Result<String, Words> {
        let source = one(self.matches(from).pop().ok_or("NOPATH"))?;
        let before = self.document.clone();
        let target = path::resolve(self.document, steps(to), self.make_path);
        match &target {
            Found::Present(location) if *location == source => {
                return Ok("(integer) 1".to_owned());
            }
            Found::Present(location) | Found::Gap { parent: location, .. }
                if location.starts_with(&source) =>
            {
                return one(Err("NOPATH"));
            }
            // Inside of the source nothing can be at the target anyway: either may be said.
            Found::Blocked(word) if self.leads_through(steps(to), &source) => {
                return Err(Words::from([*word, "NOPATH"]));
            }
            Found::Blocked(word) => return one(Err(word)),
            _ => {}
        }
        let mark = Value::from("\0 the value that is being moved");
        let moved = std::mem::replace(path::at_mut(self.document, &source), mark.clone());
        let touched = self.touched;
        one(self.put_at(target, moved))?;
        let all = path::everything_below(self.document, Location::new());
        if let Some(at) = all.iter().find(|at| *path::at(self.document, at) == mark) {
            path::remove(self.document, at);
        }
        self.touched = touched || !same_text(self.document, &before);
        Ok("(integer) 1".to_owned())
    }

    /// Returns true if the part of the path that leads somewhere leads to the place or inside of it.
    fn leads_through(&self, steps: &[Step], place: &[Child]) -> bool {
        (0..=steps.len()).any(|some| {
            let found = path::resolve(self.document, &steps[..some], false);
            matches!(found, Found::Present(location) if location == place)
        })
    }

    fn swap(&mut self, a: &Path, b: &Path) -> Result<String, Word> {
        let (a, b) =
            (self.matches(a).pop().ok_or("NOPATH")?, self.matches(b).pop().ok_or("NOPATH")?);
        if a != b && (a.starts_with(&b) || b.starts_with(&a)) {
            return Err("NOPATH");
        }
        let (at_a, at_b) =
            (path::at(self.document, &a).clone(), path::at(self.document, &b).clone());
        self.put(&a, at_b);
        self.put(&b, at_a);
        Ok("(integer) 1".to_owned())
    }
}

fn steps(path: &Path) -> &[Step] {
    match path {
        Path::Singular(steps) => steps,
        Path::Query(_) => unreachable!("operands that have to be singular are"),
    }
}

/// Returns true if two values look the same: `1` and `1.0` do not, nor do members in another order.
pub fn same_text(a: &Value, b: &Value) -> bool {
    let (a, b) = (a.to_string(), b.to_string());
    a == b
}

/// The nesting, and about the length of the text.
pub fn measure(value: &Value) -> (usize, usize) {
    let add = |(depth, size): (usize, usize), (d, s): (usize, usize)| (depth.max(d + 1), size + s);
    match value {
        Value::Array(items) => items.iter().map(measure).fold((1, 2), add),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (measure(value), name.len()))
            .fold((1, 2), |sum, ((depth, size), name)| add(sum, (depth, size + name + 3))),
        Value::String(text) => (0, text.len() + 2),
        _ => (0, 8),
    }
}

// --- Equality --------------------------------------------------------------------------------

pub fn compare_numbers(a: &Value, b: &Value) -> Ordering {
    Num::of(a).expect("a number").compare(Num::of(b).expect("a number"))
}

/// Deep JSON equality: `1 == 1.0`, and members have no order.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare_numbers(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// JSON text as a document holds it: integers exact, other numbers as doubles.
pub fn read(text: &str) -> Result<Value, Word> {
    canonical(serde_json::from_str(text).map_err(|_| "ERR")?)
}

/// Every number as the one way to write it.
pub fn canonical(value: Value) -> Result<Value, Word> {
    Ok(match value {
        Value::Number(number) => Num::read(number.as_str())?.value(),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(canonical).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| Ok((name, canonical(value)?)));
            Value::Object(members.collect::<Result<_, Word>>()?)
        }
        other => other,
    })
}
