//! `UNIQUE` in a cluster: documents of other hash slots that have the same values are passed over, and paid for.

use super::MemoryHost;
use crate::error::ErrorCode;

#[test]
fn a_holder_in_the_same_slot_is_found_behind_many_in_other_slots() {
    let mut host = MemoryHost { clustered: true, ..MemoryHost::default() };
    host.call(&["MODEL.DEFINE", "m", "{}", "INDEX", "mail", "1", "$.mail", "UNIQUE"]).unwrap();
    let mut set = |key: &str| host.call(&["MODEL.SET", key, "m", r#"{"mail":"a"}"#]).map(drop);
    set("{z}first").unwrap();
    for nth in 0..300 {
        set(&format!("{{t{nth}}}")).unwrap();
    }
    for nth in [0, 150, 299] {
        assert_eq!(set(&format!("{{t{nth}}}x")).unwrap_err().code(), ErrorCode::Unique);
    }
    assert_eq!(set("{z}last").unwrap_err().code(), ErrorCode::Unique);
    set("{free}").unwrap();
    host.settings.work.command_steps = 2000;
    let error = host.call(&["MODEL.SET", "{more}", "m", r#"{"mail":"a"}"#]).map(drop).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Limit);
}
