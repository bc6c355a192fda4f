//! The evaluator: CEL over values in place.
//!
//! Every node is paid for, over literals too; loops and whatever touches many bytes pay for that as
//! well. A fault absorbed by `&&`, `||`, `all()` or `exists()` stays one when the budget is spent:
//! that ends everything at once. Recursion follows the nesting of the expression, which the compiler
//! bounds, never that of a document. Each function below keeps its frame small for that reason.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::arithmetic;
use super::budget::{Budget, Fault};
use super::code::{Code, Comparison, Id, Macro, Node, Root, Span, Step};
use super::datum::{Datum, Docs, Instant, List, Map};
use super::pattern::Pattern;
use super::{Captured, Scope};
use crate::value::{Text, View};

pub(super) type Outcome<'a> = Result<Datum<'a>, Fault>;

pub(super) struct Eval<'a> {
    code: &'a Code,
    scope: &'a Scope<'a>,
    pub budget: Budget,
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
            budget: Budget::within(steps, scope.allowance),
            variables,
            pattern: None,
        }
    }

    /// The value of a node.
    pub fn node(&mut self, id: Id) -> Outcome<'a> {
        self.budget.charge(1)?;
        match self.code.node(id) {
            Node::Constant(number) => Ok(self.code.constants[number as usize].lend()),
            Node::Variable(number) => Ok(self.variables[number as usize].clone()),
            Node::Path { base, steps } => self.path(base, steps),
            Node::Compare { comparison, left, right } => {
                self.compare(comparison, left, right).map(Datum::Bool)
            }
            Node::And(parts) => self.logic(parts, false).map(Datum::Bool),
            Node::Or(parts) => self.logic(parts, true).map(Datum::Bool),
            Node::Not(operand) => self.boolean(operand).map(|value| Datum::Bool(!value)),
            Node::Choose { test, then, other } => {
                let next = if self.boolean(test)? { then } else { other };
                self.node(next)
            }
            Node::Chain { first, terms } => self.chain(first, terms),
            Node::Root(root) => self.root(root),
            Node::Has { base, name } => self.has(base, name),
            Node::In { item, container } => self.is_in(item, container),
            Node::Call { function, arguments } => {
                let arguments = self.all_of(arguments)?;
                self.budget.charge(2)?;
                function.call(self, &arguments)
            }
            Node::Macro { kind, range, variable, test, item } => match kind {
                Macro::All => self.any(range, variable, test, false),
                Macro::Exists => self.any(range, variable, test, true),
                Macro::ExistsOne => self.exists_one(range, variable, test),
                Macro::Map => self.map_macro(range, variable, test, item),
                Macro::SortBy => self.sort_by(range, variable, item),
            },
            Node::List(items) => {
                let items = self.all_of(items)?;
                self.budget.make_list(items.len())?;
                Ok(Datum::list(items.into_vec()))
            }
            Node::Map(parts) => self.map_literal(parts),
            Node::Negate(operand) => arithmetic::negate(self.node(operand)?),
            Node::Matches { text, pattern } => self.matches_constant(text, pattern),
            Node::Old(path) => self.old(path),
            Node::HasOld(path) => self.has_old(path),
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
    pub fn boolean(&mut self, id: Id) -> Result<bool, Fault> {
        match self.code.node(id) {
            Node::Compare { comparison, left, right } => {
                self.budget.charge(1)?;
                self.compare(comparison, left, right)
            }
            Node::And(parts) => {
                self.budget.charge(1)?;
                self.logic(parts, false)
            }
            Node::Or(parts) => {
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

    fn compare(&mut self, comparison: Comparison, left: Id, right: Id) -> Result<bool, Fault> {
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
    fn lent(&self, id: Id) -> Option<(View<'a>, u64)> {
        let code = self.code;
        match code.node(id) {
            Node::Constant(number) => code.constants[number as usize].view().map(|view| (view, 1)),
            Node::Variable(number) => self.variable(number).map(|view| (view, 1)),
            Node::Path { base, steps } => {
                let mut view = match code.node(base) {
                    Node::Root(Root::This) => self.scope.this?,
                    Node::Root(Root::Args) => self.scope.args?,
                    Node::Variable(number) => self.variable(number)?,
                    _ => return None,
                };
                for step in code.steps(steps) {
                    let (Step::Name(name), View::Object(object)) = (*step, view) else {
                        return None;
                    };
                    view = object.get(code.name(name))?;
                }
                Some((view, 1 + u64::from(steps.len)))
            }
            _ => None,
        }
    }

    /// A node's value, found the short way where there is one.
    #[inline(always)]
    fn operand(&mut self, id: Id) -> Outcome<'a> {
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
    fn compare_any(&mut self, comparison: Comparison, left: Id, right: Id) -> Result<bool, Fault> {
        let left = self.node(left)?;
        let right = self.node(right)?;
        match comparison {
            Comparison::Equal => left.equals(&right, &mut self.budget),
            Comparison::NotEqual => left.equals(&right, &mut self.budget).map(|equal| !equal),
            _ => left.compare(&right, &mut self.budget).map(|ordering| comparison.holds(ordering)),
        }
    }

    fn chain(&mut self, first: Id, terms: Span) -> Outcome<'a> {
        let mut value = self.operand(first)?;
        let code = self.code;
        for (operator, operand) in code.terms(terms) {
            let operand = self.operand(*operand)?;
            value = arithmetic::apply(*operator, value, operand, &mut self.budget)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn root(&mut self, root: Root) -> Outcome<'a> {
        let missing = || Fault::text(format!("there is no {} here", root.name()));
        match root {
            Root::This => self.scope.this.map(Datum::from).ok_or_else(missing),
            Root::Args => self.scope.args.map(Datum::from).ok_or_else(missing),
            Root::Docs => {
                let docs = Docs::of(self.scope).ok_or_else(missing)?;
                Ok(Datum::Map(Map::Documents(docs)))
            }
            Root::Value => Ok(self.scope.value.map_or(Datum::Null, Datum::from)),
            Root::Now => {
                let now = self.scope.now_us.and_then(Instant::from_micros);
                now.map(Datum::Timestamp).ok_or_else(missing)
            }
            Root::Key => match std::str::from_utf8(self.scope.key) {
                Ok(key) => Ok(Datum::Str(Text::from(key))),
                Err(_) => Err(Fault::Because("the key is not UTF-8")),
            },
            Root::Revision => {
                let revision = self.scope.revision.ok_or_else(missing)?;
                Ok(Datum::Int(i64::try_from(revision).map_err(|_| "the revision is too large")?))
            }
        }
    }

    fn path(&mut self, base: Id, steps: Span) -> Outcome<'a> {
        let code = self.code;
        let steps = code.steps(steps);
        self.budget.charge(steps.len() as u64)?;
        let document = match code.node(base) {
            Node::Root(Root::This) => self.scope.this,
            Node::Root(Root::Args) => self.scope.args,
            _ => None,
        };
        match document {
            Some(document) => self.path_in_document(document, steps),
            None => {
                let value = self.node(base)?;
                self.follow(value, steps)
            }
        }
    }

    /// Names inside a document need no values in between.
    fn path_in_document(&mut self, document: View<'a>, steps: &'a [Step]) -> Outcome<'a> {
        let mut view = document;
        for (at, step) in steps.iter().enumerate() {
            let (Step::Name(name), View::Object(object)) = (*step, view) else {
                return self.follow(Datum::from(view), &steps[at..]);
            };
            view = object.get(self.code.name(name)).ok_or(Fault::NoMember(name))?;
        }
        Ok(Datum::from(view))
    }

    fn follow(&mut self, mut value: Datum<'a>, steps: &'a [Step]) -> Outcome<'a> {
        for step in steps {
            value = match *step {
                Step::Name(name) => self.member(&value, name)?,
                Step::Index(index) => {
                    let index = self.node(index)?;
                    self.element(&value, &index)?
                }
            };
        }
        Ok(value)
    }

    fn member(&mut self, value: &Datum<'a>, name: u32) -> Outcome<'a> {
        let text = self.code.name(name);
        match value {
            Datum::Map(map) => map.get_name(text, &mut self.budget)?.ok_or(Fault::NoMember(name)),
            other => Err(no_members(other, text)),
        }
    }

    fn element(&mut self, value: &Datum<'a>, index: &Datum<'a>) -> Outcome<'a> {
        match value {
            Datum::List(list) => {
                let Some(whole) = index.as_whole() else {
                    return Err(not_an_index(index));
                };
                let found = usize::try_from(whole).ok().and_then(|index| list.get(index));
                found.ok_or(Fault::Because("index out of range"))
            }
            Datum::Map(map) => {
                check_key(index)?;
                let found = map.get(index, &mut self.budget)?;
                found.ok_or_else(|| no_such_key(index))
            }
            other => Err(no_elements(other)),
        }
    }

    fn has(&mut self, base: Id, name: u32) -> Outcome<'a> {
        let text = self.code.name(name);
        match self.node(base)? {
            Datum::Map(map) => Ok(Datum::Bool(map.get_name(text, &mut self.budget)?.is_some())),
            other => Err(no_members(&other, text)),
        }
    }

    fn captured(&self, path: u32) -> Result<&'a Captured, Fault> {
        let path = &self.code.old_paths[path as usize];
        let old = self.scope.old_self.ok_or(Fault::Because("there is no oldSelf here"))?;
        old.get(path).ok_or(Fault::Because("there is no oldSelf here"))
    }

    #[inline(never)]
    fn old(&mut self, path: u32) -> Outcome<'a> {
        let names = &self.code.old_paths[path as usize];
        match self.captured(path)? {
            Captured::Value(value) => Ok(Datum::from(value.view())),
            Captured::Missing(at) => Err(Fault::text(format!("no such member: {}", names[*at]))),
            Captured::NoObject(at) => {
                Err(Fault::text(format!("only maps have members, such as {}", names[*at])))
            }
        }
    }

    #[inline(never)]
    fn has_old(&mut self, path: u32) -> Outcome<'a> {
        let last = self.code.old_paths[path as usize].len() - 1;
        match self.captured(path)? {
            Captured::Value(_) => Ok(Datum::Bool(true)),
            Captured::Missing(at) if *at == last => Ok(Datum::Bool(false)),
            Captured::Missing(_) | Captured::NoObject(_) => self.old(path),
        }
    }

    fn is_in(&mut self, item: Id, container: Id) -> Outcome<'a> {
        let item = self.operand(item)?;
        let container = self.operand(container)?;
        contains(&container, &item, &mut self.budget).map(Datum::Bool)
    }

    #[inline(never)]
    fn map_literal(&mut self, parts: Span) -> Outcome<'a> {
        let parts = self.all_of(parts)?;
        self.budget.make_list(parts.len())?;
        let mut entries: Vec<(Datum<'a>, Datum<'a>)> = Vec::with_capacity(parts.len() / 2);
        let mut parts = parts.into_iter();
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            if !matches!(key, Datum::Bool(_) | Datum::Int(_) | Datum::Uint(_))
                && key.utf8().is_none()
            {
                return Err(not_a_key(&key));
            }
            for (own, _) in &entries {
                self.budget.charge(1)?;
                if own.equals(&key, &mut self.budget)? {
                    return Err(Fault::Because("a key is repeated"));
                }
            }
            entries.push((key, value));
        }
        Ok(Datum::Map(Map::Made(entries.into())))
    }

    /// The text under a pattern that was compiled with the expression.
    fn matches_constant(&mut self, text: Id, pattern: u32) -> Outcome<'a> {
        let text = self.node(text)?;
        let utf8 = text.utf8().ok_or(Fault::Because("matches() wants a string"))?;
        let code = self.code;
        code.patterns[pattern as usize].is_match(utf8, &mut self.budget).map(Datum::Bool)
    }

    /// The text under a pattern that only the evaluation knows.
    #[inline(never)]
    pub fn matches(&mut self, text: &[u8], pattern: &str) -> Result<bool, Fault> {
        self.budget.scan(pattern.len())?;
        if self.pattern.as_ref().is_none_or(|known| !known.is(pattern)) {
            self.pattern = Some(Box::new(Pattern::compile_within(pattern, &mut self.budget)?));
        }
        let known = self.pattern.as_ref().expect("the pattern was compiled");
        known.is_match(text, &mut self.budget)
    }

    /// Calls `body` for every element of the range, with the variable set to it, until it says that
    /// it is done.
    fn each(
        &mut self,
        range: Id,
        variable: u32,
        mut body: impl FnMut(&mut Self) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let range = self.node(range)?;
        let mut visit = |own: &mut Self, item: Datum<'a>| {
            own.budget.charge(1)?;
            own.variables[variable as usize] = item;
            body(own)
        };
        match &range {
            Datum::List(list) => {
                for item in list.iter() {
                    if visit(self, item)? {
                        break;
                    }
                }
            }
            Datum::Map(map) => {
                for (key, _) in map.entries() {
                    if visit(self, key)? {
                        break;
                    }
                }
            }
            other => return Err(no_range(other)),
        }
        Ok(())
    }

    /// `all` and `exists`: as `&&` and `||` of what the test gives for each element.
    #[inline(never)]
    fn any(&mut self, range: Id, variable: u32, test: Option<Id>, decisive: bool) -> Outcome<'a> {
        let test = test.expect("all() and exists() have a test");
        let mut fault = None;
        let mut decided = false;
        self.each(range, variable, |own| {
            match own.boolean(test) {
                Ok(value) => decided = value == decisive,
                Err(last) if last.is_final() => return Err(last),
                Err(next) => {
                    fault.get_or_insert(next);
                }
            }
            Ok(decided)
        })?;
        match fault {
            Some(fault) if !decided => Err(fault),
            _ => Ok(Datum::Bool(decided == decisive)),
        }
    }

    #[inline(never)]
    fn exists_one(&mut self, range: Id, variable: u32, test: Option<Id>) -> Outcome<'a> {
        let test = test.expect("exists_one() has a test");
        let mut count = 0u64;
        self.each(range, variable, |own| {
            count += u64::from(own.boolean(test)?);
            Ok(false)
        })?;
        Ok(Datum::Bool(count == 1))
    }

    #[inline(never)]
    fn map_macro(
        &mut self,
        range: Id,
        variable: u32,
        test: Option<Id>,
        item: Option<Id>,
    ) -> Outcome<'a> {
        let item = item.expect("map() and filter() give items");
        let mut made = Vec::new();
        self.each(range, variable, |own| {
            if test.map_or(Ok(true), |test| own.boolean(test))? {
                own.budget.make_list(1)?;
                made.push(own.node(item)?);
            }
            Ok(false)
        })?;
        Ok(Datum::list(made))
    }

    #[inline(never)]
    fn sort_by(&mut self, range: Id, variable: u32, key: Option<Id>) -> Outcome<'a> {
        let key = key.expect("sortBy() has a key");
        let mut keyed = Vec::new();
        self.each(range, variable, |own| {
            own.budget.make_list(2)?;
            keyed.push((own.node(key)?, own.variables[variable as usize].clone()));
            Ok(false)
        })?;
        super::lists::sort(&mut keyed, |pair| &pair.0, &mut self.budget)?;
        Ok(Datum::list(keyed.into_iter().map(|(_, item)| item).collect()))
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

/// Whether a list has an equal element, or a map the key.
pub(super) fn contains(
    container: &Datum<'_>,
    item: &Datum<'_>,
    budget: &mut Budget,
) -> Result<bool, Fault> {
    match container {
        Datum::List(list) => list_contains(list, item, budget),
        Datum::Map(map) => {
            check_key(item)?;
            Ok(map.get(item, budget)?.is_some())
        }
        other => Err(Fault::text(format!("nothing is in a {}", other.type_name()))),
    }
}

fn list_contains(list: &List<'_>, item: &Datum<'_>, budget: &mut Budget) -> Result<bool, Fault> {
    for own in list.iter() {
        budget.charge(1)?;
        if own.equals(item, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a value can be looked up in a map.
fn check_key(key: &Datum<'_>) -> Result<(), Fault> {
    match key {
        Datum::Bool(_) | Datum::Int(_) | Datum::Uint(_) | Datum::Double(_) => Ok(()),
        other if other.utf8().is_some() => Ok(()),
        other => Err(not_a_key(other)),
    }
}

#[cold]
fn not_a_key(key: &Datum<'_>) -> Fault {
    Fault::text(format!("a {} is no key of a map", key.type_name()))
}

#[cold]
fn not_a_boolean(value: &Datum<'_>) -> Fault {
    Fault::text(format!("a bool is wanted, not a {}", value.type_name()))
}

#[cold]
fn not_an_index(index: &Datum<'_>) -> Fault {
    Fault::text(format!("a {} is no index of a list", index.type_name()))
}

#[cold]
fn no_members(value: &Datum<'_>, name: &str) -> Fault {
    Fault::text(format!("only maps have members, not a {}: {name}", value.type_name()))
}

#[cold]
fn no_elements(value: &Datum<'_>) -> Fault {
    Fault::text(format!("a {} has no elements", value.type_name()))
}

#[cold]
fn no_range(value: &Datum<'_>) -> Fault {
    Fault::text(format!("a macro wants a list or a map, not a {}", value.type_name()))
}

#[cold]
fn no_such_key(key: &Datum<'_>) -> Fault {
    match key.as_str() {
        Some(name) => {
            let cut: String = name.chars().take(64).collect();
            Fault::text(format!("no such member: {cut}"))
        }
        None => Fault::Because("no such key"),
    }
}
