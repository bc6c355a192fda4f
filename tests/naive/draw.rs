//! Makes documents and commands up from a list of numbers, so that a failing case can be made smaller
//! by making the numbers smaller: zero always draws the plainest choice, and so does what is missing.

mod documents;
mod operands;
mod paths;

use redis_model::op;
use serde_json::{Value, json};

use super::model::{Expiry, FieldOp, Means, Operand, Statement, Word};
use super::path::{self, Path};

pub use documents::document;
use operands::{Context, operand};

pub struct Draw<'n> {
    numbers: std::slice::Iter<'n, u32>,
}

impl<'n> Draw<'n> {
    pub fn from(numbers: &'n [u32]) -> Draw<'n> {
        Draw { numbers: numbers.iter() }
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.numbers.next().map_or(0, |number| *number as usize % end)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

/// A statement for this document.
pub fn statement(draw: &mut Draw<'_>, document: Option<&Value>, revision: u64) -> Statement {
    match draw.below(60) {
        59 => return Statement::Unknown,
        58 => return Statement::Exists,
        57 => return Statement::Missing,
        56 => return Statement::IfRevision(Ok(revision)),
        55 => return Statement::IfRevision(draw.pick(&[Ok(revision + 1), Ok(0), Err("ERR")])),
        _ => {}
    }
    operation(draw, document)
}

fn operation(draw: &mut Draw<'_>, document: Option<&Value>) -> Statement {
    let spec = draw.pick(op::of(op::Target::Value));
    let nothing = json!({});
    let document = document.unwrap_or(&nothing);
    let mut context = Context { document, operator: spec.name, target: None };
    let mut operands: Vec<Operand> = Vec::new();
    for declared in spec.operands {
        let operand = operand(draw, declared.kind, &context);
        if let (Ok(Means::Path(path)), None) = (&operand.means, &context.target) {
            context.target = first_target(document, path);
        }
        operands.push(operand);
    }
    let strict = spec.takes_path() && draw.once_in(8);
    Statement::Operate { operator: spec.name, operands, strict }
}

fn first_target(document: &Value, path: &Path) -> Option<Value> {
    let location = match path {
        Path::Query(segments) => path::select(document, segments).into_iter().next()?,
        Path::Singular(steps) => match path::resolve(document, steps, false) {
            path::Found::Present(location) => location,
            _ => return None,
        },
    };
    Some(path::at(document, &location).clone())
}

/// The model of a document that is made.
pub fn model(draw: &mut Draw<'_>) -> &'static str {
    draw.pick(&["any", "m"])
}

/// The options of a command, with their words.
pub fn options(draw: &mut Draw<'_>, now_ms: u64, stored: Option<&Value>) -> (FieldOp, Vec<String>) {
    let mut words = Vec::new();
    let mut init = None;
    let model = model(draw);
    match draw.below(10) {
        8 => {
            let document = document(draw);
            words = vec!["INIT".to_owned(), model.to_owned(), document.to_string()];
            init = Some(Ok(document));
        }
        9 if draw.once_in(6) => {
            words = ["INIT", model, "{"].map(str::to_owned).to_vec();
            init = Some(Err("ERR"));
        }
        _ => {}
    }
    let make_path = draw.once_in(3);
    if make_path {
        words.push("mkpath".to_owned());
    }
    let (expiry, expiry_words) = expiry(draw, now_ms, "PERSIST", Expiry::Persist);
    words.extend(expiry_words);
    let current = current(draw, stored);
    words.extend(current.iter().flat_map(|path| ["Current".to_owned(), path.text.clone()]));
    (FieldOp { init, model, make_path, expiry, current, statements: Vec::new() }, words)
}

/// The path behind `CURRENT`, now and then.
pub fn current(draw: &mut Draw<'_>, stored: Option<&Value>) -> Option<Operand> {
    let nothing = json!({});
    let document = stored.unwrap_or(&nothing);
    let context = Context { document, operator: "GET", target: None };
    draw.once_in(3).then(|| operand(draw, op::OperandKind::Path, &context))
}

/// The condition behind `IF` of `MODEL.SET`, and whether it is true of every document.
pub fn condition(draw: &mut Draw<'_>) -> Option<(&'static str, Result<bool, Word>)> {
    match draw.below(16) {
        12 => Some(("revision > 0 && key == 'k'", Ok(true))),
        13 => Some(("self == args.none && self != self", Ok(false))),
        14 => Some(("args.v[1] == 'n'", Ok(false))),
        15 => Some(("1 / 0 == 1", Err("EXPR"))),
        _ => None,
    }
}

/// An expiry in any of its forms; `last` is the form that takes no time.
pub fn expiry(
    draw: &mut Draw<'_>,
    now_ms: u64,
    last: &str,
    means: Expiry,
) -> (Result<Expiry, Word>, Vec<String>) {
    let amount = 1 + draw.below(100_000) as u64;
    let (word, amount, expiry) = match draw.below(40) {
        1 => ("EX", amount, Ok(Expiry::At(now_ms + amount * 1000))),
        2 => ("px", amount, Ok(Expiry::At(now_ms + amount))),
        3 => ("EXAT", amount, Ok(Expiry::At(amount * 1000))),
        4 => ("PXAT", amount, Ok(Expiry::At(amount))),
        5 => ("EX", 0, Err("ERR")),
        6 => ("EX", i64::MAX as u64, Err("ERR")),
        7 => ("PX", 1 << 63, Err("RANGE")),
        8 => return (Ok(means), vec![last.to_owned()]),
        _ => return (Ok(Expiry::Keep), Vec::new()),
    };
    (expiry, vec![word.to_owned(), amount.to_string()])
}

/// The words of a statement.
pub fn words(statement: &Statement) -> Vec<String> {
    match statement {
        Statement::Exists => vec!["EXISTS".to_owned()],
        Statement::Missing => vec!["missing".to_owned()],
        Statement::IfRevision(Ok(revision)) => vec!["IFREV".to_owned(), revision.to_string()],
        Statement::IfRevision(Err(_)) => vec!["IFREV".to_owned(), "-1".to_owned()],
        Statement::Unknown => vec!["NOSUCH".to_owned(), "$".to_owned()],
        Statement::Operate { operator, operands, strict } => {
            let strict = strict.then(|| "strict".to_owned());
            let operands = operands.iter().map(|operand| operand.text.clone());
            strict.into_iter().chain([(*operator).to_owned()]).chain(operands).collect()
        }
    }
}
