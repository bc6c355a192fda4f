//! The functions expressions may call, by name, style and number of arguments.
//!
//! What is called often, what must be charged for step by step, and what works on lists is our own.
//! Everything else runs the `cel` crate's implementation: the arguments are lent to it as its values,
//! and charged for before, because it counts nothing.

use std::sync::LazyLock;

use super::budget::Fault;
use super::datum::Datum;
use super::eval::{Eval, Outcome};
use super::{foreign, lists, texts};

type Native = for<'a> fn(&mut Eval<'a>, &[Datum<'a>]) -> Outcome<'a>;

pub(super) struct Function {
    /// With its namespace.
    pub name: &'static str,
    /// Called on its first argument.
    member: bool,
    /// How many arguments it takes, the one it is called on included.
    counts: std::ops::RangeInclusive<usize>,
    run: Run,
}

enum Run {
    Native(Native),
    Foreign { cost: foreign::Cost, call: foreign::Call },
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    #[inline(never)]
    pub fn call<'a>(&self, eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
        match &self.run {
            Run::Native(function) => function(eval, arguments),
            Run::Foreign { cost, call } => call.run(*cost, eval, arguments),
        }
    }
}

/// Names that are no values but stand before the names of functions.
pub(super) fn is_namespace(name: &str) -> bool {
    matches!(name, "math" | "lists" | "strings" | "base64")
}

/// The function called, or what is wrong with calling it so.
pub(super) fn find(
    name: &str,
    member: bool,
    count: usize,
) -> Result<&'static Function, &'static str> {
    let mut named = TABLE.iter().filter(|function| function.name == name).peekable();
    if named.peek().is_none() {
        return Err("unknown function");
    }
    named
        .find(|function| function.member == member && function.counts.contains(&count))
        .ok_or("this function takes other arguments")
}

static TABLE: LazyLock<Vec<Function>> = LazyLock::new(table);

fn table() -> Vec<Function> {
    use foreign::Cost;
    let mut table = Vec::new();
    let mut native = |name, member, counts, function: Native| {
        table.push(Function { name, member, counts, run: Run::Native(function) });
    };
    native("size", false, 1..=1, size);
    native("size", true, 1..=1, size);
    native("type", false, 1..=1, |_, arguments| Ok(Datum::Type(arguments[0].type_name())));
    native("dyn", false, 1..=1, |_, arguments| Ok(arguments[0].clone()));
    native("contains", true, 2..=2, texts::contains);
    native("startsWith", true, 2..=2, texts::starts_with);
    native("endsWith", true, 2..=2, texts::ends_with);
    native("matches", true, 2..=2, texts::matches);
    native("matches", false, 2..=2, texts::matches);
    native("indexOf", true, 2..=3, texts::index_of);
    native("lastIndexOf", true, 2..=3, texts::last_index_of);
    native("duration", false, 1..=1, texts::duration);
    native("base64.encode", false, 1..=1, texts::base64_encode);
    native("base64.decode", false, 1..=1, texts::base64_decode);
    native("join", true, 1..=2, lists::join);
    native("slice", true, 3..=3, lists::slice);
    native("reverse", true, 1..=1, lists::reverse);
    native("flatten", true, 1..=2, lists::flatten);
    native("distinct", true, 1..=1, lists::distinct);
    native("sort", true, 1..=1, lists::sort_list);
    native("lists.range", false, 1..=1, lists::range);
    native("math.greatest", false, 1..=usize::MAX, lists::greatest);
    native("math.least", false, 1..=usize::MAX, lists::least);
    let mut foreign = |name, member, counts: std::ops::RangeInclusive<usize>, cost| {
        let call = foreign::Call::new(name, member, counts.clone());
        table.push(Function { name, member, counts, run: Run::Foreign { cost, call } });
    };
    for name in ["int", "uint", "double", "bool", "string", "bytes", "timestamp", "strings.quote"] {
        foreign(name, false, 1..=1, Cost::Linear);
    }
    for name in [
        "math.ceil",
        "math.floor",
        "math.round",
        "math.trunc",
        "math.isInf",
        "math.isNaN",
        "math.isFinite",
        "math.abs",
        "math.sign",
        "math.sqrt",
        "math.bitNot",
    ] {
        foreign(name, false, 1..=1, Cost::Linear);
    }
    for name in
        ["math.bitAnd", "math.bitOr", "math.bitXor", "math.bitShiftLeft", "math.bitShiftRight"]
    {
        foreign(name, false, 2..=2, Cost::Linear);
    }
    for name in ["lowerAscii", "upperAscii", "trim"] {
        foreign(name, true, 1..=1, Cost::Linear);
    }
    foreign("charAt", true, 2..=2, Cost::Linear);
    foreign("substring", true, 2..=3, Cost::Linear);
    foreign("replace", true, 3..=4, Cost::Replace);
    foreign("split", true, 2..=3, Cost::Split);
    foreign("format", true, 2..=2, Cost::Format);
    for name in ["getHours", "getMinutes", "getSeconds", "getMilliseconds"] {
        foreign(name, true, 1..=2, Cost::Linear);
    }
    for name in
        ["getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek"]
    {
        foreign(name, true, 1..=2, Cost::Linear);
    }
    table
}

fn size<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let size = match &arguments[0] {
        Datum::Str(text) => {
            eval.budget.scan(text.as_bytes().len())?;
            text.code_points()
        }
        Datum::MadeStr(text) => {
            eval.budget.scan(text.len())?;
            text.chars().count()
        }
        Datum::Bytes(bytes) => bytes.len(),
        Datum::MadeBytes(bytes) => bytes.len(),
        Datum::List(list) => list.len(),
        Datum::Map(map) => map.len(),
        other => return Err(Fault::text(format!("a {} has no size", other.type_name()))),
    };
    Ok(Datum::Int(size as i64))
}
