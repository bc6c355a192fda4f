//! From source to code.
//!
//! The `cel` crate parses; its expansions of macros are recognised again and compiled to loops of our own,
//! which can be charged for. Every name is resolved here: an expression that compiles names nothing
//! unknown. Nesting is bounded twice, before parsing by the tokens, here by the nodes that are made.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue};
use cel::parser::PrattParser;

use super::code::{Code, ExprNode, NodeId, Span};
use super::datum::Constant;
use super::limits::{AllowedNames, ExprLimits};
use super::refusal::{past_limit, refusal};
use super::scope::Scope;
use super::{eval, scan};
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::value::names::KeptName;

mod call;
mod macros;
mod path;

/// The steps a literal may take to be computed ahead of time.
const FOLD_STEPS: u64 = 2000;

/// The outcome of compiling.
pub(super) struct Compiled {
    pub code: Code,
    pub root: NodeId,
    pub depth: u32,
    pub reads_clock: bool,
    pub reads_native: bool,
    pub written_keys: Box<[Box<str>]>,
    pub self_members: Option<Vec<Box<str>>>,
}

pub(super) fn compile(source: &str, names: AllowedNames, limits: &ExprLimits) -> Result<Compiled> {
    if source.len() > limits.bytes {
        return Err(Error::limit(limit::EXPRESSION_BYTES, limits.bytes as u64));
    }
    scan::check(source, limits)?;
    let parsed = PrattParser::new()
        // The tokens were looked at: this only stands behind.
        .max_recursion_depth(limits.depth.saturating_mul(2).saturating_add(8).min(1000) as u16)
        .enable_ident_escape_syntax(true)
        .enable_optional_syntax(true)
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
        reads_native: reads.native,
        written_keys: reads.keys.into(),
        self_members: (!reads.anything_else).then_some(reads.members),
    })
}

#[cold]
fn syntax_error(source: &str, errors: &cel::ParseErrors) -> Error {
    let Some(first) = errors.errors.first() else { return refusal(source, "syntax error", 0) };
    let (line, column) = (first.pos.0.max(1), first.pos.1.max(1));
    let message = match foreign_operator(source, line as usize, column as usize) {
        Some((written, own)) => format!("'{written}' is not an operator: write '{own}'"),
        None => first.msg.clone(),
    };
    let message = format!("{message}, at line {line} column {column}");
    Error::new(ErrorCode::Expr, message).text("expr", source.as_bytes())
}

/// Operators of other languages, with those that mean the same here.
const FOREIGN_OPERATORS: [(&str, &str); 8] = [
    ("===", "=="),
    ("!==", "!="),
    ("=", "=="),
    ("and", "&&"),
    ("or", "||"),
    ("not", "!"),
    ("is", "=="),
    ("<>", "!="),
];

/// The operator of another language that stands at the place of a syntax error, or before it.
fn foreign_operator(
    source: &str,
    line: usize,
    column: usize,
) -> Option<(&'static str, &'static str)> {
    let line = source.lines().nth(line - 1)?;
    let at = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
    let (before, behind) = line.split_at(at);
    // The whole operator or word around the place, or the word before it: the error may be at what follows.
    let around = |part: fn(char) -> bool, before: &str| {
        let start = before.trim_end_matches(part).len();
        let end = behind.len() - behind.trim_start_matches(part).len();
        format!("{}{}", &before[start..], &behind[..end])
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let found = [around(|c| "=<>!".contains(c), before), around(is_word, before)];
    let last = before.trim_end();
    let last = &last[last.trim_end_matches(is_word).len()..];
    let known = |word: &str| FOREIGN_OPERATORS.into_iter().find(|(written, _)| *written == word);
    found.iter().map(String::as_str).chain([last]).find_map(known)
}

/// The values an expression depends on.
#[derive(Default)]
struct Reads {
    clock: bool,
    /// A structure of the server.
    native: bool,
    /// Root members of `self`, each once.
    members: Vec<Box<str>>,
    /// Keys of documents and structures that are written out.
    keys: Vec<Box<str>>,
    /// `self` as a whole, or anything but `self`.
    anything_else: bool,
}

struct Compiler<'s> {
    source: &'s str,
    names: AllowedNames,
    limits: &'s ExprLimits,
    code: Code,
    /// The variables of the macros around this place, innermost last.
    variables: Vec<String>,
    depth: u32,
    depth_max: u32,
    reads: Reads,
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

    fn add(&mut self, node: ExprNode) -> NodeId {
        self.code.nodes.push(node);
        NodeId(self.code.nodes.len() as u32 - 1)
    }

    fn constant(&mut self, constant: Constant) -> NodeId {
        self.code.constants.push(constant);
        self.add(ExprNode::Constant(self.code.constants.len() as u32 - 1))
    }

    fn name(&mut self, name: &str) -> u32 {
        let known = self.code.names.iter().position(|own| own.as_str() == name);
        known.unwrap_or_else(|| {
            self.code.names.push(KeptName::new(name));
            self.code.names.len() - 1
        }) as u32
    }

    fn links(&mut self, ids: &[NodeId]) -> Span {
        let start = self.code.links.len() as u32;
        self.code.links.extend_from_slice(ids);
        Span { start, len: ids.len() as u32 }
    }

    fn expressions(&mut self, list: &[IdedExpr]) -> Result<Vec<NodeId>> {
        list.iter().map(|expr| self.expression(expr)).collect()
    }

    /// Every recursion of compiling goes through here.
    fn expression(&mut self, expr: &IdedExpr) -> Result<NodeId> {
        self.depth += 1;
        self.depth_max = self.depth_max.max(self.depth);
        if self.depth > self.limits.depth {
            return Err(past_limit(
                (limit::EXPRESSION_DEPTH, self.limits.depth),
                scan::NESTING,
                self.source,
                None,
            ));
        }
        let id = self.dispatch(expr)?;
        self.depth -= 1;
        Ok(id)
    }

    fn dispatch(&mut self, expr: &IdedExpr) -> Result<NodeId> {
        match &expr.expr {
            Expr::Literal(literal) => Ok(self.literal(literal)),
            Expr::Ident(_) | Expr::Select(_) => self.path(expr),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(&map.entries),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(made) => Err(self.refuse_name("messages cannot be made", &made.type_name)),
            Expr::Unspecified => Err(self.refuse("syntax error")),
        }
    }

    fn literal(&mut self, literal: &LiteralValue) -> NodeId {
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

    fn list(&mut self, list: &ListExpr) -> Result<NodeId> {
        let mut items = self.expressions(&list.elements)?;
        for at in &list.optional_indices {
            items[*at] = self.add(ExprNode::IfPresent(items[*at]));
        }
        let node = ExprNode::List(self.links(&items));
        Ok(self.folded(node, &items))
    }

    fn map(&mut self, entries: &[IdedEntryExpr]) -> Result<NodeId> {
        let mut parts = Vec::with_capacity(entries.len() * 2);
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.refuse("messages cannot be made"));
            };
            parts.push(self.expression(&entry.key)?);
            let value = self.expression(&entry.value)?;
            parts.push(if entry.optional { self.add(ExprNode::IfPresent(value)) } else { value });
        }
        let node = ExprNode::Map(self.links(&parts));
        Ok(self.folded(node, &parts))
    }

    /// The node, or the constant it always gives.
    fn folded(&mut self, node: ExprNode, parts: &[NodeId]) -> NodeId {
        let id = self.add(node);
        let constant = |id: &NodeId| matches!(self.code.node(*id), ExprNode::Constant(_));
        if !parts.iter().all(constant) {
            return id;
        }
        let made = {
            let scope = Scope::EMPTY;
            let mut evaluation = eval::Eval::new(&self.code, &scope, FOLD_STEPS);
            // An error found now is given when the expression is evaluated, if it ever is.
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
}
