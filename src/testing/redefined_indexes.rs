//! Indexes that a definition shares with the one before keep their entries, and serve queries while others are built.

use super::MemoryHost;
use crate::error::{ErrorCode, Result};
use crate::host::{Host, Outcome};
use crate::index::{Direction, Gathered, IndexMask, Progress};
use crate::reply::Reply;

/// Indexes to declare, each of a member of its own.
const POOL: [&str; 6] = [
    "INDEX a 1 $.a",
    "INDEX b 1 $.b[*]",
    "INDEX c 2 $.c $.a",
    "INDEX d 1 $.d UNIQUE",
    "INDEX e 1 self.e+1 ONLY self.e>3",
    "INDEX f 1 /f/g",
];

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn call(host: &mut MemoryHost, words: &str) -> Result<Outcome> {
    host.call(&words.split(' ').collect::<Vec<_>>())
}

fn define(host: &mut MemoryHost, indexes: &[&str]) {
    let words = ["MODEL.DEFINE m {}"].into_iter().chain(indexes.iter().copied());
    call(host, &words.collect::<Vec<_>>().join(" ")).unwrap();
}

fn document(rng: &mut Rng) -> String {
    let mut next = || rng.below(9);
    let (a, b, c, d, e, f) = (next(), next(), next(), next() * 9 + next(), next(), next());
    format!(r#"{{"a":{a},"b":[{b},{a}],"c":"{c}","d":{d},"e":{e},"f":{{"g":{f}}},"x":0}}"#)
}

fn change(host: &mut MemoryHost, rng: &mut Rng) {
    let (key, other) = (format!("k{}", rng.below(40)), format!("k{}", rng.below(40)));
    let member = ["a", "d", "e", "f.g", "x", "b[0]"][rng.below(6)];
    let n = rng.below(60);
    let words = match rng.below(8) {
        0 => return host.unlink(key.as_bytes()),
        1 => format!("MODEL.SET {key} any {{}}"),
        2 | 3 => format!("MODEL.SET {key} m {}", document(rng)),
        4 if key != other => {
            format!("MODEL.TXN 2 {key} {other} ON {key} SET $.{member} {n} ON {other} INCR $.a 1")
        }
        _ => format!("MODEL.FIELDOP {key} SET $.{member} {n}"),
    };
    // Whatever is refused changes nothing.
    let _ = call(host, &words);
}

/// Gathers some documents, as a pass over the keys does, and merges some of their entries; all of them where no number is
/// given.
fn pass(host: &mut MemoryHost, rng: &mut Rng, count: Option<usize>) {
    let model = host.models().defined(b"m").unwrap();
    let mut names: Vec<Vec<u8>> = host.documents.keys().cloned().collect();
    names.sort();
    let visited = match count {
        Some(count) => (0..count).map(|_| names[rng.below(names.len())].clone()).collect(),
        None => names,
    };
    let (mut run, mut gathered) = (Gathered::default(), Vec::new());
    for name in visited {
        let document = &host.documents[&name];
        if document.model_name() == "m" {
            // Earlier ones are in the same run.
            let known = gathered.contains(&name);
            let missing = model.indexes().missing_entries(0, &name, document.root.view());
            if let Some(entries) = missing.filter(|_| !known) {
                run.add(&name, &entries);
                gathered.push(name);
            }
        }
        if rng.below(5) == 0 {
            model.indexes().gather(0, std::mem::take(&mut run));
            gathered.clear();
        }
    }
    model.indexes().gather(0, run);
    match count {
        Some(count) => drop(model.indexes().merge(count)),
        None => while model.indexes().merge(20) {},
    }
    if let Some(build) = model.indexes().build().filter(|_| count.is_none()) {
        model.indexes().end_build(build);
    }
}

/// Asserts that the trees that are ready have the entries of all documents, and no other ones.
fn check_ready(host: &mut MemoryHost) -> usize {
    let model = host.models().defined(b"m").unwrap();
    let indexes = model.indexes();
    let (set, ready) = (indexes.declared().unwrap(), indexes.ready());
    let all = |index| -> Vec<Vec<u8>> {
        let page = indexes.page(0, index, &all_bytes(), Direction::Ascending, usize::MAX);
        page.iter().map(<[u8]>::to_vec).collect()
    };
    let of_model = host.documents.iter().filter(|(_, document)| document.model_name() == "m");
    let documents: Vec<_> = of_model.collect();
    let mut served = 0;
    for index in (0..set.indexes.len() as u8).filter(|index| ready.indexes.has(*index)) {
        let mut expected = Vec::new();
        for (name, document) in &documents {
            let entries = set.entries(IndexMask::ALL, document.root.view(), None);
            let own = entries.iter().filter(|(number, _)| *number == index);
            expected.extend(own.map(|(_, key)| [key, name].concat()));
        }
        expected.sort();
        assert_eq!(all(Some(index)), expected);
        served += 1;
    }
    if ready.names {
        assert_eq!(all(None).len(), documents.len());
    }
    served
}

fn all_bytes() -> crate::index::key::Range {
    crate::index::key::Range { low: Vec::new(), high: vec![255; 4] }
}

/// The digest of MODEL.CHECK, which finds nothing.
fn digest(host: &mut MemoryHost) -> Vec<u8> {
    let mut cursor = "0".to_owned();
    loop {
        let reply = call(host, &format!("MODEL.CHECK m CURSOR {cursor}")).unwrap().reply;
        let Reply::Map(map) = reply else { panic!("{reply:?}") };
        let field = |name: &str| &map.iter().find(|(field, _)| *field == name).unwrap().1;
        for name in ["missing", "stray"] {
            assert_eq!(*field(name), Reply::Int(0), "{name}");
        }
        match (field("cursor"), field("digest")) {
            (_, Reply::Text(digest)) => return digest.clone(),
            (Reply::Text(next), _) => cursor = String::from_utf8(next.clone()).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn random_redefinitions_leave_the_entries_that_a_full_build_makes() {
    let mut rng = Rng(11);
    let mut host = MemoryHost::default();
    define(&mut host, &POOL[..3]);
    let (mut served, mut full) = (0, 0);
    for round in 0..150 {
        for _ in 0..30 {
            change(&mut host, &mut rng);
        }
        let mut indexes = POOL.to_vec();
        (1..POOL.len()).for_each(|nth| indexes.swap(nth, rng.below(nth + 1)));
        indexes.truncate(1 + rng.below(POOL.len()));
        define(&mut host, &indexes);
        served += check_ready(&mut host);
        for _ in 0..rng.below(3) {
            for _ in 0..20 {
                change(&mut host, &mut rng);
            }
            pass(&mut host, &mut rng, Some(10));
            served += check_ready(&mut host);
        }
        // Some definitions follow before the build has ended.
        if rng.below(3) > 0 {
            pass(&mut host, &mut rng, None);
            full += check_ready(&mut host);
            let kept = digest(&mut host);
            let model = host.models().defined(b"m").unwrap();
            drop(model.indexes().begin_build());
            pass(&mut host, &mut rng, None);
            assert_eq!(digest(&mut host), kept, "round {round}");
        }
    }
    assert!(served > 300 && full > 200, "{served} {full}");
}

#[test]
fn queries_that_shared_indexes_serve_go_on_while_others_are_built() {
    let mut host = MemoryHost::default();
    define(&mut host, &[POOL[0], POOL[3]]);
    for n in 0..20 {
        call(&mut host, &format!(r#"MODEL.SET k{n} m {{"a":{n},"d":{n},"f":{{"g":1}}}}"#)).unwrap();
    }
    define(&mut host, &[POOL[5], POOL[3], POOL[0]]);
    let count = |host: &mut MemoryHost, words: &str| {
        call(host, format!("MODEL.COUNT m {words}").trim_end()).map(|outcome| outcome.reply)
    };
    assert_eq!(count(&mut host, "WHERE self.a<5"), Ok(Reply::Int(5)));
    assert_eq!(count(&mut host, ""), Ok(Reply::Int(20)));
    assert_eq!(count(&mut host, "WHERE self.x==1 SCAN"), Ok(Reply::Int(0)));
    for words in ["WHERE self.f.g==1", "WHERE self.x==1"] {
        assert_eq!(count(&mut host, words).unwrap_err().code(), ErrorCode::Indexing);
    }
    let ordered = call(&mut host, "MODEL.FIND m ORDER f GET $.a").unwrap_err();
    assert_eq!(ordered.code(), ErrorCode::Indexing);
    call(&mut host, "MODEL.FIND m ORDER a GET $.a").unwrap();
    assert_eq!(call(&mut host, "MODEL.CHECK m").unwrap_err().code(), ErrorCode::Indexing);
    // UNIQUE holds all the time.
    let taken = call(&mut host, r#"MODEL.SET new m {"d":7}"#).unwrap_err();
    assert_eq!(taken.code(), ErrorCode::Unique);
    let described = call(&mut host, "MODEL.DESCRIBE m").unwrap().reply.notation();
    let states =
        ["[f [/f/g] (nil) (nil) BUILDING (nil)]", "[d [$.d] UNIQUE (nil) READY (integer) 0]"];
    assert!(states.iter().all(|state| described.contains(state)), "{described}");

    pass(&mut host, &mut Rng(1), None);
    assert_eq!(count(&mut host, "WHERE self.f.g==1"), Ok(Reply::Int(20)));
    let refused = count(&mut host, "WHERE self.x==1").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NoIndex);
    // With fewer indexes there is nothing to wait for, also for MODEL.CHECK.
    define(&mut host, &[POOL[0]]);
    let model = host.models().defined(b"m").unwrap();
    assert_eq!(model.indexes().progress(), Progress::Ready);
    digest(&mut host);
}

#[test]
fn redefinitions_in_a_row_build_everything_anew_in_the_end() {
    let mut host = MemoryHost::default();
    define(&mut host, &[POOL[0]]);
    call(&mut host, r#"MODEL.SET k m {"a":1}"#).unwrap();
    let mut anew = 0;
    for nth in 1..=20 {
        define(&mut host, &[POOL[0], POOL[1 + nth % 5]]);
        // A document for each declaration, which leaves a record of it.
        let _ = call(&mut host, &format!(r#"MODEL.SET k{nth} m {{"a":{nth},"d":{nth}}}"#));
        anew += usize::from(!host.models().defined(b"m").unwrap().indexes().ready().names);
    }
    assert!((1..20).contains(&anew), "{anew}");
    pass(&mut host, &mut Rng(1), None);
    assert_eq!(check_ready(&mut host), 2);
    digest(&mut host);
}

#[test]
fn an_index_and_a_search_of_all_agree_on_documents_whose_expressions_take_long() {
    let mut host = MemoryHost::default();
    let of_expressions = |host: &mut MemoryHost, count: usize| {
        let indexes: Vec<String> =
            (0..count).map(|nth| format!("INDEX i{nth} 1 self.a.sum()")).collect();
        define(
            host,
            &["INDEX plain 1 $.n"]
                .into_iter()
                .chain(indexes.iter().map(String::as_str))
                .collect::<Vec<_>>(),
        );
        let model = host.models().defined(b"m").unwrap();
        let is_kept = |index| model.indexes().ready().has(Some(index));
        let kept = (is_kept(0), is_kept(1));
        pass(host, &mut Rng(1), None);
        kept
    };
    of_expressions(&mut host, 1);
    // More than an eighth of the steps that one expression may take, and less than all of them.
    for (key, count) in [("long", 100_000), ("short", 20)] {
        let json = format!(r#"{{"n":1,"a":[{}]}}"#, vec!["1"; count].join(","));
        call(&mut host, &format!("MODEL.SET {key} m {json}")).unwrap();
    }
    let count = |host: &mut MemoryHost| {
        let by_index = call(host, "MODEL.COUNT m WHERE self.a.sum()>0").unwrap().reply;
        let of_all = call(host, "MODEL.COUNT m WHERE !(self.a.sum()<=0) SCAN").unwrap().reply;
        assert_eq!(by_index, of_all);
        digest(host);
        by_index
    };
    assert_eq!(count(&mut host), Reply::Int(2));
    // Each of more expressions may take fewer steps: that of both definitions is built anew, a path is not.
    assert_eq!(of_expressions(&mut host, 3), (true, false));
    assert_eq!(count(&mut host), Reply::Int(1));
    assert_eq!(of_expressions(&mut host, 2), (true, false));
    assert_eq!(count(&mut host), Reply::Int(2));
    assert_eq!(of_expressions(&mut host, 1), (true, true));
    assert_eq!(count(&mut host), Reply::Int(2));
}
