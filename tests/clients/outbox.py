"""An outbox: orders and their events in one step, and workers of a consumer group that are killed in the middle.

    python outbox.py PORT [2|3]        RESP2 or RESP3

docs/natives.md shows pieces of this program; a test runs it against every server. It runs itself again for each run of
a worker: `python outbox.py PORT PROTOCOL crash|work`.
"""

import json
import os
import signal
import subprocess
import sys

import redis

PORT, PROTOCOL, LIFE = int(sys.argv[1]), int((sys.argv + ["3"])[2]), sys.argv[3:]
DAY_MS = 86_400_000
ORDERS = 60
EVENTS, GROUP, BOOK, MAILS = "events:{web}", "mailers", "book:{web}", "mails:{web}"


def connect():
    return redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)


def pay(r, order):
    """The order and its event, or neither."""
    key = f"order:{{web}}:{order}"
    r.execute_command(
        "MODEL.TXN", 2, key, EVENTS, "ARGS", json.dumps({"order": order}),
        "ON", key, "IF", "self.status == 'new'", "SET", "$.status", '"paid"',
        "AT", EVENTS, "XADD", 100_000, f"={{'order': args.order, 'cents': docs['{key}'].cents}}",
    )


def handle(r, event, fields):
    """Books the payment and queues the mail, once for each event however often it is delivered."""
    token = f"seen:{{web}}:{event}"
    r.execute_command(
        "MODEL.TXN", 3, BOOK, MAILS, token, "TOKEN", token, "WINDOW", DAY_MS,
        "ARGS", json.dumps({"order": fields["order"], "cents": int(fields["cents"])}),
        "ON", BOOK, "INCR", "$.cents", "=args.cents", "INCR", "$.orders", 1,
        "AT", MAILS, "RPUSH", "=args.order",
    )
    r.xack(EVENTS, GROUP, event)


def work(r, name):
    """Takes over what dead workers left, then takes new events. Ends when none is left."""
    while True:
        _, left, *_ = r.xautoclaim(EVENTS, GROUP, name, min_idle_time=0, count=10)
        taken = left + new_events(r, name)
        for event, fields in taken:
            handle(r, event, fields)
        if not taken:
            return


def new_events(r, name):
    found = r.execute_command(
        "XREADGROUP", "GROUP", GROUP, name, "COUNT", 10, "STREAMS", EVENTS, ">"
    )
    if not found:
        return []
    # redis-py has the streams as a dictionary in RESP3, and as a list in RESP2.
    events = found[EVENTS][0] if isinstance(found, dict) else found[0][1]
    return [(event, fields) for event, fields in events]


class Mortal(redis.Redis):
    """Its process is killed after the change and before the event is acknowledged, the third time."""

    acknowledged = 0

    def xack(self, *args):
        Mortal.acknowledged += 1
        if Mortal.acknowledged == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().xack(*args)


if LIFE:
    kind = Mortal if LIFE[0] == "crash" else redis.Redis
    work(kind(port=PORT, protocol=PROTOCOL, decode_responses=True), f"{LIFE[0]}:{os.getpid()}")
    sys.exit()

r = connect()
r.xgroup_create(EVENTS, GROUP, id="0", mkstream=True)
r.execute_command("MODEL.SET", BOOK, "any", '{"cents":0,"orders":0}')
for order in range(ORDERS):
    r.execute_command("MODEL.SET", f"order:{{web}}:{order}", "any", '{"status":"new","cents":100}')


def live(life):
    """One run of a worker: its exit code."""
    command = [sys.executable, __file__, str(PORT), str(PROTOCOL), life]
    return subprocess.run(command, timeout=60).returncode


for order in range(ORDERS):
    pay(r, order)
    if order % 10 == 9:
        assert live("crash") == -signal.SIGKILL
assert r.xpending(EVENTS, GROUP)["pending"] > 0
assert live("work") == 0
assert r.xpending(EVENTS, GROUP)["pending"] == 0

# Each event was handled once.
booked = json.loads(r.execute_command("MODEL.GET", BOOK))
assert booked == {"cents": ORDERS * 100, "orders": ORDERS}
assert sorted(map(int, r.lrange(MAILS, 0, -1))) == list(range(ORDERS))
print("ok")
