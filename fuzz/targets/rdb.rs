//! The RDB decoders: corrupt bytes are refused; what is accepted is encoded to bytes that give it back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::token::Token;
use redis_model::codec::origin::Bounds;
use redis_model::codec::{definition, rdb};
use redis_model::model::Models;

fuzz_target!(|bytes: &[u8]| {
    document(bytes);
    if let Ok(aux) = rdb::aux::decode(bytes, rdb::aux::VERSION) {
        let encoded = rdb::aux::encode(aux.revision, aux.fence, &aux.models);
        let again = rdb::aux::decode(&encoded, rdb::aux::VERSION);
        assert_eq!(again.expect("what was encoded is decoded"), aux);
    }
    if let Ok(token) = Token::decode(bytes, u64::MAX) {
        token.reply();
        assert_eq!(Token::decode(&token.encode(), u64::MAX).expect("what was encoded is decoded"), token);
    }
    if let Ok(entry) = definition::decode(bytes) {
        let again = definition::decode(&definition::encode(&entry));
        assert_eq!(again.expect("what was encoded is decoded"), entry);
        // A definition from another server is kept, whether it compiles or not.
        let models = Models::new();
        let _ = models.install(&entry);
        assert_eq!(models.entries(), [entry]);
    }
});

fn document(bytes: &[u8]) {
    let models = Models::new();
    let Ok(document) = rdb::decode(bytes, rdb::VERSION, &models, &Bounds::NONE) else { return };
    let mut encoded = Vec::new();
    rdb::encode(&document, &mut encoded);
    let again = rdb::decode(&encoded, rdb::VERSION, &models, &Bounds::NONE).expect("what was encoded is decoded");
    assert!(again.root.view().identical(document.root.view()));
    assert_eq!((again.revision, again.size()), (document.revision, document.root.view().size()));
    assert_eq!(again.model_name(), document.model_name());
    assert_eq!(again.locks, document.locks);
    assert_eq!(again.definition_version(), document.definition_version());
}
