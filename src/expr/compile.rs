//! From source to code.
//!
//! The `cel` crate parses; what it makes of the macros is recognised again and compiled to loops of
//! our own, which can be charged for. Every name is resolved here: an expression that compiles names
//! nothing unknown. Nesting is bounded twice, before parsing by the tokens, here by what is built.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};
use cel::parser::PrattParser;

use super::code::{Code, Id, Macro, Node, Root, Span, Step};
use super::datum::Constant;
use super::pattern::{self, Pattern};
use super::syntax::{
    Part, appended, comparison, first_name, is_index, literal_str, operator, type_name,
};
use super::{ExprLimits, Names, Scope, eval, functions, scan};
use crate::error::{Error, ErrorCode, Result};

/// What a literal may take to be computed ahead of time.
const FOLD_STEPS: u64 = 2000;

/// What compiling finds out.
pub(super) struct Compiled {
    pub code: Code,
    pub root: Id,
    pub depth: u32,
    pub reads_clock: bool,
    pub self_members: Option<Vec<Box<str>>>,
}

/// `EXPR`, with the source and the place in it.
#[cold]
pub(super) fn refusal(source: &str, message: &str, at: usize) -> Error {
    let before = &source.as_bytes()[..at.min(source.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |nl| nl + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Error::new(ErrorCode::Expr, format!("{message}, at line {line} column {column}"))
        .text("expr", source.as_bytes())
}

pub(super) fn compile(source: &str, names: Names, limits: &ExprLimits) -> Result<Compiled> {
    if source.len() > limits.bytes {
        return Err(Error::limit("model.expression-bytes", limits.bytes as u64));
    }
    scan::check(source, limits)?;
    let parsed = PrattParser::new()
        // The tokens were looked at: this only stands behind.
        .max_recursion_depth(limits.depth.saturating_mul(2).saturating_add(8).min(1000) as u16)
        .enable_ident_escape_syntax(true)
        .parse(source);
    let ast = parsed.map_err(|errors| syntax_error(source, &errors))?;
    let mut compiler = Compiler {
        source,
        names,
        limits,
        code: Code::default(),
        variables: Vec::new(),
        depth: 0,
        depth_max: 0,
        reads: Reads::default(),
    };
    let root = compiler.expression(&ast)?;
    let Compiler { mut code, reads, depth_max, .. } = compiler;
    code.shrink();
    Ok(Compiled {
        code,
        root,
        depth: depth_max,
        reads_clock: reads.clock,
        self_members: (!reads.anything_else).then_some(reads.members),
    })
}

#[cold]
fn syntax_error(source: &str, errors: &cel::ParseErrors) -> Error {
    let Some(first) = errors.errors.first() else { return refusal(source, "syntax error", 0) };
    let message =
        format!("{}, at line {} column {}", first.msg, first.pos.0.max(1), first.pos.1.max(1));
    Error::new(ErrorCode::Expr, message).text("expr", source.as_bytes())
}

/// What an expression depends on.
#[derive(Default)]
struct Reads {
    clock: bool,
    /// Root members of `self`, each once.
    members: Vec<Box<str>>,
    /// `self` as a whole, or anything but `self`.
    anything_else: bool,
}

struct Compiler<'s> {
    source: &'s str,
    names: Names,
    limits: &'s ExprLimits,
    code: Code,
    /// The variables of the macros around this place, innermost last.
    variables: Vec<String>,
    depth: u32,
    depth_max: u32,
    reads: Reads,
}

/// What a path begins with, and how many of the names behind it that has taken.
enum Base {
    Node(Id),
    /// `oldSelf` and the names behind it.
    Old(u32),
}

impl Compiler<'_> {
    fn refuse(&self, message: &str) -> Error {
        refusal(self.source, message, 0)
    }

    /// A refusal for the sake of a name in the source.
    fn refuse_name(&self, message: &str, name: &str) -> Error {
        let at = scan::position_of(self.source, name.trim_start_matches('.')).unwrap_or(0);
        refusal(self.source, &format!("{message}: {name}"), at)
    }

    fn add(&mut self, node: Node) -> Id {
        self.code.nodes.push(node);
        Id(self.code.nodes.len() as u32 - 1)
    }

    fn constant(&mut self, constant: Constant) -> Id {
        self.code.constants.push(constant);
        self.add(Node::Constant(self.code.constants.len() as u32 - 1))
    }

    fn name(&mut self, name: &str) -> u32 {
        let known = self.code.names.iter().position(|own| **own == *name);
        known.unwrap_or_else(|| {
            self.code.names.push(name.into());
            self.code.names.len() - 1
        }) as u32
    }

    fn links(&mut self, ids: &[Id]) -> Span {
        let start = self.code.links.len() as u32;
        self.code.links.extend_from_slice(ids);
        Span { start, len: ids.len() as u32 }
    }

    fn expressions(&mut self, list: &[IdedExpr]) -> Result<Vec<Id>> {
        list.iter().map(|expr| self.expression(expr)).collect()
    }

    /// Every recursion of compiling goes through here.
    fn expression(&mut self, expr: &IdedExpr) -> Result<Id> {
        self.depth += 1;
        self.depth_max = self.depth_max.max(self.depth);
        if self.depth > self.limits.depth {
            return Err(Error::limit("model.expression-depth", self.limits.depth.into()));
        }
        let id = self.dispatch(expr)?;
        self.depth -= 1;
        Ok(id)
    }

    fn dispatch(&mut self, expr: &IdedExpr) -> Result<Id> {
        match &expr.expr {
            Expr::Literal(literal) => Ok(self.literal(literal)),
            Expr::Ident(_) | Expr::Select(_) => self.path(expr),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => {
                let items = self.expressions(&list.elements)?;
                let node = Node::List(self.links(&items));
                Ok(self.folded(node, &items))
            }
            Expr::Map(map) => self.map(&map.entries),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(made) => Err(self.refuse_name("messages cannot be made", &made.type_name)),
            Expr::Unspecified => Err(self.refuse("syntax error")),
        }
    }

    fn literal(&mut self, literal: &LiteralValue) -> Id {
        self.constant(match literal {
            LiteralValue::Boolean(value) => Constant::Bool(*value.inner()),
            LiteralValue::Bytes(bytes) => Constant::Bytes(bytes.inner().into()),
            LiteralValue::Double(value) => Constant::Double(*value.inner()),
            LiteralValue::Int(value) => Constant::Int(*value.inner()),
            LiteralValue::Null => Constant::Null,
            LiteralValue::String(text) => Constant::Str(text.inner().into()),
            LiteralValue::UInt(value) => Constant::Uint(*value.inner()),
        })
    }

    fn map(&mut self, entries: &[cel::common::ast::IdedEntryExpr]) -> Result<Id> {
        let mut parts = Vec::with_capacity(entries.len() * 2);
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.refuse("messages cannot be made"));
            };
            parts.push(self.expression(&entry.key)?);
            parts.push(self.expression(&entry.value)?);
        }
        let node = Node::Map(self.links(&parts));
        Ok(self.folded(node, &parts))
    }

    /// The node, or the constant it always gives.
    fn folded(&mut self, node: Node, parts: &[Id]) -> Id {
        let id = self.add(node);
        let constant = |id: &Id| matches!(self.code.node(*id), Node::Constant(_));
        if !parts.iter().all(constant) {
            return id;
        }
        let made = {
            let scope = Scope::EMPTY;
            let mut evaluation = eval::Eval::new(&self.code, &scope, FOLD_STEPS);
            // What fails now fails when it is evaluated, if it ever is.
            evaluation.node(id).ok().and_then(|datum| Constant::copy(&datum))
        };
        match made {
            Some(constant) => {
                self.code.nodes.pop();
                self.constant(constant)
            }
            None => id,
        }
    }

    fn variable(&self, name: &str) -> Option<u32> {
        self.variables.iter().rposition(|own| own == name).map(|at| at as u32)
    }

    /// What a name stands for, when it is one of those a caller provides.
    fn root(&self, name: &str) -> Option<Root> {
        match name.strip_prefix('.').unwrap_or(name) {
            "self" => Some(Root::This),
            "now" => Some(Root::Now),
            "key" => Some(Root::Key),
            "revision" => Some(Root::Revision),
            "args" if self.names.args => Some(Root::Args),
            "docs" if self.names.docs => Some(Root::Docs),
            "value" if self.names.value => Some(Root::Value),
            _ => None,
        }
    }

    fn is_old_self(&self, name: &str) -> bool {
        self.names.old_self
            && name.trim_start_matches('.') == "oldSelf"
            && self.variable(name).is_none()
    }

    /// Members and elements of something, from the outside in: without recursion, because names
    /// behind names are no nesting.
    fn path(&mut self, expr: &IdedExpr) -> Result<Id> {
        if let Expr::Select(select) = &expr.expr
            && select.test
        {
            return self.has(select);
        }
        if let Some(name) = type_name(&expr.expr)
            && self.variable(first_name(name)).is_none()
        {
            return Ok(self.constant(Constant::Type(name)));
        }
        let mut behind = Vec::new();
        let mut inner = expr;
        loop {
            match &inner.expr {
                Expr::Select(select) if !select.test => {
                    behind.push(Part::Name(&select.field));
                    inner = &select.operand;
                }
                Expr::Call(call) if is_index(call) => {
                    behind.push(match literal_str(&call.args[1]) {
                        Some(name) => Part::Name(name),
                        None => Part::Index(&call.args[1]),
                    });
                    inner = &call.args[0];
                }
                _ => break,
            }
        }
        behind.reverse();
        let (base, taken) = self.base(inner, &behind)?;
        let base = match base {
            Base::Node(id) => id,
            Base::Old(path) => self.add(Node::Old(path)),
        };
        self.steps(base, &behind[taken..])
    }

    fn steps(&mut self, base: Id, parts: &[Part<'_>]) -> Result<Id> {
        if parts.is_empty() {
            return Ok(base);
        }
        let mut steps = Vec::with_capacity(parts.len());
        for part in parts {
            steps.push(match part {
                Part::Name(name) => Step::Name(self.name(name)),
                Part::Index(expr) => Step::Index(self.expression(expr)?),
            });
        }
        let start = self.code.steps.len() as u32;
        self.code.steps.extend_from_slice(&steps);
        Ok(self.add(Node::Path { base, steps: Span { start, len: steps.len() as u32 } }))
    }

    /// The base of a path, noting what of the document it makes the expression depend on.
    fn base(&mut self, expr: &IdedExpr, behind: &[Part<'_>]) -> Result<(Base, usize)> {
        let Expr::Ident(name) = &expr.expr else {
            return Ok((Base::Node(self.expression(expr)?), 0));
        };
        if let Some(variable) = self.variable(name) {
            return Ok((Base::Node(self.add(Node::Variable(variable))), 0));
        }
        if self.is_old_self(name) {
            let names: Vec<Box<str>> = behind.iter().map_while(Part::name).map(Box::from).collect();
            let taken = names.len();
            return Ok((Base::Old(self.old_path(names)), taken));
        }
        let Some(root) = self.root(name) else {
            if let Some(name) = type_name(&expr.expr) {
                return Ok((Base::Node(self.constant(Constant::Type(name))), 0));
            }
            return Err(self.refuse_name("unknown name", name));
        };
        match (root, behind.first()) {
            (Root::This, Some(Part::Name(member))) => {
                if !self.reads.members.iter().any(|known| **known == **member) {
                    self.reads.members.push((*member).into());
                }
            }
            _ => self.reads.anything_else = true,
        }
        self.reads.clock |= root == Root::Now;
        Ok((Base::Node(self.add(Node::Root(root))), 0))
    }

    fn old_path(&mut self, path: Vec<Box<str>>) -> u32 {
        self.reads.anything_else = true;
        let known = self.code.old_paths.iter().position(|own| *own == path);
        known.unwrap_or_else(|| {
            self.code.old_paths.push(path);
            self.code.old_paths.len() - 1
        }) as u32
    }

    fn has(&mut self, select: &SelectExpr) -> Result<Id> {
        if let Some(mut path) = self.old_names(&select.operand) {
            path.push(select.field.as_str().into());
            let path = self.old_path(path);
            return Ok(self.add(Node::HasOld(path)));
        }
        let base = match &select.operand.expr {
            // Only this member decides, not all of the document.
            Expr::Ident(_) => match self.base(&select.operand, &[Part::Name(&select.field)])?.0 {
                Base::Node(id) => id,
                Base::Old(_) => unreachable!("names behind oldSelf were looked at"),
            },
            _ => self.expression(&select.operand)?,
        };
        let name = self.name(&select.field);
        Ok(self.add(Node::Has { base, name }))
    }

    /// The names behind `oldSelf`, when the expression is nothing but that.
    fn old_names(&self, expr: &IdedExpr) -> Option<Vec<Box<str>>> {
        let mut names = Vec::new();
        let mut inner = expr;
        loop {
            match &inner.expr {
                Expr::Ident(name) if self.is_old_self(name) => break,
                Expr::Select(select) if !select.test => {
                    names.push(select.field.as_str().into());
                    inner = &select.operand;
                }
                Expr::Call(call) if is_index(call) => {
                    names.push(literal_str(&call.args[1])?.into());
                    inner = &call.args[0];
                }
                _ => return None,
            }
        }
        names.reverse();
        Some(names)
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<Id> {
        if call.target.is_some() {
            return self.function(call);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX, _) => self.path(expr),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _) => self.logic(expr, call),
            (operators::CONDITIONAL, [test, then, other]) => {
                let (test, then) = (self.expression(test)?, self.expression(then)?);
                let other = self.expression(other)?;
                Ok(self.add(Node::Choose { test, then, other }))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.expression(operand)?;
                Ok(self.folded(Node::Not(operand), &[operand]))
            }
            (operators::NEGATE, [operand]) => {
                let operand = self.expression(operand)?;
                Ok(self.folded(Node::Negate(operand), &[operand]))
            }
            (operators::IN, [item, container]) => {
                let (item, container) = (self.expression(item)?, self.expression(container)?);
                Ok(self.add(Node::In { item, container }))
            }
            (name, [left, right]) if comparison(name).is_some() => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                let comparison = comparison(name).expect("it was looked at");
                Ok(self.add(Node::Compare { comparison, left, right }))
            }
            (name, [_, _]) if operator(name).is_some() => self.chain(expr),
            _ => self.function(call),
        }
    }

    /// A chain of `&&` or of `||`, however it is bracketed: the outcome is the same, and none of it
    /// is nesting.
    fn logic(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<Id> {
        let mut parts = Vec::new();
        let mut rest = vec![expr];
        while let Some(part) = rest.pop() {
            match &part.expr {
                Expr::Call(inner)
                    if inner.func_name == call.func_name && inner.target.is_none() =>
                {
                    rest.extend(inner.args.iter().rev());
                }
                _ => parts.push(self.expression(part)?),
            }
        }
        let parts = self.links(&parts);
        let and = call.func_name == operators::LOGICAL_AND;
        Ok(self.add(if and { Node::And(parts) } else { Node::Or(parts) }))
    }

    /// Operators in a row that bind to the left are no nesting either.
    fn chain(&mut self, expr: &IdedExpr) -> Result<Id> {
        let mut behind = Vec::new();
        let mut inner = expr;
        while let Expr::Call(call) = &inner.expr
            && let (None, Some(operator), [left, right]) =
                (&call.target, operator(&call.func_name), call.args.as_slice())
        {
            behind.push((operator, right));
            inner = left;
        }
        let first = self.expression(inner)?;
        let mut terms = Vec::with_capacity(behind.len());
        for (operator, operand) in behind.into_iter().rev() {
            terms.push((operator, self.expression(operand)?));
        }
        let parts: Vec<Id> =
            std::iter::once(first).chain(terms.iter().map(|(_, operand)| *operand)).collect();
        let start = self.code.terms.len() as u32;
        self.code.terms.extend_from_slice(&terms);
        let terms = Span { start, len: terms.len() as u32 };
        Ok(self.folded(Node::Chain { first, terms }, &parts))
    }

    fn function(&mut self, call: &CallExpr) -> Result<Id> {
        let namespace = call.target.as_deref().and_then(|target| match &target.expr {
            Expr::Ident(name) if self.variable(name).is_none() && functions::is_namespace(name) => {
                Some(name.as_str())
            }
            _ => None,
        });
        let full_name = match namespace {
            Some(namespace) => format!("{namespace}.{}", call.func_name),
            None => call.func_name.trim_start_matches('.').to_owned(),
        };
        let target = call.target.as_deref().filter(|_| namespace.is_none());
        match (full_name.as_str(), target, call.args.as_slice()) {
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                if let Some(pattern) = literal_str(pattern) {
                    return self.matches(text, pattern);
                }
            }
            ("sortBy", Some(range), [variable, key]) => return self.sort_by(range, variable, key),
            _ => {}
        }
        let count = call.args.len() + usize::from(target.is_some());
        let function = match functions::find(&full_name, target.is_some(), count) {
            Ok(function) => function,
            Err(message) => return Err(self.refuse_name(message, &full_name)),
        };
        let mut arguments = Vec::with_capacity(count);
        for argument in target.into_iter().chain(&call.args) {
            arguments.push(self.expression(argument)?);
        }
        let node = Node::Call { function, arguments: self.links(&arguments) };
        Ok(self.folded(node, &arguments))
    }

    /// A pattern that is written out is compiled once.
    fn matches(&mut self, text: &IdedExpr, pattern: &str) -> Result<Id> {
        let text = self.expression(text)?;
        if let Some(known) = self.code.patterns.iter().position(|own| own.is(pattern)) {
            return Ok(self.add(Node::Matches { text, pattern: known as u32 }));
        }
        let compiled = Pattern::compile(pattern).map_err(|why| {
            let at = self.source.find(pattern).unwrap_or(0);
            refusal(self.source, &why, at)
        })?;
        self.code.patterns.push(compiled);
        let patterns = &self.code.patterns;
        if patterns.iter().map(Pattern::kib).sum::<usize>() > pattern::TOTAL_KIB_MAX
            || patterns.iter().map(Pattern::reading_steps).sum::<u64>() > pattern::TOTAL_READING_MAX
        {
            return Err(self.refuse("the regular expressions are too large together"));
        }
        Ok(self.add(Node::Matches { text, pattern: self.code.patterns.len() as u32 - 1 }))
    }

    fn sort_by(&mut self, range: &IdedExpr, variable: &IdedExpr, key: &IdedExpr) -> Result<Id> {
        let Expr::Ident(variable) = &variable.expr else {
            return Err(self.refuse("the first argument of sortBy() is a name"));
        };
        let range = self.expression(range)?;
        let (number, key) = self.with_variable(variable, |own| own.expression(key))?;
        Ok(self.add(Node::Macro {
            kind: Macro::SortBy,
            range,
            variable: number,
            test: None,
            item: Some(key),
        }))
    }

    fn with_variable<T>(
        &mut self,
        name: &str,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(u32, T)> {
        let number = self.variables.len() as u32;
        self.variables.push(name.to_owned());
        self.code.variables = self.code.variables.max(number + 1);
        let made = body(self)?;
        self.variables.pop();
        Ok((number, made))
    }

    /// A macro, from what the parser expanded it to. The names the parser gives its own variables
    /// cannot be written by a user.
    fn comprehension(&mut self, macro_: &ComprehensionExpr) -> Result<Id> {
        let unknown = || refusal(self.source, "unknown macro", 0);
        let Expr::Call(step) = &macro_.loop_step.expr else { return Err(unknown()) };
        let (kind, test, item) = match (&macro_.accu_init.expr, step.func_name.as_str()) {
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND) => {
                (Macro::All, step.args.get(1), None)
            }
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR) => {
                (Macro::Exists, step.args.get(1), None)
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL) => {
                (Macro::ExistsOne, step.args.first(), None)
            }
            (Expr::List(_), operators::CONDITIONAL) => {
                let added = step.args.get(1).and_then(appended).ok_or_else(unknown)?;
                (Macro::Map, step.args.first(), Some(added))
            }
            (Expr::List(_), operators::ADD) => {
                let added = appended(&macro_.loop_step).ok_or_else(unknown)?;
                (Macro::Map, None, Some(added))
            }
            _ => return Err(unknown()),
        };
        let range = self.expression(&macro_.iter_range)?;
        let (variable, (test, item)) = self.with_variable(&macro_.iter_var, |own| {
            let test = test.map(|test| own.expression(test)).transpose()?;
            let item = item.map(|item| own.expression(item)).transpose()?;
            Ok((test, item))
        })?;
        Ok(self.add(Node::Macro { kind, range, variable, test, item }))
    }
}
