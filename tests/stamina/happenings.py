"""What happens in eight hours of a hospital: administrators do their work, peers fail and come back, clocks are set.

Rule: only what is in `EXCUSES` is an excuse for a user who got nothing, and only while it lasts and a little longer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

import httpx2 as httpx

from dicomgate.testing.peers.process import Service
from tests.stamina.faults import Fault
from tests.stamina.hospital import Hospital

Act = Callable[[Hospital], None]
_LASTS = 2.0  # seconds that something is down
_FAR = 2 * 3600  # seconds: further than any credential of theirs is good, with all leeway
_NEAR = 20  # seconds: nearer than the smallest leeway


def _reload(house: Hospital) -> None:
    assert house.gateway.reload(), house.gateway.log()[-2000:]


def _broken_reload(house: Hospital) -> None:
    """The file is wrong for a while; all goes on as before."""
    text = house.gateway.file.read_text()
    house.gateway.file.write_text(text + "\n[gateway]\n")
    assert not house.gateway.reload()
    house.gateway.file.write_text(text)


def _certificate(house: Hospital) -> None:
    house.renew_certificate()
    _reload(house)


def _rotate_audit(house: Hospital) -> None:
    """As logrotate does."""
    current = house.folder / "audit.jsonl"
    current.rename(house.folder / f"audit-{time.monotonic_ns():020}.jsonl")
    _reload(house)
    assert current.exists()


def _off(*services: Callable[[Hospital], Service]) -> Act:
    """These are killed, and started again after a while."""

    def act(house: Hospital) -> None:
        for service in services:
            service(house).stop()
        time.sleep(_LASTS)
        for service in services:
            service(house).start()

    return act


def _hung(house: Hospital) -> None:
    house.pacs[0].hang()
    time.sleep(_LASTS)
    house.pacs[0].go_on()


def _kdc_off(house: Hospital) -> None:
    house.kdc.stop()
    time.sleep(_LASTS)
    house.kdc.start()


def _provider_off(house: Hospital) -> None:
    house.provider.stop()
    time.sleep(_LASTS)
    house.provider.start()


def _clock(seconds: int) -> Act:
    """It is set wrong, and after a while right again."""

    def act(house: Hospital) -> None:
        house.clock.set(seconds)
        time.sleep(_LASTS)
        house.clock.set(0)

    return act


ACTS: Mapping[str, Act] = {
    "reload": _reload,
    "reload of a wrong file": _broken_reload,
    "TLS certificate renewed": _certificate,
    "audit rotated": _rotate_audit,
    "JWKS rotated": Hospital.rotate_token_keys,
    "SAML metadata rotated": Hospital.renew_signer,
    "keytab rotated": Hospital.renew_keytab,
    "users file changed": Hospital.renew_users,
    "one PACS killed": _off(lambda house: house.pacs[1]),
    "one PACS hangs": _hung,
    "both PACSs killed": _off(lambda house: house.pacs[0], lambda house: house.pacs[1]),
    "LDAP server killed": _off(lambda house: house.slapd),
    "KDC killed": _kdc_off,
    "OIDC provider killed": _provider_off,
    "clock 20 s ahead": _clock(_NEAR),
    "clock 20 s behind": _clock(-_NEAR),
    "clock 2 h ahead": _clock(_FAR),
    "clock 2 h behind": _clock(-_FAR),
}
_GONE = frozenset({"upstream_down", "the upstream closed the connection", "a deadline passed"})
EXCUSES: Mapping[str, frozenset[str]] = {
    "one PACS killed": _GONE,
    "one PACS hangs": _GONE,
    "both PACSs killed": _GONE,
    "LDAP server killed": frozenset({"unavailable"}),
}
"""What the audit may then say of a user who got nothing: the class of the refusal, or the cause of the end."""


class Day:
    """What happens, in an order of chance; each once before anything happens again. `done` is what happened."""

    def __init__(self, house: Hospital, seed: int) -> None:
        self.done: list[Fault] = []
        self._house, self._random = house, random.Random(seed)
        self._next: list[str] = []

    def go_on(self, seconds: float) -> None:
        """For so many seconds; then nothing is down any more."""
        end = time.monotonic() + seconds
        pause = min(5.0, seconds / 8)
        while time.monotonic() < end:
            if not self._next:
                self._next = self._random.sample(list(ACTS), len(ACTS))
            name = self._next.pop()
            began = time.monotonic()
            ACTS[name](self._house)
            self.done.append(Fault(name, "", began, time.monotonic()))
            self._house.fetch_token()
            self._look()
            time.sleep(self._random.uniform(0, pause))

    def _look(self) -> None:
        """As a load balancer does, and Prometheus."""
        address = self._house.gateway.tables["admin"]["bind"]
        for path in ("ready", "metrics"):
            answer = httpx.get(f"http://{address}/{path}", trust_env=False, timeout=20)
            assert answer.status_code == httpx.codes.OK, answer.text
