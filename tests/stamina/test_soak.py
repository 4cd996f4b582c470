"""A hundred thousand associations, most of them good, through one gateway: nothing of them stays."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.pacs import Pacs
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from tests.stamina import callers
from tests.stamina.callers import fickle_upstream
from tests.stamina.crowd import Crowd, Door, Play
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.scale import report, scaled

AT_ONCE = 24
ALL = scaled(100_000, 3_000)
HALF = ALL // 2
MOST = scaled(0.1, 0.25)  # KiB for each association; what happens to be allocated anew weighs more among few
GOOD = ("echo", "echo in TLS", "bulk", "bulk in TLS")


def kinds(plain: Door, secured: Door, hashed: Door) -> dict[str, tuple[int, Callable[[], Play]]]:
    """How many of a thousand, and what each of them does.

    Whoever needs an argon2 hash is rare: that takes a hundred times as long as all the rest.
    """
    rows = _in_turn(callers.MALFORMED)
    return {
        "echo": (440, partial(callers.echo, plain)),
        "echo in TLS": (60, partial(callers.echo, secured)),
        "bulk": (40, partial(callers.bulk, plain)),
        "bulk in TLS": (10, partial(callers.bulk, secured)),
        "wrong passcode": (80, partial(callers.guesses, plain)),
        "wrong passcode in TLS": (10, partial(callers.guesses, secured)),
        "wrong passcode, hashed": (1, partial(callers.guesses, hashed)),
        "no identity": (50, partial(callers.without_identity, plain)),
        "malformed": (100, lambda: callers.malformed(plain, next(rows))),
        "aborts": (30, partial(callers.aborts, plain)),
        "aborts early": (30, partial(callers.aborts_early, plain)),
        "asks twice": (20, partial(callers.asks_twice, plain)),
        "resets": (20, partial(callers.resets, plain)),
        "resets in TLS": (5, partial(callers.resets, secured)),
        "resets early": (20, partial(callers.resets_early, plain)),
        "half a request": (20, partial(callers.half_a_request, plain)),
        "says nothing": (10, partial(callers.says_nothing, plain)),
        "half a handshake": (5, partial(callers.says_nothing, secured)),
        "no TLS": (5, partial(callers.no_tls, secured)),
        "refused by the upstream": (20, partial(callers.refused_by_upstream, plain)),
        "left by the upstream": (14, partial(callers.left_by_upstream, plain)),
        "no upstream": (10, partial(callers.no_upstream, plain)),
    }


def _in_turn(rows: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from rows


def tables(pacs: Pacs, fickle: int, certificates: Certificates) -> dict[str, Any]:
    """A plain listener, one in TLS, one whose authenticator hashes; and the upstreams that fail."""
    made = tables_for(pacs.port, settings={"artim": "5s"})
    tls = {"certificate": certificates.server.certificate, "key": certificates.server.key}
    hashed = {"authenticators": ["staff"], "cleartext_passcodes": True}
    made["listener"] += [
        {"name": "secured", "bind": f"{HOST}:{free_port()}", "authenticators": ["quick"], "tls": tls},
        {"name": "hashed", "bind": f"{HOST}:{free_port()}", **hashed},
    ]
    failing = [callers.Fickle.REFUSES.decode(), callers.Fickle.LEAVES.decode()]
    made["upstream"].append({"name": "fickle", "address": f"{HOST}:{fickle}", "called_ae_titles": failing})
    return made


@pytest.mark.timeout(scaled(1800, 120))
def test_nothing_of_them_stays(tmp_path: Path, pacs: Pacs, certificates: Certificates) -> None:
    with (
        fickle_upstream() as (_, fickle),
        GatewayProcess(tmp_path, tables(pacs, fickle, certificates)) as gateway,
    ):
        doors = Door(gateway.address()), Door(gateway.address("secured"), certificates.client_context())
        plays = kinds(*doors, Door(gateway.address("hashed")))
        shares = [share for share, _ in plays.values()]
        chance = random.Random(20)
        done: Counter[str] = Counter()

        def crowd(count: int) -> dict[str, int]:
            """Let them come and go; how the gateway is when the last has gone."""
            chosen = chance.choices(list(plays), shares, k=count)
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
