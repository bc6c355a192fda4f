//! Shapes in the parser's tree: calls of operators, literals, paths, dotted names.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::operator::{Comparison, Operator};

/// One part of a path behind its base.
pub(super) enum AccessSyntax<'e> {
    Name(&'e str),
    Index(&'e IdedExpr),
    /// `.?name` or `[?'name']`.
    MaybeName(&'e str),
    /// `[?index]`.
    MaybeIndex(&'e IdedExpr),
}

impl<'e> AccessSyntax<'e> {
    pub fn name(&self) -> Option<&'e str> {
        match self {
            AccessSyntax::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The last part of a path, and the expression before it.
    pub fn of(expr: &'e IdedExpr) -> Option<(AccessSyntax<'e>, &'e IdedExpr)> {
        match &expr.expr {
            Expr::Select(select) if !select.test => {
                Some((AccessSyntax::Name(&select.field), &select.operand))
            }
            Expr::Call(call) if call.target.is_none() => {
                let [before, index] = call.args.as_slice() else { return None };
                let part = match (call.func_name.as_str(), literal_str(index)) {
                    (operators::INDEX, Some(name)) => AccessSyntax::Name(name),
                    (operators::INDEX, None) => AccessSyntax::Index(index),
                    (operators::OPT_SELECT | operators::OPT_INDEX, Some(name)) => {
                        AccessSyntax::MaybeName(name)
                    }
                    (operators::OPT_INDEX, None) => AccessSyntax::MaybeIndex(index),
                    _ => return None,
                };
                Some((part, before))
            }
            _ => None,
        }
    }

    /// The parts of a path from the outside in, and the expression it begins with. Without recursion:
    /// names behind names are no nesting.
    pub fn all(expr: &'e IdedExpr) -> (Vec<AccessSyntax<'e>>, &'e IdedExpr) {
        let (mut parts, mut inner) = (Vec::new(), expr);
        while let Some((part, before)) = AccessSyntax::of(inner) {
            parts.push(part);
            inner = before;
        }
        parts.reverse();
        (parts, inner)
    }
}

/// The item of `@result + [item]`.
pub(super) fn appended(expr: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &expr.expr else { return None };
    match &call.args.get(1)?.expr {
        Expr::List(list) if call.func_name == operators::ADD => list.elements.first(),
        _ => None,
    }
}

pub(super) fn literal_str(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

pub(super) fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterEqual,
        _ => return None,
    })
}

pub(super) fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
}

/// Types that can be named, as `type(x) == int` does.
const TYPES: [&str; 13] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

pub(super) fn first_name(dotted: &str) -> &str {
    dotted.split('.').next().expect("a name has a first part")
}

/// The type an expression names.
pub(super) fn type_name(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Ident(name) => {
            let name = name.strip_prefix('.').unwrap_or(name);
            TYPES.into_iter().find(|known| *known == name)
        }
        Expr::Select(select) if !select.test => {
            let Expr::Select(inner) = &select.operand.expr else { return None };
            let Expr::Ident(outermost) = &inner.operand.expr else { return None };
            let is = |known: &&str| {
                let mut parts = known.split('.');
                parts.next() == Some(outermost.trim_start_matches('.'))
                    && parts.next() == Some(&inner.field)
                    && parts.next() == Some(&select.field)
            };
            TYPES.into_iter().find(is)
        }
        _ => None,
    }
}
