//! The place in a JSON text that an offset is at, for errors: found by walking the text again, so that parsing keeps
//! no track of it.

/// The JSON Pointer of the value that begins at `end`; the text before it is well-formed. Empty for the root.
/// `read` gives the content of a JSON string.
#[cold]
pub(super) fn pointer(text: &str, end: usize, read: impl Fn(&str) -> String) -> String {
    let mut open: Vec<TextStep> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < end {
        let start = at;
        at += 1;
        match bytes[start] {
            b'{' => open.push(TextStep::Name(start..start)),
            b'[' => open.push(TextStep::Index(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(TextStep::Index(index)) = open.last_mut() {
                    *index += 1;
                }
            }
            b'"' => {
                at = string_end(bytes, at);
                // The last string before a value of an object is its name.
                if let Some(TextStep::Name(name)) = open.last_mut() {
                    *name = start..at;
                }
            }
            _ => {}
        }
    }
    open.iter().map(|step| step.text(text, &read)).collect()
}

/// The step to the value that is being read in an open container.
enum TextStep {
    /// Where the name's string stands.
    Name(std::ops::Range<usize>),
    Index(u64),
}

impl TextStep {
    fn text(&self, text: &str, read: impl Fn(&str) -> String) -> String {
        match self {
            TextStep::Index(index) => format!("/{index}"),
            TextStep::Name(name) => {
                let name = read(&text[name.clone()]);
                format!("/{}", name.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

/// Behind the closing quote of the string whose text begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, parse};

    #[test]
    fn the_place_of_a_value_is_its_pointer() {
        let read = |text: &str| parse::string(text.as_bytes(), &Limits::NONE).unwrap();
        for (text, place) in [
            ("  #", ""),
            ("[#", "/0"),
            ("[1, [2], {\"a\": \"b,]\"}, #", "/3"),
            (r#"{"a":1,"b":[{"x\"/~":[0,[],#"#, "/b/0/x\"~1~0/2"),
            (r#"{"a":{"b":1},"c":"a", "d" : #"#, "/d"),
            (r#"{"":#"#, "/"),
            (r#"{"\u0061\\":#"#, "/a\\"),
        ] {
            let end = text.find('#').unwrap();
            assert_eq!(pointer(text, end, read), place, "{text}");
        }
    }
}
