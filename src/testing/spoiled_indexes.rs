//! `MODEL.CHECK` finds whatever the trees, the records and the documents disagree about.

use std::sync::Arc;

use super::MemoryHost;
use crate::host::Host;
use crate::index::{Direction, Entries, EntryTree, IndexMask, Table};
use crate::model::Model;
use crate::reply::Reply;

const DEFINE: &str =
    "MODEL.DEFINE m {} INDEX by_n 1 $.n INDEX by_tag 2 $.tags[*] $.n INDEX by_mail 1 $.mail UNIQUE";

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    let mut call = |args: &[&str]| host.call(args).map(|_| ()).unwrap();
    call(&DEFINE.split(' ').collect::<Vec<_>>());
    for n in 0..9 {
        let json = format!(r#"{{"n":{n},"tags":["a",{n}],"mail":"m{n}"}}"#);
        call(&["MODEL.SET", &format!("k{n}"), "m", &json]);
    }
    host
}

/// The sums of missing, stray and duplicates, and the digest.
fn check(host: &mut MemoryHost) -> ([i64; 3], String) {
    let (mut cursor, mut sums) = (b"0".to_vec(), [0; 3]);
    loop {
        let args = ["MODEL.CHECK", "m", "CURSOR", std::str::from_utf8(&cursor).unwrap()];
        let Reply::Map(map) = host.call(&args).unwrap().reply else { panic!("no map") };
        let field = |name: &str| &map.iter().find(|(field, _)| *field == name).unwrap().1;
        for (sum, name) in sums.iter_mut().zip(["missing", "stray", "duplicates"]) {
            let Reply::Int(count) = field(name) else { panic!("no number") };
            *sum += count;
        }
        match (field("cursor"), field("digest")) {
            (Reply::Text(end), Reply::Text(digest)) if end == b"0" => {
                return (sums, String::from_utf8(digest.clone()).unwrap());
            }
            (Reply::Text(next), Reply::Null) => cursor.clone_from(next),
            other => panic!("{other:?}"),
        }
    }
}

fn model_of(host: &mut MemoryHost) -> Arc<Model> {
    host.models().defined(b"m").unwrap()
}

/// The entries that the document at a key has to have.
fn entries_of(host: &mut MemoryHost, name: &[u8]) -> Entries {
    let model = model_of(host);
    model.indexes().entries(host.look(name).unwrap().root.view()).unwrap()
}

fn all(tree: &EntryTree) -> Vec<Vec<u8>> {
    let page = tree.page(&[], &[255; 4], Direction::Ascending, usize::MAX);
    page.iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn a_full_check_finds_every_disagreement_of_trees_records_and_documents() {
    let (clean, digest) = check(&mut host());
    assert_eq!(clean, [0; 3]);
    let other = entries_of(&mut host(), b"k4");
    let none = Entries::default();
    type Spoil<'s> = &'s dyn Fn(&mut Table);
    let cases: &[(&str, bool, Spoil<'_>)] = &[
        ("a document lacks an entry", true, &|table| {
            let entry = all(&table.trees[0]).swap_remove(3);
            assert!(table.trees[0].remove(&entry));
        }),
        ("a document has an entry more", true, &|table| {
            let mut entry = all(&table.trees[0]).swap_remove(3);
            *entry.last_mut().unwrap() = b'5';
            assert!(table.trees[0].insert(&entry));
        }),
        ("an entry has another key", true, &|table| {
            let mut entry = all(&table.trees[1]).swap_remove(3);
            assert!(table.trees[1].remove(&entry));
            entry[1] ^= 1;
            assert!(table.trees[1].insert(&entry));
        }),
        ("an entry is no key", true, &|table| assert!(table.trees[2].insert(&[6, 7, 8]))),
        ("an entry is in another index", true, &|table| {
            let entry = all(&table.trees[0]).swap_remove(3);
            assert!(table.trees[0].remove(&entry) && table.trees[2].insert(&entry));
        }),
        ("an entry is of no document", true, &|table| {
            let entry = [&all(&table.trees[0])[3][..], b"7"].concat();
            assert!(table.trees[0].insert(&entry));
        }),
        ("entries stand in the wrong order", false, &|table| {
            let mut entries = all(&table.trees[0]);
            entries.swap(3, 4);
            table.trees[0] = EntryTree::unsorted(&entries);
        }),
        ("an entry is there twice", true, &|table| {
            let mut entries = all(&table.trees[0]);
            entries.insert(3, entries[3].clone());
            table.trees[0] = EntryTree::unsorted(&entries);
        }),
        ("a name is missing", true, &|table| assert!(table.names.remove(b"\0k3"))),
        ("a name is of no document", true, &|table| assert!(table.names.insert(b"\0x"))),
        ("names stand in the wrong order", true, &|table| {
            let mut names = all(&table.names);
            names.swap(3, 4);
            table.names = EntryTree::unsorted(&names);
        }),
        ("a name stands for another", true, &|table| {
            assert!(table.names.remove(b"\0k3") && table.names.insert(b"\0x"));
        }),
        ("a document has no record", false, &|table| table.spoil_record(b"k3", None)),
        ("a record has too few entries", false, &|table| {
            table.spoil_record(b"k3", Some(&none));
        }),
        ("a record has the entries of another document", false, &|table| {
            table.spoil_record(b"k3", Some(&other));
        }),
        ("a record is of no document", false, &|table| {
            table.spoil_record(b"x", Some(&other));
        }),
        ("the entries are those that the document had before", true, &|table| {
            table.set(b"k3", &other);
        }),
        ("a document that is gone has its entries", true, &|table| table.set(b"x", &none)),
        ("a document that is gone has entries, and no name", true, &|table| {
            table.set(b"x", &other);
            assert!(table.names.remove(b"\0x"));
        }),
        ("a document is not there", true, &|table| table.remove(b"k3")),
        ("nothing is there", true, &|table| *table = Table::new(3, IndexMask::NONE)),
    ];
    for (what, shows, spoil) in cases {
        let mut host = host();
        model_of(&mut host).indexes().spoil(0, spoil);
        let ([missing, stray, _], spoiled) = check(&mut host);
        assert!(missing + stray > 0, "{what}");
        assert_eq!(spoiled != digest, *shows, "{what}");
    }
}

#[test]
fn a_table_without_documents_is_found() {
    let mut host = host();
    model_of(&mut host);
    (0..9).for_each(|n| host.unlink(format!("k{n}").as_bytes()));
    assert_eq!(check(&mut host).0, [0; 3]);
    let entries = Entries::default();
    model_of(&mut host).indexes().spoil(0, |table| table.set(b"k", &entries));
    assert_eq!(check(&mut host).0, [0, 1, 0]);
}

#[test]
fn a_replica_tells_a_document_that_is_gone_from_one_that_has_expired() {
    let mut host = host();
    host.replaying = true;
    let entries = entries_of(&mut host, b"k4");
    model_of(&mut host).indexes().spoil(0, |table| table.set(b"x", &entries));
    assert_eq!(check(&mut host).0, [0, 1, 1]);
    host.expired.insert(b"x".to_vec());
    assert_eq!(check(&mut host).0, [0, 0, 1]);
    // Neither is a document of another model.
    host.expired.clear();
    host.replaying = false;
    host.call(&["MODEL.SET", "x", "any", "{}"]).unwrap();
    host.replaying = true;
    assert_eq!(check(&mut host).0, [0, 1, 1]);
}

#[test]
fn the_digest_is_that_of_the_documents_whatever_came_before() {
    let mut host = host();
    let digest = check(&mut host).1;
    let mut call = |args: &[&str]| drop(host.call(args).unwrap());
    call(&["MODEL.SET", "x", "m", r#"{"n":3}"#]);
    call(&["MODEL.FIELDOP", "k3", "INCR", "$.n", "7"]);
    call(&["MODEL.TXN", "1", "x", "ON", "x", "DELETE"]);
    assert_ne!(check(&mut host).1, digest);
    host.call(&["MODEL.FIELDOP", "k3", "INCR", "$.n", "-7"]).unwrap();
    assert_eq!(check(&mut host), ([0; 3], digest));
}
