"""Eight hours of a hospital, pressed into minutes: nothing grows, and each association has one story, the client's.

`make soak`: SOAK_SECONDS (1200), SOAK_SEED. With DICOMGATE_STAMINA=full alone it takes a minute.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.messages import PASSCODE
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.kdc import NEEDED
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.raw_client import ABORT, ADMITTED, RawClient, login, request
from tests.stamina.arrivals import GOOD, SILENT_SOURCE, Arrivals
from tests.stamina.happenings import Day
from tests.stamina.hospital import ARTIM, AUDIENCE, PACS, Hospital, hospital
from tests.stamina.measure import FULL, report
from tests.stamina.process import GatewayProcess
from tests.stamina.stories import Story, difference, stories, unexplained, wrongly
from tests.stamina.visit import under

SECONDS = float(os.environ.get("SOAK_SECONDS", "60" if FULL else "0"))
SEED = int(os.environ.get("SOAK_SEED", "20"))
HOURS = 8
RATE = float(os.environ.get("SOAK_RATE", "20"))
"""Clients a second: in twenty minutes as many as in eight hours at fifty a minute."""
MOST = 0.25  # KiB for each association
_NOISE = 3072  # KiB; in a short run it weighs more than what the associations leave

pytestmark = [
    pytest.mark.timeout(int(SECONDS * 2 + 600)),
    pytest.mark.skipif(not SECONDS, reason="make soak, or DICOMGATE_STAMINA=full"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for a clock: apt-get install gcc libc6-dev"),
    pytest.mark.skipif(bool(NEEDED) or not find_spec("gssapi") or not find_spec("ldap"), reason="no KDC or no plugins"),
]


def figures(gateway: GatewayProcess) -> dict[str, int]:
    """How the gateway is when the last client has gone, and a reload has closed what is kept for the next ones."""
    assert gateway.reload()
    wait_until(lambda: gateway.inspect()["sessions"] == 1, "the last association ending")
    wait_until(lambda: gateway.inspect()["assemblies"] <= 1, "the last assembly retiring", 40)
    inside = gateway.inspect()
    return {"memory": gateway.memory(), "descriptors": gateway.descriptors(), **inside}


def test_eight_hours_of_a_hospital(tmp_path: Path, certificates: Certificates) -> None:
    with hospital(tmp_path, certificates) as house:
        arrivals, day, hours = Arrivals(house, SEED), Day(house, SEED), list[dict[str, int]]()
        arrivals.first()
        for hour in range(1, HOURS + 1):
            under(arrivals.visits, RATE, lambda: day.go_on(SECONDS / HOURS))
            hours.append({"clients": len(arrivals.all) + len(arrivals.silent), **figures(house.gateway)})
            report(f"soak, hour {hour}", **hours[-1])
        check_ends_with_its_credential(house)
        check_stories(house, arrivals, day)
        check_flat(hours)


def check_flat(hours: list[dict[str, int]]) -> None:
    """The last three hours against the second to the fourth: in the first, much is used for the first time."""

    def mean(key: str, hours: list[dict[str, int]]) -> float:
        return sum(hour[key] for hour in hours) / len(hours)

    early, late = hours[1:4], hours[-3:]
    associations = mean("clients", late) - mean("clients", early)
    grown = mean("memory", late) - mean("memory", early)
    report("soak, growth", kib=grown, associations=associations, kib_for_each=grown / associations)
    assert grown < max(_NOISE, MOST * associations)
    for key in ("descriptors", "threads", "tasks"):
        assert max(hour[key] for hour in late) < max(hour[key] for hour in early) + len(late), (key, hours)
    assert all((hour["sessions"], hour["relays"], hour["collected"]) == (1, 0, 0) for hour in hours), hours


def check_ends_with_its_credential(house: Hospital) -> None:
    """When the clock is set ahead, what was admitted with a token of a minute ends at the next look at the clock."""
    token = house.provider.token(AUDIENCE, lifetime=60)
    with RawClient(house.gateway.address()) as client:
        assert client.ask(request(login(token, kind=5), called=PACS.encode()))[:1] == ADMITTED
        house.clock.set(3600)
        client.socket.settimeout(35)  # net/lifetime.py: it looks every 30 s
        assert client.pdu() == ABORT
    house.clock.set(0)


def check_stories(house: Hospital, arrivals: Arrivals, day: Day) -> None:
    """One story for each client, the same as its own; who was admitted might be, and who was not was excused."""
    told = stories(house.gateway.records())
    for secret in (PASSCODE, ALICE):
        assert secret.decode() not in house.gateway.log()
        assert not any(secret.decode() in line for line in house.gateway.records())
    assert not [flaw for story in told.values() if (flaw := story.flaw())]
    by_calling = {story.calling: story for story in told.values() if story.calling.startswith("V")}
    assert len(by_calling) == sum(story.calling.startswith("V") for story in told.values()), "two stories of a client"
    silent = [story for story in told.values() if story.address == SILENT_SOURCE]
    kinds = Counter(visitor.kind for visitor in arrivals.all)
    ends = Counter(visitor.end for visitor in arrivals.all if visitor.kind in GOOD)
    report("soak, clients", **dict(sorted(kinds.items())), silent=len(arrivals.silent))
    report("soak, ends of users", **{end.replace(" ", "_"): count for end, count in ends.items()})
    report("soak, happened", **Counter(one.target for one in day.done))
    assert len(silent) == len(arrivals.silent)
    longest = max(one.ended - one.began for one in arrivals.silent)
    assert {one.end for one in arrivals.silent} == {"closed"}
    assert longest < ARTIM + 2, "a deadline waited for a clock that was set"
    # Of a client that left before its request was read there is a story without its name.
    pairs = [(visitor, by_calling.get(visitor.calling, Story())) for visitor in arrivals.all]
    differences = [what for pair in pairs if (what := difference(*pair))]
    assert not differences, differences[:5]
    for look in (wrongly, unexplained):
        found = [what for pair in pairs if (what := look(*pair, day.done))]
        assert not found, "\n".join([f"{look.__name__}: {len(found)}", *found[:20]])
