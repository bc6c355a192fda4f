//! Every keyword: a document that fits, one that does not, and what is said of it.
//!
//! Other tests include this file to run the same rows elsewhere.

/// Schema, a valid document, an invalid one, then its place, keyword and place in the schema.
pub type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // What is asked of the value alone.
    (r#"{"type":"integer"}"#, "1", "1.5", "", "type", "/type"),
    (r#"{"type":"integer"}"#, "1.0", "\"1\"", "", "type", "/type"),
    (r#"{"type":["null","string"]}"#, "null", "0", "", "type", "/type"),
    (r#"{"properties":{"a":{"type":"boolean"}}}"#, r#"{"a":true}"#, r#"{"a":0}"#, "/a", "type", "/properties/a/type"),
    (r#"{"const":[1,{"a":2}]}"#, r#"[1.0,{"a":2}]"#, r#"[1,{"a":3}]"#, "", "const", "/const"),
    (r#"{"properties":{"a":{"const":1}}}"#, r#"{"a":1.0}"#, r#"{"a":2}"#, "/a", "const", "/properties/a/const"),
    (r#"{"enum":["a",null,[1]]}"#, "[1]", "[2]", "", "enum", "/enum"),
    (r#"{"minimum":0}"#, "0", "-1", "", "minimum", "/minimum"),
    (r#"{"minimum":9007199254740993}"#, "9007199254740993", "9007199254740992", "", "minimum", "/minimum"),
    (r#"{"maximum":1.5}"#, "1.5", "2", "", "maximum", "/maximum"),
    (r#"{"maximum":18446744073709551615}"#, "9223372036854775807", "1e20", "", "maximum", "/maximum"),
    (r#"{"exclusiveMinimum":0}"#, "1e-300", "0", "", "exclusiveMinimum", "/exclusiveMinimum"),
    (r#"{"exclusiveMaximum":1e308}"#, "9e307", "1e308", "", "exclusiveMaximum", "/exclusiveMaximum"),
    (r#"{"multipleOf":3}"#, "9", "10", "", "multipleOf", "/multipleOf"),
    (r#"{"multipleOf":0.01}"#, "1.1", "1.115", "", "multipleOf", "/multipleOf"),
    (r#"{"minLength":2}"#, "\"éé\"", "\"é\"", "", "minLength", "/minLength"),
    (r#"{"maxLength":1}"#, "\"😀\"", "\"ab\"", "", "maxLength", "/maxLength"),
    (r#"{"pattern":"^a+$"}"#, "\"aa\"", "\"ab\"", "", "pattern", "/pattern"),
    (r#"{"format":"date"}"#, "\"2026-02-28\"", "\"2026-02-29\"", "", "format", "/format"),
    (r#"{"false":1,"not":{}}"#, "", "1", "", "not", "/not"),
    (r#"{"properties":{"a":false}}"#, "{}", r#"{"a":1}"#, "/a", "false", "/properties/a"),
    // What is asked of a container's children.
    (r#"{"minItems":2}"#, "[1,2]", "[1]", "", "minItems", "/minItems"),
    (r#"{"maxItems":1}"#, "[1]", "[1,2]", "", "maxItems", "/maxItems"),
    (r#"{"minProperties":1}"#, r#"{"a":1}"#, "{}", "", "minProperties", "/minProperties"),
    (r#"{"maxProperties":1}"#, r#"{"a":1}"#, r#"{"a":1,"b":2}"#, "", "maxProperties", "/maxProperties"),
    (r#"{"required":["a","b"]}"#, r#"{"a":1,"b":1}"#, r#"{"a":1}"#, "", "required", "/required"),
    (r#"{"properties":{"x":{"required":["a"]}}}"#, r#"{"x":{"a":1}}"#, r#"{"x":{}}"#, "/x", "required", "/properties/x/required"),
    (r#"{"dependentRequired":{"a":["b"]}}"#, r#"{"c":1}"#, r#"{"c":1,"a":1}"#, "", "dependentRequired", "/dependentRequired"),
    (r#"{"uniqueItems":true}"#, "[1,2]", "[1,2,1.0]", "", "uniqueItems", "/uniqueItems"),
    (r#"{"uniqueItems":true}"#, r#"[{"a":1},{"a":2}]"#, r#"[{"a":1},{"a":1}]"#, "", "uniqueItems", "/uniqueItems"),
    (r#"{"propertyNames":{"maxLength":1}}"#, r#"{"a":1}"#, r#"{"a":1,"bb":1}"#, "", "propertyNames", "/propertyNames"),
    // What leads to children.
    (r#"{"patternProperties":{"^a":{"type":"null"}}}"#, r#"{"b":1,"a":null}"#, r#"{"b":1,"a":1}"#, "/a", "type", "/patternProperties/^a/type"),
    (r#"{"properties":{"a":{}},"additionalProperties":false}"#, r#"{"a":1}"#, r#"{"a":1,"b":1}"#, "/b", "false", "/additionalProperties"),
    (r#"{"additionalProperties":{"minimum":1}}"#, r#"{"a":1}"#, r#"{"a":0}"#, "/a", "minimum", "/additionalProperties/minimum"),
    (r#"{"items":{"type":"string"}}"#, r#"["a"]"#, r#"["a",1]"#, "/1", "type", "/items/type"),
    (r#"{"prefixItems":[{"type":"string"}],"items":false}"#, r#"["a"]"#, r#"["a",1]"#, "/1", "false", "/items"),
    (r#"{"prefixItems":[{"type":"string"},{"type":"integer"}]}"#, r#"["a",1]"#, r#"["a","b"]"#, "/1", "type", "/prefixItems/1/type"),
    (r##"{"$defs":{"p":{"minimum":1}},"properties":{"a":{"$ref":"#/$defs/p"}}}"##, r#"{"a":1}"#, r#"{"a":0}"#, "/a", "minimum", "/$defs/p/minimum"),
    (r##"{"$defs":{"p":{"$anchor":"x","minimum":1}},"items":{"$ref":"#x"}}"##, "[1]", "[0]", "/0", "minimum", "/$defs/p/minimum"),
    (r#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, "2", "3", "", "maximum", "/allOf/1/maximum"),
    (r##"{"properties":{"next":{"$ref":"#"}},"required":["v"]}"##, r#"{"v":1,"next":{"v":2,"next":{"v":3}}}"#, r#"{"v":1,"next":{"v":2,"next":{}}}"#, "/next/next", "required", "/required"),
    (r#"{"$id":"https://example.com/s","$defs":{"p":{"$id":"p","minimum":1}},"items":{"$ref":"p"}}"#, "[1]", "[0]", "/0", "minimum", "/$defs/p/minimum"),
    (r#"{"properties":{"a/b~c":{"minimum":1}}}"#, r#"{"a/b~c":1}"#, r#"{"a/b~c":0}"#, "/a~1b~0c", "minimum", "/properties/a~1b~0c/minimum"),
    // What depends on all that is below.
    (r#"{"anyOf":[{"type":"string"},{"minimum":1}]}"#, "1", "0", "", "anyOf", "/anyOf"),
    (r#"{"oneOf":[{"type":"number"},{"minimum":1}]}"#, "0", "1", "", "oneOf", "/oneOf"),
    (r#"{"properties":{"a":{"anyOf":[{"required":["x"]},{"required":["y"]}]}}}"#, r#"{"a":{"x":1}}"#, r#"{"a":{}}"#, "/a", "anyOf", "/properties/a/anyOf"),
    (r#"{"not":{"properties":{"a":{"const":1}},"required":["a"]}}"#, r#"{"a":2}"#, r#"{"a":1}"#, "", "not", "/not"),
    (r#"{"if":{"required":["a"]},"then":{"required":["b"]}}"#, r#"{"c":1}"#, r#"{"c":1,"a":1}"#, "", "required", "/then/required"),
    (r#"{"if":{"properties":{"a":{"const":1}}},"else":{"maxProperties":0}}"#, r#"{"a":1}"#, r#"{"a":2}"#, "", "maxProperties", "/else/maxProperties"),
    (r#"{"dependentSchemas":{"a":{"properties":{"b":{"minimum":1}}}}}"#, r#"{"a":1,"b":1}"#, r#"{"a":1,"b":0}"#, "/b", "minimum", "/dependentSchemas/a/properties/b/minimum"),
    (r#"{"contains":{"const":1}}"#, "[0,1]", "[0,2]", "", "contains", "/contains"),
    (r#"{"contains":{"const":1},"minContains":2}"#, "[1,1]", "[1,2]", "", "contains", "/minContains"),
    (r#"{"contains":{"const":1},"maxContains":1}"#, "[1,2]", "[1,1]", "", "contains", "/maxContains"),
    (r#"{"properties":{"a":{}},"unevaluatedProperties":false}"#, r#"{"a":1}"#, r#"{"a":1,"b":1}"#, "", "unevaluatedProperties", "/unevaluatedProperties"),
    (r#"{"prefixItems":[{}],"unevaluatedItems":false}"#, "[1]", "[1,2]", "", "unevaluatedItems", "/unevaluatedItems"),
    (r##"{"$dynamicAnchor":"n","properties":{"c":{"$dynamicRef":"#n"}},"required":["v"]}"##, r#"{"v":1,"c":{"v":1}}"#, r#"{"v":1,"c":{}}"#, "/c", "required", "/required"),
    (r#"{"items":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}"#, r#"[{"type":"null"}]"#, r#"[{"type":"nil"}]"#, "/0/type", "anyOf", "https://json-schema.org/draft/2020-12/meta/validation#/properties/type/anyOf"),
];
