//! Expressions: the Common Expression Language (CEL) over documents in place.
//!
//! A [`Program`] is compiled once and evaluated against a [`Scope`]: the document as it stands, the
//! arguments of the command, the clock. Documents are lent, never converted or copied; a typical
//! condition allocates nothing. Parsing is the `cel` crate's, and so are most functions; compiling
//! and evaluating are ours, because the crate's evaluator knows no budget, does not mix integers with
//! doubles, and copies what it iterates over.
//!
//! Guarantees: an expression that compiles names nothing unknown; an evaluation ends within its
//! budget of steps, which bounds its memory too; a broken condition is an error, never true or
//! false; the same program over the same scope gives the same. Must never: change a value, read a
//! clock, recurse by the depth of a document.
//!
//! Where it differs from CEL: arithmetic mixes integers with doubles, comparing an integer with a
//! double is exact, and there are no messages, no optional values and no type checking ahead.

mod arithmetic;
mod budget;
pub mod cache;
mod code;
mod compile;
mod datum;
mod eval;
mod explain;
mod foreign;
mod functions;
mod lists;
mod pattern;
mod produce;
mod scan;
mod syntax;
mod texts;

use self::budget::Fault;
use self::code::{Code, Id};
use self::eval::Eval;
use crate::budget::Allowance;
use crate::error::Result;
use crate::value::{Measured, Value, View};

/// Bounds on one expression and one evaluation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExprLimits {
    /// Bytes of source. Configuration `model.expression-bytes`.
    pub bytes: usize,
    /// Nesting: brackets, calls, `!`, `-`, `?:`. Chains of operators and of names are no nesting.
    /// Configuration `model.expression-depth`.
    pub depth: u32,
    /// Steps of one evaluation; about ten million take a second. Configuration
    /// `model.expression-steps`.
    pub steps: u64,
}

/// The deepest nesting any configuration allows. Bounds every recursion over an expression.
pub const DEPTH_MAX: u32 = 64;
/// The longest source any configuration allows: what compiling does takes seconds beyond.
pub const BYTES_MAX: usize = 1 << 16;

impl ExprLimits {
    /// Nesting of 32 is several times what conditions of people need, and little stack. A million
    /// steps take some ten milliseconds, and let a condition look at each of a hundred thousand
    /// elements.
    pub const DEFAULT: ExprLimits = ExprLimits { bytes: 4096, depth: 32, steps: 1_000_000 };
    /// For what was accepted elsewhere: only what bounds the stack and the memory.
    pub const NONE: ExprLimits =
        ExprLimits { bytes: BYTES_MAX, depth: DEPTH_MAX, steps: 100_000_000 };
}

/// Which names an expression may use, beside `self`, `now`, `key` and `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    pub args: bool,
    pub docs: bool,
    pub old_self: bool,
    pub value: bool,
}

impl Names {
    /// A condition: `IF`, `WHEN`.
    pub const CONDITION: Names = Names { args: true, docs: true, old_self: false, value: false };
    /// What `EVAL` puts.
    pub const COMPUTED: Names = Names { args: true, docs: true, old_self: false, value: true };
    /// A rule of a model.
    pub const RULE: Names = Names { args: false, docs: false, old_self: true, value: false };
}

/// What the names of an expression stand for.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `self`; without one, reading it is an error.
    pub this: Option<View<'a>>,
    pub args: Option<View<'a>>,
    pub docs: Option<&'a dyn Documents>,
    pub old_self: Option<&'a OldSelf>,
    /// What is there now; nothing is null.
    pub value: Option<View<'a>>,
    /// Microseconds since 1970.
    pub now_us: Option<u64>,
    /// Reading a key that is not UTF-8 is an error.
    pub key: &'a [u8],
    pub revision: Option<u64>,
    /// The budget of the command that asks, which pays for the evaluation; none where no command does.
    pub allowance: Option<&'a Allowance<'a>>,
}

impl Scope<'_> {
    /// Every name is an error, but `value`, which is null, and `key`, which is empty.
    pub const EMPTY: Scope<'static> = Scope {
        this: None,
        args: None,
        docs: None,
        old_self: None,
        value: None,
        now_us: None,
        key: b"",
        revision: None,
        allowance: None,
    };
}

/// `docs`: the documents an expression may read, by their keys. `this` is the one the expression is
/// about, which is being edited: whoever lends the others cannot lend it as well.
pub trait Documents {
    /// The document at a key, if there is one.
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>>;

    /// How many there are whose key is UTF-8: only those have a name in an expression.
    fn count(&self, this: Option<View<'_>>) -> usize;

    /// One of those, in the order of the keys; each costs the same, however many are missing.
    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)>;
}

/// The values that were at some paths of a document before a change.
#[derive(Clone, Debug, Default)]
pub struct OldSelf {
    entries: Vec<(Vec<Box<str>>, Captured)>,
}

/// What was at a path of names of members inside each other.
#[derive(Clone, Debug)]
enum Captured {
    Value(Value),
    /// The member of that number on the way was missing.
    Missing(usize),
    /// Before the member of that number stood no object.
    NoObject(usize),
}

impl OldSelf {
    /// Copies what is at each of the paths.
    pub fn capture<'p>(root: View<'_>, paths: impl Iterator<Item = &'p [Box<str>]>) -> OldSelf {
        let mut entries: Vec<(Vec<Box<str>>, Captured)> = Vec::new();
        for path in paths {
            if !entries.iter().any(|(known, _)| known == path) {
                entries.push((path.to_vec(), captured(root, path)));
            }
        }
        OldSelf { entries }
    }

    fn get(&self, path: &[Box<str>]) -> Option<&Captured> {
        self.entries.iter().find(|(known, _)| known == path).map(|(_, captured)| captured)
    }
}

fn captured(root: View<'_>, path: &[Box<str>]) -> Captured {
    let mut view = root;
    for (at, name) in path.iter().enumerate() {
        let Some(object) = view.as_object() else { return Captured::NoObject(at) };
        let Some(member) = object.get(name) else { return Captured::Missing(at) };
        view = member;
    }
    Captured::Value(view.to_value())
}

/// A compiled expression. Nothing in it belongs to a thread.
#[derive(Debug)]
pub struct Program {
    source: Box<str>,
    code: Code,
    root: Id,
    depth: u32,
    reads_clock: bool,
    self_members: Option<Vec<Box<str>>>,
}

impl Program {
    /// Compiles an expression; `EXPR` with the place where it is wrong, `LIMIT` where it is too long
    /// or nests too deeply.
    pub fn compile(source: &str, names: Names, limits: &ExprLimits) -> Result<Program> {
        let bounded = ExprLimits {
            bytes: limits.bytes.min(BYTES_MAX),
            depth: limits.depth.min(DEPTH_MAX),
            ..*limits
        };
        let compiled = compile::compile(source, names, &bounded)?;
        Ok(Program {
            source: source.into(),
            code: compiled.code,
            root: compiled.root,
            depth: compiled.depth,
            reads_clock: compiled.reads_clock,
            self_members: compiled.self_members,
        })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// How deep it nests, as the limit counts.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        let members = self.self_members.iter().flatten();
        self.source.len()
            + self.code.heap_bytes()
            + members.map(|name| size_of::<Box<str>>() + name.len()).sum::<usize>()
    }

    /// Whether it reads `now`.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// The names of members inside each other under which `oldSelf` is read: `["a", "b"]` for
    /// `oldSelf.a.b[0] > 1`, no names for `oldSelf` as a whole; empty when it is not read.
    pub fn old_self_paths(&self) -> &[Vec<Box<str>>] {
        &self.code.old_paths
    }

    /// The members of the root of `self` it depends on; `None` when it depends on `self` as a whole
    /// or on anything else.
    pub fn self_members(&self) -> Option<&[Box<str>]> {
        self.self_members.as_deref()
    }

    /// Whether the condition holds; `EXPR` when it fails or is no condition.
    pub fn test(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Result<bool> {
        self.run(scope, limits, |evaluation| evaluation.boolean(self.root))
    }

    /// The JSON value it gives; `EXPR` when it fails or JSON has no such value.
    pub fn evaluate(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Result<Measured> {
        self.run(scope, limits, |evaluation| {
            let datum = evaluation.node(self.root)?;
            produce::measured(evaluation, &datum)
        })
    }

    /// One evaluation, within its own limit and what is left of the command's budget, which pays for it.
    #[inline]
    fn run<'s, T>(
        &'s self,
        scope: &'s Scope<'s>,
        limits: &ExprLimits,
        work: impl FnOnce(&mut Eval<'s>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let mut evaluation = Eval::new(&self.code, scope, limits.steps);
        let result = work(&mut evaluation);
        evaluation.budget.settle(scope.allowance);
        result.map_err(|fault| match (fault, scope.allowance) {
            (Fault::Exhausted, Some(allowance)) if allowance.steps_left() == 0 => {
                allowance.exhausted().text("expr", self.source.as_bytes())
            }
            (fault, _) => fault.into_error(&self.code, &self.source),
        })
    }

    /// After [`Program::test`] gave false: what the comparisons that made it so had read, as the
    /// source of each place and its value, which is JSON text of a bounded length.
    pub fn explain(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Vec<(String, String)> {
        explain::explain(&self.code, self.root, scope, limits.steps)
    }
}
