//! A compiled expression: nodes in one vector that refer to each other by number.
//!
//! Dropping, measuring and printing it takes no recursion. Names are resolved, macros are nodes of
//! their own, and what does not depend on a document is a constant.

use std::cmp::Ordering;

use super::datum::Constant;
use super::functions::Function;
use super::pattern::Pattern;

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub u32);

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

/// What a name stands for outside of macros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    This,
    Args,
    Docs,
    Value,
    Now,
    Key,
    Revision,
}

impl Root {
    pub fn name(self) -> &'static str {
        match self {
            Root::This => "self",
            Root::Args => "args",
            Root::Docs => "docs",
            Root::Value => "value",
            Root::Now => "now",
            Root::Key => "key",
            Root::Revision => "revision",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Constant(u32),
    Root(Root),
    /// A variable of a macro.
    Variable(u32),
    /// What `oldSelf` held at one of its paths.
    Old(u32),
    HasOld(u32),
    /// Members and elements of a base, one after the other.
    Path {
        base: Id,
        steps: Span,
    },
    Has {
        base: Id,
        name: u32,
    },
    Not(Id),
    Negate(Id),
    And(Span),
    Or(Span),
    Choose {
        test: Id,
        then: Id,
        other: Id,
    },
    /// Operators in a row, from the left.
    Chain {
        first: Id,
        terms: Span,
    },
    Compare {
        comparison: Comparison,
        left: Id,
        right: Id,
    },
    In {
        item: Id,
        container: Id,
    },
    List(Span),
    /// Keys and values in turn.
    Map(Span),
    Macro {
        kind: Macro,
        range: Id,
        variable: u32,
        test: Option<Id>,
        item: Option<Id>,
    },
    Call {
        function: &'static Function,
        arguments: Span,
    },
    Matches {
        text: Id,
        pattern: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Name(u32),
    Index(Id),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    #[inline]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering == Ordering::Equal,
            Comparison::NotEqual => ordering != Ordering::Equal,
            Comparison::Less => ordering == Ordering::Less,
            Comparison::LessEqual => ordering != Ordering::Greater,
            Comparison::Greater => ordering == Ordering::Greater,
            Comparison::GreaterEqual => ordering != Ordering::Less,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    /// `map` and `filter`: the items for which the test holds.
    Map,
    SortBy,
}

#[derive(Debug, Default)]
pub(super) struct Code {
    pub nodes: Vec<Node>,
    pub links: Vec<Id>,
    pub steps: Vec<Step>,
    pub terms: Vec<(Operator, Id)>,
    pub constants: Vec<Constant>,
    pub names: Vec<Box<str>>,
    pub patterns: Vec<Pattern>,
    /// Where `oldSelf` is read, as names of members inside each other.
    pub old_paths: Vec<Vec<Box<str>>>,
    /// How many variables macros inside each other need.
    pub variables: u32,
}

impl Code {
    pub fn node(&self, id: Id) -> Node {
        self.nodes[id.0 as usize]
    }

    pub fn links(&self, span: Span) -> &[Id] {
        &self.links[span.range()]
    }

    pub fn steps(&self, span: Span) -> &[Step] {
        &self.steps[span.range()]
    }

    pub fn terms(&self, span: Span) -> &[(Operator, Id)] {
        &self.terms[span.range()]
    }

    pub fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    pub fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.links.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.terms.shrink_to_fit();
        self.constants.shrink_to_fit();
        self.names.shrink_to_fit();
        self.patterns.shrink_to_fit();
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
            + self.names.iter().map(|name| name.len()).sum::<usize>()
            + vector(&self.patterns)
            + self.patterns.iter().map(Pattern::heap_bytes).sum::<usize>()
            + vector(&self.old_paths)
            + paths
                .map(|path| vector(path) + path.iter().map(|n| n.len()).sum::<usize>())
                .sum::<usize>()
    }
}
