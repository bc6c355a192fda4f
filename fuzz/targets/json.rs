//! JSON text: what is accepted comes back the same through print, parse and the portable encoding, and
//! is JSON to another parser as well; what is refused as malformed is malformed to it too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::error::ErrorCode;
use redis_model::value::{Limits, parse, print, wire};

const LIMITS: Limits = Limits { depth: 100, bytes: 1 << 20 };

fuzz_target!(|text: &[u8]| {
    let other = serde_json::from_slice::<serde_json::Value>(text);
    let parsed = match parse::json(text, &LIMITS) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.code() != ErrorCode::Err || other.is_err(), "refused what is JSON: {error}");
            return;
        }
    };
    assert!(other.is_ok(), "accepted what is no JSON");
    let view = parsed.value.view();
    assert_eq!((parsed.size, parsed.depth), (view.size(), view.depth()));

    let mut printed = Vec::new();
    print::json(view, &mut printed);
    let again = parse::json(&printed, &LIMITS).expect("printed text is JSON");
    assert!(again.value.view().identical(view) && again.value.view().equals(view));

    let mut encoded = Vec::new();
    wire::put_value(view, &mut encoded);
    let decoded = wire::Reader::new(&encoded).value(&LIMITS).expect("what was encoded is decoded");
    assert!(decoded.value.view().identical(view));
});
