"""A shop and a game whose rules stand in the server: every client calls them by name.

    python actions.py PORT [2|3]        RESP2 or RESP3

docs/actions.md shows pieces of this program; a test runs it against every server.
"""

import json
import sys
import uuid

import redis

PORT, PROTOCOL = int(sys.argv[1]), int((sys.argv + ["3"])[2])
r = redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)


def params(**members):
    return json.dumps({"properties": members, "required": list(members), "additionalProperties": False})


count = {"type": "integer", "minimum": 1}
text = {"type": "string", "minLength": 1, "maxLength": 64}


def define(name, roles, schema, *blocks):
    """Defines an action. The same definition again changes nothing, so every start of the program may do it."""
    return r.execute_command("MODEL.ACTION", name, len(roles), *roles, "PARAMS", schema, *blocks)


def call(action, *keys, token=None, **args):
    """Calls an action. With a token it is done once, however often it is sent."""
    once = [] if token is None else ["TOKEN", token]
    keys += () if token is None else (token,)
    return r.execute_command("MODEL.CALL", action, len(keys), *keys, *once, "ARGS", json.dumps(args))


def refused(action, *keys, **args):
    try:
        reply = call(action, *keys, **args)
    except redis.ResponseError as error:
        word, details = str(error).split(" ", 1)
        return word, json.loads(details)
    raise AssertionError(f"{action} gave {reply}")


# Transfer.
define(
    "transfer", ["from", "to"], params(cents=count),
    "ON", "from", "IF", "self.balance >= args.cents", "INCR", "$.balance", "=-args.cents",
    "ON", "to", "INCR", "$.balance", "=args.cents",
)
r.execute_command("MODEL.SET", "acct:{b}:ann", "any", '{"balance":100}')
r.execute_command("MODEL.SET", "acct:{b}:bob", "any", '{"balance":5}')
token = f"token:{{b}}:{uuid.uuid4()}"
for attempt in range(3):
    assert call("transfer", "acct:{b}:ann", "acct:{b}:bob", token=token, cents=70) == [["30"], ["75"]]
word, error = refused("transfer", "acct:{b}:ann", "acct:{b}:bob", cents=70)
assert (word, error["role"], error["values"]["self.balance"]) == ("CONDITION", "from", 30)
assert refused("transfer", "acct:{b}:ann", "acct:{b}:bob", cents=0)[0] == "SCHEMA"

# Reserve.
define(
    "reserve", ["stock", "order"], params(n=count),
    "ON", "stock", "IF", "self.left - self.reserved >= args.n", "INCR", "$.reserved", "=args.n",
    "ON", "order", "CREATE", "any", '={"sku": docs.stock.sku, "n": args.n, "status": "reserved"}',
)
r.execute_command("MODEL.SET", "stock:{s}:moka", "any", '{"sku":"moka","left":5,"reserved":0}')
assert call("reserve", "stock:{s}:moka", "order:{s}:1", n=3)[0] == ["3"]
assert json.loads(r.execute_command("MODEL.GET", "order:{s}:1"))["sku"] == "moka"
assert refused("reserve", "stock:{s}:moka", "order:{s}:2", n=3)[0] == "CONDITION"
assert refused("reserve", "stock:{s}:moka", "order:{s}:1", n=1)[0] == "BUSYKEY"
assert r.execute_command("MODEL.GET", "stock:{s}:moka", "$.reserved") == "3"

# Level up.
define(
    "level-up", ["player", "board"], params(name=text),
    "ON", "player", "IF", "self.xp >= 100 * self.level",
    "INCR", "$.xp", "=-100 * self.level", "INCR", "$.level", 1,
    "AT", "board", "ZADD", "=docs.player.level", "=args.name",
)
r.execute_command("MODEL.SET", "player:{g}:ann", "any", '{"level":1,"xp":250}')
assert call("level-up", "player:{g}:ann", "board:{g}", name="ann") == [["150", "2"], [1]]
word, error = refused("level-up", "player:{g}:ann", "board:{g}", name="ann")
assert (word, error["values"]["self.xp"]) == ("CONDITION", 150)
assert r.zscore("board:{g}", "ann") == 2

# Add to cart.
define(
    "add-to-cart", ["cart"], params(sku=text, n=count),
    "ON", "cart", "INIT", "any", '{"lines":[]}',
    "WHEN", "!self.lines.exists(line, line.sku == args.sku)",
    "APPEND", "$.lines", '=[{"sku": args.sku, "n": 0}]',
    "INCR", "$.lines[?@.sku == args.sku].n", "=args.n",
)
call("add-to-cart", "cart:{c}:7", sku="moka", n=1)
call("add-to-cart", "cart:{c}:7", sku="cup", n=4)
call("add-to-cart", "cart:{c}:7", sku="moka", n=2)
lines = json.loads(r.execute_command("MODEL.GET", "cart:{c}:7", "$.lines"))
assert [(line["sku"], line["n"]) for line in lines] == [("moka", 3), ("cup", 4)]

# Rate limit.
r.execute_command("MODEL.DEFINE", "window", "{}", "TTL", 60)
define(
    "limit", ["window"], params(most=count),
    "ON", "window", "INIT", "window", '{"calls":0}', "IF", "self.calls < args.most", "INCR", "$.calls", 1,
)
for nth in range(3):
    assert call("limit", "calls:{u}:ann", most=3) == [[str(nth + 1)]]
assert refused("limit", "calls:{u}:ann", most=3)[0] == "CONDITION"
assert 0 < r.ttl("calls:{u}:ann") <= 60

assert r.execute_command("MODEL.ACTIONS") == ["add-to-cart", "level-up", "limit", "reserve", "transfer"]
print("ok")
