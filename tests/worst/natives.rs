//! Natives of transactions, and calls of actions.

use super::*;

fn called(action: &str, setup: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut all = vec![words(action)];
    all.extend(setup);
    all
}

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let document = || vec![set("k", r#"{"n":1}"#.into())];
    let natives = |native: &[&str], count: usize| {
        let mut command = words("MODEL.TXN 2 k s ON k INCR $.n 1 AT s");
        (0..count).for_each(|_| command.extend(native.iter().map(|word| (*word).into())));
        command
    };
    all.worst("TXN of many natives", document, || natives(&["ZADD", "1", "\"m\""], 1023));
    all.worst("TXN of natives with large computed entries", document, || {
        natives(&["XADD", "1000", "={'a': lists.range(1000).map(x, string(x)).join(',')}"], 1023)
    });
    all.worst("TXN of natives with a large text", document, || {
        natives(&["SET", &format!("\"{}\"", "x".repeat(10 * million))], 20)
    });
    all.worst("TXN of many readings of a structure", document, || {
        let mut command = words("MODEL.TXN 2 k s ON k");
        for _ in 0..MANY {
            command.push("IF".into());
            command.push("lists.range(1000).all(x, native['s'].size() >= 0)".into());
        }
        command
    });
    all.worst(
        "CALL with arguments under an enum of many",
        || {
            let options: Vec<String> =
                (0..10_000 / scale).map(|nth| format!("\"{nth}\"")).collect();
            let schema = format!(
                r#"{{"properties":{{"a":{{"items":{{"enum":[{}]}}}}}}}}"#,
                options.join(",")
            );
            let mut action = words("MODEL.ACTION act 1 doc PARAMS");
            action.push(schema);
            action.extend(words("ON doc INCR $.n 1"));
            let mut all = document();
            all.push(action);
            all
        },
        || {
            let mut command = words("MODEL.CALL act 1 k ARGS");
            command.push(format!(r#"{{"a":{}}}"#, list("\"none\"", million)));
            command
        },
    );
    all.worst(
        "CALL of as many statements as there may be",
        || {
            let mut action = words("MODEL.ACTION act 1 doc ON doc");
            (0..MANY).for_each(|_| action.extend(words("INCR $[*] =args.n")));
            let mut all = vec![set("k", list("1", million / 10))];
            all.push(action);
            all
        },
        || words(r#"MODEL.CALL act 1 k ARGS {"n":1}"#),
    );
    all.worst(
        "CALL with a path of its arguments",
        || {
            called(
                "MODEL.ACTION act 1 doc ON doc GET $[?search(@,args.p)]",
                vec![set("k", list("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"", million / 10))],
            )
        },
        || words(r#"MODEL.CALL act 1 k ARGS {"p":"(x|y){20}z"}"#),
    );
    all.worst("ACTION of a thousand expressions", Vec::new, || {
        let mut action = words("MODEL.ACTION act 1 doc ON doc");
        for nth in 0..MANY {
            action.push("IF".into());
            action.push(format!("size([{}]) == {nth} || true", vec!["self"; 150].join(",")));
        }
        action
    });
}
