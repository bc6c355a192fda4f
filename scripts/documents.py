"""The common part of `import` and `export`: servers, comparing documents, files of documents, progress and resuming.

A file of documents is NDJSON: one JSON object in each line, in UTF-8.

    {"key":"user:1","model":"user","revision":1795244826407654,"expires":null,"document":{"name":"Ann"}}
    {"definition":"user","version":2,"schema":{},"rules":[["named","has(self.name)"]],"ttl":null,"refresh":null,...}

`document` is the text that the server printed, so that every number is as exact as it was. `expires` is the Unix time in
milliseconds, or null for a document that does not expire; where it is missing, the model decides. A key that is not
UTF-8 stands in `key-base64` instead. Definitions stand before the documents.
"""

import base64
import json
import os
import re
import sys
from typing import NamedTuple, Optional

PROGRAM = os.path.basename(sys.argv[0])
try:
    import redis
    from redis.cluster import RedisCluster
    from redis.crc import key_slot
except ImportError:
    sys.exit(f"{PROGRAM}: the package redis is missing: pip install redis")

# Documents may be nested deeper than Python's own functions may call each other.
sys.setrecursionlimit(20000)

DECODER = json.JSONDecoder()
SPACE = re.compile(r"[ \t\r\n]*")
DEFINITION = ("version", "schema", "rules", "ttl", "refresh", "formats", "defaults")
# Earlier releases wrote neither.
ADDED = ("indexes", "changes")
NAMES_SHOWN = 20


def add_batch_options(parser):
    parser.add_argument("--batch", type=int, default=200, metavar="N", help="keys or lines at a time (default 200)")
    parser.add_argument(
        "--batch-bytes", type=int, default=64 << 20, metavar="N",
        help="bytes of documents or lines at a time, one larger than that alone (default 64 MiB)",
    )


def guarded(main):
    """Runs a program. A server that cannot be reached, a full disk and Ctrl-C end it with one line and the exit code 2."""
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted")
    except (redis.RedisError, OSError) as error:
        stop(str(error))


def stop(reason):
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    sys.exit(2)


def connect(option, url):
    """A client of the server at a URL, which answers; `option` is where the URL comes from."""
    try:
        server = redis.Redis.from_url(url)
        server.ping()
    except redis.exceptions.NoPermissionError:
        # What it needs is seen when it is needed.
        pass
    except (redis.RedisError, ValueError) as error:
        stop(f"{option} {without_password(url)}: {error}")
    return server


def connect_source(option, url):
    """A client for reading: of one node, where the server is one of a cluster."""
    server = connect(option, url)
    if is_clustered(server):
        print(f"{PROGRAM}: {without_password(url)} is a node of a cluster: its own keys are moved", file=sys.stderr)
    return server


def connect_target(option, url):
    """A client for writing: of the whole cluster, where the server is a node of one."""
    server = connect(option, url)
    return RedisCluster.from_url(url) if is_clustered(server) else server


def is_clustered(server):
    return told(server, "cluster").get("cluster_enabled") == 1


def told(server, section):
    """A section of INFO; empty where the user may not read it."""
    try:
        return server.info(section)
    except redis.exceptions.NoPermissionError:
        return {}


def shown(name):
    """The name of a key for a person, in one line."""
    text = name.decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def without_password(url):
    """A URL without the name and the password of a user: it is shown, and written to the file of --state."""
    url = re.sub(r"://[^/@]*@", "://", url)
    return re.sub(r"(username|password)=[^&]*&?", "", url).rstrip("?&")


def scan(source, run, options, kind=None, kept=()):
    """Gives the keys of a server in portions, from where the run stands, and notes after each that it is done.

    A cursor of SCAN has a meaning for one start of the server only: if the server was started again meanwhile, or another
    one has taken its place, all keys are visited once more. Outcomes in `kept` are counted once all the same.
    """
    serving = told(source, "server").get("run_id")
    if run.state["position"] and run.state.get("server") != serving:
        run.begin_again(kept)
    while True:
        cursor, keys = source.scan(run.state["position"], match=options.match, count=options.batch, _type=kind)
        yield keys
        now = told(source, "server").get("run_id") if cursor == 0 else serving
        if now != serving:
            serving = now
            run.begin_again(kept)
        elif cursor == 0:
            return
        run.save(position=cursor, server=serving)


class NotJson(Exception):
    """The key or the line holds nothing that could be a document."""


class Entry(NamedTuple):
    """A document outside of a server."""

    key: bytes
    text: str
    # None where the model of all documents is chosen by an option.
    model: Optional[str] = None
    revision: Optional[int] = None
    # Unix time in milliseconds; None where the document does not expire.
    expires: Optional[int] = None
    # False where the model's own time to live applies to a document that has none.
    keeps_expiry: bool = True


def same(one, other):
    """Returns true if two JSON values are equal; numbers are, if their values are."""
    if isinstance(one, (bool, type(None), str)) or isinstance(other, (bool, type(None), str)):
        return type(one) is type(other) and one == other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def includes(whole, part):
    """Returns true if `part` is `whole` without some members, which a model may have added."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and includes(whole[name], part[name]) for name in part)
    if isinstance(part, list) and isinstance(whole, list):
        return len(whole) == len(part) and all(map(includes, whole, part))
    return same(part, whole)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def line_of(entry):
    """The line of a document, with the line's end."""
    try:
        key = f'"key":{compact(entry.key.decode())}'
    except UnicodeDecodeError:
        key = f'"key-base64":{compact(base64.b64encode(entry.key).decode())}'
    known = f'"model":{compact(entry.model)},"revision":{compact(entry.revision)},"expires":{compact(entry.expires)}'
    return f'{{{key},{known},"document":{entry.text}}}\n'.encode()


def members(text):
    """The members of a JSON object: the value of each, and its text as it is written."""
    found = {}

    def behind(mark, at):
        at = SPACE.match(text, at).end()
        if text[at : at + 1] != mark:
            raise NotJson(f"expected {mark} at character {at}")
        return SPACE.match(text, at + 1).end()

    try:
        at = behind("{", 0)
        while text[at : at + 1] != "}" or found:
            name, at = DECODER.raw_decode(text, at)
            start = behind(":", at)
            value, at = DECODER.raw_decode(text, start)
            found[name] = (value, text[start:at])
            at = SPACE.match(text, at).end()
            if text[at : at + 1] == "}":
                break
            at = behind(",", at)
        if SPACE.match(text, at + 1).end() != len(text):
            raise NotJson("something follows the object")
    except (ValueError, TypeError) as error:
        raise NotJson(str(error)) from None
    return found


def entry_of(line):
    """The document of a line; or the name and the members of a definition."""
    try:
        found = members(line.decode())
        value = {name: pair[0] for name, pair in found.items()}
        if "definition" in value:
            definition = {name: value[name] for name in DEFINITION} | {"schema": found["schema"][1]}
            return value["definition"], definition | {name: value[name] for name in ADDED if name in value}
        if "key" in value:
            key = value["key"].encode()
        else:
            key = base64.b64decode(value["key-base64"], validate=True)
        expires = value.get("expires")
        if not isinstance(expires, (int, type(None))) or not isinstance(value.get("model"), (str, type(None))):
            raise NotJson("expires is a number or null, and model a string")
        return Entry(
            key, found["document"][1], value.get("model"), value.get("revision"), expires, "expires" in value
        )
    except KeyError as error:
        raise NotJson(f"the member {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise NotJson(str(error)) from None


class Progress:
    """A bar on the terminal, if there is one."""

    def __init__(self, total, seen, unit, done):
        self.total, self.seen, self.unit, self.done = max(total, 1), seen, unit, done
        self.shown = sys.stderr.isatty()

    def show(self, more, documents):
        self.seen += more
        if self.shown:
            part = min(self.seen / self.total, 1)
            bar = ("#" * int(part * 30)).ljust(30)
            print(f"\r[{bar}] {self.seen} {self.unit}, {documents} {self.done} ", end="", file=sys.stderr)

    def end(self):
        if self.shown:
            print(file=sys.stderr)


class Run:
    """How far a program got: its position, the outcomes so far, and the names of what did not work."""

    def __init__(self, options, names, outcomes):
        self.file = options.state
        wanted = {name: getattr(options, name) for name in names}
        for name in ("source", "target"):
            wanted[name] = wanted[name] and without_password(wanted[name])
        self.state = {"options": wanted, "position": 0, "counts": dict.fromkeys(outcomes, 0), "names": []}
        self.resumed = bool(self.file and os.path.exists(self.file))
        if self.resumed:
            with open(self.file) as file:
                self.state = json.load(file)
            if self.state["options"] != wanted:
                stop(f"{self.file} is of a run with other options")
        self.counts = self.state["counts"]

    def begin_again(self, kept):
        """Forgets the position, and all outcomes but those that are kept."""
        print(f"{PROGRAM}: the source was started again, or is another server: all keys are visited again", file=sys.stderr)
        self.counts.update({outcome: 0 for outcome in self.counts if outcome not in kept})
        self.state.update(position=0, names=[])

    def note(self, name, outcome, reason, is_good):
        self.counts[outcome] += 1
        names = self.state["names"]
        if not is_good and len(names) < NAMES_SHOWN:
            names.append(f"{shown(name)}: {outcome}: {reason}")

    def save(self, **members):
        self.state.update(members)
        if self.file:
            with open(self.file + ".new", "w") as file:
                json.dump(self.state, file)
            os.replace(self.file + ".new", self.file)

    def finish(self, verb, outcomes, good):
        """Prints the summary and ends the program: with 0 if all went well."""
        if self.file and os.path.exists(self.file):
            os.remove(self.file)
        for name in self.state["names"]:
            print(name, file=sys.stderr)
        more = sum(self.counts[outcome] for outcome in outcomes if outcome not in good) - len(self.state["names"])
        if more > 0:
            print(f"and {more} more", file=sys.stderr)
        others = [f"{self.counts[outcome]} {outcome}" for outcome in outcomes[1:] if self.counts[outcome]]
        print(", ".join([f"{self.counts[outcomes[0]]} {verb}", *others]))
        sys.exit(any(self.counts[outcome] for outcome in outcomes if outcome not in good))
