//! `args` in a JSONPath: values that came with the command's `ARGS`.
//!
//! They are taken when the path is parsed: a comparable becomes a constant, a selector a name or an index, so that
//! evaluating a path knows nothing of this, and a path that is singular stays so. RFC 9535 refuses every
//! text in which `args` stands for a value, so no valid query changes its meaning.

use std::cell::Cell;
use std::sync::Arc;

use super::singular::Singular;
use crate::budget::{Allowance, weight};
use crate::error::Result;
use crate::value::{Value, View};

/// The object of `ARGS`, for the paths of the same command.
#[derive(Clone, Copy)]
pub enum Binding<'b> {
    Args {
        args: View<'b>,
        /// Pays for looking values up and for copying them.
        allowance: &'b Allowance<'b>,
    },
    /// It comes with each call of an action. A path is parsed to be checked; the flag is set if it reads `args`, so
    /// that it has to be parsed again with them.
    Later(&'b Cell<bool>),
}

/// The value that a text stands for.
pub(super) enum Bound<'b> {
    Value(View<'b>),
    /// ARGS has no such value.
    Missing,
    Later,
}

impl<'b> Binding<'b> {
    /// The value that is bound.
    pub(super) fn find(&self, path: &Singular<'_>) -> Result<Bound<'b>> {
        match self {
            Binding::Args { args, allowance } => {
                allowance.spend(weight::MEMBER * path.steps().len() as u64)?;
                Ok(path.find(*args).map_or(Bound::Missing, Bound::Value))
            }
            Binding::Later(reads_args) => {
                reads_args.set(true);
                Ok(Bound::Later)
            }
        }
    }

    /// A copy for the parsed path, which outlives the look-up.
    pub(super) fn copy(&self, view: View<'_>) -> Result<Arc<Value>> {
        if let Binding::Args { allowance, .. } = self {
            allowance.transfer_values(view.work())?;
        }
        Ok(Arc::new(view.to_value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::WorkLimits;
    use crate::error::{Detail, Error};
    use crate::path::{FILTER_DEPTH_MAX, Path, PathLimits};
    use crate::value::{Limits, parse, print};

    const ARGS: &str = r#"{"sku":"b","name":"x.y","i":-1,"none":null,"list":[1,{"a":2}],"t":{"k":"sku"},
        "f":1.0,"re":"b.*","yes":true,"long":"nnnnnnnnnnnnnnnnnnnn"}"#;
    const DOCUMENT: &str = r#"{"x.y":{"sku":"c"},"lines":[{"sku":"a","n":1},{"sku":"b","n":2,"t":[1,{"a":2.0}]},
        {"n":null}],"args":7}"#;

    fn value(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
    }

    /// The matches as a JSON array, or the refusal.
    fn select(path: &str, limits: &PathLimits, work: &WorkLimits) -> Result<String> {
        let (args, document) = (value(ARGS), value(DOCUMENT));
        let allowance = Allowance::new(work);
        let binding = Binding::Args { args: args.view(), allowance: &allowance };
        let found: Vec<View<'_>> = match Path::parse_bound(path.as_bytes(), limits, Some(binding))?
        {
            Path::Singular(path) => path.find(document.view()).into_iter().collect(),
            Path::Query(query) => query.select(document.view(), &allowance)?,
        };
        Ok(print::to_string(crate::value::array(found).view()))
    }

    fn refused(path: &str) -> Error {
        select(path, &PathLimits::DEFAULT, &WorkLimits::DEFAULT).unwrap_err()
    }

    #[test]
    fn args_stands_for_its_value() {
        for (path, expected) in [
            ("$[args.name].sku", r#"["c"]"#),
            ("$['lines'][args.i]", r#"[{"n":null}]"#),
            ("$.lines[args.list[0]].n", "[2]"),
            ("$.lines[ args ['list'] [0] ].n", "[2]"),
            ("$.lines[1][args['t'].k]", r#"["b"]"#),
            ("$.lines[args.i, args.list[0]].n", "[null,2]"),
            ("$..[args.t.k]", r#"["c","a","b"]"#),
            ("$.lines[?@.sku == args.sku].n", "[2]"),
            ("$.lines[?args.sku==@.sku].n", "[2]"),
            ("$.lines[?@[args.t.k] == args.sku].n", "[2]"),
            ("$.lines[?@.sku > args.sku || @.n < args.list[0]].n", "[]"),
            ("$.lines[?@.t == args.list].n", "[2]"),
            ("$.lines[?@.n == args.none].n", "[null]"),
            ("$.lines[?@.n == args.f].n", "[1]"),
            ("$.lines[?args.yes == true].n", "[1,2,null]"),
            ("$.lines[?length(args.sku) == @.n].n", "[1]"),
            ("$.lines[?match(@.sku, args.re)].n", "[2]"),
            ("$.lines[?search(args.sku, @.sku)].n", "[2]"),
            // A missing value is Nothing: equal to nothing else, and to a missing member.
            ("$.lines[?@.sku == args.missing].n", "[null]"),
            ("$.lines[?@.n == args.sku.deep].n", "[]"),
            ("$.lines[?match(@.sku, args.missing)].n", "[]"),
            // Members that are called so are none of this.
            ("$.args", "[7]"),
            ("$['args']", "[7]"),
        ] {
            let found = select(path, &PathLimits::DEFAULT, &WorkLimits::DEFAULT);
            assert_eq!(found.unwrap_or_else(|error| error.line()), expected, "{path}");
        }
    }

    #[test]
    fn a_bound_selector_leaves_a_path_singular() {
        let (args, allowance) = (value(ARGS), Allowance::unlimited());
        let parse = |text: &'static str| {
            let binding = Binding::Args { args: args.view(), allowance: &allowance };
            Path::parse_bound(text.as_bytes(), &PathLimits::DEFAULT, Some(binding)).unwrap()
        };
        assert!(parse("$.lines[args.i][args.sku]").is_singular());
        assert!(!parse("$.lines[args.i, args.i]").is_singular());
        assert!(!parse("$.lines[?@.a == args.sku]").is_singular());
    }

    #[test]
    fn what_cannot_be_bound_is_refused() {
        for (path, line) in [
            ("$[args]", "ERR args is followed by names or indexes"),
            ("$[argsx]", "ERR args is followed by names or indexes"),
            ("$[?@.a == args]", "ERR args is followed by names or indexes"),
            ("$[args.list[*]]", "ERR args is followed by names or indexes"),
            ("$[args..a]", "ERR args is followed by names or indexes"),
            ("$[?args.yes]", "ERR a value is neither true nor false: compare it"),
            ("$[args.missing.more]", "ERR ARGS has no args.missing.more"),
            ("$[args.none]", "TYPE a selector is a string or an integer, and args.none is null"),
            ("$[args.f]", "TYPE a selector is a string or an integer, and args.f is number"),
            ("$[args.list]", "TYPE a selector is a string or an integer, and args.list is array"),
            ("$[0:args.i]", "ERR expected ',' or ']'"),
            (
                "$.lines.args-x",
                "ERR a name with '-' is written in brackets, ['args-x'], or in a JSON Pointer",
            ),
        ] {
            let error = refused(path);
            assert_eq!(format!("{} {}", error.code().word(), error.message()), line, "{path}");
            assert_eq!(error.detail("path"), Some(&Detail::Text(path.into())), "{path}");
        }
        for path in ["$[args.a]", "$[?@.a == args.a]"] {
            let error = Path::parse(path.as_bytes(), &PathLimits::DEFAULT).unwrap_err();
            assert_eq!(
                error.message(),
                "the path reads args, and the command has no ARGS, as in MODEL.FIELDOP key ARGS json GET path"
            );
        }
    }

    #[test]
    fn bound_values_are_limited_and_paid_for() {
        let limits = PathLimits { path_bytes: 20 };
        assert!(select("$[args.long]", &limits, &WorkLimits::DEFAULT).is_ok());
        let limits = PathLimits { path_bytes: 19 };
        let error = select("$[args.long]", &limits, &WorkLimits::DEFAULT).unwrap_err();
        assert_eq!(error.detail("limit"), Some(&Detail::Text("model.path-bytes".into())));
        let nested = |depth: usize| {
            let text = format!("$[{}'a'{}]", "args[".repeat(depth), "]".repeat(depth));
            refused(&text).detail("limit").cloned()
        };
        assert_eq!(nested(FILTER_DEPTH_MAX as usize), None);
        assert!(nested(FILTER_DEPTH_MAX as usize + 1).is_some());
        let work = WorkLimits { command_steps: 1, ..WorkLimits::DEFAULT };
        let error = select("$[args.name]", &PathLimits::DEFAULT, &work).unwrap_err();
        assert_eq!(error.detail("limit"), Some(&Detail::Text("model.command-steps".into())));
    }
}
