"""Orders whose model is written in Pydantic and kept by the server.

    python pydantic_model.py PORT [2|3]        RESP2 or RESP3

docs/models.md shows pieces of this program; a test runs it against every server.
"""

import json
import sys
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, Optional, Union
from uuid import UUID

import redis
from pydantic import AwareDatetime, BaseModel, ConfigDict, EmailStr, Field, ValidationError

PORT, PROTOCOL = int(sys.argv[1]), int((sys.argv + ["3"])[2])
r = redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)


class Status(str, Enum):
    new = "new"
    paid = "paid"
    sent = "sent"


class Line(BaseModel):
    sku: str = Field(pattern=r"^[a-z]+-\d+$")
    quantity: int = Field(ge=1, le=99)
    cents: int = Field(ge=0)
    gift: bool = False


class Card(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["card"]
    last4: str = Field(pattern=r"^\d{4}$")


class Invoice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["invoice"]
    days: int = Field(default=30, gt=0, multiple_of=5)


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: UUID
    email: EmailStr
    placed: AwareDatetime
    status: Status = Status.new
    lines: list[Line] = Field(min_length=1)
    payment: Annotated[Union[Card, Invoice], Field(discriminator="kind")]
    discount: float = Field(default=0.0, ge=0, lt=1)
    reference: Union[int, str] = 0
    due: Optional[date] = None
    fee: Decimal = Decimal("0")
    labels: dict[str, list[str]] = {}
    total_cents: int = 0
    paid_cents: int = 0


version = r.execute_command(
    "MODEL.DEFINE", "order", json.dumps(Order.model_json_schema()),
    "RULE", "not overpaid", "self.paid_cents <= self.total_cents",
    "RULE", "status moves on",
    "oldSelf.status == self.status || [oldSelf.status, self.status] in [['new', 'paid'], ['paid', 'sent']]",
)
assert version == 1


def refused(*command):
    """The code of a refusal, and its object of details."""
    try:
        reply = r.execute_command(*command)
    except redis.ResponseError as error:
        text = str(error)
        start = text.index("{")
        return text[:start].strip() or "ERR", json.loads(text[start:])  # redis-py takes an ERR off
    raise AssertionError(f"{command} gave {reply!r}")


order = {
    "id": "6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11",
    "email": "ann@example.com",
    "placed": "2026-11-21T06:12:47Z",
    "lines": [{"sku": "moka-3", "quantity": 2, "cents": 2490}],
    "payment": {"kind": "card", "last4": "4242"},
    "total_cents": 4980,
}
r.execute_command("MODEL.SET", "order:1", "order", json.dumps(order))

stored = Order.model_validate_json(r.execute_command("MODEL.GET", "order:1"))
assert stored.status is Status.new and stored.lines[0].gift is False  # the model's defaults

word, error = refused("MODEL.FIELDOP", "order:1", "INCR", "$.lines[0].quantity", 98)
assert word == "SCHEMA"
assert error["place"] == "/lines/0/quantity"
assert error["keyword"] == "maximum"
assert error["message"] == "100 is greater than 99"

word, error = refused("MODEL.FIELDOP", "order:1", "INCR", "$.paid_cents", 5000)
assert word == "RULE"
assert error["rule"] == "not overpaid"
assert error["values"] == {"self.paid_cents": 5000, "self.total_cents": 4980}

# A condition is part of one command; a rule applies to every command.
word, error = refused(
    "MODEL.FIELDOP", "order:1", "ARGS", json.dumps({"cents": 5000}),
    "IF", "self.paid_cents + args.cents <= self.total_cents", "INCR", "$.paid_cents", 5000,
)
assert word == "CONDITION"
assert error["values"] == {"self.paid_cents": 0, "args.cents": 5000, "self.total_cents": 4980}

# Values that the server computes from the document.
reply = r.execute_command(
    "MODEL.FIELDOP", "order:1", "EVAL", "$.lines[*].cents", "value - value / 10",
    "EVAL", "$.total_cents", "self.lines[0].quantity * self.lines[0].cents",
)
assert reply == [["2241"], "4482"]

# A payment changes the status once, and an order is sent after it is paid.
assert refused("MODEL.FIELDOP", "order:1", "SET", "$.status", '"sent"')[1]["rule"] == "status moves on"
r.execute_command("MODEL.FIELDOP", "order:1", "INCR", "$.paid_cents", 4482, "SET", "$.status", '"paid"')
assert refused("MODEL.FIELDOP", "order:1", "SET", "$.status", '"new"')[1]["rule"] == "status moves on"


def fits(text):
    """Pydantic's own verdict."""
    try:
        Order.model_validate_json(text, strict=True)
    except ValidationError:
        return False
    return True


def check(expected, *statements):
    """The server's verdict on a change, "accepted" or "keyword at place". It has to equal Pydantic's."""
    r.execute_command("MODEL.SET", "unjudged", "any", r.execute_command("MODEL.GET", "order:1"))
    r.execute_command("MODEL.FIELDOP", "unjudged", *statements)
    assert fits(r.execute_command("MODEL.GET", "unjudged")) == (expected == "accepted"), statements
    before = r.execute_command("MODEL.GET", "order:1")
    if expected == "accepted":
        r.execute_command("MODEL.FIELDOP", "order:1", *statements)
        assert r.execute_command("MODEL.GET", "order:1") == r.execute_command("MODEL.GET", "unjudged")
        return
    word, error = refused("MODEL.FIELDOP", "order:1", *statements)
    assert (word, f"{error['keyword']} at {error['place']}") == ("SCHEMA", expected), (statements, error)
    assert r.execute_command("MODEL.GET", "order:1") == before


def line(**members):
    return json.dumps([{"sku": "filter-02", "quantity": 1, "cents": 590} | members])


# Lists of models, and numbers with bounds.
check("accepted", "INCR", "$.lines[0].quantity", 1)
check("accepted", "APPEND", "$.lines", line(gift=True))
check("minimum at /lines/1/quantity", "INCR", "$.lines[1].quantity", -1)
check("maximum at /lines/0/quantity", "INCR", "$.lines[*].quantity", 97)
check("type at /lines/1/quantity", "SET", "$.lines[1].quantity", "1.5")
check("type at /lines/1/gift", "SET", "$.lines[1].gift", "null")
check("pattern at /lines/2/sku", "APPEND", "$.lines", line(sku="Filter 02"))
check("required at /lines/2", "APPEND", "$.lines", '[{"sku":"moka-3","quantity":1}]')
check("required at /lines/0", "DEL", "$.lines[*].cents")
check("accepted", "DEL", "$.lines[0].gift")
check("accepted", "POP", "$.lines", 0)
check("minItems at /lines", "POP", "$.lines", 0)
check("minItems at /lines", "CLEAR", "$.lines")
check("type at /lines", "SET", "$.lines", "{}")
check("exclusiveMaximum at /discount", "INCR", "$.discount", 1)
check("minimum at /discount", "INCR", "$.discount", -0.5)
check("accepted", "INCR", "$.discount", 0.25)

# A discriminated union of models: changed as one value, or within one alternative.
check("accepted", "SET", "$.payment.last4", '"0001"')
check("pattern at /payment/last4", "SET", "$.payment.last4", '"1"')
check("additionalProperties at /payment/last4", "SET", "$.payment.kind", '"invoice"')
check("oneOf at /payment", "SET", "$.payment.kind", '"cash"')
check("additionalProperties at /payment/days", "SET", "$.payment.days", "30")
check("accepted", "SET", "$.payment.kind", '"invoice"', "DEL", "$.payment.last4", "SET", "$.payment.days", "15")
check("multipleOf at /payment/days", "INCR", "$.payment.days", 1)
check("exclusiveMinimum at /payment/days", "SET", "$.payment.days", "0")
check("accepted", "SET", "$.payment", '{"kind":"card","last4":"4242"}')

# Enums, formats, optional values and unions of types.
check("enum at /status", "SET", "$.status", '"lost"')
check("format at /id", "SET", "$.id", '"6f1c1d3e"')
check("format at /email", "SET", "$.email", '"ann at example.com"')
check("format at /placed", "SET", "$.placed", '"2026-11-31T06:12:47Z"')
check("format at /placed", "SET", "$.placed", '"2026-11-21T06:12:47"')  # No offset.
check("accepted", "TIMEADD", "$.placed", "36h")
check("accepted", "SET", "$.due", '"2026-12-24"')
check("format at /due", "SET", "$.due", '"2026-12-32"')
check("anyOf at /due", "SET", "$.due", "20261224.5")
check("accepted", "SET", "$.due", "null")
check("accepted", "SET", "$.reference", '"A-7"')
check("anyOf at /reference", "SET", "$.reference", "true")
check("anyOf at /reference", "SET", "$.reference", "[]")
check("accepted", "SET", "$.reference", "7")
check("accepted", "INCR", "$.reference", 1)
check("anyOf at /reference", "INCR", "$.reference", 0.5)
check("accepted", "SET", "$.fee", '"1.50"')
check("anyOf at /fee", "SET", "$.fee", "[]")

# Members of any name, and a model that forbids unknown members.
check("accepted", "SET", "$.labels.todo", '["wrap"]')
check("accepted", "APPEND", "$.labels.todo", '["call"]')
check("type at /labels/todo/2", "APPEND", "$.labels.todo", "[7]")
check("type at /labels/done", "SET", "$.labels.done", "null")
check("additionalProperties at /extra", "SET", "$.extra", "1")
check("required at ", "DEL", "$.email")

# The document is validated as it is at the end of the command.
check("accepted", "DEL", "$.email", "SET", "$.email", '"bob@example.com"')


def members(reply):
    """A map, which RESP2 has as a flat list."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


class OrderWithPriority(Order):
    priority: int = Field(default=3, ge=1, le=5)


schema = json.dumps(OrderWithPriority.model_json_schema())
assert r.execute_command("MODEL.DEFINE", "order", schema) == 2
assert members(r.execute_command("MODEL.META", "order:1"))["definition-version"] == 1
assert "priority" not in json.loads(r.execute_command("MODEL.GET", "order:1"))
assert r.execute_command("MODEL.FIELDOP", "order:1", "INCR", "$.priority", 1) == ["4"]
assert members(r.execute_command("MODEL.META", "order:1"))["definition-version"] == 2

assert refused("MODEL.UNDEFINE", "order")[0] == "INUSE"
assert refused("MODEL.SET", "order:2", "orders", "{}")[0] == "NOMODEL"
assert refused("MODEL.DEFINE", "order", '{"$ref":"https://example.com/order.json"}')[0] == "ERR"
assert refused("MODEL.DEFINE", "order", '{"pattern":"^a(?!draft)"}')[0] == "ERR"
assert members(r.execute_command("MODEL.DESCRIBE", "order"))["version"] == 2
print("ok")
