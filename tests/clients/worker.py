"""Workers of a job queue: one takes a job, fails or is too slow, and another one gets it.

    python worker.py PORT [2|3]        RESP2 or RESP3

docs/queues.md shows pieces of this program; a test runs it against every server.
"""

import json
import sys
import threading

import redis

PORT, PROTOCOL = int(sys.argv[1]), int((sys.argv + ["3"])[2])
JOBS = 20


def connect():
    # Longer than WAIT: redis-py would give up earlier, and send the request again.
    return redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True, socket_timeout=40)


def take(r, queue, wait_ms=30_000):
    """The key, the number of tries and the content of the job that is due first; None if none was due in time."""
    taken = r.execute_command(
        "MODEL.FINDOP", 0, "job", "WHERE", "self.queue == args.queue && self.due <= int(now)", "ORDER", "due",
        "ARGS", json.dumps({"queue": queue}), "WAIT", wait_ms,
        "DO", "EVAL", "$.due", "int(now) + 30", "INCR", "$.tries", 1, "GET", "$",
    )
    if not taken:
        return None
    [[key, _revision, [_due, tries, job]]] = taken
    return key, int(tries), json.loads(job)


def end(r, key, tries, error=None):
    """Deletes a job that is done, or has it tried again later. False if it is another worker's by now."""
    args = json.dumps({"tries": tries, "error": error})
    mine = ["IF", "self.tries == args.tries"]
    again = [
        "EVAL", "$.due", "int(now) + 10 * self.tries", "SET", "$.error", "=args.error",
        "WHEN", "self.tries >= 5", "SET", "$.queue", "=self.queue + '-dead'",
    ]
    try:
        r.execute_command("MODEL.FIELDOP", key, "ARGS", args, *mine, *(["DELETE"] if error is None else again))
    except redis.ResponseError as refusal:
        if not str(refusal).startswith(("CONDITION ", "NOKEY ")):
            raise
        return False
    return True


def work(r, queue, handle, wait_ms=30_000):
    """Handles jobs until none is due for so long."""
    while taken := take(r, queue, wait_ms):
        key, tries, job = taken
        try:
            handle(job)
        except Exception as error:
            end(r, key, tries, str(error))
        else:
            end(r, key, tries)


def main():
    r = connect()
    r.execute_command(
        "MODEL.DEFINE", "job",
        json.dumps({
            "properties": {"due": {"type": "integer"}, "tries": {"type": "integer", "default": 0}},
            "required": ["queue", "due"],
        }),
        "INDEX", "due", 2, "$.queue", "$.due",
    )
    for nth in range(JOBS):
        job = {"queue": "mail", "due": 0, "to": nth}
        r.execute_command("MODEL.SET", f"job:{nth}", "job", json.dumps(job))
    handled = []

    def handle(job):
        handled.append(job["to"])
        if job["to"] == 3:
            raise ValueError("the mailbox is full")

    workers = [threading.Thread(target=work, args=(connect(), "mail", handle, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(handled) == list(range(JOBS)), handled
    failed = json.loads(r.execute_command("MODEL.GET", "job:3"))
    assert failed["error"] == "the mailbox is full" and failed["tries"] == 1, failed
    assert r.execute_command("MODEL.COUNT", "job") == 1

    # After the last try it is put aside.
    r.execute_command("MODEL.FIELDOP", "job:3", "SET", "$.due", 0, "SET", "$.tries", 4)
    work(r, "mail", handle, 0)
    assert json.loads(r.execute_command("MODEL.GET", "job:3"))["queue"] == "mail-dead"

    # A worker that was too slow ends nothing.
    r.execute_command("MODEL.SET", "job:x", "job", json.dumps({"queue": "slow", "due": 0}))
    key, tries, _ = take(r, "slow")
    r.execute_command("MODEL.FIELDOP", key, "SET", "$.due", 0)
    assert take(r, "slow")[1] == tries + 1
    assert not end(r, key, tries) and not end(r, key, tries, "slow")
    assert end(r, key, tries + 1) and not end(r, key, tries + 1)
    print("ok")


if __name__ == "__main__":
    main()
