"""The commands through redis-py's cluster client, which finds the shard of a command by its keys.

    python cluster_client.py PORT [2|3]        the port of any node; RESP2 or RESP3

docs/clients.md shows pieces of this program; a test runs it against a cluster of every server.
"""

import json
import sys
import threading

from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, ResponseError

port, protocol = int(sys.argv[1]), int((sys.argv + ["3"])[2])


def connect():
    return RedisCluster(host="127.0.0.1", port=port, protocol=protocol, decode_responses=True)


r = connect()

# One key: the client learns its position from COMMAND.
for nth in range(50):
    r.execute_command("MODEL.SET", f"user:{nth}", "any", json.dumps({"n": nth}))
    [n] = r.execute_command("MODEL.FIELDOP", f"user:{nth}", "INCR", "$.n", 1)
    assert int(n) == nth + 1
assert len({node.port for node in r.get_primaries()}) > 1

# Counted keys: the client asks the server with COMMAND GETKEYS. The keys of one transaction have the
# same part in braces.
for nth in range(20):
    buyer, shop, token = (f"{{shop:{nth}}}:{what}" for what in ("buyer", "shop", "paid"))
    for key, cents in ((buyer, 100), (shop, 0)):
        r.execute_command("MODEL.SET", key, "any", json.dumps({"cents": cents}))
    pay = (
        "MODEL.TXN", 3, buyer, shop, token, "TOKEN", token,
        "ON", buyer, "IF", "self.cents >= 70", "INCR", "$.cents", -70,
        "ON", shop, "INCR", "$.cents", 70,
    )
    assert r.execute_command(*pay) == r.execute_command(*pay) == [["30"], ["70"]]
    assert r.execute_command("MODEL.MGET", 2, buyer, shop, "$.cents") == ["30", "70"]

# Keys of different slots are refused, by the client or by the server.
try:
    r.execute_command("MODEL.MGET", 2, "user:1", "user:2", "$")
    raise AssertionError("they are on different shards")
except (RedisClusterException, ResponseError):
    pass

# Locks wait on the shard of their document.
user = "{user:1}:profile"
r.execute_command("MODEL.SET", user, "any", '{"visits":[]}')


def visit(owner):
    client = connect()
    fence, *_ = client.execute_command("MODEL.LOCK", user, "visits", owner, "WAIT", 30_000)
    client.execute_command(
        "MODEL.FIELDOP", user, "HOLDING", "visits", owner, fence,
        "APPEND", "$.visits", json.dumps([owner]), "RELEASE", "visits", owner, fence,
    )


threads = [threading.Thread(target=visit, args=(f"task:{nth}",)) for nth in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
visits = json.loads(r.execute_command("MODEL.GET", user, "$.visits"))
assert sorted(visits) == [f"task:{nth}" for nth in range(5)]

# A model is defined once and is on every shard.
schema = json.dumps({"properties": {"n": {"type": "integer"}}})
r.execute_command("MODEL.DEFINE", "counter", schema, target_nodes=r.get_random_node())
print("ok")
