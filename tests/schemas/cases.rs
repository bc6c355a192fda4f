//! Schemas as generators write them, with the right answers: `tests/cases/schemas.json`.
//!
//! Each stands for a kind of fault. They run through the commands, so that defaults are filled in.

use redis_model::error::Detail;
use redis_model::testing::MemoryHost;
use serde_json::Value;

fn cases() -> Vec<Value> {
    let text = include_str!("../cases/schemas.json");
    serde_json::from_str(text).expect("the cases are JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is text")
}

fn stored(host: &mut MemoryHost) -> Value {
    let reply = host.call(&["MODEL.GET", "k"]).expect("the document is there").reply.notation();
    serde_json::from_str(&reply).expect("a document is JSON")
}

#[test]
fn every_case_is_answered_right() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (name, schema) = (text(&case["name"]), case["schema"].to_string());
        let mut host = MemoryHost::default();
        let defined = host.call(&["MODEL.DEFINE", "m", &schema]);
        if case["define"] == "refused" {
            let says = text(&case["says"]);
            match defined {
                Err(error) if error.line().contains(says) => {}
                other => wrong.push(format!("{name}: {other:?}")),
            }
            continue;
        }
        if let Err(error) = defined {
            wrong.push(format!("{name}: {error}"));
            continue;
        }
        for pair in case["accept"].as_array().into_iter().flatten() {
            match host.call(&["MODEL.SET", "k", "m", &pair[0].to_string()]) {
                Ok(_) if stored(&mut host) == pair[1] => {}
                Ok(_) => wrong.push(format!("{name}: {} became {}", pair[0], stored(&mut host))),
                Err(error) => wrong.push(format!("{name}: {}: {error}", pair[0])),
            }
        }
        for refused in case["refuse"].as_array().into_iter().flatten() {
            let error = host.call(&["MODEL.SET", "k", "m", &refused[0].to_string()]).err();
            let detail = |name| {
                let error = error.as_ref().expect("it was just refused");
                match error.detail(name) {
                    Some(Detail::Text(text)) => text.clone(),
                    other => panic!("{other:?}"),
                }
            };
            if error.is_none()
                || detail("place") != text(&refused[1])
                || detail("keyword") != text(&refused[2])
            {
                wrong.push(format!("{name}: {}: {error:?}", refused[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
