//! The conformance cases of CEL. Each one passes, or stands in the list of those that are left out, which
//! gives the reason; a case in the list that passes is a failure too.
//!
//! The result of a case is compared inside an expression, so that types JSON does not have are told apart, and
//! as JSON text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use redis_model::expr::{AllowedNames, ExprLimits, Program, Scope};
use redis_model::value::print;

use super::textproto::{self, Field, Message};

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suites/cel");
const LEFT_OUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suites/cel-left-out.txt");
const LIMITS: ExprLimits = ExprLimits { steps: 100_000_000, ..ExprLimits::NONE };

struct Case {
    name: String,
    test: Message,
}

/// Every case by its file, section and name; a name that stands several times is numbered.
fn cases() -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(SUITE).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "textproto"));
    files.sort();
    let mut cases = Vec::new();
    let mut known = BTreeMap::<String, usize>::new();
    for file in files {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let whole = textproto::read(&fs::read_to_string(&file).unwrap());
        for section in whole.messages("section") {
            for test in section.messages("test") {
                let names = (section.text("name").unwrap(), test.text("name").unwrap());
                let mut name = format!("{stem}/{}/{}", names.0, names.1);
                let times = known.entry(name.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    write!(name, "#{times}").unwrap();
                }
                cases.push(Case { name, test: test.clone() });
            }
        }
    }
    cases
}

/// The names that are left out, with the reasons that stand above them.
fn left_out() -> BTreeMap<String, String> {
    let mut reason = String::new();
    let mut names = BTreeMap::new();
    for line in fs::read_to_string(LEFT_OUT).unwrap().lines() {
        match line.strip_prefix("# ") {
            Some(text) => reason = text.to_owned(),
            None if line.is_empty() => {}
            None => {
                assert!(!reason.is_empty(), "{line} has no reason");
                assert!(names.insert(line.to_owned(), reason.clone()).is_none(), "{line} twice");
            }
        }
    }
    names
}

/// A literal of CEL for a value of the suite; none for messages and enums.
fn literal(value: &Message) -> Option<String> {
    let (kind, field) = value.0.first()?;
    Some(match (kind.as_str(), field) {
        ("null_value", _) => "null".into(),
        ("bool_value" | "int64_value", Field::Word(word)) => word.clone(),
        ("uint64_value", Field::Word(word)) => format!("{word}u"),
        ("double_value", Field::Word(word)) => double(word),
        ("string_value", Field::Text(bytes)) => {
            string(std::str::from_utf8(bytes).expect("a string is UTF-8"))
        }
        ("bytes_value", Field::Text(bytes)) => {
            let escapes: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("b'{escapes}'")
        }
        ("list_value", Field::Message(list)) => {
            let items: Option<Vec<_>> = list.messages("values").map(literal).collect();
            format!("[{}]", items?.join(", "))
        }
        ("map_value", Field::Message(map)) => {
            let entry = |entry: &Message| {
                let (key, value) = (entry.message("key")?, entry.message("value")?);
                Some(format!("{}: {}", literal(key)?, literal(value)?))
            };
            let entries: Option<Vec<_>> = map.messages("entries").map(entry).collect();
            format!("{{{}}}", entries?.join(", "))
        }
        ("type_value", Field::Text(name)) => String::from_utf8(name.clone()).unwrap(),
        ("object_value", Field::Message(object)) => object_literal(object)?,
        _ => return None,
    })
}

fn double(word: &str) -> String {
    match word.trim_start_matches('-') {
        "inf" | "infinity" | "Infinity" => {
            format!("({}1.0 / 0.0)", if word.starts_with('-') { "-" } else { "" })
        }
        "nan" | "NaN" => "(0.0 / 0.0)".into(),
        _ => format!("{:?}", word.parse::<f64>().unwrap()),
    }
}

fn string(text: &str) -> String {
    let escapes = text.chars().map(|c| match c {
        ' '..='~' if c != '\'' && c != '\\' => c.to_string(),
        _ => format!("\\U{:08x}", u32::from(c)),
    });
    format!("'{}'", escapes.collect::<String>())
}

/// Durations, timestamps and wrapped scalars.
fn object_literal(object: &Message) -> Option<String> {
    let (name, Field::Message(fields)) = object.0.first()? else { return None };
    let number = |name| fields.word(name).map_or(0, |word| word.parse::<i64>().unwrap());
    let (seconds, nanos) = (number("seconds"), number("nanos"));
    match name.rsplit('.').next()? {
        "Duration" => Some(format!("(duration('{seconds}s') + duration('{nanos}ns'))")),
        "Timestamp" => Some(format!("(timestamp({seconds}) + duration('{nanos}ns'))")),
        _ => None,
    }
}

/// The expression with the bindings of the case around it.
fn bound(test: &Message, expression: &str) -> Option<String> {
    let mut source = expression.to_owned();
    for binding in test.messages("bindings") {
        let name = binding.text("key")?;
        let value = literal(binding.message("value")?.message("value")?)?;
        source = format!("cel.bind({name}, {value}, {source})");
    }
    Some(source)
}

fn evaluate(source: &str) -> Result<String, String> {
    let program =
        Program::compile(source, AllowedNames::RULE, &LIMITS).map_err(|error| error.line())?;
    let made = program.evaluate(&Scope::EMPTY, &LIMITS).map_err(|error| error.line())?;
    Ok(print::to_string(made.value.view()))
}

fn run(test: &Message) -> Result<(), String> {
    let source = bound(test, &format!("({})", test.text("expr").unwrap()))
        .ok_or("a binding is no value here")?;
    if test.get("eval_error").is_some() || test.get("any_eval_errors").is_some() {
        return match evaluate(&format!("type({source}) == int")) {
            Ok(made) => Err(format!("no error, but {made}")),
            Err(_) => Ok(()),
        };
    }
    if test.word("check_only") == Some("true") {
        return Err("types are not deduced".into());
    }
    let typed = test.message("typed_result").and_then(|typed| typed.message("result"));
    let expected = match test.message("value").or(typed) {
        Some(value) => literal(value).ok_or("the result is no value here")?,
        None if test.get("typed_result").is_some() => return Err("there is no result".into()),
        None => "true".into(),
    };
    let same = match expected.as_str() {
        "(0.0 / 0.0)" => "math.isNaN(made)".to_owned(),
        _ => format!("type(made) == type({expected}) && made == {expected}"),
    };
    match evaluate(&format!("cel.bind(made, {source}, {same})"))?.as_str() {
        "true" => {}
        _ => return Err(format!("{:?}, not {expected}", evaluate(&source))),
    }
    // Numbers inside of lists compare equal whatever their types are.
    match (evaluate(&source), evaluate(&expected)) {
        (Ok(made), Ok(expected)) if !made.contains('{') && made != expected => {
            Err(format!("{made}, not {expected}"))
        }
        _ => Ok(()),
    }
}

#[test]
fn every_conformance_case_passes_or_is_left_out_for_a_reason() {
    let mut left_out = left_out();
    let (mut passed, mut skipped, mut wrong) = (0, 0, String::new());
    for case in cases() {
        match (run(&case.test), left_out.remove(&case.name)) {
            (Ok(()), None) => passed += 1,
            (Err(_), Some(_)) => skipped += 1,
            (Ok(()), Some(reason)) => {
                writeln!(wrong, "{} passes, but is left out: {reason}", case.name).unwrap();
            }
            (Err(why), None) => {
                let source = case.test.text("expr").unwrap();
                writeln!(wrong, "{}\t{source}\t{why}", case.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(left_out.is_empty(), "no such cases: {left_out:?}");
    assert!(passed > 1500 && skipped > 100, "{passed} passed, {skipped} left out");
}
