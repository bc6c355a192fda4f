//! Every type of schemars: its schema defined in each draft it writes, what serde writes stored, read back by serde as it
//! was, and values that do not fit refused at their place.
//!
//!     schemars-types-v1 PORT

mod resp;
mod types;

#[cfg(feature = "v0")]
use schemars::r#gen::SchemaSettings;
#[cfg(feature = "v1")]
use schemars::generate::SchemaSettings;
use serde_json::Value;

use resp::Client;
use types::{Defaults, Every, REFUSED, every};

/// Each draft, with the schemas of both types.
fn schemas() -> Vec<(&'static str, [String; 2])> {
    let drafts = [
        ("draft-07", SchemaSettings::draft07 as fn() -> SchemaSettings),
        ("2019-09", SchemaSettings::draft2019_09),
        #[cfg(feature = "v1")]
        ("2020-12", SchemaSettings::draft2020_12),
    ];
    let both = |settings: fn() -> SchemaSettings| {
        [
            serde_json::to_string(&settings().into_generator().into_root_schema_for::<Every>()),
            serde_json::to_string(&settings().into_generator().into_root_schema_for::<Defaults>()),
        ]
        .map(|text| text.expect("a schema is JSON"))
    };
    drafts.map(|(name, settings)| (name, both(settings))).to_vec()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The word of a refusal and its object.
fn refused(client: &mut Client, words: &[&str]) -> (String, Value) {
    let line = client.call(words).expect_err(&format!("{words:?} is refused"));
    let (word, object) = line.split_once(' ').expect("a word and an object");
    (word.to_owned(), json(object))
}

fn main() {
    let port = std::env::args().nth(1).expect("a port").parse().expect("a port");
    let mut client = Client::connect(port);
    let written = serde_json::to_string(&every()).expect("it is JSON");
    for (draft, [every_schema, defaults_schema]) in schemas() {
        check_every(&mut client, draft, &every_schema, &written);
        check_defaults(&mut client, draft, &defaults_schema);
    }
    println!("ok");
}

fn check_every(client: &mut Client, draft: &str, schema: &str, written: &str) {
    client
        .call(&["MODEL.DEFINE", draft, schema])
        .unwrap_or_else(|error| panic!("{draft}: {error}"));
    client
        .call(&["MODEL.SET", "every", draft, written])
        .unwrap_or_else(|error| panic!("{draft}: {error}"));
    let stored = client.call(&["MODEL.GET", "every"]).expect("it is stored");
    let read: Every = serde_json::from_str(&stored).expect("serde reads it");
    assert_eq!(serde_json::to_value(&read).unwrap(), json(written), "{draft}");
    for (name, bad) in REFUSED {
        let path = format!("$.{name}");
        let own = json(written)[*name].to_string();
        client.call(&["MODEL.FIELDOP", "every", "SET", &path, &own]).expect("its own value fits");
        for (text, place) in *bad {
            let (word, error) = refused(client, &["MODEL.FIELDOP", "every", "SET", &path, text]);
            let place = format!("/{name}{place}");
            assert_eq!(
                (word.as_str(), &error["place"]),
                ("SCHEMA", &Value::from(place)),
                "{draft} {name} {text}: {error}"
            );
            let mut whole = json(written);
            whole[*name] = json(text);
            let (_, of_whole) = refused(client, &["MODEL.SET", "every", draft, &whole.to_string()]);
            assert_eq!(of_whole["place"], error["place"], "{draft} {name} {text}: {of_whole}");
        }
    }
    let (_, error) = refused(client, &["MODEL.FIELDOP", "every", "SET", "$.unknown", "1"]);
    assert_eq!(error["place"], "/unknown", "{draft}: {error}");
    // Refused commands changed nothing; members were set again in another order.
    let left = client.call(&["MODEL.GET", "every"]).expect("it is stored");
    assert_eq!(json(&left), json(written), "{draft}");
}

/// Members left out are filled in as serde fills them in.
fn check_defaults(client: &mut Client, draft: &str, schema: &str) {
    let model = format!("defaults {draft}");
    client
        .call(&["MODEL.DEFINE", &model, schema])
        .unwrap_or_else(|error| panic!("{draft}: {error}"));
    client.call(&["MODEL.SET", "defaults", &model, "{}"]).expect("nothing is required");
    let stored = client.call(&["MODEL.GET", "defaults"]).expect("it is stored");
    assert_eq!(json(&stored), serde_json::to_value(Defaults::default()).unwrap(), "{draft}");
    let read: Defaults = serde_json::from_str(&stored).expect("serde reads it");
    assert_eq!(read, Defaults::default(), "{draft}");
}
