"""Payments that are made exactly once, even if the client crashes in between.

    python payment.py PORT [2|3]        RESP2 or RESP3

docs/transactions.md shows pieces of this program; a test runs it against every server. It runs itself
again for each run of the paying client: `python payment.py PORT PROTOCOL pay|crash OUTBOX`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import redis

PORT, PROTOCOL, LIFE = int(sys.argv[1]), int((sys.argv + ["3"])[2]), sys.argv[3:]


def connect(connection_class=redis.Connection):
    r = redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)
    r.connection_pool.connection_class = connection_class
    return r


DAY_MS = 86_400_000


def new_payment(payer, payee, cents):
    """The whole request, decided once, so that every attempt sends the same."""
    return {
        "payer": f"acct:{{bank}}:{payer}", "payee": f"acct:{{bank}}:{payee}", "cents": cents,
        "token": f"token:{{bank}}:{uuid.uuid4()}", "at": time.time_ns() // 1_000_000,
    }


def pay(r, payment):
    """Returns both balances. Call it until it answers: the payment is made once."""
    payer, payee, token = payment["payer"], payment["payee"], payment["token"]
    [[left], [received]] = r.execute_command(
        "MODEL.TXN", 3, payer, payee, token,
        "TOKEN", token, "WINDOW", DAY_MS, "AT", payment["at"],
        "ARGS", json.dumps({"cents": payment["cents"]}),
        "ON", payer, "IF", "self.balance >= args.cents", "EVAL", "$.balance", "value - args.cents",
        "ON", payee, "EVAL", "$.balance", "value + args.cents",
    )
    return [int(left), int(received)]


def settle(r, outbox):
    """Sends the payments of the outbox, and removes those that were answered; the others stay for a later run."""
    for entry in sorted(outbox.iterdir()):
        try:
            answer = pay(r, json.loads(entry.read_text()))
        except redis.ResponseError as error:
            if not str(error).startswith("CONDITION "):
                raise
            answer = "refused"
        print(json.dumps(answer))
        entry.unlink()


class Crashing(redis.Connection):
    """Its process is killed between sending a transaction and receiving the reply."""

    def send_command(self, *args, **options):
        super().send_command(*args, **options)
        if args[0] == "MODEL.TXN":
            os.kill(os.getpid(), signal.SIGKILL)


if LIFE:
    life, outbox = LIFE
    settle(connect(Crashing if life == "crash" else redis.Connection), Path(outbox))
    sys.exit()

r = connect()


def account(name, cents):
    r.execute_command("MODEL.SET", f"acct:{{bank}}:{name}", "any", json.dumps({"balance": cents}))


def balances():
    found = r.execute_command("MODEL.MGET", 2, "acct:{bank}:ann", "acct:{bank}:bob", "$.balance")
    return [int(balance) for balance in found]


def start(life, outbox):
    command = [sys.executable, __file__, str(PORT), str(PROTOCOL), life, str(outbox)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def live(life, outbox):
    """One run of the paying client: its exit code and its output."""
    client = start(life, outbox)
    said, _ = client.communicate(timeout=60)
    return client.returncode, said


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


def wait_for(token):
    wait_until(lambda: r.exists(token))


def refused(payment):
    try:
        reply = pay(r, payment)
    except redis.ResponseError as error:
        word, rest = str(error).split(" ", 1)
        return word, json.loads(rest)
    raise AssertionError(f"{payment} gave {reply}")


account("ann", 10_000)
account("bob", 0)
scratch = tempfile.TemporaryDirectory()
outbox = Path(scratch.name)

# The client crashes between send and receive: the money is moved, and the reply is lost.
payment = new_payment("ann", "bob", 2_500)
(outbox / "1").write_text(json.dumps(payment))
assert live("crash", outbox) == (-signal.SIGKILL, "")
wait_for(payment["token"])
assert balances() == [7_500, 2_500]

# Other clients continue meanwhile.
assert pay(r, new_payment("bob", "ann", 1_000)) == [1_500, 8_500]

# After its restart it finds the payment in the outbox, sends it again and receives the reply of the first time.
assert live("pay", outbox) == (0, "[7500, 2500]\n")
assert balances() == [8_500, 1_500]

# Any number of crashes has the same result.
payment = new_payment("ann", "bob", 500)
(outbox / "2").write_text(json.dumps(payment))
for _ in range(3):
    assert live("crash", outbox) == (-signal.SIGKILL, "")
wait_for(payment["token"])
assert live("pay", outbox) == (0, "[8000, 2000]\n")
assert balances() == [8_000, 2_000]


class LosingOnce(redis.Connection):
    """A connection that breaks when the first transaction was answered, before the reply is read."""

    lost = False

    def send_command(self, *args, **options):
        self.sent = args[0]
        super().send_command(*args, **options)

    def read_response(self, *args, **options):
        reply = super().read_response(*args, **options)
        if getattr(self, "sent", None) == "MODEL.TXN" and not LosingOnce.lost:
            LosingOnce.lost = True
            self.disconnect()
            raise redis.ConnectionError("the reply was lost")
        return reply


# redis-py sends a command again when a connection breaks. Under a token it is paid once...
assert pay(connect(LosingOnce), new_payment("ann", "bob", 1_000)) == [7_000, 3_000]
assert LosingOnce.lost and balances() == [7_000, 3_000]

# ...and without one it is paid twice.
LosingOnce.lost = False
connect(LosingOnce).execute_command(
    "MODEL.TXN", 2, "acct:{bank}:ann", "acct:{bank}:bob",
    "ON", "acct:{bank}:ann", "INCR", "$.balance", -1_000,
    "ON", "acct:{bank}:bob", "INCR", "$.balance", 1_000,
)
assert LosingOnce.lost and balances() == [5_000, 5_000]

# A refusal is not recorded: the same payment succeeds when the account has enough money.
payment = new_payment("ann", "bob", 9_000)
word, error = refused(payment)
assert word == "CONDITION"
assert error["values"] == {"self.balance": 5_000, "args.cents": 9_000}
account("ann", 9_000)
assert pay(r, payment) == [0, 14_000]
(outbox / "3").write_text(json.dumps(new_payment("ann", "bob", 1)))
assert live("pay", outbox) == (0, '"refused"\n')
assert list(outbox.iterdir()) == []

# Another payment under a used token, and one that is sent again after its window.
word, _ = refused(payment | {"cents": 1})
assert word == "TOKENMISMATCH"
late = new_payment("bob", "ann", 1_000)
late["at"] -= 2 * DAY_MS
word, _ = refused(late)
assert word == "TOKENEXPIRED"
assert balances() == [0, 14_000]

# The server pauses, and closes the connection before it has run the payment.
r.client_pause(60_000, all=False)
(outbox / "4").write_text(json.dumps(new_payment("bob", "ann", 1_000)))
client = start("pay", outbox)


def waiting():
    return [c["id"] for c in r.client_list() if c["cmd"] == "MODEL.TXN" and "b" in c["flags"]]


wait_until(waiting)
assert r.client_kill_filter(_id=waiting()[0]) == 1
r.client_unpause()
assert client.communicate(timeout=60) == ("[13000, 1000]\n", None)
assert balances() == [1_000, 13_000]
print("ok")
