"""A hundred thousand associations, most of them good, through one gateway: nothing of them stays.

Beside the good clients there are bad ones, and those that the upstream fails.
"""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from bench.messages import BULK, PASSCODE, RELEASE_RQ, associate_rq, bulk_block
from bench.pacs import Pacs
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.spy import Connection, Spy, reject
from dicomgate.testing.raw_client import ABORT, CONGESTION, REFUSED_IDENTITY, login, request
from tests.stamina.crowd import (
    A_ABORT,
    AC,
    ECHOES,
    OPENS_ECHO,
    RELEASE_RP,
    RESET,
    RJ,
    Caller,
    Crowd,
    Listener,
    Play,
    talk,
)
from tests.stamina.measure import report, scaled
from tests.stamina.process import NOWHERE, GatewayProcess, tables_for

AT_ONCE = 24
ALL = scaled(100_000, 3_000)
HALF = ALL // 2
MOST = scaled(0.1, 0.5)  # KiB for each association; among few, what is kept of a thousand devices weighs more
GOOD = ("echo", "echo in TLS", "bulk", "bulk in TLS")
REFUSES, LEAVES = b"REFUSES", b"LEAVES"  # called AE titles
REJECTED = reject(1, 1, 3)  # calling AE title not recognized
VECTORS = Path(__file__).parents[1] / "vectors" / "associate_rq.json"
ASSOCIATE_RQ = OPENS_ECHO[0]
OPENS_BULK = associate_rq(BULK), AC
BLOCK = bulk_block(16384, 65536)
NUMBERS = count()


def guesses(listener: Listener) -> Play:
    """A wrong passcode, of a user and from an address that are new each time."""
    number = next(NUMBERS)
    source = f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
    return refused(listener, request(login(f"mallory-{number}", b"wrong")), REFUSED_IDENTITY, source)


def refused(listener: Listener, asked: bytes, expected: bytes, source: str = "") -> Play:
    """This A-ASSOCIATE-RJ answers."""
    with Caller(listener, source) as caller:
        yield from caller.open()
        answer = yield from caller.ask(asked, RJ)
        assert answer == expected, answer.hex()


def failed_by(called: bytes, expected: bytes, listener: Listener) -> Play:
    """A good login, for a called AE title whose PACS does not accept."""
    return refused(listener, request(login("alice", PASSCODE), called=called), expected)


def malformed(listener: Listener, asked: bytes) -> Play:
    """Anything but an A-ASSOCIATE-AC answers."""
    with Caller(listener) as caller:
        yield from caller.open()
        yield from caller.send(asked)
        answer = yield from caller.pdu()
        assert answer[:1] in (b"", bytes((RJ,)), bytes((A_ABORT,))), answer[:10].hex()


def says_nothing(listener: Listener) -> Play:
    """Opened and closed; with TLS, in the middle of its handshake."""
    with Caller(listener) as caller:
        yield from caller.connect()
        if listener.tls is not None:
            yield from caller.send(b"\x16\x03\x01\x02\x00\x01")  # the header of a ClientHello (RFC 8446 4)


def no_tls(listener: Listener) -> Play:
    """Plain DICOM to a listener with TLS: nothing that could be an A-ASSOCIATE-AC comes back."""
    with Caller(Listener(listener.address)) as caller:
        yield from caller.open()
        yield from caller.send(ASSOCIATE_RQ)
        answer = b""
        with suppress(OSError):
            answer = yield from caller.pdu()
        assert answer[:1] in (b"", b"\x15"), answer[:10].hex()  # an alert (RFC 8446 5.1)


class Fickle(Spy):
    """An upstream that refuses, or resets the connection, as the called AE title says."""

    def _converse(self, client: socket.socket, connection: Connection) -> None:
        with client, suppress(OSError):
            if LEAVES in client.recv(65536)[:26]:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            client.sendall(REJECTED)
            while client.recv(65536):
                pass


def kinds(plain: Listener, secured: Listener, hashed: Listener) -> dict[str, tuple[int, Callable[[], Play]]]:
    """How many of a thousand, and what each of them does.

    Those that need an argon2 hash are rare: it takes a hundred times as long as all the rest.
    """
    # All rows: those that can be read have a passcode that is wrong here, or none.
    rows = cycle([bytes.fromhex(row["pdu"]) for row in json.loads(VECTORS.read_text())["rows"]])
    bulk = OPENS_BULK, (BLOCK, None), (RELEASE_RQ, RELEASE_RP)
    half_a_bulk = OPENS_BULK, (BLOCK[:40_000], None)
    return {
        "echo": (440, partial(talk, plain, *ECHOES)),
        "echo in TLS": (60, partial(talk, secured, *ECHOES)),
        "bulk": (40, partial(talk, plain, *bulk)),
        "bulk in TLS": (10, partial(talk, secured, *bulk)),
        "wrong passcode": (80, partial(guesses, plain)),
        "wrong passcode in TLS": (10, partial(guesses, secured)),
        "wrong passcode, hashed": (1, partial(guesses, hashed)),
        "no identity": (50, partial(refused, plain, request(), REFUSED_IDENTITY)),
        "malformed": (100, lambda: malformed(plain, next(rows))),
        "aborts": (30, partial(talk, plain, OPENS_ECHO, (ABORT, None), end=True)),
        "aborts early": (30, partial(talk, plain, (ASSOCIATE_RQ + ABORT, None), end=True)),
        "asks twice": (20, partial(talk, plain, OPENS_ECHO, (ASSOCIATE_RQ, A_ABORT))),
        "resets": (20, partial(talk, plain, *half_a_bulk, reset=True)),
        "resets in TLS": (5, partial(talk, secured, *half_a_bulk, reset=True)),
        "resets early": (20, partial(talk, plain, (ASSOCIATE_RQ, None), reset=True)),
        "half a request": (20, partial(talk, plain, (ASSOCIATE_RQ[:100], None))),
        "says nothing": (10, partial(says_nothing, plain)),
        "half a handshake": (5, partial(says_nothing, secured)),
        "no TLS": (5, partial(no_tls, secured)),
        "refused by the upstream": (20, partial(failed_by, REFUSES, REJECTED, plain)),
        "left by the upstream": (14, partial(failed_by, LEAVES, CONGESTION, plain)),
        "no upstream": (10, partial(failed_by, NOWHERE.encode(), CONGESTION, plain)),
    }


def tables(pacs: Pacs, fickle: int, certificates: Certificates) -> dict[str, Any]:
    """A plain listener, one in TLS, one whose authenticator hashes; and the upstreams that fail."""
    made = tables_for(pacs.port, settings={"artim": "5s"}, certificates=certificates)
    hashed = {"authenticators": ["staff"], "cleartext_passcodes": True}
    made["listener"].append({"name": "hashed", "bind": f"{HOST}:{free_port()}", **hashed})
    failing = [REFUSES.decode(), LEAVES.decode()]
    made["upstream"].append({"name": "fickle", "address": f"{HOST}:{fickle}", "called_ae_titles": failing})
    return made


@pytest.mark.timeout(scaled(1800, 120))
def test_nothing_of_them_stays(tmp_path: Path, pacs: Pacs, certificates: Certificates) -> None:
    with Fickle() as fickle, GatewayProcess(tmp_path, tables(pacs, fickle.address[1], certificates)) as gateway:
        listeners = Listener(gateway.address()), Listener(gateway.address("secured"), certificates.client_context())
        plays = kinds(*listeners, Listener(gateway.address("hashed")))
        shares = [share for share, _ in plays.values()]
        chance = random.Random(20)
        done: Counter[str] = Counter()

        def crowd(size: int) -> dict[str, int]:
            """Let them come and go; how the gateway is when the last has gone."""
            chosen = chance.choices(list(plays), shares, k=size)
            crowd = Crowd()
            crowd.run(((name, plays[name][1]()) for name in chosen), AT_ONCE)
            assert not crowd.failed, (len(crowd.failed), crowd.failed[:20])
            assert crowd.done == Counter(chosen)
            done.update(crowd.done)
            collected = gateway.inspect()["collected"]
            wait_until(lambda: gateway.inspect()["sessions"] == 1, "the last association ending")
            measured = {"descriptors": gateway.descriptors(), "memory": gateway.memory(), "collected": collected}
            return gateway.inspect() | measured

        before, after = crowd(HALF), crowd(ALL - HALF)
        growth = (after["memory"] - before["memory"]) / (ALL - HALF)
        report("soak", associations=ALL, good=sum(done[name] for name in GOOD), growth_kib=growth, **after)
        assert growth < MOST
        flat = ("tasks", "threads", "descriptors", "sessions", "relays")
        assert {key: after[key] for key in flat} == {key: before[key] for key in flat}
        assert after["collected"] == 0  # an association that is over needs no garbage collector
        causes = Counter(event["cause"] for event in gateway.told("Closed"))
        assert causes["released"] == sum(done[name] for name in GOOD)
