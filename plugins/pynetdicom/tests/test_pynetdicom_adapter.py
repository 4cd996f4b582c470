"""`adapt`: what a handler may say, and what becomes of it. Where pynetdicom opens, it stays closed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from dicomgate import Accept, Attempt, Identity, IdentityType, Reject, Unavailable
from dicomgate.testing import AuthenticatorContract, ask, attempt, passcode
from dicomgate_pynetdicom import adapt, configured
from plugins.pynetdicom.tests import hospital
from plugins.pynetdicom.tests.entities import TYPES, entity, log_in
from plugins.pynetdicom.tests.hospital import seen_by_the_handler
from plugins.pynetdicom.tests.wards import FALSE, GENUINE, raises

HERE = "plugins.pynetdicom.tests.hospital"


def claimed(kind: int, credential: tuple[bytes, bytes] | None = None) -> Attempt:
    return attempt(Identity(IdentityType(kind), *(credential or GENUINE[kind])))


class TestAdapted(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self) -> Any:
        return adapt(hospital.handle_user_id)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(passcode(*GENUINE[2]))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(passcode("alice", "battery staple"))


@pytest.mark.parametrize("kind", TYPES)
def test_yes_and_no(kind: int) -> None:
    yes, no = ask(adapt(hospital.handle_user_id), claimed(kind), claimed(kind, FALSE[kind]))
    response = b"you are welcome" if kind > 2 else None
    assert yes == Accept("alice" if kind < 3 else f"unnamed (type {kind})", server_response=response)
    assert no == Reject("handle_user_id says no")


@pytest.mark.parametrize("kind", TYPES)
def test_a_handler_may_name_the_user(kind: int) -> None:
    (decision,) = ask(adapt(hospital.named), claimed(kind))
    assert decision == Accept(f"{GENUINE[kind][0].decode()}@ward")


@pytest.mark.parametrize("user", [b"alice", 7, ("alice",)])
def test_what_is_no_name(user: object) -> None:
    def handler(event: Any) -> tuple[bool, None]:
        event.user = user
        return True, None

    (decision,) = ask(adapt(handler), claimed(5))
    assert isinstance(decision, Unavailable)


OPEN_IN_PYNETDICOM = {
    "NotImplementedError": raises(NotImplementedError()),
    "a list": lambda event: [True, None],
    "1, None": lambda event: (1, None),
    '"no", None': lambda event: ("no", None),
    "True, a text": lambda event: (True, "text"),
    "True, a bytearray": lambda event: (True, bytearray(b"r")),
}
CLOSED_IN_BOTH = {
    "True": lambda event: True,
    "False": lambda event: False,
    "None": lambda event: None,
    "(True,)": lambda event: (True,),
    "()": lambda event: (),
    "a triple": lambda event: (True, None, None),
    "a generator": lambda event: iter([True]),
    "a coroutine": lambda event: asyncio.sleep(0),
    "ValueError": raises(ValueError("canary-pass")),
    "SystemExit": raises(SystemExit("canary-pass")),
    "an attribute that is not there": lambda event: event.assoc.dul.socket,
}


NAMED = {
    "True": "bool, not with (is_verified, response)",
    "None": "nothing, not with (is_verified, response)",
    "()": "a tuple of nothing, not with (is_verified, response)",
    "a triple": "a tuple of bool, NoneType, NoneType, not with (is_verified, response)",
    "True, a text": "a response of type str, not bytes",
}


@pytest.mark.parametrize("what", [*OPEN_IN_PYNETDICOM, *CLOSED_IN_BOTH])
def test_all_else_is_a_defect_that_lets_nobody_in(what: str, caplog: pytest.LogCaptureFixture) -> None:
    handler = {**OPEN_IN_PYNETDICOM, **CLOSED_IN_BOTH}[what]
    decisions = ask(adapt(handler), *map(claimed, TYPES))
    for decision in decisions:
        assert isinstance(decision, Unavailable)
        assert decision.reason.startswith("defect: ")
        if what in NAMED:
            assert decision.reason == f"defect: <lambda> answered with {NAMED[what]}"
    assert "canary-pass" not in caplog.text + repr(decisions)


@pytest.mark.parametrize("what", OPEN_IN_PYNETDICOM)
def test_pynetdicom_itself_is_open_then(what: str) -> None:
    """The control: why the adapter is stricter."""
    with entity((evt.EVT_USER_ID, OPEN_IN_PYNETDICOM[what])) as address:
        assert log_in(address, 1) is None


def test_arguments_as_pynetdicom_passes_them() -> None:
    hospital.seen.clear()
    before = datetime.now()  # noqa: DTZ005 (pynetdicom's has no time zone)
    ask(adapt(hospital.remember, ["ward 7", {"floor": 2}]), claimed(2))
    ((event, *args),) = hospital.seen
    assert args == ["ward 7", {"floor": 2}]
    assert event.event is evt.EVT_USER_ID
    assert type(event) is evt.Event
    assert before <= event.timestamp <= datetime.now()  # noqa: DTZ005


@pytest.mark.parametrize("kind", TYPES)
def test_the_fields(kind: int) -> None:
    event = seen_by_the_handler(claimed(kind))
    assert (event.user_id_type, type(event.user_id_type)) == (kind, int)
    assert event.primary_field == GENUINE[kind][0]
    assert event.secondary_field == (GENUINE[2][1] if kind == 2 else None)


def test_only_some_types() -> None:
    adapted = adapt(hospital.handle_user_id, types=[2])
    assert adapted.handles == {IdentityType.USERNAME_AND_PASSCODE}
    with pytest.raises(ValueError, match="6 is not a valid IdentityType"):
        adapt(hospital.handle_user_id, types=[6])


def test_what_a_table_makes() -> None:
    for name in ("handle_user_id", "Ward.handle"):
        (decision,) = ask(configured(f"{HERE}:{name}"), claimed(2))
        assert decision == Accept("alice")
    assert repr(configured(f"{HERE}:remember", ["a secret"])) == "adapt(remember)"


@pytest.mark.parametrize(
    ("handler", "args", "message"),
    [
        ("hospital", [], 'write it as "module:function"'),
        (":handle_user_id", [], 'write it as "module:function"'),
        ("nowhere.security:handle_user_id", [], "no module 'nowhere': install it in dicomgate.s environment"),
        ("plugins.pynetdicom.tests.broken_module:x", [], "broken_module does not import: SystemExit$"),
        (f"{HERE}:handle", [], "has no 'handle'"),
        (f"{HERE}:Ward.handel", [], "has no 'Ward.handel'"),
        (f"{HERE}:NOTHING", [], "must be a plain function"),
        (f"{HERE}:later", [], "must be a plain function"),
        (f"{HERE}:handle_user_id", ["ward 7"], "cannot be called with the event and 1 more: too many positional"),
    ],
)
def test_what_cannot_be_adapted(handler: str, args: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configured(handler, args)


def test_a_module_that_lacks_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_driver")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="module half_installed does not import: ModuleNotFoundError"):
        configured("half_installed:handle")
