//! The smallest target, for others to be copied from. It also shows that coverage reaches the fuzzer:
//! its corpus grows towards the word, one byte at a time.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let matched = data.iter().zip(b"redis").take_while(|(byte, wanted)| byte == wanted).count();
    assert!(matched <= data.len());
});
