//! A compiled expression: nodes in one vector that refer to each other by number.
//!
//! Dropping, measuring and printing it takes no recursion. Names are resolved, macros are nodes of
//! their own, and literals that depend on no document are constants.

use super::datum::Constant;
use super::functions::Function;
use super::operator::{Comparison, Operator};
use super::pattern::Pattern;
use crate::value::names::KeptName;

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(pub u32);

/// Some consecutive links, steps or terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// The value behind a name outside of macros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    This,
    Args,
    Docs,
    Value,
    Now,
    Key,
    Revision,
}

impl Global {
    pub fn name(self) -> &'static str {
        match self {
            Global::This => "self",
            Global::Args => "args",
            Global::Docs => "docs",
            Global::Value => "value",
            Global::Now => "now",
            Global::Key => "key",
            Global::Revision => "revision",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ExprNode {
    Constant(u32),
    Root(Global),
    /// A variable of a macro.
    Variable(u32),
    /// The value of `oldSelf` at one of its paths.
    Old(u32),
    HasOld(u32),
    /// An optional of the value of `oldSelf` at one of its paths.
    MaybeOld(u32),
    /// Members and elements of a base, one after the other.
    Path {
        base: NodeId,
        steps: Span,
    },
    /// Presence of a path that has at least one step.
    Has {
        base: NodeId,
        steps: Span,
        /// The path without its last step.
        parent: NodeId,
    },
    Not(NodeId),
    Negate(NodeId),
    And(Span),
    Or(Span),
    Choose {
        test: NodeId,
        then: NodeId,
        other: NodeId,
    },
    /// Operators in a row, from the left.
    Chain {
        first: NodeId,
        terms: Span,
    },
    Compare {
        comparison: Comparison,
        left: NodeId,
        right: NodeId,
    },
    In {
        item: NodeId,
        container: NodeId,
    },
    List(Span),
    /// Keys and values in turn.
    Map(Span),
    /// Of a list or a map literal: left out unless the optional has a value.
    IfPresent(NodeId),
    Loop(u32),
    Bind {
        variable: u32,
        value: NodeId,
        body: NodeId,
    },
    /// `optMap` and, when `flat`, `optFlatMap`.
    OptionalMap {
        optional: NodeId,
        variable: u32,
        body: NodeId,
        flat: bool,
    },
    /// `or` and, when `unwrap`, `orValue`: the second operand is evaluated only if it is needed.
    OrElse {
        optional: NodeId,
        other: NodeId,
        unwrap: bool,
    },
    Call {
        function: &'static Function,
        arguments: Span,
    },
    /// A question about a structure of the server: `native[key].method(operand)`.
    Native {
        /// The number of the method.
        method: u8,
        key: NodeId,
        operand: Option<NodeId>,
    },
    /// A text under a pattern that is written out.
    Search {
        search: RegexSearch,
        text: NodeId,
        pattern: u32,
        limit: Option<NodeId>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AccessStep {
    Name(u32),
    Index(NodeId),
    /// `.?name`: gives an optional, as every step behind it does.
    MaybeName(u32),
    MaybeIndex(NodeId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegexSearch {
    Matches,
    Find,
    FindAll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MacroKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `filter`, `transformList`: the items for which the test holds.
    List,
    /// `transformMap`: the items under the keys of the range.
    Map,
    /// `transformMapEntry`: the entries of all items together.
    Entries,
    SortBy,
    Reduce,
}

/// A macro over a list or a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    pub kind: MacroKind,
    pub range: NodeId,
    /// The first variable: the element of a list or the key of a map, or, if there are two, the index or the
    /// key. The second one has the next number.
    pub variable: u32,
    pub two: bool,
    pub test: Option<NodeId>,
    pub item: Option<NodeId>,
    /// The first value of `reduce`, whose variable has the number before [`Loop::variable`].
    pub start: Option<NodeId>,
}

#[derive(Debug, Default)]
pub(super) struct Code {
    pub nodes: Vec<ExprNode>,
    pub links: Vec<NodeId>,
    pub steps: Vec<AccessStep>,
    pub terms: Vec<(Operator, NodeId)>,
    pub constants: Vec<Constant>,
    pub names: Vec<KeptName>,
    pub patterns: Vec<Pattern>,
    pub loops: Vec<Loop>,
    /// The paths at which `oldSelf` is read, as names of members inside each other.
    pub old_paths: Vec<Vec<Box<str>>>,
    /// The number of variables that macros inside each other need.
    pub variables: u32,
}

impl Code {
    pub fn node(&self, id: NodeId) -> ExprNode {
        self.nodes[id.0 as usize]
    }

    pub fn links(&self, span: Span) -> &[NodeId] {
        &self.links[span.range()]
    }

    pub fn steps(&self, span: Span) -> &[AccessStep] {
        &self.steps[span.range()]
    }

    pub fn terms(&self, span: Span) -> &[(Operator, NodeId)] {
        &self.terms[span.range()]
    }

    pub fn name(&self, number: u32) -> &str {
        self.names[number as usize].as_str()
    }

    /// The name for looking members up.
    #[inline]
    pub fn kept_name(&self, number: u32) -> &KeptName {
        &self.names[number as usize]
    }

    /// Returns true for `args`, a member inside it, and the negative of one.
    pub fn is_value_of_args(&self, id: NodeId) -> bool {
        match self.node(id) {
            ExprNode::Root(root) => root == Global::Args,
            ExprNode::Path { base, steps } => {
                let is_name = |step: &AccessStep| matches!(step, AccessStep::Name(_));
                self.is_value_of_args(base) && self.steps(steps).iter().all(is_name)
            }
            ExprNode::Negate(value) => self.is_value_of_args(value),
            _ => false,
        }
    }

    pub fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.links.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.terms.shrink_to_fit();
        self.constants.shrink_to_fit();
        self.names.shrink_to_fit();
        self.patterns.shrink_to_fit();
        self.loops.shrink_to_fit();
        self.old_paths.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        fn vector<T>(items: &Vec<T>) -> usize {
            items.capacity() * size_of::<T>()
        }
        let paths = self.old_paths.iter();
        vector(&self.nodes)
            + vector(&self.links)
            + vector(&self.steps)
            + vector(&self.terms)
            + vector(&self.constants)
            + self.constants.iter().map(Constant::heap_bytes).sum::<usize>()
            + vector(&self.names)
            + self.names.iter().map(|name| name.as_str().len()).sum::<usize>()
            + vector(&self.patterns)
            + self.patterns.iter().map(Pattern::heap_bytes).sum::<usize>()
            + vector(&self.loops)
            + vector(&self.old_paths)
            + paths
                .map(|path| vector(path) + path.iter().map(|n| n.len()).sum::<usize>())
                .sum::<usize>()
    }
}
