//! The evaluator: CEL over values in place.
//!
//! Every node is paid for, over literals too; loops and functions that touch many bytes pay for that as
//! well. A fault absorbed by `&&`, `||`, `all()` or `exists()` stays one when the budget is spent:
//! that ends everything at once. Recursion follows the nesting of the expression, which the compiler
//! bounds, never that of a document. Each function below keeps its frame small for that reason.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::arithmetic;
use super::budget::StepBudget;
use super::code::{AccessStep, Code, ExprNode, Global, NodeId, Span};
use super::datum::{Datum, Docs, Instant, List, Map};
use super::fault::Fault;
use super::operator::Comparison;
use super::pattern::Pattern;
use super::scope::Scope;
use crate::value::{Text, View};

mod loops;
mod native;
mod optional;
mod path;
mod search;

pub(super) type Evaluated<'a> = Result<Datum<'a>, Fault>;

/// The entries of a map, see [`Eval::root_entries`]; a few in place.
pub(super) type RootEntries<'a> = SmallVec<[(Datum<'a>, Datum<'a>); 4]>;

pub(super) struct Eval<'a> {
    code: &'a Code,
    scope: &'a Scope<'a>,
    pub budget: StepBudget,
    /// The variables of macros, outermost first.
    variables: SmallVec<[Datum<'a>; 2]>,
    /// The pattern compiled last, for `matches` with one that is not written out.
    pattern: Option<Box<Pattern>>,
}

impl<'a> Eval<'a> {
    pub fn new(code: &'a Code, scope: &'a Scope<'a>, steps: u64) -> Eval<'a> {
        let mut variables = SmallVec::new();
        variables.resize_with(code.variables as usize, || Datum::Null);
        Eval {
            code,
            scope,
            budget: StepBudget::within(steps, scope.allowance),
            variables,
            pattern: None,
        }
    }

    /// A node of the expression.
    pub fn node_at(&self, id: NodeId) -> ExprNode {
        self.code.node(id)
    }

    /// The value of a node.
    pub fn node(&mut self, id: NodeId) -> Evaluated<'a> {
        self.budget.charge(1)?;
        match self.code.node(id) {
            ExprNode::Constant(number) => Ok(self.code.constants[number as usize].lend()),
            ExprNode::Variable(number) => Ok(self.variables[number as usize].clone()),
            ExprNode::Path { base, steps } => self.path(base, steps),
            ExprNode::Compare { comparison, left, right } => {
                self.compare(comparison, left, right).map(Datum::Bool)
            }
            ExprNode::And(parts) => self.logic(parts, false).map(Datum::Bool),
            ExprNode::Or(parts) => self.logic(parts, true).map(Datum::Bool),
            ExprNode::Not(operand) => self.boolean(operand).map(|value| Datum::Bool(!value)),
            ExprNode::Choose { test, then, other } => {
                let next = if self.boolean(test)? { then } else { other };
                self.node(next)
            }
            ExprNode::Chain { first, terms } => self.chain(first, terms),
            ExprNode::Root(root) => self.root(root),
            ExprNode::Has { base, steps, .. } => self.has(base, steps),
            ExprNode::In { item, container } => self.is_in(item, container),
            ExprNode::Call { function, arguments } => {
                let arguments = self.all_of(arguments)?;
                self.budget.charge(2)?;
                function.call(self, &arguments)
            }
            ExprNode::Loop(number) => self.looped(number),
            ExprNode::List(items) => self.list_literal(items),
            ExprNode::Map(parts) => self.map_literal(parts),
            ExprNode::Negate(operand) => arithmetic::negate(self.node(operand)?),
            ExprNode::Search { search, text, pattern, limit } => {
                self.search_constant(search, text, pattern, limit)
            }
            ExprNode::Native { method, key, operand } => self.native(method, key, operand),
            ExprNode::Old(path) => self.old(path),
            ExprNode::HasOld(path) => self.has_old(path),
            ExprNode::MaybeOld(path) => self.maybe_old(path),
            ExprNode::Bind { variable, value, body } => self.bind(variable, value, body),
            ExprNode::OptionalMap { optional, variable, body, flat } => {
                self.optional_map(optional, variable, body, flat)
            }
            ExprNode::OrElse { optional, other, unwrap } => self.or_else(optional, other, unwrap),
            ExprNode::IfPresent(_) => {
                unreachable!("it stands in a literal, which looks at it itself")
            }
        }
    }

    fn all_of(&mut self, nodes: Span) -> Result<SmallVec<[Datum<'a>; 3]>, Fault> {
        let mut values = SmallVec::new();
        let code = self.code;
        for id in code.links(nodes) {
            values.push(self.node(*id)?);
        }
        Ok(values)
    }

    /// A node that has to be a bool. What most conditions consist of takes no detour through a value.
    pub fn boolean(&mut self, id: NodeId) -> Result<bool, Fault> {
        match self.code.node(id) {
            ExprNode::Compare { comparison, left, right } => {
                self.budget.charge(1)?;
                self.compare(comparison, left, right)
            }
            ExprNode::And(parts) => {
                self.budget.charge(1)?;
                self.logic(parts, false)
            }
            ExprNode::Or(parts) => {
                self.budget.charge(1)?;
                self.logic(parts, true)
            }
            _ => match self.node(id)? {
                Datum::Bool(value) => Ok(value),
                other => Err(not_a_boolean(&other)),
            },
        }
    }

    /// `&&` and `||` of any number of operands: one that is `decisive` decides, whatever the others
    /// are; otherwise the first fault counts.
    fn logic(&mut self, parts: Span, decisive: bool) -> Result<bool, Fault> {
        let mut fault = None;
        let code = self.code;
        for id in code.links(parts) {
            match self.boolean(*id) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(last) if last.is_final() => return Err(last),
                Err(next) => {
                    fault.get_or_insert(next);
                }
            }
        }
        fault.map_or(Ok(!decisive), Err)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: NodeId,
        right: NodeId,
    ) -> Result<bool, Fault> {
        if let Some((left, left_cost)) = self.lent(left)
            && let Some((right, right_cost)) = self.lent(right)
            && let Some(ordering) = compare_scalars(left, right)
        {
            let cost = left_cost + right_cost;
            self.budget.charge(
                cost + left.as_text().map_or(0, |text| text.as_bytes().len() as u64 / 32),
            )?;
            return Ok(comparison.holds(ordering));
        }
        self.compare_any(comparison, left, right)
    }

    /// The value of an operand that lies in a document or in the program, and what it costs. Most
    /// conditions compare nothing else; handing such values around as views, in registers, takes half
    /// the time. `None` for everything unusual, faults too, which the long way finds again.
    #[inline(always)]
    fn lent(&self, id: NodeId) -> Option<(View<'a>, u64)> {
        let code = self.code;
        match code.node(id) {
            ExprNode::Constant(number) => {
                code.constants[number as usize].view().map(|view| (view, 1))
            }
            ExprNode::Variable(number) => self.variable(number).map(|view| (view, 1)),
            ExprNode::Path { base, steps } => {
                let mut view = match code.node(base) {
                    ExprNode::Root(Global::This) => self.scope.this?,
                    ExprNode::Root(Global::Args) => self.scope.args?,
                    ExprNode::Variable(number) => self.variable(number)?,
                    _ => return None,
                };
                for step in code.steps(steps) {
                    let (AccessStep::Name(name), View::Object(object)) = (*step, view) else {
                        return None;
                    };
                    view = object.get_kept(code.kept_name(name))?;
                }
                Some((view, 1 + u64::from(steps.len)))
            }
            _ => None,
        }
    }

    /// A node's value, found the short way where there is one.
    #[inline(always)]
    fn operand(&mut self, id: NodeId) -> Evaluated<'a> {
        match self.lent(id) {
            Some((view, cost)) => {
                self.budget.charge(cost)?;
                Ok(Datum::from(view))
            }
            None => self.node(id),
        }
    }

    #[inline]
    fn variable(&self, number: u32) -> Option<View<'a>> {
        match &self.variables[number as usize] {
            Datum::Int(value) => Some(View::Int(*value)),
            Datum::Str(text) => Some(View::Str(*text)),
            Datum::Map(Map::Document(object)) => Some(View::Object(*object)),
            Datum::Bool(value) => Some(View::Bool(*value)),
            _ => None,
        }
    }

    #[inline(never)]
    fn compare_any(
        &mut self,
        comparison: Comparison,
        left: NodeId,
        right: NodeId,
    ) -> Result<bool, Fault> {
        let left = self.node(left)?;
        let right = self.node(right)?;
        match comparison {
            Comparison::Equal => left.equals(&right, &mut self.budget),
            Comparison::NotEqual => left.equals(&right, &mut self.budget).map(|equal| !equal),
            _ => left.compare(&right, &mut self.budget).map(|ordering| comparison.holds(ordering)),
        }
    }

    fn chain(&mut self, first: NodeId, terms: Span) -> Evaluated<'a> {
        let mut value = self.operand(first)?;
        let code = self.code;
        for (operator, operand) in code.terms(terms) {
            self.budget.charge(1)?;
            let operand = self.operand(*operand)?;
            value = arithmetic::apply(*operator, value, operand, &mut self.budget)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn root(&mut self, root: Global) -> Evaluated<'a> {
        let missing = || Fault::text(format!("there is no {} here", root.name()));
        match root {
            Global::This => self.scope.this.map(Datum::from).ok_or_else(missing),
            Global::Args => {
                let none = Fault::Because("the expression reads args, and the command has no ARGS");
                self.scope.args.map(Datum::from).ok_or(none)
            }
            Global::Docs => {
                let docs = Docs::of(self.scope).ok_or_else(missing)?;
                Ok(Datum::Map(Map::Documents(docs)))
            }
            Global::Value => Ok(self.scope.value.map_or(Datum::Null, Datum::from)),
            Global::Now => {
                let now = self.scope.now_us.and_then(Instant::from_micros);
                now.map(Datum::Timestamp).ok_or_else(missing)
            }
            Global::Key => match std::str::from_utf8(self.scope.key) {
                Ok(key) => Ok(Datum::Str(Text::from(key))),
                Err(_) => Err(Fault::Because("the key is not UTF-8")),
            },
            Global::Revision => {
                let revision = self.scope.revision.ok_or_else(missing)?;
                Ok(Datum::Int(i64::try_from(revision).map_err(|_| "the revision is too large")?))
            }
        }
    }

    fn is_in(&mut self, item: NodeId, container: NodeId) -> Evaluated<'a> {
        let item = self.operand(item)?;
        let container = self.operand(container)?;
        contains(&container, &item, &mut self.budget).map(Datum::Bool)
    }

    #[inline(never)]
    fn bind(&mut self, variable: u32, value: NodeId, body: NodeId) -> Evaluated<'a> {
        self.variables[variable as usize] = self.node(value)?;
        self.node(body)
    }

    #[inline(never)]
    fn list_literal(&mut self, items: Span) -> Evaluated<'a> {
        let code = self.code;
        let mut made = Vec::with_capacity(items.len as usize);
        for id in code.links(items) {
            if let Some(item) = self.item(*id)? {
                made.push(item);
            }
        }
        self.budget.make_list(made.len())?;
        Datum::list(made)
    }

    /// An element of a literal; none where it is an optional without a value.
    fn item(&mut self, id: NodeId) -> Result<Option<Datum<'a>>, Fault> {
        match self.code.node(id) {
            ExprNode::IfPresent(optional) => self.if_present(optional),
            _ => self.node(id).map(Some),
        }
    }

    #[inline(never)]
    fn map_literal(&mut self, parts: Span) -> Evaluated<'a> {
        let code = self.code;
        let mut entries: Vec<(Datum<'a>, Datum<'a>)> = Vec::with_capacity(parts.len as usize / 2);
        for pair in code.links(parts).chunks_exact(2) {
            let key = self.node(pair[0])?;
            let Some(value) = self.item(pair[1])? else { continue };
            self.add_entry(&mut entries, key, value)?;
        }
        Datum::map(entries)
    }

    /// The entries of a map that is written out as the whole expression: it is paid for and refused as the map would be,
    /// which nothing refers to.
    #[inline(never)]
    pub fn root_entries(&mut self, parts: Span) -> Result<RootEntries<'a>, Fault> {
        self.budget.charge(1)?;
        let code = self.code;
        let mut entries = RootEntries::new();
        for pair in code.links(parts).chunks_exact(2) {
            let key = self.node(pair[0])?;
            let Some(value) = self.item(pair[1])? else { continue };
            self.check_key(&entries, &key)?;
            entries.push((key, value));
        }
        Datum::check_entries(&entries)?;
        Ok(entries)
    }

    /// Adds an entry whose key has to be another one than those before.
    fn add_entry(
        &mut self,
        entries: &mut Vec<(Datum<'a>, Datum<'a>)>,
        key: Datum<'a>,
        value: Datum<'a>,
    ) -> Result<(), Fault> {
        self.check_key(entries, &key)?;
        entries.push((key, value));
        Ok(())
    }

    /// Refuses the key of a new entry that is no key, or that of an entry before it.
    fn check_key(
        &mut self,
        entries: &[(Datum<'a>, Datum<'a>)],
        key: &Datum<'a>,
    ) -> Result<(), Fault> {
        if !matches!(key, Datum::Bool(_) | Datum::Int(_) | Datum::Uint(_)) && key.utf8().is_none() {
            return Err(not_a_key(key));
        }
        self.budget.make_list(2)?;
        for (own, _) in entries {
            self.budget.charge(1)?;
            if own.equals(key, &mut self.budget)? {
                return Err(Fault::Because("a key is repeated"));
            }
        }
        Ok(())
    }
}

/// The order of two scalars of one type that has an order.
#[inline(always)]
fn compare_scalars(left: View<'_>, right: View<'_>) -> Option<Ordering> {
    match (left, right) {
        (View::Int(left), View::Int(right)) => Some(left.cmp(&right)),
        (View::Str(left), View::Str(right)) => Some(left.cmp(&right)),
        (View::Float(left), View::Float(right)) => left.partial_cmp(&right),
        (View::Bool(left), View::Bool(right)) => Some(left.cmp(&right)),
        _ => None,
    }
}

/// Tests for an equal element of a list, or for a key of a map.
fn contains(
    container: &Datum<'_>,
    item: &Datum<'_>,
    budget: &mut StepBudget,
) -> Result<bool, Fault> {
    match container {
        Datum::List(list) => list_contains(list, item, budget),
        Datum::Map(map) => {
            check_key(item)?;
            Ok(map.get(item, budget)?.is_some())
        }
        other => Err(Fault::text(format!(
            "'in' needs a list or a map on its right, not {}",
            other.described()
        ))),
    }
}

pub(super) fn list_contains(
    list: &List<'_>,
    item: &Datum<'_>,
    budget: &mut StepBudget,
) -> Result<bool, Fault> {
    for own in list.iter() {
        budget.charge(2)?;
        if own.equals(item, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses values that are never keys of a map.
fn check_key(key: &Datum<'_>) -> Result<(), Fault> {
    match key {
        Datum::Bool(_) | Datum::Int(_) | Datum::Uint(_) | Datum::Double(_) => Ok(()),
        other if other.utf8().is_some() => Ok(()),
        other => Err(not_a_key(other)),
    }
}

#[cold]
fn not_a_key(key: &Datum<'_>) -> Fault {
    Fault::text(format!("{} is no key of a map", key.described()))
}

#[cold]
fn not_a_boolean(value: &Datum<'_>) -> Fault {
    Fault::text(format!("expected a bool, not {}", value.described()))
}
