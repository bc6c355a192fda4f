//! A reader of a change stream: documents as the entries alone tell them, by the rules of docs/changes.md.

use std::collections::BTreeMap;

use serde_json::Value;

/// An entry of the stream.
pub type Entry = BTreeMap<String, String>;

/// The documents of one model.
#[derive(Default)]
pub struct Follower {
    /// Revision and content by key.
    pub documents: BTreeMap<String, (u64, Value)>,
    /// The number of the last entry.
    pub seq: Option<u64>,
}

impl Follower {
    /// Reads an entry. Panics at a gap, unless all documents went with what was not read.
    #[track_caller]
    pub fn read(&mut self, entry: &Entry) {
        let number = |name: &str| entry.get(name).map(|text| text.parse::<u64>().unwrap());
        let seq = number("seq").expect("each entry has a number");
        let (op, rev, prev) = (entry["op"].as_str(), number("rev"), number("prev"));
        let follows = |last| if op == "flush" { last < seq } else { last + 1 == seq };
        assert!(self.seq.is_none_or(follows), "a gap: {:?} {entry:?}", self.seq);
        self.seq = Some(seq);
        if op == "flush" {
            return self.documents.clear();
        }
        let key = &entry["key"];
        let known = self.documents.get(key).map(|known| known.0);
        if matches!(op, "delete" | "expire" | "evict") {
            if known.is_some_and(|known| Some(known) <= prev) {
                self.documents.remove(key);
            }
            return;
        }
        let rev = rev.expect("a document that is there has a revision");
        if let Some(from) = entry.get("from")
            && self.documents.get(from).is_some_and(|known| known.0 <= rev)
        {
            self.documents.remove(from);
        }
        if known.is_some_and(|known| known >= rev) {
            return;
        }
        match (entry.get("after"), entry.get("patch")) {
            (Some(after), _) => {
                self.documents.insert(key.clone(), (rev, serde_json::from_str(after).unwrap()));
            }
            (None, Some(operations)) if known == prev && known.is_some() => {
                let (_, content) = self.documents.remove(key).unwrap();
                self.documents.insert(key.clone(), (rev, patched(content, operations)));
            }
            (None, Some(_)) => {}
            (None, None) => panic!("an entry without content: {entry:?}"),
        }
    }
}

/// The document after a JSON Patch of additions, removals and replacements.
#[track_caller]
pub fn patched(mut document: Value, operations: &str) -> Value {
    let operations: Vec<Value> = serde_json::from_str(operations).unwrap();
    for operation in &operations {
        let path = operation["path"].as_str().unwrap();
        let Some((parent, last)) = path.rsplit_once('/') else {
            assert!(operation["op"] != "remove", "the document stays");
            document = operation["value"].clone();
            continue;
        };
        let name = last.replace("~1", "/").replace("~0", "~");
        let value = operation.get("value").cloned();
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{path}: no parent"));
        match (operation["op"].as_str().unwrap(), parent) {
            ("add", Value::Object(members)) => {
                members.insert(name, value.unwrap());
            }
            ("replace", Value::Object(members)) => {
                *members.get_mut(&name).expect("a member to be replaced is there") = value.unwrap();
            }
            ("remove", Value::Object(members)) => {
                members.shift_remove(&name).expect("a member to be removed is there");
            }
            ("add", Value::Array(items)) => items.insert(name.parse().unwrap(), value.unwrap()),
            ("replace", Value::Array(items)) => {
                items[name.parse::<usize>().unwrap()] = value.unwrap()
            }
            ("remove", Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
            other => panic!("{other:?} in {operation}"),
        }
    }
    document
}
