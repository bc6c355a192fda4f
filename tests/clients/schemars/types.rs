//! One member of every type that serde writes as JSON and schemars describes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, LinkedList, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroI64, NonZeroU8};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Variants without content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Color {
    Red,
    /// A description makes schemars write alternatives.
    DarkGreen,
}

/// Externally tagged, which is serde's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum External {
    Unit,
    Number(u32),
    Pair(u8, String),
    Named { a: i32, b: Option<bool> },
    Nested(Address),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Internal {
    Empty,
    DogBreed { lives: u8 },
    Home(Address),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
pub enum Adjacent {
    Unit,
    Number(i64),
    Both(u8, u8),
    Named { x: f64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Untagged {
    Number(i64),
    Text(String),
    Place(Address),
    List(Vec<Untagged>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    #[schemars(length(min = 1, max = 20))]
    pub town: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\d{5}$"))]
    pub zip: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    pub name: String,
    pub children: Vec<Tree>,
    pub parent: Option<Box<Tree>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub content: T,
    pub more: Vec<T>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flat {
    pub own: u8,
    #[serde(flatten)]
    pub home: Inner,
    #[serde(flatten)]
    pub rest: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inner {
    pub street: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Meters(pub f64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point(pub i32, pub f32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nothing;

/// Members that may be left out, with their defaults.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Defaults {
    pub long_name: String,
    pub count: u32,
    pub ratio: f64,
    pub color: Color,
    pub address: Address,
    pub list: Vec<u8>,
    pub kind: Internal,
    pub maybe: Option<Address>,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            long_name: "n".into(),
            count: 3,
            ratio: 0.5,
            color: Color::DarkGreen,
            address: address(),
            list: vec![1, 2],
            kind: Internal::DogBreed { lives: 9 },
            maybe: None,
        }
    }
}

pub fn address() -> Address {
    Address { town: "Ulm".into(), zip: Some("89073".into()) }
}

macro_rules! every {
    ($($(#[$attr:meta])* $name:ident: $kind:ty = $value:expr, [$($bad:literal => $place:literal),*];)*) => {
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Every { $($(#[$attr])* pub $name: $kind,)* }

        pub fn every() -> Every { Every { $($name: $value,)* } }

        /// For each member: its name, and texts that are refused, with the place of the refusal below the member.
        pub const REFUSED: &[(&str, &[(&str, &str)])] =
            &[$((stringify!($name), &[$(($bad, $place)),*]),)*];
    };
}

every! {
    text: String = "a \u{20ac} \"x\"".into(), ["1" => "", "null" => ""];
    letter: char = '\u{e4}', ["\"ab\"" => "", "1" => ""];
    flag: bool = true, ["1" => "", "\"true\"" => ""];
    nothing: () = (), ["1" => ""];
    empty: Nothing = Nothing, ["1" => ""];
    i8: i8 = i8::MIN, ["1.5" => ""];
    u8: u8 = u8::MAX, ["-1" => ""];
    i16: i16 = -5, ["\"x\"" => ""];
    u16: u16 = 5, ["-1" => ""];
    i32: i32 = i32::MIN, ["null" => ""];
    u32: u32 = u32::MAX, ["-1" => ""];
    i64: i64 = i64::MAX, ["\"1\"" => ""];
    u64: u64 = i64::MAX as u64, ["-1" => ""];
    isize: isize = -1, ["1.5" => ""];
    usize: usize = 1, ["-1" => ""];
    nonzero: NonZeroU8 = NonZeroU8::MIN, ["0" => ""];
    nonzero_signed: NonZeroI64 = NonZeroI64::MIN, ["0" => ""];
    f32: f32 = 0.5, ["\"x\"" => ""];
    f64: f64 = 1e300, ["true" => ""];
    #[schemars(range(min = 1, max = 10))]
    ranged: i32 = 10, ["0" => "", "11" => ""];
    #[schemars(length(min = 1, max = 2))]
    lengths: Vec<u8> = vec![1], ["[]" => "", "[1,2,3]" => ""];
    #[schemars(email)]
    mail: String = "ann@example.com".into(), ["\"ann\"" => ""];
    #[schemars(url)]
    address_text: String = "https://example.com/x".into(), ["\"no url\"" => ""];
    path: PathBuf = PathBuf::from("/tmp/x"), ["1" => ""];
    ip: IpAddr = "192.0.2.1".parse().unwrap(), ["1" => ""];
    ip4: Ipv4Addr = Ipv4Addr::LOCALHOST, ["\"256.0.0.1\"" => ""];
    ip6: Ipv6Addr = Ipv6Addr::LOCALHOST, ["\"192.0.2.1\"" => ""];
    span: Duration = Duration::new(5, 7), ["{\"secs\":5}" => "", "{\"secs\":-1,\"nanos\":0}" => "/secs"];
    moment: SystemTime = SystemTime::UNIX_EPOCH + Duration::from_secs(9), ["1" => ""];
    maybe: Option<u8> = None, ["-1" => "", "\"x\"" => ""];
    maybe_address: Option<Address> = Some(address()), ["{\"town\":\"\"}" => "/town", "{\"town\":\"Ulm\",\"x\":1}" => "/x"];
    maybe_list: Option<Vec<Address>> = Some(vec![address()]), ["[{\"town\":\"Ulm\"},{\"town\":7}]" => "/1/town"];
    boxed: Box<Address> = Box::new(address()), ["{}" => ""];
    copied: Cow<'static, str> = Cow::Borrowed("x"), ["1" => ""];
    result: Result<u8, String> = Ok(1), ["{\"Ok\":\"x\"}" => "/Ok", "{\"Err\":1}" => ""];
    list: Vec<i64> = vec![1, -2], ["[\"x\"]" => "/0", "{}" => ""];
    array: [u8; 3] = [1, 2, 3], ["[1,2]" => "", "[1,2,3,4]" => ""];
    queue: VecDeque<u8> = VecDeque::from([1, 2]), ["[null]" => "/0"];
    chain: LinkedList<u8> = LinkedList::from([1]), ["[null]" => "/0"];
    set: BTreeSet<u8> = BTreeSet::from([1, 2]), ["[1,1]" => "", "[\"x\"]" => "/0"];
    map: BTreeMap<String, u8> = BTreeMap::from([("a b".into(), 1)]), ["{\"a\":\"x\"}" => "/a", "[]" => ""];
    hash_map: HashMap<String, Vec<u8>> = HashMap::from([("a".into(), vec![1])]), ["{\"a\":[\"x\"]}" => "/a/0"];
    pair: (u8, String) = (1, "a".into()), ["[1]" => "", "[1,2]" => "/1", "[1,\"a\",2]" => ""];
    tuple_struct: Point = Point(1, 0.5), ["[\"x\",1]" => "/0"];
    newtype: Meters = Meters(1.5), ["\"x\"" => ""];
    color: Color = Color::DarkGreen, ["\"blue\"" => "", "\"Red\"" => ""];
    external_unit: External = External::Unit, ["\"Other\"" => ""];
    external_number: External = External::Number(7), ["{\"Number\":-1}" => "/Number"];
    external_pair: External = External::Pair(1, "x".into()), ["{\"Pair\":[1]}" => "/Pair"];
    external_named: External = External::Named { a: 1, b: None }, ["{\"Named\":{\"a\":\"x\",\"b\":null}}" => "/Named/a"];
    external_nested: External = External::Nested(address()), ["{\"Nested\":{\"town\":\"\"}}" => "/Nested/town"];
    internal_empty: Internal = Internal::Empty, ["{\"kind\":\"none\"}" => ""];
    internal_named: Internal = Internal::DogBreed { lives: 9 }, ["{\"kind\":\"dogBreed\",\"lives\":-1}" => "/lives"];
    adjacent: Adjacent = Adjacent::Both(1, 2), ["{\"t\":\"Both\",\"c\":[1]}" => "/c", "{\"t\":\"Number\",\"c\":\"x\"}" => "/c"];
    adjacent_named: Adjacent = Adjacent::Named { x: 0.5 }, ["{\"t\":\"Named\",\"c\":{\"x\":\"y\"}}" => "/c/x"];
    untagged: Untagged = Untagged::List(vec![Untagged::Number(1), Untagged::Text("x".into())]), ["{\"town\":\"\"}" => "/town", "null" => ""];
    untagged_place: Untagged = Untagged::Place(address()), ["[[null]]" => "/0/0"];
    enums: Vec<Internal> = vec![Internal::Empty, Internal::DogBreed { lives: 1 }], ["[{\"kind\":\"dogBreed\",\"lives\":\"x\"}]" => "/0/lives"];
    tree: Tree = Tree { name: "a".into(), children: vec![Tree { name: "b".into(), children: vec![], parent: None }], parent: None },
        ["{\"name\":\"a\",\"children\":[{\"name\":1,\"children\":[]}]}" => "/children/0/name"];
    page: Page<Color> = Page { content: Color::Red, more: vec![] }, ["{\"content\":\"red\",\"more\":[\"x\"]}" => "/more/0"];
    page_of_page: Page<Page<u8>> = Page { content: Page { content: 1, more: vec![] }, more: vec![] },
        ["{\"content\":{\"content\":\"x\",\"more\":[]},\"more\":[]}" => "/content/content"];
    flat: Flat = Flat { own: 1, home: Inner { street: "s".into() }, rest: BTreeMap::from([("more".into(), 5)]) },
        ["{\"own\":1,\"street\":1}" => "/street"];
    shared: Arc<str> = Arc::from("x"), ["1" => ""];
    counted: Rc<u8> = Rc::new(1), ["\"x\"" => ""];
    locked: Mutex<u8> = Mutex::new(1), ["\"x\"" => ""];
    value: serde_json::Value = serde_json::json!({"a": [1, null]}), [];
    members: serde_json::Map<String, serde_json::Value> = serde_json::Map::new(), ["1" => ""];
    id: uuid::Uuid = uuid::Uuid::from_u128(7), ["\"6f1c\"" => ""];
    version: semver::Version = semver::Version::new(1, 2, 3), ["\"1.2\"" => ""];
    site: url::Url = "https://example.com/x".parse().unwrap(), ["\"no url\"" => ""];
    price: rust_decimal::Decimal = rust_decimal::Decimal::new(1250, 2), ["\"x\"" => ""];
    day: chrono::NaiveDate = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap(), ["\"2023-02-29\"" => ""];
    at: chrono::DateTime<chrono::Utc> = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(), ["\"noon\"" => ""];
    day_of_week: chrono::Weekday = chrono::Weekday::Mon, ["\"Monday\"" => ""];
    ordered: indexmap::IndexMap<String, u8> = indexmap::IndexMap::from([("b".into(), 1)]), ["{\"a\":null}" => "/a"];
    small: smallvec::SmallVec<[u8; 4]> = smallvec::smallvec![1], ["[null]" => "/0"];
    inline: arrayvec::ArrayVec<u8, 2> = arrayvec::ArrayVec::from([1, 2]), ["[1,2,3]" => ""];
    short: smol_str::SmolStr = smol_str::SmolStr::new("x"), ["1" => ""];
    raw: bytes::Bytes = bytes::Bytes::from_static(&[1, 255]), ["{}" => ""];
    // The release 0.8 describes it without a tag, the later ones with serde's.
    #[cfg_attr(feature = "v0", serde(with = "either::serde_untagged"), schemars(with = "either::Either<u8, Address>"))]
    either: either::Either<u8, Address> = either::Either::Left(1), ["null" => ""];
}
