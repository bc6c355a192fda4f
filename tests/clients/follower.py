"""A cache of articles and an index of their words, kept by following a change stream. The reader is killed and goes on.

    python follower.py PORT [2|3]        RESP2 or RESP3

docs/changes.md shows pieces of this program; a test runs it against every server.
"""

import json
import random
import sys
import time

import redis

PORT, PROTOCOL = int(sys.argv[1]), int((sys.argv + ["3"])[2])
MODEL, STREAM = "article", "article!changes"
WORDS = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "oak", "pine", "yew"]


def connect():
    return redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)


def described(r):
    found = r.execute_command("MODEL.DESCRIBE", MODEL)
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2]))


def patched(value, operations):
    """The value after a JSON Patch; libraries such as jsonpatch do the same."""
    value = json.loads(json.dumps(value))
    for operation in operations:
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")]
        if not way:
            value = operation["value"]
            continue
        parent = value
        for step in way[1:]:
            parent = parent[int(step) if isinstance(parent, list) else step]
        if isinstance(parent, list):
            if operation["op"] != "add":
                del parent[int(last)]
            if operation["op"] != "remove":
                parent.insert(int(last), operation["value"])
        elif operation["op"] == "remove":
            del parent[last]
        else:
            parent[last] = operation["value"]
    return value


class Reader:
    def __init__(self):
        self.seq, self.articles, self.words = None, {}, {}

    def put(self, key, found):
        """Keeps an article with its revision, or forgets it; the index of words follows."""
        _, old = self.articles.pop(key, (0, None))
        for word in (old or {}).get("words", []):
            self.words[word].discard(key)
        if found is not None:
            self.articles[key] = found
            for word in found[1].get("words", []):
                self.words.setdefault(word, set()).add(key)

    def apply(self, entry):
        """One entry: a second time it changes nothing."""
        op, key = entry["op"], entry.get("key")
        known, _ = self.articles.get(key, (0, None))
        if op == "flush":
            for key in [*self.articles]:
                self.put(key, None)
        elif op in ("delete", "expire", "evict"):
            if known <= int(entry["prev"]):
                self.put(key, None)
        else:
            if "from" in entry and self.articles.get(entry["from"], (0, None))[0] <= int(entry["rev"]):
                self.put(entry["from"], None)
            if "after" in entry and known < int(entry["rev"]):
                self.put(key, (int(entry["rev"]), json.loads(entry["after"])))
            elif "patch" in entry and known == int(entry["prev"]):
                _, article = self.articles[key]
                self.put(key, (int(entry["rev"]), patched(article, json.loads(entry["patch"]))))

    def list(self, r):
        """First where the stream stands, then the documents."""
        self.seq = described(r)["changes"][2] or 0
        for key in [*self.articles]:
            self.put(key, None)
        cursor = []
        while True:
            after, rows = r.execute_command("MODEL.FIND", MODEL, "LIMIT", 10, *cursor)
            for key, revision, article in rows:
                self.put(key, (revision, json.loads(article)))
            if after is None:
                return
            cursor = ["AFTER", after]

    def follow(self, r):
        """Reads what is new. Lists again after a gap."""
        for _, fields in r.xrange(STREAM, min=f"({self.seq}-0"):
            seq = int(fields["seq"])
            if seq != self.seq + 1 and fields["op"] != "flush":
                return self.list(r)
            self.apply(fields)
            self.seq = seq


def change(r, chance):
    """One change of any kind."""
    key, other = f"a:{chance.randrange(30)}", f"a:{chance.randrange(30)}"
    words = chance.sample(WORDS, 3)
    kind = chance.randrange(8)
    try:
        if kind < 3:
            r.execute_command("MODEL.SET", key, MODEL, json.dumps({"words": words, "text": "t" * 200}))
        elif kind == 3:
            r.execute_command("MODEL.FIELDOP", key, "SET", "$.words[0]", json.dumps(words[0]))
        elif kind == 4:
            r.execute_command("MODEL.FIELDOP", key, "APPEND", "$.words", json.dumps(words[:1]), "POP", "$.words", 0)
        elif kind == 5:
            r.delete(key)
        elif kind == 6:
            r.rename(key, other)
        else:
            r.pexpire(key, 1)
    except redis.ResponseError:
        # There is no such article.
        pass


def check(r, reader):
    """The reader has what the server has."""
    for key in [*reader.articles]:
        r.exists(key)
    wanted = time.time() + 20
    while True:
        reader.follow(r)
        _, rows = r.execute_command("MODEL.FIND", MODEL, "LIMIT", 1000)
        found = {key: (revision, json.loads(article)) for key, revision, article in rows}
        if reader.articles == found:
            break
        assert time.time() < wanted, (reader.articles, found)
    for word, keys in reader.words.items():
        assert keys == {key for key, (_, article) in found.items() if word in article["words"]}, word


r, chance = connect(), random.Random(7)
r.execute_command("MODEL.DEFINE", MODEL, "{}", "INDEX", "words", 1, "$.words[*]", "CHANGES", 200)
for _ in range(300):
    change(r, chance)
reader = Reader()
reader.list(r)
check(r, reader)
for _ in range(5):
    for _ in range(40):
        change(r, chance)
    check(r, reader)
# A second reader is away for longer than the stream is: it sees the gap.
late = Reader()
late.list(r)
for _ in range(2000):
    change(r, chance)
check(r, late)
# Entries that are read again change nothing.
seq = late.seq
late.seq = int(r.xrange(STREAM, count=1)[0][1]["seq"]) - 1
late.follow(r)
assert late.seq >= seq
check(r, late)
r.flushdb()
for _ in range(50):
    change(r, chance)
check(r, late)
print("ok")
