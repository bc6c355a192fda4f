//! Paths: the first line is the path, the rest the document it is looked up in, which is ARGS as well.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::budget::{Allowance, WorkLimits};
use redis_model::path::{Binding, Path, PathLimits};
use redis_model::value::{Limits, parse};

const LIMITS: PathLimits = PathLimits::DEFAULT;
const WORK: WorkLimits = WorkLimits { query_nodes: 10_000, query_bytes: 1 << 20, ..WorkLimits::DEFAULT };

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let text = parts.next().unwrap_or_default();
    let Ok(document) = parse::json(parts.next().unwrap_or(b"[]"), &Limits::DEFAULT) else { return };
    let root = document.value.view();
    let allowance = Allowance::new(&WORK);
    let binding = Binding::Args { args: root, allowance: &allowance };
    let Ok(path) = Path::parse_bound(text, &LIMITS, Some(binding)) else { return };
    match &path {
        Path::Singular(singular) => {
            let found = singular.find(root).is_some();
            let resolved = matches!(singular.resolve(root), redis_model::path::Lookup::Present { .. });
            assert_eq!(found, resolved);
        }
        Path::Query(query) => {
            let (Ok(values), Ok(places)) = (query.select(root, &Allowance::new(&WORK)), query.places(root, &Allowance::new(&WORK))) else { return };
            assert!(places.len() <= values.len());
            for place in places {
                let there = root.at(&place).expect("a place that was found exists");
                assert!(values.iter().any(|value| value.identical(there)));
            }
        }
    }
});
