//! Examples of operators: documentation that runs as a test.

use std::panic::Location;

/// One statement on one document, with its reply and the document after it.
pub struct Example {
    /// The document before, as JSON; empty where the key is missing.
    pub before: &'static str,
    /// The statement in one line, as it is typed into a shell. See [`words`].
    pub statement: &'static str,
    /// The reply in the notation of [`crate::reply::Reply::notation`], or the error's word.
    pub reply: &'static str,
    /// The document after, as JSON; empty where the key is missing.
    pub after: &'static str,
    /// Where the example is written down: a failing one names its file and line.
    pub at: &'static Location<'static>,
}

impl Example {
    #[track_caller]
    pub const fn new(
        before: &'static str,
        statement: &'static str,
        reply: &'static str,
        after: &'static str,
    ) -> Example {
        Example { before, statement, reply, after, at: Location::caller() }
    }

    /// The words of the statement, see [`words`].
    pub fn words(&self) -> Vec<&'static str> {
        words(self.statement, self.at)
    }
}

/// The words of a line, split as a shell splits them: at spaces, and not within single or double quotes, which
/// surround a whole word. There are no escapes, so that words are slices of the line. `at` is where the line is
/// written down.
pub fn words(line: &'static str, at: &Location<'_>) -> Vec<&'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            quote @ ('\'' | '"') => {
                let quoted = rest[1..].split_once(quote);
                quoted.unwrap_or_else(|| panic!("{at}: a quote is not closed"))
            }
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        let read_alike = first != '"' || !word.contains('\\');
        assert!(read_alike, "{at}: redis-cli reads a backslash in double quotes as an escape");
        let apart = behind.is_empty() || behind.starts_with(' ');
        assert!(apart, "{at}: a quote ends within a word");
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Example;

    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        for (line, words) in [
            ("INCR $.a 2", &["INCR", "$.a", "2"][..]),
            (r#"SET $ '{"a b": 1}'"#, &["SET", "$", r#"{"a b": 1}"#]),
            ("GET ''", &["GET", ""]),
            (r#" EVAL  $ "a == 'b'" "#, &["EVAL", "$", "a == 'b'"]),
            ("", &[]),
        ] {
            assert_eq!(Example::new("", line, "", "").words(), words);
        }
    }

    #[test]
    fn an_example_knows_its_line() {
        let (example, line) = (Example::new("", "", "", ""), line!());
        assert_eq!((example.at.file(), example.at.line()), (file!(), line));
    }
}
