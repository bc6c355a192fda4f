"""Work between reading and writing, under locks.

Arguments: the server's port, and the protocol, 2 or 3. It prints "ok".
"""

import contextlib
import json
import sys
import threading
import time
import uuid

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])


def connect():
    # Longer than any WAIT: redis-py 8 would give up after 5 seconds, and send the request again.
    return redis.Redis(port=port, protocol=protocol, decode_responses=True, socket_timeout=40)


def edit(connection, key, name, work, owner=None):
    """Calls `work` with a document under a lock, and saves the changes it returns."""
    owner = owner or str(uuid.uuid4())
    granted = connection.execute_command(
        "MODEL.LOCK", key, name, owner, "LEASE", 10_000, "WAIT", 5_000, "GET"
    )
    if granted is None:
        raise TimeoutError(f"{name} of {key} is held by others")
    fence, lease_ms, revision, document = granted
    try:
        changes = work(json.loads(document))
        connection.execute_command(
            "MODEL.FIELDOP", key, "HOLDING", name, owner, fence,
            "MERGE", "$", json.dumps(changes), "RELEASE", name, owner, fence,
        )
    except BaseException:
        with contextlib.suppress(redis.ResponseError):  # LOCKLOST: the lock is free already.
            connection.execute_command("MODEL.UNLOCK", key, name, owner, fence)
        raise


def transfer(connection, source, target, cents, owner):
    granted = connection.execute_command(
        "MODEL.MLOCK", 2, source, target, "balance", owner, "WAIT", 30_000, "GET"
    )
    (source_fence, _, _, source_json), (target_fence, _, _, target_json) = granted
    left = json.loads(source_json)["cents"] - cents
    new = json.loads(target_json)["cents"] + cents
    blocks = [(source, source_fence, left), (target, target_fence, new)]
    command = ["MODEL.TXN", 2, source, target]
    for key, fence, value in blocks:
        command += ["ON", key, "HOLDING", "balance", owner, fence, "SET", "$.cents", value]
        command += ["RELEASE", "balance", owner, fence]
    connection.execute_command(*command)


def rename(connection, owner):
    edit(connection, "user:1", "profile", lambda user: {"names": user["names"] + [owner]}, owner)


def count(connection, owner):
    edit(connection, "user:1", "visits", lambda user: {"visits": user["visits"] + 1}, owner)


def lead(connection, owner, steps):
    granted = connection.execute_command("MODEL.LOCK", "job", "leader", owner, "LEASE", 500, "WAIT", 30_000)
    if granted is None:
        raise TimeoutError("others lead")
    fence = granted[0]
    try:
        for _ in range(steps):
            connection.execute_command("MODEL.RENEW", "job", "leader", owner, fence)  # LOCKLOST: stop.
            connection.execute_command(
                "MODEL.FIELDOP", "job", "HOLDING", "leader", owner, fence,
                "INCR", "$.steps", 1, "APPEND", "$.leaders", json.dumps([fence]),
            )
    finally:
        with contextlib.suppress(redis.ResponseError):  # LOCKLOST: the lock is free already.
            connection.execute_command("MODEL.UNLOCK", "job", "leader", owner, fence)


def compute_once(connection, key, work, owner):
    """Returns the value stored at `key`. The first client computes it while the others wait."""
    granted = connection.execute_command(
        "MODEL.LOCK", key, "value", owner, "INIT", "any", "{}", "LEASE", 10_000, "WAIT", 30_000, "GET"
    )
    if granted is None:
        raise TimeoutError(f"{key} is being computed by others")
    fence, _, _, text = granted
    stored = json.loads(text)
    try:
        if "value" not in stored:
            stored["value"] = work()
            connection.execute_command(
                "MODEL.FIELDOP", key, "HOLDING", "value", owner, fence, "SET", "$.value", json.dumps(stored["value"])
            )
    finally:
        with contextlib.suppress(redis.ResponseError):  # LOCKLOST: the lock is free already.
            connection.execute_command("MODEL.UNLOCK", key, "value", owner, fence)
    return stored["value"]


def together(*works):
    """Runs each function in a thread with a connection of its own; a failure of one fails all."""
    failures = []

    def run(work):
        try:
            work(connect())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def refused(connection, *command):
    try:
        reply = connection.execute_command(*command)
    except redis.ResponseError as error:
        return str(error).split(" ")[0]
    raise AssertionError(f"{command} gave {reply!r}")


r = connect()

# Transfers between three accounts under locks lose no money.
accounts = [f"acct:{{l}}:{nth}" for nth in range(3)]
for account in accounts:
    r.execute_command("MODEL.SET", account, "any", '{"cents":1000}')
together(*[
    lambda connection, nth=nth: [
        transfer(connection, accounts[nth % 3], accounts[(nth + 1 + turn % 2) % 3], nth + turn, f"task:{nth}")
        for turn in range(10)
    ]
    for nth in range(6)
])
balances = r.execute_command("MODEL.MGET", 3, *accounts, "$.cents")
assert sum(map(int, balances)) == 3000, balances
for account in accounts:
    assert r.execute_command("MODEL.LOCKS", account) == []

# Two lock names on one document: no writer overwrites the changes of the other.
r.execute_command("MODEL.SET", "user:1", "any", '{"names":[],"visits":0}')
together(*[lambda connection, nth=nth: rename(connection, f"r{nth}") for nth in range(15)],
         *[lambda connection, nth=nth: count(connection, f"c{nth}") for nth in range(15)])
user = json.loads(r.execute_command("MODEL.GET", "user:1"))
assert user["visits"] == 15 and sorted(user["names"]) == sorted(f"r{nth}" for nth in range(15)), user

# Leaders follow each other; each has a higher fence than all before it.
r.execute_command("MODEL.SET", "job", "any", '{"steps":0,"leaders":[]}')
together(*[lambda connection, nth=nth: lead(connection, f"node:{nth}", 5) for nth in range(4)])
job = json.loads(r.execute_command("MODEL.GET", "job"))
assert job["steps"] == 20 and job["leaders"] == sorted(job["leaders"]), job

# A client whose lease has expired saves nothing.
fence = r.execute_command("MODEL.LOCK", "job", "leader", "slow", "LEASE", 30)[0]
time.sleep(0.06)
assert refused(r, "MODEL.FIELDOP", "job", "HOLDING", "leader", "slow", fence, "SET", "$.steps", 0) == "LOCKLOST"
assert refused(r, "MODEL.RENEW", "job", "leader", "slow", fence) == "LOCKLOST"

# A leader that fails releases the lock, too.
try:
    lead(r, "failing", "not a number of steps")
    raise AssertionError("it failed")
except TypeError:
    pass
assert r.execute_command("MODEL.LOCKS", "job") == []

# A task that fails releases the lock.
try:
    edit(r, "user:1", "profile", lambda user: user["no such member"])
    raise AssertionError("it failed")
except KeyError:
    pass
assert r.execute_command("MODEL.LOCK", "user:1", "profile", "next") is not None

# So does one whose changes are refused.
r.execute_command("MODEL.DEFINE", "capped", "{}", "RULE", "few", "self.n < 5")
r.execute_command("MODEL.SET", "capped:1", "capped", '{"n":1}')
try:
    edit(r, "capped:1", "count", lambda document: {"n": 9})
    raise AssertionError("it was saved")
except redis.ResponseError as error:
    assert str(error).startswith("RULE "), error
assert r.execute_command("MODEL.LOCK", "capped:1", "count", "next") is not None

# A value is computed once, by one of the clients that ask for it at the same time.
computed, values = [], []


def compute(owner):
    computed.append(owner)
    time.sleep(0.02)
    return {"by": owner}


together(*[
    lambda connection, nth=nth: values.append(
        compute_once(connection, "report", lambda: compute(f"task:{nth}"), f"task:{nth}")
    )
    for nth in range(8)
])
assert len(computed) == 1 and values == [{"by": computed[0]}] * 8, (computed, values)
assert r.execute_command("MODEL.LOCKS", "report") == []
print("ok")
