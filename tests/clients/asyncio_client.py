"""The commands through redis-py's asyncio client.

    python asyncio_client.py PORT [2|3]        RESP2 or RESP3

docs/clients.md shows pieces of this program; a test runs it against every server.
"""

import asyncio
import json
import sys

import redis.asyncio as redis
from redis.exceptions import ResponseError

port, protocol = int(sys.argv[1]), int((sys.argv + ["3"])[2])


class Refused(Exception):
    """The code of a refusal, and its object of details."""

    def __init__(self, error):
        self.word, rest = str(error).split(" ", 1)
        self.known = json.loads(rest) if rest.startswith("{") else {"message": rest}
        super().__init__(f"{self.word}: {self.known['message']}")


async def model(r, command, *args):
    try:
        return await r.execute_command(f"MODEL.{command}", *args)
    except ResponseError as error:
        raise Refused(error) from None


async def main():
    # Longer than any WAIT: redis-py 8 would give up after 5 seconds, and send the request again.
    r = redis.Redis(port=port, protocol=protocol, decode_responses=True, socket_timeout=20)
    await model(r, "SET", "sku:{s}:moka", "any", json.dumps({"stock": 3, "log": []}))
    await model(r, "SET", "cart:{s}:ann", "any", json.dumps({"moka": 2}))

    # A value is JSON text; a count or a revision is a number.
    left, entries = await model(
        r, "FIELDOP", "sku:{s}:moka", "INCR", "$.stock", -1, "APPEND", "$.log", '["sold"]'
    )
    assert (json.loads(left), entries) == (2, 1)

    # A refusal raises an exception that begins with the error's code.
    try:
        await model(r, "FIELDOP", "sku:{s}:moka", "IF", "self.stock >= 5", "INCR", "$.stock", -5)
        raise AssertionError("there are not that many")
    except Refused as refused:
        assert refused.word == "CONDITION"
        assert refused.known["values"] == {"self.stock": 2}

    # A transaction under a token may be sent again.
    order = [
        "TXN", 3, "sku:{s}:moka", "cart:{s}:ann", "paid:{s}:7", "TOKEN", "paid:{s}:7",
        "ON", "sku:{s}:moka", "EVAL", "$.stock", "value - docs['cart:{s}:ann'].moka",
        "ON", "cart:{s}:ann", "DELETE",
    ]
    assert await model(r, *order) == await model(r, *order) == [["0"], [1]]

    # Several tasks wait for a lock, each on a connection of its own. Each is granted it once, in the order of requests.
    async def work(task):
        fence, _, _, document = await model(
            r, "LOCK", "sku:{s}:moka", "log", task, "LEASE", 5_000, "WAIT", 10_000, "GET"
        )
        log = json.loads(document)["log"] + [task]
        await asyncio.sleep(0.01)
        held = ["log", task, fence]
        await model(
            r, "FIELDOP", "sku:{s}:moka", "HOLDING", *held, "SET", "$.log", json.dumps(log), "RELEASE", *held
        )

    tasks = [f"task:{nth}" for nth in range(8)]
    await asyncio.gather(*(work(task) for task in tasks))
    log = json.loads(await model(r, "GET", "sku:{s}:moka", "$.log"))
    assert sorted(log) == ["sold", *tasks]

    # A lock that is not granted in time is None.
    await model(r, "LOCK", "sku:{s}:moka", "log", "first", "LEASE", 60_000)
    assert await model(r, "LOCK", "sku:{s}:moka", "log", "second", "WAIT", 20) is None

    # A pipeline returns refusals at their positions.
    pipeline = r.pipeline(transaction=False)
    pipeline.execute_command("MODEL.FIELDOP", "sku:{s}:moka", "INCR", "$.stock", 4)
    pipeline.execute_command("MODEL.FIELDOP", "sku:{s}:missing", "INCR", "$.stock", 4)
    [stock], missing = await pipeline.execute(raise_on_error=False)
    assert stock == "4" and str(missing).startswith("NOKEY ")

    # A map in RESP3, a list of names and values in RESP2.
    meta = await model(r, "META", "sku:{s}:moka")
    meta = meta if isinstance(meta, dict) else dict(zip(meta[::2], meta[1::2]))
    assert meta["model"] == "any" and meta["locks"] == 1
    await r.aclose()
    print("ok")


asyncio.run(main())
