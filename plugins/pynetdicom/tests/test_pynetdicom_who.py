"""`login.who`: a handler learns who has logged in on its association."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from dicomgate import Accept, Attempt, Decision, IdentityType, Reject
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate_pynetdicom import Principal, bind
from plugins.pynetdicom.tests.entities import REFUSED_IDENTITY, entity, log_in

ENDS = datetime.now(UTC) + timedelta(hours=1)


class Staff:
    """Accepts every name but "stranger", in capitals."""

    handles = frozenset({IdentityType.USERNAME})

    def authenticate(self, attempt: Attempt) -> Decision:
        name = str(attempt.identity and attempt.identity.username)
        if name == "stranger":
            return Reject("a stranger")
        return Accept(name.upper(), frozenset({f"{name}s"}), expires_at=ENDS, attributes={"department": "7"})


@pytest.mark.parametrize("strict", [False, True], ids=["EVT_USER_ID", "strict"])
def test_each_handler_of_each_association_learns_its_own_user(strict: bool, tmp_path: Path) -> None:
    ct_slice(tmp_path / "ct.dcm")
    told: list[tuple[str, str, Principal | None]] = []
    login, other = bind(Staff()), bind(Staff())

    def tell(event: Any) -> int:
        assert other.who(event.assoc) is None, "somebody else's binding"
        told.append((event.event.name, event.assoc.requestor.ae_title, login.who(event.assoc)))
        return 0x0000

    kinds = (evt.EVT_ESTABLISHED, evt.EVT_C_ECHO, evt.EVT_C_STORE, evt.EVT_RELEASED, evt.EVT_CONN_CLOSE)
    with login, entity(*(login.strict if strict else [login]), *((kind, tell) for kind in kinds)) as address:

        def client(name: str) -> None:
            with associate(address, identity=user_identity(1, name.encode()), calling=name) as association:
                assert association.send_c_echo().Status == association.send_c_store(tmp_path / "ct.dcm").Status == 0

        names = [f"user {number}" for number in range(12)]
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(client, names))
        wait_until(lambda: len(told) == len(names) * len(kinds), "every handler of every client")
        assert {(kind, calling) for kind, calling, _ in told} == {(kind.name, name) for kind in kinds for name in names}
        for _, calling, who in told:
            assert who == Principal(calling.upper(), "staff", frozenset({f"{calling}s"}), {"department": "7"}, ENDS)
        told.clear()
        assert log_in(address, 1, b"stranger") is not None
        assert log_in(address, None) == (REFUSED_IDENTITY if strict else None)
        assert [who for _, _, who in told] == [None] * len(told), "nobody was asked for, and nobody is known"
    other.close()


def test_it_is_forgotten_with_its_association() -> None:
    seen: list[Principal | None] = []
    login = bind(Staff())
    with login, entity(*login.strict, (evt.EVT_C_ECHO, lambda event: seen.append(login.who(event.assoc)))) as address:
        log_in(address, 1, b"alice")
        log_in(address, 1, b"stranger")
    assert [who and who.user for who in seen] == ["ALICE"]

    def left() -> int:
        gc.collect()
        return len(login._principals._of)

    wait_until(lambda: left() == 0, "no association is kept")


def test_what_is_no_association() -> None:
    login = bind(Staff())
    with pytest.raises(TypeError, match=r"who: an association is expected, event\.assoc, not Event"):
        login.who(evt.Event(None, evt.EVT_C_ECHO))
