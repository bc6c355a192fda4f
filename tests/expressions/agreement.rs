//! Random expressions over random documents give what the `cel` crate's own evaluator gives.
//!
//! The expressions are those both know: no arithmetic between types, no order of a map's keys, no
//! integers that a double rounds. A failure prints its seed; `SEED=<n> cargo test --test expressions
//! agree` runs it alone.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use redis_model::expr::{AllowedNames, ExprLimits, Program, Scope};
use redis_model::value::{View, print};

use super::{LIMITS, json};

/// A generator of numbers that is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

/// Writes one expression. Names of variables say what they hold.
struct Writer {
    random: Random,
    /// The variables of the macros around this place.
    integers: Vec<String>,
    texts: Vec<String>,
    named: usize,
}

const TEXTS: [&str; 6] = ["''", "'a'", "'ab'", "'b☺'", "'12'", "'é'"];

impl Writer {
    fn boolean(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .random
                .pick(&["true", "false", "self.t", "has(self.i)", "has(self.x)", "self.x"])
                .into();
        }
        let d = depth - 1;
        match self.random.below(15) {
            0 => format!("{} && {}", self.boolean(d), self.boolean(d)),
            1 => format!("({} || {})", self.boolean(d), self.boolean(d)),
            2 => format!("!({})", self.boolean(d)),
            3 | 4 => {
                let operator = self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
                format!("{} {operator} {}", self.integer(d), self.integer(d))
            }
            5 => {
                let operator = self.random.pick(&["==", "!=", "<", ">="]);
                format!("{} {operator} {}", self.text(d), self.text(d))
            }
            6 => format!("{} == {}", self.list(d), self.list(d)),
            7 => format!("{} in {}", self.integer(d), self.list(d)),
            8 => {
                let method = self.random.pick(&["contains", "startsWith", "endsWith"]);
                format!("({}).{method}({})", self.text(d), self.text(d))
            }
            9 => {
                let kind = self.random.pick(&["all", "exists", "exists_one"]);
                let list = self.list(d);
                let (name, body) = self.with_integer(|own| own.boolean(d));
                format!("{list}.{kind}({name}, {body})")
            }
            10 => format!("({} ? {} : {})", self.boolean(d), self.boolean(d), self.boolean(d)),
            11 => format!("{} < {}", self.double(d), self.double(d)),
            12 => format!("self.m == {}", self.map(d)),
            13 => format!("{} in self.m", self.text(d)),
            _ => format!("{} == {}", self.any(d), self.any(d)),
        }
    }

    fn integer(&mut self, depth: usize) -> String {
        if depth == 0 {
            if let (Some(name), 0) = (self.integers.last().cloned(), self.random.below(2)) {
                return name;
            }
            let texts = [
                "0",
                "1",
                "-7",
                "3",
                "self.i",
                "self.j",
                "self.l[0]",
                "self.m.a",
                "self.x",
                "9223372036854775807",
                "-9223372036854775808",
            ];
            return self.random.pick(&texts).into();
        }
        let d = depth - 1;
        match self.random.below(9) {
            0..=3 => {
                let operator = self.random.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.integer(d), self.integer(d))
            }
            4 => format!("-({})", self.integer(d)),
            5 => format!("size({})", self.text(d)),
            6 => format!("{}.size()", self.list(d)),
            7 => format!("{}[{}]", self.list(d), self.integer(d)),
            _ => format!("int({})", self.text(d)),
        }
    }

    fn double(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.random.pick(&["0.5", "-1.5", "0.0", "self.d", "1e3"]).into();
        }
        let operator = self.random.pick(&["+", "-", "*", "/"]);
        format!("({} {operator} {})", self.double(depth - 1), self.double(depth - 1))
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            if let (Some(name), 0) = (self.texts.last().cloned(), self.random.below(2)) {
                return name;
            }
            return match self.random.below(2) {
                0 => self.random.pick(&TEXTS).into(),
                _ => self.random.pick(&["self.s", "self.m.b", "self.x", "self['s']"]).into(),
            };
        }
        let d = depth - 1;
        match self.random.below(8) {
            0 => format!("({} + {})", self.text(d), self.text(d)),
            1 => format!("string({})", self.integer(d)),
            2 => format!("{}.lowerAscii()", self.text(d)),
            3 => format!("{}.substring({})", self.text(d), self.integer(0)),
            4 => format!("{}.replace({}, {})", self.text(d), self.text(0), self.text(0)),
            5 => format!("({} ? {} : {})", self.boolean(d), self.text(d), self.text(d)),
            6 => format!("{}.charAt({}.indexOf({}))", self.text(d), self.text(d), self.text(0)),
            _ => {
                let list = self.list(d);
                self.named += 1;
                let name = format!("s{}", self.named);
                self.texts.push(name.clone());
                let body = self.text(d);
                self.texts.pop();
                format!("{list}.map(x, string(x)).map({name}, {body}).join(',')")
            }
        }
    }

    fn list(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.random.pick(&["[]", "[1, 2, 3]", "self.l", "[0, -1]", "self.x"]).into();
        }
        let d = depth - 1;
        match self.random.below(6) {
            0 => format!("[{}, {}]", self.integer(d), self.integer(d)),
            1 => format!("({} + {})", self.list(d), self.list(d)),
            2 => {
                let list = self.list(d);
                let (name, body) = self.with_integer(|own| own.integer(d));
                format!("{list}.map({name}, {body})")
            }
            3 => {
                let list = self.list(d);
                let (name, body) = self.with_integer(|own| own.boolean(d));
                format!("{list}.filter({name}, {body})")
            }
            4 => {
                let list = self.list(d);
                let (name, (test, item)) =
                    self.with_integer(|own| (own.boolean(d), own.integer(d)));
                format!("{list}.map({name}, {test}, {item})")
            }
            _ => {
                let method = self.random.pick(&["reverse", "distinct", "sort", "flatten"]);
                format!("{}.{method}()", self.list(d))
            }
        }
    }

    fn map(&mut self, depth: usize) -> String {
        format!("{{'a': {}, 'b': {}}}", self.integer(depth), self.text(depth))
    }

    fn any(&mut self, depth: usize) -> String {
        match self.random.below(7) {
            0 => self.integer(depth),
            1 => self.text(depth),
            2 => self.list(depth),
            3 => self.map(depth),
            4 => format!("({})", self.boolean(depth)),
            5 => format!("type({})", self.integer(depth)),
            _ => self.random.pick(&["null", "self.n", "self.m", "b'x'", "type(self)"]).into(),
        }
    }

    /// A name for an integer, and what is written where it is known. Names shadow each other.
    fn with_integer<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> (String, T) {
        let name = self.random.pick(&["x", "y", "i"]).to_owned();
        self.integers.push(name.clone());
        let written = write(self);
        self.integers.pop();
        (name, written)
    }

    fn document(&mut self) -> String {
        let number = |random: &mut Random| random.pick(&["0", "1", "-3", "5", "12"]).to_owned();
        let mut text = String::from("{");
        let random = &mut self.random;
        for name in ["i", "j"] {
            write!(text, "\"{name}\":{},", number(random)).unwrap();
        }
        let list: Vec<String> = (0..random.below(4)).map(|_| number(random)).collect();
        write!(
            text,
            r#""l":[{}],"m":{{"a":{},"b":"{}"}},"s":"{}","d":{},"t":{},"n":null}}"#,
            list.join(","),
            number(random),
            random.pick(&["", "ab", "☺"]),
            random.pick(&["a", "Zoë", "x,y"]),
            random.pick(&["0.25", "-2.5", "1e20"]),
            random.pick(&["true", "false"]),
        )
        .unwrap();
        text
    }
}

fn convert(view: View<'_>) -> cel::Value {
    match view {
        View::Null => cel::Value::Null,
        View::Bool(value) => value.into(),
        View::Int(value) => value.into(),
        View::Float(value) => value.into(),
        View::Str(text) => text.as_str().into(),
        View::Array(array) => array.iter().map(convert).collect::<Vec<_>>().into(),
        View::Object(object) => {
            let member = |(name, value): (redis_model::value::Text<'_>, _)| {
                (name.as_str().to_owned(), convert(value))
            };
            object.iter().map(member).collect::<HashMap<_, _>>().into()
        }
    }
}

/// Their value as our JSON text; members of maps in the order of their names.
fn text_of(value: &cel::Value) -> String {
    match value {
        cel::Value::List(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            format!("[{}]", items.join(","))
        }
        cel::Value::Map(map) => {
            let mut members: Vec<String> = map
                .map
                .iter()
                .map(|(key, value)| format!("\"{key}\":{}", text_of(value)))
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        cel::Value::Int(value) => value.to_string(),
        cel::Value::Bool(value) => value.to_string(),
        cel::Value::Null => "null".into(),
        cel::Value::String(text) => {
            let mut out = Vec::new();
            print::string(text.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        }
        other => panic!("not written here: {other:?}"),
    }
}

#[test]
fn both_evaluators_agree() {
    let mut env = cel::Env::stdlib();
    for extension in [cel::extensions::strings, cel::extensions::lists] {
        env.add_extension(extension).unwrap();
    }
    let env = Arc::new(env);
    let alone = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = alone.map_or(1..4001, |seed| seed..seed + 1);
    let (mut values, mut faults) = (0, 0);
    for seed in seeds {
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut writer = Writer { random, integers: vec![], texts: vec![], named: 0 };
        let document = json(&writer.document());
        let depth = 1 + writer.random.below(4);
        let source = match writer.random.below(4) {
            0 => writer.boolean(depth),
            1 => writer.integer(depth),
            2 => writer.text(depth),
            _ => writer.list(depth),
        };
        let before = print::to_string(document.view());
        let wide = ExprLimits { bytes: 1 << 16, ..LIMITS };
        let Ok(program) = Program::compile(&source, AllowedNames::RULE, &wide) else {
            panic!("seed {seed}: {source} does not compile")
        };
        let scope = Scope { this: Some(document.view()), ..Scope::EMPTY };
        let ours = program.evaluate(&scope, &wide);
        assert_eq!(print::to_string(document.view()), before, "seed {seed}");
        let theirs = env.compile(&source).expect("the same parser parses it");
        let mut context = cel::Context::with_env(Arc::clone(&env));
        context.add_variable_from_value("self", convert(document.view()));
        match (ours, theirs.execute(&context)) {
            (Ok(ours), Ok(theirs)) => {
                let ours = print::to_string(ours.value.view());
                assert_eq!(ours, text_of(&theirs), "seed {seed}: {source} of {before}");
                values += 1;
            }
            (Err(_), Err(_)) => faults += 1,
            (ours, theirs) => {
                panic!("seed {seed}: {source} of {before}: {ours:?}, theirs {theirs:?}")
            }
        }
    }
    assert!(alone.is_some() || values > 1000 && faults > 500, "{values} values, {faults} faults");
}
