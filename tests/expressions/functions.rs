//! The functions: on strings, lists, numbers and times.

use std::fmt::Write;

use redis_model::expr::listed;

use super::{check, check_all, check_fails};

#[test]
fn every_listed_example_gives_its_value() {
    let mut forms: Vec<&str> = Vec::new();
    for listed in listed() {
        assert!(!forms.contains(&listed.form), "{} is listed twice", listed.form);
        assert!(!listed.summary.is_empty() && !listed.cost.is_empty(), "{}", listed.form);
        check(listed.example.0, listed.example.1);
        forms.push(listed.form);
    }
    assert!(forms.len() > 90, "{} forms", forms.len());
}

/// The tables of docs/models.md. `BLESS=1 cargo test --test expressions documentation` writes them.
#[test]
fn the_documentation_lists_every_function() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/models.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut tables = String::new();
    let mut family = "";
    for listed in listed() {
        if listed.family != family {
            family = listed.family;
            write!(tables, "\n| {family} | result | steps | example |\n|---|---|---|---|\n")
                .unwrap();
        }
        let (source, value) = listed.example;
        let source = source.replace('|', "\\|");
        let (form, summary, cost) = (listed.form, listed.summary, listed.cost);
        writeln!(tables, "| `{form}` | {summary} | {cost} | `{source}` is `{value}` |").unwrap();
    }
    let (start, end) = ("<!-- functions -->\n", "\n<!-- end of functions -->");
    let from = text.find(start).expect("the documentation marks the tables") + start.len();
    let to = text.find(end).expect("the documentation marks their end");
    if std::env::var_os("BLESS").is_some() {
        let blessed = format!("{}{tables}{}", &text[..from], &text[to..]);
        return std::fs::write(path, blessed).unwrap();
    }
    assert_eq!(&text[from..to], tables);
}

#[test]
fn functions_on_strings_count_code_points() {
    check_all(&[
        ("size('Zoë ☺')", "5"),
        ("self.name.size()", "5"),
        ("self.name.charAt(2)", r#""ë""#),
        ("self.name.indexOf('☺')", "4"),
        ("self.name.indexOf('x')", "-1"),
        ("'abcabc'.indexOf('c', 3)", "5"),
        ("'abcabc'.lastIndexOf('b')", "4"),
        ("'abcabc'.lastIndexOf('b', 3)", "1"),
        ("'ta©o©αT'.lastIndexOf('©', 3)", "2"),
        ("'hello mellow'.lastIndexOf('ello', 6)", "1"),
        ("'hello mellow'.lastIndexOf('ello', 7)", "7"),
        ("'hello mellow'.lastIndexOf('')", "12"),
        ("'hello mellow'.indexOf('', 20)", "12"),
        ("self.name.substring(2, 4)", r#""ë ""#),
        ("self.name.substring(4)", r#""☺""#),
        ("'aXbX'.replace('X', '-')", r#""a-b-""#),
        ("'aXbX'.replace('X', '-', 1)", r#""a-bX""#),
        ("'a,b'.split(',')", r#"["a","b"]"#),
        ("'a,b,c'.split(',', 2)", r#"["a","b,c"]"#),
        ("['a', 'b'].join('-')", r#""a-b""#),
        ("self.tags.join()", r#""ab""#),
        ("'TacoCat'.lowerAscii() + 'x'.upperAscii()", r#""tacocatX""#),
        ("' a '.trim()", r#""a""#),
        ("'abc'.reverse()", r#""cba""#),
        ("strings.quote('a\"b')", r#""\"a\\\"b\"""#),
        ("'%s %d %.2f'.format(['a', 3, 1.5])", r#""a 3 1.50""#),
        ("'%s'.format([[1, {'a': self.tags}]])", r#""[1, {a: [a, b]}]""#),
        ("'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc')", "true"),
        ("'abc'.matches('^a.c$')", "true"),
        ("matches('abc', 'b')", "true"),
        ("self.status.matches(args.name)", "false"),
        ("'a' + 'b' + self.status", r#""abactive""#),
        ("size(b'abc') + size(b'')", "3"),
        ("base64.encode(b'hello')", r#""aGVsbG8=""#),
        ("string(base64.decode('aGVsbG8'))", r#""hello""#),
        ("b'hello'", r#""aGVsbG8=""#),
        ("b'a' + b'b' == b'ab'", "true"),
        ("b'abc'.startsWith(b'ab') && b'abc'.startsWith(b'')", "true"),
        ("b'abc'.startsWith(b'bc') || b'abc'.startsWith(b'abcd')", "false"),
        (
            "b'abc'.contains(b'bc') && b'abc'.contains(b'') && b'\\xff\\x00'.contains(b'\\x00')",
            "true",
        ),
        ("b'abc'.contains(b'ac')", "false"),
        ("b'abc'.endsWith(b'bc')", "true"),
        ("base64.decode('AQID').startsWith(base64.decode('AQI='))", "true"),
        ("'a1b22'.find('[0-9]+') + '|' + 'abc'.find('[0-9]')", r#""1|""#),
        ("'a1b22'.findAll('[0-9]+')", r#"["1","22"]"#),
        ("'a1b22'.findAll('[0-9]+', 1)", r#"["1"]"#),
        ("'a1b22'.findAll('[0-9]+', 0)", "[]"),
        ("'a1b22'.findAll('[0-9]+', -1)", r#"["1","22"]"#),
        ("'☺x'.findAll('')", r#"["","",""]"#),
        ("'ab'.findAll('b*')", r#"["","b",""]"#),
        ("self.name.findAll(args.name + '?[a-z]')", r#"["o"]"#),
        ("self.name.find(args.name + '?☺')", r#""☺""#),
    ]);
    check_fails(&[
        "'abc'.charAt(9)",
        "'abc'.substring(2, 1)",
        "'abc'.substring(9)",
        "'abc'.indexOf('a', 9)",
        "'abc'.matches('(')",
        "self.status.matches(self.status + '(')",
        "'abc'.contains(1)",
        "1.contains('a')",
        "[1].join()",
        "'%d'.format(['a'])",
        "'%s'.format([])",
        "size(1)",
        "'abc'.nope()",
        "nope('abc')",
        "'abc'.size(1)",
        "base64.decode('!')",
        "b'abc'.startsWith('ab')",
        "'abc'.startsWith(b'ab')",
        "b'abc'.contains('a')",
        "[1].contains(1)",
        "'abc'.find('(')",
        "'abc'.findAll('b', 'x')",
        "1.find('b')",
        "b'abc'.find('b')",
    ]);
}

#[test]
fn functions_on_lists_and_numbers() {
    check_all(&[
        ("[1] + [2, 3] + args.list", "[1,2,3,1,2,3]"),
        ("size(self.items) + self.empty.size()", "2"),
        ("[1, 2, 3, 4].slice(1, 3)", "[2,3]"),
        ("[1, [2, [3]]].flatten()", "[1,2,[3]]"),
        ("[1, [2, [3]]].flatten(2)", "[1,2,3]"),
        ("[1, 1.0, 2, 1u].distinct()", "[1,2]"),
        ("[3, 1.5, 2].sort()", "[1.5,2,3]"),
        ("['b', 'a'].sort()", r#"["a","b"]"#),
        ("[1, 2].reverse()", "[2,1]"),
        ("lists.range(3)", "[0,1,2]"),
        ("self.items.map(i, i.qty).sum()", "6"),
        ("[1, 2u, 0.5].sum()", "3.5"),
        ("[].sum()", "0"),
        ("[duration('1s'), duration('2m')].sum() == duration('121s')", "true"),
        ("[9223372036854775807].sum()", "9223372036854775807"),
        ("[3, 1.5, 2].min()", "1.5"),
        ("[3, 1.5, 3.0].max()", "3"),
        ("['b', 'a'].min() + ['b', 'a'].max()", r#""ab""#),
        ("[timestamp(5), timestamp(3)].min() == timestamp(3)", "true"),
        ("[false, true].max()", "true"),
        ("self.tags.indexOf('b')", "1"),
        ("[1, 2, 1.0].lastIndexOf(1)", "2"),
        ("[[1], [2]].indexOf([2])", "1"),
        ("[1].indexOf(2) + [1].lastIndexOf(2)", "-2"),
        ("[1, 1, 2.5].isSorted() && [].isSorted() && ['a'].isSorted()", "true"),
        ("[2, 1, 3].isSorted()", "false"),
        ("sets.contains([1, 2], [2.0]) && sets.contains([], [])", "true"),
        ("sets.contains([1], [1, 2])", "false"),
        ("sets.equivalent([1, 1], [1])", "true"),
        ("sets.equivalent([1, 2], [1])", "false"),
        ("sets.intersects([1, 2], [3])", "false"),
        ("sets.intersects([[1]], [[1], 2])", "true"),
        ("math.greatest(1, 2.5, 2)", "2.5"),
        ("math.least([3, 1, 2])", "1"),
        ("math.greatest(self.balance, args.n)", "20"),
        ("math.abs(-3) + math.sign(-2)", "2"),
        ("math.ceil(1.2) + math.floor(1.8) + math.round(2.5) + math.trunc(-1.5)", "5.0"),
        ("math.bitAnd(6, 3)", "2"),
        ("math.isNaN(0.0 / 0.0)", "true"),
        ("math.sqrt(4.0)", "2.0"),
        ("int('12') + int(3.9) + int(4u)", "19"),
        ("double('1.5') + double(1)", "2.5"),
        ("uint(3) + 1u", "4"),
        ("string(1) + string(1.5) + string(true)", r#""11.5true""#),
        ("bool('true')", "true"),
        ("string(b'abc')", r#""abc""#),
        ("bytes('abc') == b'abc'", "true"),
        ("dyn(1) == 1", "true"),
    ]);
    check_fails(&[
        "[1].slice(0, 2)",
        "[1].slice(-1, 1)",
        "[1].flatten(-1)",
        "[1, 'a'].sort()",
        "[[1]].sort()",
        "[0.0 / 0.0].sort()",
        "lists.range(-1)",
        "[1, 'a'].sum()",
        "['a'].sum()",
        "[null].sum()",
        "[duration('1s'), 1].sum()",
        "[9223372036854775807, 1].sum()",
        "[].min()",
        "[].max()",
        "[1, 'a'].min()",
        "[null].max()",
        "[[1]].min()",
        "[0.0 / 0.0].max()",
        "[1, 'a'].isSorted()",
        "[null].isSorted()",
        "1.sum()",
        "{}.max()",
        "[1].indexOf(1, 0)",
        "sets.contains(1, [])",
        "sets.intersects([], {})",
        "math.greatest()",
        "math.greatest('a')",
        "math.greatest([])",
        "math.abs(self.min)",
        "int('x')",
        "int(1e30)",
        "uint(-1)",
        "bool('maybe')",
        "string([1])",
        "string(b'\\xff')",
        "math.nope(1)",
    ]);
}

#[test]
fn times() {
    check_all(&[
        ("timestamp('2024-02-29T12:30:00Z')", r#""2024-02-29T12:30:00Z""#),
        ("timestamp('2024-02-29T12:30:00.25+02:00')", r#""2024-02-29T10:30:00.25Z""#),
        ("timestamp(self.when) < now", "true"),
        ("now - timestamp(self.when) == duration('11h30m')", "true"),
        ("now - duration('1s')", r#""2024-02-29T23:59:59Z""#),
        ("duration('1s') + now > now", "true"),
        ("now - timestamp(self.when)", r#""41400s""#),
        ("duration('1h30m') + duration('-1.5s')", r#""5398.5s""#),
        ("duration('1.5s') - duration('1500ms') == duration('0')", "true"),
        ("duration('1us') == duration('1000ns')", "true"),
        ("duration('PT2H3S') == duration('2h3s')", "true"),
        ("duration('-PT0.5S') == duration('-500ms')", "true"),
        ("duration('P1Y35DT3S') == duration('400d3s')", "true"),
        ("duration('9223372036.854775807s') > duration('1w')", "true"),
        ("timestamp('2024-02-29T12:30:45.678Z').getFullYear()", "2024"),
        ("timestamp('2024-02-29T12:30:45.678Z').getMonth()", "1"),
        ("timestamp('2024-02-29T12:30:45.678Z').getDate()", "29"),
        ("timestamp('2024-02-29T12:30:45.678Z').getDayOfMonth()", "28"),
        ("timestamp('2024-02-29T12:30:45.678Z').getDayOfYear()", "59"),
        ("timestamp('2024-02-29T12:30:45.678Z').getDayOfWeek()", "4"),
        ("timestamp('2024-02-29T12:30:45.678Z').getHours()", "12"),
        ("timestamp('2024-02-29T12:30:45.678+02:00').getHours()", "10"),
        ("timestamp('2024-02-29T12:30:45.678Z').getHours('+02:00')", "14"),
        ("timestamp('2024-02-29T12:30:45.678Z').getHours('Europe/Berlin')", "13"),
        ("timestamp('2024-02-29T12:30:45.678Z').getMilliseconds()", "678"),
        ("duration('1h30m').getMinutes() + duration('1h').getHours()", "91"),
        ("int(timestamp('1970-01-01T00:01:00Z'))", "60"),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"),
        ("timestamp(60) == timestamp('1970-01-01T00:01:00Z')", "true"),
        ("string(timestamp(0))", r#""1970-01-01T00:00:00Z""#),
        ("string(duration('-1.5s'))", r#""-1.5s""#),
        ("timestamp('0001-01-01T00:00:00Z') < timestamp('9999-12-31T23:59:59Z')", "true"),
    ]);
    check_fails(&[
        "timestamp('nope')",
        "timestamp('2024-02-30T00:00:00Z')",
        "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
        "timestamp('0001-01-01T00:00:00Z') - duration('1ns')",
        "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
        "duration('1')",
        "duration('')",
        "duration('-')",
        "duration('1x')",
        "duration('1s ')",
        "duration('.s')",
        "duration('9999999h')",
        "duration('P1M')",
        "duration('0.1ns')",
        "duration('9223372036.854775808s')",
        "now + now",
        "now < 1",
        "now.getHours('Nowhere/There')",
    ]);
}
