//! The documents everything is measured with, as JSON text and as the fields of a hash.

/// Pseudo-random numbers from a fixed seed, so that every run asks for the same.
#[derive(Clone, Copy)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

/// A member of a player's record: its path in a hash, its JSON text.
type Member = (&'static str, String);

/// A player with a wallet: about 200 bytes.
fn player_members(nth: usize) -> Vec<Member> {
    let mut random = Random::new(nth as u64 + 1);
    let mut pick = |words: &[&str]| words[random.below(words.len())].to_string();
    let (theme, lang) = (pick(&["dark", "light", "contrast"]), pick(&["en", "de", "fr", "ja"]));
    let (role, region) = (pick(&["pvp", "pve", "trade"]), pick(&["eu", "us", "asia"]));
    vec![
        ("id", format!("{nth}")),
        ("name", format!("\"player-{nth:06}\"")),
        ("email", format!("\"p{nth}@example.com\"")),
        ("score", format!("{}", random.below(1_000_000))),
        ("level", format!("{}", 1 + random.below(99))),
        ("balance", format!("{}", random.below(100_000))),
        ("active", if nth.is_multiple_of(8) { "false" } else { "true" }.into()),
        ("metadata.theme", format!("\"{theme}\"")),
        ("metadata.lang", format!("\"{lang}\"")),
        ("tags", format!("[\"{role}\",\"{region}\"]")),
    ]
}

/// The balance of a player at first.
pub fn balance(nth: usize) -> u64 {
    let members = player_members(nth).into_iter();
    let found = members.filter(|(name, _)| *name == "balance").map(|(_, value)| value).next();
    found.and_then(|value| value.parse().ok()).expect("a player has a balance")
}

pub fn player(nth: usize) -> String {
    let mut json = String::from("{");
    for (path, value) in player_members(nth) {
        match path {
            "metadata.theme" => json.push_str(&format!("\"metadata\":{{\"theme\":{value},")),
            "metadata.lang" => json.push_str(&format!("\"lang\":{value}}},")),
            name => json.push_str(&format!("\"{name}\":{value},")),
        }
    }
    json.pop();
    json + "}"
}

/// The schema of a player's record, as a generator for typed languages would write it.
pub const PLAYER_SCHEMA: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Metadata": {
            "type": "object",
            "properties": {
                "theme": {"enum": ["dark", "light", "contrast"], "type": "string"},
                "lang": {"type": "string", "minLength": 2, "maxLength": 2}
            },
            "required": ["theme", "lang"]
        }
    },
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string", "maxLength": 100},
        "email": {"type": "string", "format": "email"},
        "score": {"type": "integer", "minimum": 0},
        "level": {"type": "integer", "minimum": 1},
        "balance": {"type": "integer", "minimum": 0},
        "active": {"type": "boolean", "default": true},
        "metadata": {"$ref": "#/$defs/Metadata"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20}
    },
    "required": ["id", "name", "email", "score"],
    "additionalProperties": false
}"##;

/// The schema of a catalogue.
pub const CATALOGUE_SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "views": {"type": "integer", "minimum": 0},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string"},
                    "qty": {"type": "integer", "minimum": 0},
                    "price": {"type": "number", "exclusiveMinimum": 0},
                    "tags": {"type": "array", "items": {"type": "string"}}
                },
                "required": ["sku", "qty", "price"]
            }
        }
    },
    "required": ["id", "items"]
}"#;

/// The same as field and value in turn: nested members by dotted names, strings bare, an array as
/// its JSON text, as an application would spread them over a hash.
pub fn player_fields(nth: usize) -> Vec<String> {
    let bare = |value: String| match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(text) => text.to_string(),
        None => value,
    };
    let members = player_members(nth).into_iter();
    members.flat_map(|(name, value)| [name.to_string(), bare(value)]).collect()
}

/// `items: Optional[List[Item]]`, as Pydantic writes it.
pub const OPTIONAL_LIST_SCHEMA: &str = r##"{"$defs":{"Item":{"type":"object","required":["n"],
    "properties":{"n":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}}}},
    "type":"object","properties":{"items":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/Item"}},{"type":"null"}]}}}"##;

/// An order of 78 lines: about 10 KB.
pub fn order(nth: usize) -> String {
    let head = format!(
        "\"id\":\"ord-{nth:08}\",\"customer\":\"c-{}\",\"currency\":\"EUR\",\"created\":\"2026-03-04T05:06:07Z\"",
        nth * 7
    );
    items_document(nth as u64, &head, 78)
}

/// A catalogue of 7,800 lines: about 1 MB.
pub fn catalogue(nth: usize) -> String {
    let head = format!("\"id\":\"cat-{nth}\",\"views\":0,\"sales\":12,\"open\":true");
    items_document(nth as u64, &head, 7800)
}

/// The same shape with two lines: about 300 bytes.
pub fn small_catalogue(nth: usize) -> String {
    items_document(nth as u64, &format!("\"id\":\"c-{nth}\",\"views\":0"), 2)
}

fn items_document(seed: u64, head: &str, count: usize) -> String {
    let mut random = Random::new(seed + 77);
    let mut json = format!("{{{head},\"items\":[");
    for nth in 0..count {
        if nth > 0 {
            json.push(',');
        }
        json.push_str(&format!(
            "{{\"sku\":\"SKU-{:06}\",\"name\":\"{} no. {nth}\",\"qty\":{},\"price\":{}.{}{},\"tax\":0.19,\"tags\":[\"{}\",\"{}\"],\"in_stock\":{}}}",
            random.below(1_000_000),
            ["Hiking boots", "Rain jacket", "Water bottle", "Head torch"][random.below(4)],
            random.below(100),
            1 + random.below(500),
            random.below(10),
            // No zero at the end: numbers are printed shortest.
            1 + random.below(9),
            ["new", "sale", "classic"][random.below(3)],
            ["outdoor", "winter", "summer"][random.below(3)],
            random.below(5) > 0,
        ));
    }
    json + "]}"
}
