//! The terms of a condition, as a compiled expression keeps them: see [`super::terms`], which finds them.

use super::code::NodeId;

/// A term that says something of one subject.
#[derive(Debug)]
pub struct Term {
    /// The subject's spelling, see [`Program::spelling`].
    pub subject: String,
    pub test: TermTest,
    pub(super) node: NodeId,
    /// The node of the value; none for [`TermTest::Present`].
    pub(super) value: Option<NodeId>,
}

impl Term {
    /// The node of the subject; for [`TermTest::Present`] that of the whole term.
    pub(super) fn subject_node(&self) -> NodeId {
        self.node
    }
}

/// The statement of a term about its subject and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermTest {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// The text begins with the value.
    StartsWith,
    /// The subject is an item of the list.
    In,
    /// The list at the subject has the value.
    Contains,
    /// The member exists.
    Present,
}

/// The terms of a condition.
#[derive(Debug)]
pub struct QueryTerms {
    /// Those that say something of one subject.
    pub known: Vec<Term>,
    /// The spellings of all of them; those without a spelling are left out.
    pub spellings: Vec<String>,
}

impl QueryTerms {
    pub(super) fn heap_bytes(&self) -> usize {
        let subjects = self.known.iter().map(|term| size_of::<Term>() + term.subject.len());
        let spellings = self.spellings.iter().map(|spelling| size_of::<String>() + spelling.len());
        subjects.sum::<usize>() + spellings.sum::<usize>()
    }
}
