//! A compiled expression, and the three things done with it: test, evaluate, explain.

use std::sync::OnceLock;

use super::code::{Code, NodeId};
use super::eval::Eval;
use super::fault::Fault;
use super::known_terms::QueryTerms;
use super::limits::{AllowedNames, BYTES_MAX, DEPTH_MAX, ExprLimits};
use super::pattern::Pattern;
use super::refusal::{self, refusal};
use super::scope::Scope;
use super::{compile, explain, produce, scan};
use crate::budget::{Allowance, weight};
use crate::error::Result;
use crate::value::Measured;

/// A compiled expression. Nothing in it belongs to a thread.
#[derive(Debug)]
pub struct Program {
    source: Box<str>,
    code: Code,
    root: NodeId,
    depth: u32,
    reads_clock: bool,
    reads_native: bool,
    written_keys: Box<[Box<str>]>,
    self_members: Option<Vec<Box<str>>>,
    /// See [`Program::terms`].
    terms: OnceLock<QueryTerms>,
}

impl Program {
    /// Compiles an expression; `EXPR` with the place where it is wrong, `LIMIT` where it is too long
    /// or nests too deeply.
    pub fn compile(source: &str, names: AllowedNames, limits: &ExprLimits) -> Result<Program> {
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
            reads_native: compiled.reads_native,
            written_keys: compiled.written_keys,
            self_members: compiled.self_members,
            terms: OnceLock::new(),
        })
    }

    pub(super) fn code(&self) -> &Code {
        &self.code
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The depth of its nesting, as the limit counts.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// As [`Program::compile`], paid for by a command: its text before it is read, its patterns, whose number
    /// and size are bounded for each expression, when they are there.
    pub fn compile_within(
        source: &str,
        names: AllowedNames,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Program> {
        if source.len() <= limits.bytes {
            allowance.spend(source.len() as u64 * weight::EXPRESSION_BYTE)?;
        }
        let program = Program::compile(source, names, limits)?;
        allowance.spend(program.code.patterns.iter().map(Pattern::compile_cost).sum())?;
        Ok(program)
    }

    /// The place of its terms.
    pub(super) fn kept_terms(&self) -> &OnceLock<QueryTerms> {
        &self.terms
    }

    /// About the bytes it takes on the heap, with its terms if they were asked for.
    pub fn heap_bytes(&self) -> usize {
        let members = self.self_members.iter().flatten().chain(&self.written_keys);
        self.source.len()
            + self.code.heap_bytes()
            + self.terms.get().map_or(0, QueryTerms::heap_bytes)
            + members.map(|name| size_of::<Box<str>>() + name.len()).sum::<usize>()
    }

    /// Flag: it reads `now`.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// `EXPR` for a key of a document or a structure that is written out and is not known. `noun` says what keys are here.
    pub fn check_written_keys(&self, noun: &str, is_known: impl Fn(&str) -> bool) -> Result<()> {
        let Some(key) = self.written_keys.iter().find(|key| !is_known(key)) else { return Ok(()) };
        let at = scan::position_of(&self.source, key).unwrap_or(0);
        Err(refusal(&self.source, &format!("unknown {noun}: {key}"), at))
    }

    /// Flag: it asks about structures of the server.
    pub fn reads_native(&self) -> bool {
        self.reads_native
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

    /// Flag: it reads nothing, not even the clock.
    pub fn is_constant(&self) -> bool {
        self.self_members.as_ref().is_some_and(Vec::is_empty) && !self.reads_clock
    }

    /// Flag: it is a value of `args`, or the negative of one: the same wherever the command is repeated.
    pub fn is_value_of_args(&self) -> bool {
        self.code.is_value_of_args(self.root)
    }

    /// Tests the condition; `EXPR` when it fails or gives no bool.
    pub fn test(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Result<bool> {
        self.run(scope, limits, |evaluation| evaluation.boolean(self.root))
    }

    /// The JSON value it gives; `EXPR` when it fails or JSON has no such value.
    pub fn evaluate(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Result<Measured> {
        self.run(scope, limits, |evaluation| produce::evaluated(evaluation, self.root))
    }

    /// One evaluation, within its own limit and the rest of the command's budget, which pays for it.
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
            (fault, _) => {
                let name = |number| self.code.name(number);
                refusal::of_fault(fault, name, &self.source, limits.steps)
            }
        })
    }

    /// After [`Program::test`] gave false: the places that the deciding comparisons had read, each as its
    /// source and its value, which is JSON text of a bounded length.
    pub fn explain(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Vec<(String, String)> {
        explain::explain(&self.code, self.root, scope, limits.steps)
    }
}
