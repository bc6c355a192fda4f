"""A payment that happens once, though the client that makes it crashes between send and receive.

Arguments: the server's port, and the protocol, 2 or 3. It prints "ok".
"""

import json
import os
import signal
import sys
import time

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])


def connect():
    return redis.Redis(port=port, protocol=protocol, decode_responses=True)


def pay(connection, intent):
    """Moves the money of an intent once, however often this is called."""
    buyer, shop, token = (f"{name}:{{pay}}" for name in ("buyer", "shop", f"paid:{intent['id']}"))
    return connection.execute_command(
        "MODEL.TXN", 3, buyer, shop, token,
        "TOKEN", token, "WINDOW", 600_000, "AT", intent["first_sent_ms"],
        "ARGS", json.dumps({"cents": intent["cents"]}),
        "ON", buyer, "IF", "self.cents >= args.cents", "EVAL", "$.cents", "value - args.cents",
        "ON", shop, "EVAL", "$.cents", "value + args.cents", "REVISION",
    )


class CrashesAfter:
    """A connection that sends so many bytes of a command, and whose process dies then."""

    def __init__(self, sent_bytes):
        self.sent_bytes = sent_bytes

    def execute_command(self, *command):
        connection = connect().connection_pool.get_connection()
        packed = b"".join(connection.pack_command(*command))
        connection._sock.sendall(packed[: self.sent_bytes])
        os.kill(os.getpid(), signal.SIGKILL)


def crash(intent, sent_bytes):
    """A client process that makes the payment and dies."""
    child = os.fork()
    if child == 0:
        pay(CrashesAfter(sent_bytes), intent)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the client crashed"


r = connect()
r.execute_command("MODEL.SET", "buyer:{pay}", "any", '{"cents":100000}')
r.execute_command("MODEL.SET", "shop:{pay}", "any", '{"cents":0}')
paid = 0
for number, sent_bytes in enumerate([0, 1, 50, 200, 10_000, 10_000, 10_000]):
    intent = {"id": f"order-{number}", "cents": 100 + number, "first_sent_ms": int(time.time() * 1000)}
    crash(intent, sent_bytes)
    # Another process takes over, and does not know what became of it.
    reply = pay(connect(), intent)
    paid += intent["cents"]
    assert [reply[0], reply[1][0]] == [[str(100_000 - paid)], str(paid)], reply
    # However often it asks.
    assert pay(connect(), intent) == reply
    balances = r.execute_command("MODEL.MGET", 2, "buyer:{pay}", "shop:{pay}", "$.cents")
    assert balances == [str(100_000 - paid), str(paid)], balances
    assert r.type(f"paid:order-{number}:{{pay}}") == "model-txn"

# A refusal is not recorded: the same intent succeeds once there is money.
intent = {"id": "large", "cents": 200_000, "first_sent_ms": int(time.time() * 1000)}
try:
    raise AssertionError(pay(connect(), intent))
except redis.ResponseError as error:
    assert str(error).startswith("CONDITION "), error
r.execute_command("MODEL.FIELDOP", "buyer:{pay}", "INCR", "$.cents", 200_000)
assert pay(connect(), intent)[0] == [str(100_000 - paid)]

# An intent that is too old to be known is not paid again.
intent["first_sent_ms"] = int(time.time() * 1000) - 700_000
r.delete("paid:large:{pay}")
try:
    raise AssertionError(pay(connect(), intent))
except redis.ResponseError as error:
    assert str(error).startswith("TOKENEXPIRED "), error
print("ok")
