//! The RDB decoders: corrupt bytes are refused; what is accepted is encoded to bytes that give it back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::codec::{definition, rdb};
use redis_model::model::Models;

fuzz_target!(|bytes: &[u8]| {
    document(bytes);
    if let Ok((seen, models)) = rdb::aux::decode(bytes) {
        let again = rdb::aux::decode(&rdb::aux::encode(seen, &models));
        assert_eq!(again.expect("what was encoded is decoded"), (seen, models));
    }
    if let Ok(entry) = definition::decode(bytes) {
        let again = definition::decode(&definition::encode(&entry));
        assert_eq!(again.expect("what was encoded is decoded"), entry);
        // What comes from elsewhere is kept, whether it compiles or not.
        let models = Models::new();
        let _ = models.install(&entry);
        assert_eq!(models.entries(), [entry]);
    }
});

fn document(bytes: &[u8]) {
    let models = Models::new();
    let Ok(document) = rdb::decode(bytes, rdb::VERSION, &models) else { return };
    let mut encoded = Vec::new();
    rdb::encode(&document, &mut encoded);
    let again = rdb::decode(&encoded, rdb::VERSION, &models).expect("what was encoded is decoded");
    assert!(again.root.view().identical(document.root.view()));
    assert_eq!((again.revision, again.size()), (document.revision, document.root.view().size()));
    assert_eq!(again.model_name(), document.model_name());
    assert_eq!(again.definition_version(), document.definition_version());
}
