//! Representations of JSON values side by side: `serde_json::Value` (members in order), `ijson`, and
//! `redis_model::value`. `make bench-values` runs it.
//!
//! Bytes are counted by an allocator that passes everything on, once as requested and once rounded
//! up to jemalloc's size classes, which is what the server pays. Times are of this machine and this
//! run; what counts is how they compare.
//!
//! Measurements of one run, in nanoseconds only to be compared with each other; ours also records undo and effects
//! when it changes something:
//!
//! | document | representation | bytes | parse | print | read a field | increment | replace a string |
//! |---|---|---|---|---|---|---|---|
//! | 181 B | `serde_json::Value` | 2457 | 1796 | 761 | 33 | 137 | 872 |
//! | | `ijson` | 709 | 1146 | 157 | 23 | 24 | 86 |
//! | | ours | 120 | 453 | 213 | 26 | 176 | 272 |
//! | 10 KB | `serde_json::Value` | 104,322 | 99,320 | 19,445 | 46 | 145 | 125 |
//! | | `ijson` | 45,204 | 79,879 | 15,875 | 54 | 56 | 57 |
//! | | ours | 9,712 | 26,630 | 14,482 | 62 | 257 | 224 |
//! | 1 MB | `serde_json::Value` | 10,021,047 | 19,317,708 | 963,969 | 35 | 134 | 115 |
//! | | `ijson` | 4,589,513 | 10,441,110 | 1,604,412 | 45 | 46 | 55 |
//! | | ours | 1,040,890 | 2,391,560 | 1,356,876 | 51 | 239 | 215 |
//!
//! `ijson` changes numbers faster but loses the order of members and shares strings through a process-wide
//! cache that dropping on another thread would have to lock; `serde_json::Value` needs twenty times the memory
//! of a small document. (The two others suffer from serde_json's `arbitrary_precision`, which the tests need;
//! without it they take 4 to 20 times our bytes.)

#[path = "shared/counting.rs"]
mod counting;
#[path = "server/documents.rs"]
#[allow(dead_code)]
mod documents;

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use counting::{REQUESTED, ROUNDED, size_class};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Number, Place, Root, Value, View, parse, print};

/// One representation. What it changes are members known by their path of names and indexes.
trait Representation {
    const NAME: &'static str;
    const KEEPS_ORDER: bool = true;
    type Value;

    fn parse(text: &str) -> Self::Value;
    fn print(value: &Self::Value, out: &mut Vec<u8>);
    /// Reads an integer.
    fn read(value: &Self::Value, path: &[Step]) -> i64;
    /// Adds 1 to an integer.
    fn increment(value: &mut Self::Value, path: &[Step]);
    /// Replaces a string.
    fn replace(value: &mut Self::Value, path: &[Step], text: &str);
}

#[derive(Clone, Copy)]
enum Step {
    Name(&'static str),
    Index(usize),
}

struct SerdeJson;

impl Representation for SerdeJson {
    const NAME: &'static str = "serde_json";
    type Value = serde_json::Value;

    fn parse(text: &str) -> Self::Value {
        serde_json::from_str(text).expect("valid JSON")
    }

    fn print(value: &Self::Value, out: &mut Vec<u8>) {
        serde_json::to_writer(out, value).expect("memory takes everything");
    }

    fn read(value: &Self::Value, path: &[Step]) -> i64 {
        let found = path.iter().fold(value, |value, step| match step {
            Step::Name(name) => &value[*name],
            Step::Index(index) => &value[*index],
        });
        found.as_i64().expect("an integer")
    }

    fn increment(value: &mut Self::Value, path: &[Step]) {
        let place = serde_place(value, path);
        *place = (place.as_i64().expect("an integer") + 1).into();
    }

    fn replace(value: &mut Self::Value, path: &[Step], text: &str) {
        *serde_place(value, path) = text.into();
    }
}

fn serde_place<'v>(value: &'v mut serde_json::Value, path: &[Step]) -> &'v mut serde_json::Value {
    path.iter().fold(value, |value, step| match step {
        Step::Name(name) => &mut value[*name],
        Step::Index(index) => &mut value[*index],
    })
}

struct Ijson;

impl Representation for Ijson {
    const NAME: &'static str = "ijson (loses order)";
    const KEEPS_ORDER: bool = false;
    type Value = ijson::IValue;

    fn parse(text: &str) -> Self::Value {
        serde_json::from_str(text).expect("valid JSON")
    }

    fn print(value: &Self::Value, out: &mut Vec<u8>) {
        serde_json::to_writer(out, value).expect("memory takes everything");
    }

    fn read(value: &Self::Value, path: &[Step]) -> i64 {
        let found = path.iter().fold(value, |value, step| match step {
            Step::Name(name) => &value[*name],
            Step::Index(index) => &value[*index],
        });
        found.to_i64().expect("an integer")
    }

    fn increment(value: &mut Self::Value, path: &[Step]) {
        let place = ijson_place(value, path);
        *place = (place.to_i64().expect("an integer") + 1).into();
    }

    fn replace(value: &mut Self::Value, path: &[Step], text: &str) {
        *ijson_place(value, path) = text.into();
    }
}

fn ijson_place<'v>(value: &'v mut ijson::IValue, path: &[Step]) -> &'v mut ijson::IValue {
    path.iter().fold(value, |value, step| match step {
        Step::Name(name) => &mut value[*name],
        Step::Index(index) => &mut value[*index],
    })
}

/// With what a command needs besides: undo and portable effects are written too.
struct Ours;

struct OurValue {
    root: Root<[u8; 0]>,
    size: u64,
    journal: Journal,
}

impl Representation for Ours {
    const NAME: &'static str = "ours";
    type Value = OurValue;

    fn parse(text: &str) -> OurValue {
        let parsed = parse::json(text.as_bytes(), &Limits::DEFAULT).expect("valid JSON");
        OurValue { root: Root::bare(parsed.value), size: parsed.size, journal: Journal::default() }
    }

    fn print(value: &OurValue, out: &mut Vec<u8>) {
        print::json(value.root.view(), out);
    }

    fn read(value: &OurValue, path: &[Step]) -> i64 {
        let found = path.iter().fold(value.root.view(), |view, step| child(view, step).1);
        match found {
            View::Int(value) => value,
            _ => panic!("an integer"),
        }
    }

    fn increment(value: &mut OurValue, path: &[Step]) {
        let place = place(value, path);
        let number = value.root.view().at(&place).and_then(View::as_number).expect("a number");
        edit(value, &place, number.plus(Number::Int(1)).expect("no overflow").into());
    }

    fn replace(value: &mut OurValue, path: &[Step], text: &str) {
        let place = place(value, path);
        edit(value, &place, text.into());
    }
}

fn child<'v>(view: View<'v>, step: &Step) -> (u32, View<'v>) {
    match (step, view) {
        (Step::Name(name), View::Object(object)) => object.find(name).expect("a member"),
        (Step::Index(index), View::Array(array)) => {
            (*index as u32, array.get(*index).expect("an element"))
        }
        _ => panic!("the path leads somewhere"),
    }
}

fn place(value: &OurValue, path: &[Step]) -> Place {
    let mut view = value.root.view();
    path.iter()
        .map(|step| {
            let (position, inner) = child(view, step);
            view = inner;
            position
        })
        .collect()
}

fn edit(value: &mut OurValue, place: &Place, new: Value) {
    let mut editor = Editor::new(&mut value.root, value.size, Limits::DEFAULT, &mut value.journal);
    editor.replace(place, new).expect("within limits");
    value.size = editor.size();
    editor.commit();
    value.journal.clear();
}

/// A subject of measurement: a kind of document, how many there are, and the places used in it.
struct Subject {
    name: &'static str,
    texts: Vec<String>,
    integer: Vec<Step>,
    string: Vec<Step>,
}

fn subjects() -> [Subject; 3] {
    use Step::{Index, Name};
    let item = |nth, name| vec![Name("items"), Index(nth), Name(name)];
    [
        Subject {
            name: "200 B",
            texts: (0..20_000).map(documents::player).collect(),
            integer: vec![Name("score")],
            string: vec![Name("metadata"), Name("theme")],
        },
        Subject {
            name: "10 KB",
            texts: (0..400).map(documents::order).collect(),
            integer: item(30, "qty"),
            string: item(30, "name"),
        },
        Subject {
            name: "1 MB",
            texts: (0..8).map(documents::catalogue).collect(),
            integer: item(2500, "qty"),
            string: item(2500, "name"),
        },
    ]
}

/// One line of the table: bytes for each document, and nanoseconds.
#[derive(Default)]
struct Measured {
    requested: f64,
    rounded: f64,
    parse: f64,
    print: f64,
    read: f64,
    increment: f64,
    replace: f64,
}

fn measure<R: Representation>(subject: &Subject) -> Measured {
    let texts = &subject.texts;
    let parse_all = || texts.iter().map(|text| R::parse(text)).collect::<Vec<_>>();
    // The first documents teach a representation the names it shares; they are not counted.
    drop(parse_all());
    let before = [&REQUESTED, &ROUNDED].map(|counter| counter.load(Ordering::Relaxed));
    let mut values = parse_all();
    let vector =
        [texts.len() * size_of::<R::Value>(), size_class(texts.len() * size_of::<R::Value>())];
    let after = [&REQUESTED, &ROUNDED].map(|counter| counter.load(Ordering::Relaxed));
    // The value itself counts with what it points to, the journal beside ours does not.
    let own = if R::NAME == Ours::NAME { size_of::<Value>() } else { size_of::<R::Value>() };
    let bytes = |nth: usize| {
        (after[nth] - before[nth] - vector[nth] as isize) as f64 / texts.len() as f64 + own as f64
    };

    let mut out = Vec::new();
    for (value, text) in values.iter().zip(texts) {
        out.clear();
        R::print(value, &mut out);
        // ijson loses the order of members, so it is held to the same content alone.
        let same =
            out == text.as_bytes() || !R::KEEPS_ORDER && content(&out) == content(text.as_bytes());
        assert!(same, "{} gives the same text back", R::NAME);
    }
    let each = |work: &mut dyn FnMut(usize)| {
        nanoseconds(|| (0..texts.len()).for_each(&mut *work)) / texts.len() as f64
    };
    let mut round = 0;
    Measured {
        requested: bytes(0),
        rounded: bytes(1),
        parse: each(&mut |nth| drop(black_box(R::parse(&texts[nth])))),
        print: each(&mut |nth| {
            out.clear();
            R::print(&values[nth], &mut out);
            black_box(&out);
        }),
        read: each(&mut |nth| {
            black_box(R::read(&values[nth], &subject.integer));
        }),
        increment: each(&mut |nth| R::increment(&mut values[nth], &subject.integer)),
        replace: each(&mut |nth| {
            // Another text in every pass: putting the same again would do nothing.
            round += usize::from(nth == 0);
            let text = if round % 2 == 0 { "Walking boots no. 7" } else { "Rain" };
            R::replace(&mut values[nth], &subject.string, text);
        }),
    }
}

fn content(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).expect("valid JSON")
}

/// The fastest of several rounds that together take a while: the one least disturbed.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut fastest = Duration::MAX;
    let mut rounds = 0;
    while rounds < 5 || start.elapsed() < Duration::from_millis(300) {
        let before = Instant::now();
        work();
        fastest = fastest.min(before.elapsed());
        rounds += 1;
    }
    fastest.as_nanos() as f64
}

fn main() {
    println!(
        "| document | representation | bytes | in size classes | parse ns | print ns | read ns | increment ns | replace ns |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for subject in subjects() {
        let text = subject.texts.iter().map(String::len).sum::<usize>() / subject.texts.len();
        println!("| {} | text | {text} | | | | | | |", subject.name);
        row::<SerdeJson>(&subject);
        row::<Ijson>(&subject);
        row::<Ours>(&subject);
    }
}

fn row<R: Representation>(subject: &Subject) {
    let m = measure::<R>(subject);
    println!(
        "| {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
        subject.name,
        R::NAME,
        m.requested,
        m.rounded,
        m.parse,
        m.print,
        m.read,
        m.increment,
        m.replace
    );
}
