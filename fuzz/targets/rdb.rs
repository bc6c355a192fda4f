//! The RDB decoder: corrupt bytes are refused; what is accepted is encoded to bytes that give it back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::codec::rdb;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = rdb::decode(bytes, rdb::VERSION) else { return };
    let mut encoded = Vec::new();
    rdb::encode(&document, &mut encoded);
    let again = rdb::decode(&encoded, rdb::VERSION).expect("what was encoded is decoded");
    assert!(again.root.view().identical(document.root.view()));
    assert_eq!((again.revision, again.size()), (document.revision, document.root.view().size()));
});
