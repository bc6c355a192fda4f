//! The cases of the JSON Schema test suite, of every draft, that apply here.
//!
//! Cases that do not apply are in one table, each with its reason. Other tests include this file to run
//! the same cases elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One schema with the documents that are validated by it.
pub struct Group {
    /// The draft and the file.
    pub file: String,
    pub description: String,
    pub schema: Value,
    pub cases: Vec<Case>,
}

pub struct Case {
    pub description: String,
    pub document: Value,
    pub valid: bool,
}

/// The folders of the drafts, with what `$schema` says in those whose cases leave it out.
const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
];

const REMOTE: &str = "refers to a schema outside the document, which is refused";
const BIGNUM: &str = "the document has an integer beyond 64 bits, which no document may have";
const HOSTNAME: &str = "later drafts refuse such names, and formats are the same under every draft";
const DURATION: &str =
    "durations are taken as generators write them, beyond the grammar of RFC 3339";

/// Files, groups and single cases that do not apply, by how their names begin, and why.
const EXCLUDED: &[(&str, &str, &str, &str)] = &[
    ("refRemote", "", "", REMOTE),
    ("vocabulary", "", "", "needs a metaschema of its own, which is a schema outside the document"),
    ("format", "", "", "expects formats to be annotations; they are asserted here"),
    ("optional/format-assertion", "", "", "needs a metaschema of its own"),
    ("optional/cross-draft", "", "", "refers to a schema of another draft outside the document"),
    ("dynamicRef", "strict-tree schema", "", REMOTE),
    ("dynamicRef", "tests for implementation dynamic anchor", "", REMOTE),
    ("dynamicRef", "$ref and $dynamicAnchor are independent of order", "", REMOTE),
    ("dynamicRef", "$ref to $dynamicRef finds detached", "", REMOTE),
    (
        "draft7:optional/content",
        "",
        "",
        "expects contents to be validated, which no other draft does",
    ),
    (
        "draft4:optional/zeroTerminatedFloats",
        "some languages",
        "a float is not an integer",
        "1.0 is an integer, as in every later draft",
    ),
    ("draft4:optional/format/hostname", "", "hostname with consecutive hyphens", HOSTNAME),
    ("draft6:optional/format/hostname", "", "hostname with consecutive hyphens", HOSTNAME),
    ("optional/format/duration", "", "fractional duration", DURATION),
    ("optional/format/duration", "", "years and days cannot appear without months", DURATION),
    ("optional/format/duration", "", "hours and seconds cannot appear without minutes", DURATION),
    ("optional/format/duration", "", "a leading sign", DURATION),
    ("optional/bignum", "integer", "a bignum", BIGNUM),
    ("optional/bignum", "integer", "a negative bignum", BIGNUM),
    ("optional/bignum", "number", "a bignum", BIGNUM),
    ("optional/bignum", "number", "a negative bignum", BIGNUM),
    ("optional/bignum", "string", "a bignum", BIGNUM),
    ("optional/bignum", "maximum integer comparison", "", BIGNUM),
    ("optional/bignum", "minimum integer comparison", "", BIGNUM),
];

/// Why a case does not apply, if so.
fn excluded(file: &str, group: &str, case: &str) -> Option<&'static str> {
    let found = EXCLUDED.iter().find(|(in_file, in_group, in_case, why)| {
        assert!(!why.is_empty());
        let (draft, name) = file.split_once('/').expect("a file stands in the folder of its draft");
        let (in_draft, in_file) = in_file.split_once(':').unwrap_or((draft, in_file));
        in_draft == draft
            && in_file == name
            && group.starts_with(in_group)
            && case.starts_with(in_case)
    });
    found.map(|(.., why)| *why)
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the suite is there") {
        let path = entry.expect("the suite can be read").path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// All groups that apply, without the cases that do not.
pub fn groups() -> Vec<Group> {
    groups_excluded(None)
}

/// Those whose schema refers to one outside the document.
pub fn remote() -> Vec<Group> {
    groups_excluded(Some(REMOTE))
}

/// Those with documents that hold an integer beyond 64 bits, and these documents alone.
pub fn beyond_64_bits() -> Vec<Group> {
    groups_excluded(Some(BIGNUM))
}

/// All groups, with the cases excluded for this reason.
fn groups_excluded(why: Option<&str>) -> Vec<Group> {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites/jsonschema");
    let mut groups = Vec::new();
    for (draft, uri) in DRAFTS {
        let mut paths = Vec::new();
        files(&suites.join(draft), &mut paths);
        paths.sort();
        let before = groups.len();
        groups.extend(paths.iter().flat_map(|path| read(&suites, path, uri, why)));
        assert!(groups.len() > before, "{draft}: {why:?}");
    }
    groups
}

/// The schema of a group, which names its draft.
fn named(schema: &Value, uri: &str) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema
        && !map.contains_key("$schema")
    {
        map.insert("$schema".to_owned(), uri.into());
    }
    schema
}

fn read(root: &Path, path: &Path, uri: &str, why: Option<&str>) -> Vec<Group> {
    let file = path.strip_prefix(root).unwrap().with_extension("");
    let file = file.to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("the suite can be read");
    let groups: Vec<Value> = serde_json::from_str(&text).expect("the suite is JSON");
    let text = |value: &Value| value.as_str().expect("a description is a string").to_owned();
    let group = |group: &Value| {
        let description = text(&group["description"]);
        let cases = group["tests"].as_array().expect("a group has tests").iter().map(|case| Case {
            description: text(&case["description"]),
            document: case["data"].clone(),
            valid: case["valid"].as_bool().expect("a verdict is a boolean"),
        });
        let cases = cases.filter(|case| excluded(&file, &description, &case.description) == why);
        Group {
            cases: cases.collect(),
            file: file.clone(),
            schema: named(&group["schema"], uri),
            description,
        }
    };
    groups.iter().map(group).filter(|group| !group.cases.is_empty()).collect()
}
