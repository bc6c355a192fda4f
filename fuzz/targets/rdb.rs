//! The RDB decoders: corrupt bytes are refused; what is accepted is encoded to bytes that give it back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::token::Token;
use redis_model::codec::origin::Bounds;
use redis_model::codec::{definition, rdb};
use redis_model::model::{Actions, Models};
use redis_model::value::{FileNames, names};

fuzz_target!(|bytes: &[u8]| {
    document(bytes);
    if let Ok(aux) = rdb::aux::decode(bytes, rdb::aux::VERSION) {
        let again = rdb::aux::decode(&rdb::aux::encode(&aux), rdb::aux::VERSION);
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
    if let Ok(entry) = definition::decode_action(bytes) {
        let again = definition::decode_action(&definition::encode_action(&entry));
        assert_eq!(again.expect("what was encoded is decoded"), entry);
        let actions = Actions::new();
        let _ = actions.install(&entry);
        assert_eq!(actions.entries(), [entry]);
    }
});

/// Bytes as those of a file with the names of this process, and with others.
fn document(bytes: &[u8]) {
    FileNames::admit(["a", "b", "n", "items", "sku"]);
    let same = FileNames::admit(names::all());
    document_in_file(bytes, &same);
    document_in_file(bytes, &FileNames::admit(names::all().collect::<Vec<_>>().into_iter().rev()));
    document_in_file(bytes, &FileNames::default());
}

fn document_in_file(bytes: &[u8], names: &FileNames) {
    let (models, bounds) = (Models::new(), Bounds::NONE);
    let read = rdb::decode_from_file(bytes, rdb::VERSION, &models, &bounds, Some(names));
    let Ok(document) = read else { return };
    let mut in_file = Vec::new();
    rdb::encode_for_file(&document, &mut in_file);
    // Reading may have given numbers to names.
    let here = FileNames::admit(names::all());
    let again = rdb::decode_from_file(&in_file, rdb::VERSION, &models, &bounds, Some(&here));
    assert!(again.expect("what was encoded is decoded").root.view().identical(document.root.view()));
    let mut encoded = Vec::new();
    rdb::encode(&document, &mut encoded);
    let again = rdb::decode(&encoded, rdb::VERSION, &models, &Bounds::NONE).expect("what was encoded is decoded");
    assert!(again.root.view().identical(document.root.view()));
    assert_eq!((again.revision, again.size()), (document.revision, document.root.view().size()));
    assert_eq!(again.model_name(), document.model_name());
    assert_eq!(again.locks, document.locks);
    assert_eq!(again.definition_version(), document.definition_version());
}
