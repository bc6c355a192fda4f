"""Every type of Pydantic that JSON has a form for: its schema defined, what it dumps stored, read back as it was.

    python pydantic_types.py PORT VERSION        the version of Pydantic that must be found, like 2.10

A test runs this with each release of Pydantic that scripts/clients installs.
"""

import json
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import (
    IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_address, ip_interface, ip_network,
)
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union
from uuid import UUID

import pydantic
import redis
from pydantic import (
    UUID1, UUID3, UUID4, UUID5, AliasChoices, AnyHttpUrl, AnyUrl, AwareDatetime, Base64Bytes, Base64Str, Base64UrlBytes,
    Base64UrlStr, BaseModel, ByteSize, ConfigDict, Discriminator, EmailStr, Field, FileUrl, FiniteFloat, FutureDate,
    HttpUrl, IPvAnyAddress, IPvAnyInterface, IPvAnyNetwork, Json, JsonValue, NameEmail, NegativeFloat, NegativeInt,
    NonNegativeFloat, NonNegativeInt, NonPositiveInt, PastDate, PlainSerializer, PositiveFloat, PositiveInt, PostgresDsn,
    RedisDsn, RootModel, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints, Tag, ValidationError,
    WebsocketUrl, WithJsonSchema, computed_field, conint, conlist, conset, constr,
)
from typing_extensions import NotRequired, TypeAliasType, TypedDict

PORT, VERSION = int(sys.argv[1]), sys.argv[2]
assert pydantic.VERSION.startswith(VERSION + "."), pydantic.VERSION
r = redis.Redis(port=PORT, decode_responses=True)
UTC = timezone.utc
T = TypeVar("T")


class Color(str, Enum):
    red = "red"
    green = "green"


class Level(IntEnum):
    low = 1
    high = 3


class Mixed(Enum):
    one = 1
    two = "two"


class Address(BaseModel):
    """Nested, with an alias and no other members."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    town: str = Field(min_length=1, max_length=20, alias="city")
    zip: Optional[str] = Field(default=None, pattern=r"^\d{5}$")


class Slug(BaseModel):
    """A pattern that only Python's own engine has."""

    model_config = ConfigDict(regex_engine="python-re")
    name: str = Field(pattern=r"^(?!draft)(?=.*\d)[a-z0-9-]+$")


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []
    parent: Optional["Tree"] = None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog", "wolf"]
    name: str


class Nested(BaseModel):
    kind: Literal["nested"]
    pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]


class Box(BaseModel, Generic[T]):
    content: T
    more: list[T] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    n: int = 0


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Options(TypedDict, total=False):
    theme: str
    size: int


class Needs(TypedDict):
    a: int
    b: NotRequired[str]


@dataclass
class Part:
    sku: str
    n: int = 1


class Numbers(RootModel[list[PositiveInt]]):
    pass


Loop = TypeAliasType("Loop", "Union[int, list[Loop], dict[str, Loop]]")


def tag_of(value):
    return "text" if isinstance(value, str) else "address"


# A pattern for decimals is written by these releases alone.
BAD_DECIMAL = {'"+."': ""} if VERSION in ("2.12", "2.13") else {}

# For each type: a value, and texts in JSON that are refused, with the place of the refusal below the member. An annotation
# stands here as a user writes it.
TYPES = {
    # Plain ones.
    "text": (str, "ab \u20ac \"x\"", {"1": "", "null": "", "[]": ""}),
    "count": (int, 2**62, {'"x"': "", "1.5": "", "null": ""}),
    "ratio": (float, 0.1, {'"x"': "", "true": ""}),
    "flag": (bool, True, {"2": "", '"maybe"': ""}),
    "nothing": (type(None), None, {"0": ""}),
    "anything": (Any, {"a": [1, None]}, {}),
    "object": (object, [1, "x"], {}),
    "tree_of_json": (JsonValue, {"a": [1, {"b": None}]}, {}),
    "raw": (bytes, b"raw", {"1": ""}),
    # Numbers.
    "price": (Decimal, Decimal("12.50"), {"[]": ""} | BAD_DECIMAL),
    "exact": (Annotated[Decimal, Field(max_digits=6, decimal_places=2, ge=0)], Decimal("1234.50"), {"-1": ""} | BAD_DECIMAL),
    "least": (Annotated[int, Field(ge=3, lt=9, multiple_of=2)], 4, {"2": "", "9": "", "5": ""}),
    "con_int": (conint(gt=0, le=10), 10, {"0": "", "11": ""}),
    "positive": (PositiveInt, 1, {"0": ""}),
    "negative": (NegativeInt, -1, {"0": ""}),
    "not_negative": (NonNegativeInt, 0, {"-1": ""}),
    "not_positive": (NonPositiveInt, 0, {"1": ""}),
    "positive_float": (PositiveFloat, 0.5, {"0": ""}),
    "negative_float": (NegativeFloat, -0.5, {"0": ""}),
    "not_negative_float": (NonNegativeFloat, 0.0, {"-0.1": ""}),
    "finite": (FiniteFloat, 1e300, {"null": ""}),
    "step": (Annotated[float, Field(multiple_of=0.5)], 1.5, {"1.25": ""}),
    "strict_int": (StrictInt, 5, {'"5"': "", "5.5": ""}),
    "strict_float": (StrictFloat, 5.5, {'"5"': ""}),
    "strict_text": (StrictStr, "s", {"5": ""}),
    "strict_flag": (StrictBool, False, {"1": ""}),
    "size": (ByteSize, ByteSize(1024), {"-1": ""}),
    # Text.
    "code": (Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-\d+$", max_length=8)], "AB-12", {'"ab-12"': "", '"AB-1234567"': ""}),
    "con_text": (constr(min_length=2, max_length=3), "abc", {'"a"': "", '"abcd"': ""}),
    "stripped": (Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)], "low", {'""': ""}),
    "slug": (Slug, Slug(name="final-1"), {'{"name":"draft-1"}': "/name", '{"name":"final"}': "/name"}),
    "letters": (Annotated[str, Field(pattern=r"^\p{Lu}\w+$")], "\u00c4pfel", {'"\u00e4pfel"': ""}),
    "base64": (Base64Bytes, b"AP8=", {"1": ""}),
    "base64_text": (Base64Str, "dGV4dA==", {"null": ""}),
    "base64_url": (Base64UrlBytes, b"-_8=", {"1": ""}),
    "base64_url_text": (Base64UrlStr, "dD4_", {"1": ""}),
    "matcher": (re.Pattern, re.compile("^a+$"), {"1": "", '"("': ""}),
    "mail": (EmailStr, "ann@example.com", {'"ann"': ""}),
    "named_mail": (NameEmail, NameEmail("Ann", "ann@example.com"), {"1": ""}),
    # Moments.
    "at": (AwareDatetime, datetime(2026, 1, 31, 6, 12, 47, 250000, UTC), {'"2026-01-31"': "", '"2026-02-30T00:00:00Z"': ""}),
    "any_at": (datetime, datetime(2026, 1, 31, 6, 12, tzinfo=timezone(timedelta(hours=-5))), {'"noon"': ""}),
    "day": (date, date(2024, 2, 29), {'"2023-02-29"': "", "null": ""}),
    "past": (PastDate, date(2020, 1, 1), {'"2020-1-1"': ""}),
    "future": (FutureDate, date(2999, 1, 1), {'"x"': ""}),
    "clock": (time, time(6, 12, 47, tzinfo=UTC), {'"25:00:00Z"': ""}),
    "span": (timedelta, timedelta(days=1, hours=2, milliseconds=500), {'"soon"': ""}),
    "span_back": (timedelta, timedelta(days=-3, seconds=5), {"[]": ""}),
    "span_zero": (timedelta, timedelta(0), {'"P"': ""}),
    # Names of things elsewhere.
    "id": (UUID, UUID("6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11"), {'"6f1c"': ""}),
    "id1": (UUID1, UUID("8b6b2d80-5a0e-11ef-9d0b-0a3d5a0c9b11"), {"1": ""}),
    "id3": (UUID3, UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e"), {"null": ""}),
    "id4": (UUID4, UUID("6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11"), {"4": ""}),
    "id5": (UUID5, UUID("886313e1-3b8a-5372-9b90-0c9aee199e5d"), {"[]": ""}),
    "any_url": (AnyUrl, AnyUrl("ftp://example.com/x?y=1#z"), {'"no url"': ""}),
    "url": (HttpUrl, HttpUrl("https://example.com/\u00e4"), {'"a b"': "", '""': ""}),
    "http": (AnyHttpUrl, AnyHttpUrl("http://localhost:8080/"), {"1": ""}),
    "file_url": (FileUrl, FileUrl("file:///tmp/x"), {'"x y"': ""}),
    "socket": (WebsocketUrl, WebsocketUrl("wss://example.com/ws"), {"{}": ""}),
    "postgres": (PostgresDsn, PostgresDsn("postgres://u:p@h1:5432,h2:5432/db"), {"1": ""}),
    "redis_url": (RedisDsn, RedisDsn("redis://localhost:6379/0"), {'"x y"': ""}),
    "ip4": (IPv4Address, IPv4Address("192.0.2.1"), {'"256.0.0.1"': ""}),
    "ip6": (IPv6Address, IPv6Address("2001:db8::1"), {'"192.0.2.1"': ""}),
    "ip4_net": (IPv4Network, IPv4Network("192.0.2.0/24"), {"{}": ""}),
    "ip6_net": (IPv6Network, IPv6Network("2001:db8::/32"), {"{}": ""}),
    "ip4_face": (IPv4Interface, IPv4Interface("192.0.2.1/24"), {"[]": ""}),
    "ip6_face": (IPv6Interface, IPv6Interface("2001:db8::1/64"), {"[]": ""}),
    "any_ip": (IPvAnyAddress, ip_address("192.0.2.7"), {"[]": ""}),
    "any_net": (IPvAnyNetwork, ip_network("2001:db8::/32"), {"[]": ""}),
    "any_face": (IPvAnyInterface, ip_interface("192.0.2.7/24"), {"[]": ""}),
    "path": (Path, Path("/tmp/x y"), {"1": ""}),
    # Choices.
    "color": (Color, Color.red, {'"blue"': "", "1": ""}),
    "level": (Level, Level.high, {"2": "", '"high"': ""}),
    "mixed": (Mixed, Mixed.two, {"2": ""}),
    "literal": (Literal["a", 1, None], 1, {"2": "", '"b"': ""}),
    "constant": (Literal["only"], "only", {'"other"': ""}),
    "of_enum": (Literal[Color.green], Color.green, {'"red"': ""}),
    # Containers.
    "list": (list[int], [1, 2], {'["x"]': "/0", "[1,null]": "/1", "{}": ""}),
    "plain_list": (list, [1, "x"], {"1": ""}),
    "con_list": (conlist(str, min_length=1, max_length=2), ["a"], {"[]": "", '["a","b","c"]': "", "[1]": "/0"}),
    "sequence": (Sequence[str], ["a"], {"[1]": "/0"}),
    "queue": (deque[int], deque([1, 2]), {'["x"]': "/0"}),
    "set": (set[int], {1, 2}, {"[1,1]": "", "[null]": "/0"}),
    "frozen": (frozenset[str], frozenset({"a"}), {'["a","a"]': ""}),
    "con_set": (conset(int, min_length=1, max_length=2), {5}, {"[]": "", "[1,2,3]": ""}),
    "pair": (tuple[int, str], (1, "a"), {"[1]": "", '[1,"a",2]': "", "[1,2]": "/1"}),
    "many": (tuple[int, ...], (1, 2, 3), {'[1,"x"]': "/1"}),
    "empty_tuple": (tuple[()], (), {"[1]": ""}),
    "map": (dict[str, int], {"a": 1, "b c": 2}, {'{"a":"x"}': "/a", "[]": ""}),
    "plain_map": (dict, {"a": [1]}, {"[]": ""}),
    "int_map": (dict[int, str], {1: "a"}, {'{"1":2}': "/1"}),
    "id_map": (dict[UUID, int], {UUID(int=7): 1}, {'{"00000000-0000-0000-0000-000000000007":null}': "/00000000-0000-0000-0000-000000000007"}),
    "color_map": (dict[Color, int], {Color.red: 1}, {'{"blue":1}': "", '{"red":"x"}': "/red"}),
    "named_map": (dict[Annotated[str, Field(pattern="^[a-z]+$")], list[int]], {"abc": [1]}, {'{"abc":["x"]}': "/abc/0"}),
    "con_map": (Annotated[dict[str, int], Field(min_length=1, max_length=2)], {"a": 1}, {"{}": "", '{"a":1,"b":2,"c":3}': ""}),
    "mapping": (Mapping[str, float], {"a": 0.5}, {'{"a":"x"}': "/a"}),
    "mutable_mapping": (MutableMapping[str, int], {"a": 1}, {'{"a":"x"}': "/a"}),
    "default_map": (defaultdict[str, list[int]], {"a": [1]}, {'{"a":[null]}': "/a/0"}),
    "ordered": (OrderedDict[str, int], OrderedDict(b=1, a=2), {'{"a":null}': "/a"}),
    "counter": (Counter[str], Counter("aab"), {'{"a":"x"}': "/a"}),
    "deep": (dict[str, list[tuple[int, Optional[Address]]]], {"a": [(1, None), (2, Address(town="Ulm"))]}, {'{"a":[[1,{"city":""}]]}': "/a/0/1/city", '{"a":[[1]]}': "/a/0"}),
    # Models.
    "address": (Address, Address(town="Ulm", zip="89073"), {"{}": "", '{"city":"","zip":null}': "/city", '{"city":"Ulm","zip":"x"}': "/zip", '{"city":"Ulm","x":1}': "/x"}),
    "tree": (Tree, Tree(name="a", children=[Tree(name="b", parent=Tree(name="c"))]), {'{"name":"a","children":[{"name":1}]}': "/children/0/name", '{"name":"a","parent":{"name":"b","children":[{}]}}': "/parent/children/0"}),
    "open": (Open, Open(n=1, more=2), {'{"n":"x"}': "/n", '{"more":"x"}': "/more"}),
    "named_tuple": (Point, Point(1, 2.5), {'["x",1]': "/0", "[1,2,3]": ""}),
    "typed": (Options, {"theme": "dark"}, {'{"theme":1}': "/theme"}),
    "needs": (Needs, {"a": 1}, {"{}": "", '{"a":1,"b":2}': "/b"}),
    "data": (Part, Part("x", 2), {"{}": "", '{"sku":"a","n":"x"}': "/n"}),
    "root": (Numbers, Numbers([1, 2]), {"[1,0]": "/1"}),
    "box": (Box[int], Box[int](content=1, more=[2]), {'{"content":"x"}': "/content", '{"content":1,"more":[null]}': "/more/0"}),
    "box_of_box": (Box[Box[Color]], Box[Box[Color]](content=Box[Color](content=Color.red)), {'{"content":{"content":"blue"}}': "/content/content"}),
    "loop": (Loop, {"a": [1, [2]]}, {}),
    # Alternatives.
    "maybe": (Optional[int], None, {'"x"': ""}),
    "maybe_address": (Optional[Address], Address(town="Ulm"), {'{"city":1}': "/city", '{"city":"Ulm","y":1}': "/y", "[]": ""}),
    "maybe_list": (Optional[list[Address]], [Address(town="Ulm")], {'[{"city":"Ulm"},{"city":7}]': "/1/city"}),
    "either": (Union[int, str], "x", {"[]": "", "null": ""}),
    "bar": (int | None, 3, {'"x"': ""}),
    "either_model": (Union[Address, Part], Part("x"), {"1": ""}),
    "pet": (Annotated[Union[Cat, Dog], Field(discriminator="kind")], Cat(lives=9), {'{"kind":"cat","lives":10}': "/lives", '{"kind":"dog","name":1}': "/name", '{"kind":"cow"}': ""}),
    "pets": (list[Annotated[Union[Cat, Dog, Nested], Field(discriminator="kind")]], [Dog(kind="wolf", name="w"), Nested(kind="nested", pet=Cat(lives=1))], {'[{"kind":"nested","pet":{"kind":"dog"}}]': "/0/pet", '[{"kind":"dog","name":"a"},{"kind":"cat","lives":-1}]': "/1/lives"}),
    "tagged": (Annotated[Union[Annotated[str, Tag("text")], Annotated[Address, Tag("address")]], Discriminator(tag_of)], Address(town="Ulm"), {'{"city":""}': "/city"}),
    # Written by hand.
    "chosen": (Annotated[int, WithJsonSchema({"type": "integer", "minimum": 5})], 5, {"4": ""}),
    "hexed": (Annotated[int, PlainSerializer(lambda n: n, return_type=int), Field(title="Hex", description="d", examples=[1], deprecated=True, json_schema_extra={"x-order": 1})], 255, {'"x"': ""}),
}

# Values that Pydantic accepts and its own schema refuses.
LAX = {("ratio", "true"), ("set", "[1,1]"), ("frozen", '["a","a"]'), ("chosen", "4")}


class Base(BaseModel):
    model_config = ConfigDict(extra="forbid", title="Every type")


Every = pydantic.create_model("Every", __base__=Base, **{name: (kind, ...) for name, (kind, _, _) in TYPES.items()})


class Defaults(BaseModel):
    """Members that may be left out, under names of several kinds."""

    text: str = "a"
    day: date = date(2026, 1, 1)
    span: timedelta = timedelta(minutes=90)
    price: Decimal = Decimal("1.5")
    color: Color = Color.red
    tags: set[str] = set()
    maker: list[int] = Field(default_factory=lambda: [1, 2])
    address: Address = Address(town="Ulm")
    pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")] = Cat(lives=9)
    maybe: Optional[Address] = None
    aliased: int = Field(default=1, alias="a-b")
    in_and_out: int = Field(default=2, validation_alias="inOut", serialization_alias="inOut")
    choices: int = Field(default=3, validation_alias=AliasChoices("choices", "c"))
    frozen: int = Field(default=4, frozen=True)
    level: Level = Level.low
    point: Point = Point(1)
    payload: Json[list[int]] = Field(default=[1], validate_default=False)

    @computed_field
    @property
    def total(self) -> int:
        return self.aliased + self.frozen


def refused(*command):
    try:
        reply = r.execute_command(*command)
    except redis.ResponseError as error:
        word, _, rest = str(error).partition(" ")
        return word, json.loads(rest)
    raise AssertionError(f"{command[0]} {command[1]} was accepted: {command[2:]} gave {reply!r}")


def pydantic_refuses(model, text):
    try:
        model.model_validate_json(text)
    except ValidationError:
        return True
    return False


values = Every(**{name: value for name, (_, value, _) in TYPES.items()})
dumped = values.model_dump_json(by_alias=True)
for mode in ("validation", "serialization"):
    model = f"every:{VERSION}:{mode}"
    schema = Every.model_json_schema(mode=mode)
    r.execute_command("MODEL.DEFINE", model, json.dumps(schema))
    key = f"{model}:1"
    r.execute_command("MODEL.SET", key, model, dumped)
    stored = r.execute_command("MODEL.GET", key)
    assert Every.model_validate_json(stored) == values, mode
    assert json.loads(stored) == json.loads(dumped), mode
    # One member at a time, in place and as a document.
    for name, (_, _, bad) in TYPES.items():
        own = json.dumps(json.loads(dumped)[name])
        r.execute_command("MODEL.FIELDOP", key, "SET", f"$.{name}", own)
        for text, place in bad.items():
            word, error = refused("MODEL.FIELDOP", key, "SET", f"$.{name}", text)
            found = (word, error.get("place"))
            assert found == ("SCHEMA", f"/{name}{place}"), (mode, name, text, error)
            whole = json.dumps(json.loads(dumped) | {name: json.loads(text)})
            word, whole_error = refused("MODEL.SET", key, model, whole)
            assert whole_error["place"] == error["place"], (mode, name, text, error, whole_error)
            if mode == "validation":
                assert pydantic_refuses(Every, whole) or (name, text) in LAX, (name, text)
        word, error = refused("MODEL.FIELDOP", key, "DEL", f"$.{name}")
        assert (word, error["place"], error["keyword"]) == ("SCHEMA", "", "required"), (mode, name, error)
    word, error = refused("MODEL.FIELDOP", key, "SET", "$.unknown", "1")
    assert (error["place"], error["keyword"]) == ("/unknown", "additionalProperties"), error
    assert r.execute_command("MODEL.GET", key) == stored

# Members left out are filled in, as Pydantic does.
model = f"defaults:{VERSION}"
r.execute_command("MODEL.DEFINE", model, json.dumps(Defaults.model_json_schema()))
r.execute_command("MODEL.SET", "d:1", model, "{}")
assert Defaults.model_validate_json(r.execute_command("MODEL.GET", "d:1")) == Defaults()
r.execute_command("MODEL.SET", "d:2", model, Defaults().model_dump_json(by_alias=True, round_trip=True))
assert Defaults.model_validate_json(r.execute_command("MODEL.GET", "d:2")) == Defaults()
assert refused("MODEL.FIELDOP", "d:2", "SET", "$.payload", "[1]")[1]["place"] == "/payload"

# In what it gives out, a member that is computed is required, and JSON in a text is a value. The schema does not have what
# a factory makes.
model = f"output:{VERSION}"
r.execute_command("MODEL.DEFINE", model, json.dumps(Defaults.model_json_schema(mode="serialization")))
assert refused("MODEL.SET", "d:3", model, "{}")[1]["keyword"] == "required"
r.execute_command("MODEL.SET", "d:3", model, '{"total":5}')
r.execute_command("MODEL.SET", "d:4", model, Defaults().model_dump_json(by_alias=True))
filled, given = (json.loads(r.execute_command("MODEL.GET", key)) for key in ("d:3", "d:4"))
assert filled | {"maker": [1, 2]} == given
assert refused("MODEL.FIELDOP", "d:4", "SET", "$.payload", '["x"]')[1]["place"] == "/payload/0"


class Naive(BaseModel):
    """Moments without an offset, which a format is only a remark about."""

    at: datetime
    clock: time


naive = Naive(at=datetime(2026, 1, 31, 6, 12), clock=time(6, 12))
schema, text = json.dumps(Naive.model_json_schema()), naive.model_dump_json()
model = f"naive:{VERSION}"
r.execute_command("MODEL.DEFINE", model, schema)
assert refused("MODEL.SET", "n:1", model, text)[1]["keyword"] == "format"
r.execute_command("MODEL.DEFINE", model, schema, "FORMATS", "ANNOTATE")
r.execute_command("MODEL.SET", "n:1", model, text)
assert Naive.model_validate_json(r.execute_command("MODEL.GET", "n:1")) == naive
r.execute_command("MODEL.FIELDOP", "n:1", "TIMEADD", "$.at", "36h")
assert Naive.model_validate_json(r.execute_command("MODEL.GET", "n:1")).at == naive.at + timedelta(hours=36)
print("ok")
