"""A handler of pynetdicom in a gateway; and the same handler and the same file in a pynetdicom AE beside it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelGet,
)

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, commit, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate_pynetdicom import adapt, bind
from plugins.pynetdicom.tests import hospital
from plugins.pynetdicom.tests.entities import REFUSED_IDENTITY, TRY_LATER, TYPES, Answer, entity, log_in
from plugins.pynetdicom.tests.wards import FALSE, GENUINE

SEEDS = Path(__file__).parents[4] / "shared" / "seeds"
HERE = "plugins.pynetdicom.tests.hospital"
GET = StudyRootQueryRetrieveInformationModelGet


def start(gateway: StartGateway, upstream: Address, handler: str, *, more: Any = (), **listener: Any) -> Gateway:
    tables = configuration(upstream, listener=listener)
    table = {"use": "pynetdicom", "name": "ours", "handler": handler, "timeout": "20s"}
    tables["authenticator"] = [{**table, **dict(more)}]
    return gateway(tables)


def test_roles_and_n_action(gateway: StartGateway, tmp_path: Path, pacs: PynetdicomPacs) -> None:
    """The client stores what it gets, and the PACS reports what it keeps (N-ACTION, N-EVENT-REPORT)."""
    image = ct_slice(tmp_path / "ct.dcm")
    identity = user_identity(2, *GENUINE[2], positive_response_requested=True)
    received: dict[str, bytes] = {}
    hospital.seen.clear()
    running = start(gateway, pacs.address, f"{HERE}:remember")
    with associate(running.address, identity=identity) as association:
        assert association.send_c_store(tmp_path / "ct.dcm").Status == 0
    contexts = [CTImageStorage, GET, StorageCommitmentPushModel]
    with associate(running.address, contexts, identity=identity, get=received) as association:
        got = [status.Status for status, _ in association.send_c_get(_study(image), GET)]
        assert commit(association, [dcmread(tmp_path / "ct.dcm")]).event_type == 1
    assert got[-1] == 0
    assert received == pacs.stored
    assert len(received) == 1
    roles = [event.assoc.requestor.role_selection for (event,) in hospital.seen]
    assert [{uid: (role.scu_role, role.scp_role) for uid, role in one.items()} for one in roles] == [
        {},
        {CTImageStorage: (False, True)},
    ]


def _study(image: Any) -> Any:
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = image.StudyInstanceUID
    return query


def test_options_of_the_table(gateway: StartGateway, pacs: PynetdicomPacs) -> None:
    hospital.seen.clear()
    running = start(gateway, pacs.address, f"{HERE}:remember", more={"args": ["ward 7"], "types": [5]})
    assert log_in(running.address, 5, *GENUINE[5], response=True) == b"you are welcome"
    assert log_in(running.address, 4, *GENUINE[4], response=True) == REFUSED_IDENTITY
    assert [args for _, *args in hospital.seen] == [["ward 7"]]


# -- beside pynetdicom ------------------------------------------------------------------------------------------------


@dataclass
class Sources:
    """The page "Use as an SCP" of pynetdicom's documentation, as far as its handler."""

    text: str

    def run(self, some_user_function: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
        """Its handler; what it imports is ours."""
        my_code = ModuleType("my_code")
        my_code.some_user_function = some_user_function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "my_code", my_code)
        page = ModuleType("scp_page")
        exec(compile(self.text, "scp_page", "exec"), vars(page))  # noqa: S102
        monkeypatch.setitem(sys.modules, "scp_page", page)
        return page


OURS = Sources("""
from pynetdicom import evt
from my_code import some_user_function

def handle_user_id(event):
    verified, answer = some_user_function(event)
    return verified, answer

handlers = [(evt.EVT_USER_ID, handle_user_id)]
""")


def the_page() -> Sources | None:
    for path in sorted(SEEDS.glob("*.txt")):
        found = re.search(r"^from pynetdicom import AE, evt\n.*?^handlers = .*?$", path.read_text("utf-8"), re.M | re.S)
        if found and "handle_user_id" in found[0]:
            return Sources(found[0])
    return None


@pytest.mark.parametrize("whose", ["pynetdicom's page", "ours"])
def test_a_handler_runs_unchanged_in_both(
    whose: str, gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, pacs: PynetdicomPacs
) -> None:
    source = OURS if whose == "ours" else the_page()
    if source is None:
        pytest.skip("pynetdicom's documents are not here")
    page = source.run(hospital.handle_user_id, monkeypatch)
    assert page.handlers == [(evt.EVT_USER_ID, page.handle_user_id)]

    def answers(address: Address) -> list[Answer]:
        return [
            log_in(address, kind, *credential, response=response)
            for kind in TYPES
            for credential in (GENUINE[kind], FALSE[kind])
            for response in (False, True)
        ]

    with entity(*page.handlers) as address:
        alone = answers(address)
    with bind(adapt(page.handle_user_id), cleartext_passcodes=True) as login:
        with entity(login) as address:
            assert answers(address) == alone
        with entity(*login.strict) as address:
            strict = answers(address)
    running = start(gateway, pacs.address, "scp_page:handle_user_id")
    assert answers(running.address) == strict
    assert log_in(running.address, None) == REFUSED_IDENTITY
    assert [one.identity for one in pacs.associations] == [None] * 10
    users = [one["user"] for one in running.told("Decided", outcome="accept")]
    assert users == ["alice"] * 4 + [f"unnamed (type {kind})" for kind in (3, 3, 4, 4, 5, 5)]
    assert alone == [None, None, *[TRY_LATER] * 2] * 2 + [None, b"you are welcome", *[TRY_LATER] * 2] * 3
    assert strict == [None, b"", *[REFUSED_IDENTITY] * 2] * 2 + [None, b"you are welcome", *[REFUSED_IDENTITY] * 2] * 3


def test_guessing_is_throttled_as_in_the_gateway(gateway: StartGateway, tmp_path: Path, pacs: PynetdicomPacs) -> None:
    guesses = [WRONG + b"%d" % number for number in range(4)]
    tables = configuration(pacs.address)
    tables["throttle"] = {"free": 3}
    running = gateway(tables)
    in_the_gateway = [log_in(running.address, 2, b"alice", secret) for secret in (ALICE, *guesses, ALICE)]
    told = [(one["outcome"], one["authenticator"], one["user"]) for one in running.told("Decided")]
    reason = running.told("Decided")[-1]["reason"]
    users = (running.folder / "users.htpasswd").read_bytes()
    (tmp_path / "users.htpasswd").touch(mode=0o600)
    (tmp_path / "users.htpasswd").write_bytes(users)
    (tmp_path / "dicomgate.toml").write_text(as_toml(tables), "utf-8")
    with bind(tmp_path / "dicomgate.toml") as login, entity(*login.strict) as address:
        assert [log_in(address, 2, b"alice", secret) for secret in (ALICE, *guesses, ALICE)] == in_the_gateway
    audit = running.folder.parent / "audit.jsonl"
    here = [json.loads(line) for line in audit.read_text().splitlines()]
    decided = [one for one in here if one["event"] == "Decided"]
    assert [(one["outcome"], one["authenticator"], one["user"]) for one in decided] == told
    assert reason.startswith("throttled: too many attempts in a row, known:alice waits ")
    assert decided[-1]["reason"][:50] == reason[:50]
    assert in_the_gateway[0] is None
    assert in_the_gateway[1:] == [REFUSED_IDENTITY] * 5
