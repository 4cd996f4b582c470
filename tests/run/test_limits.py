"""What a program that opens its own port is told of the rights of somebody who was admitted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Attempt, ConfigError
from dicomgate.run.embedding import Admit, Limited, LoginService, Refuse
from dicomgate.testing import attempt, username
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.reject_abort import NO_CONTEXT
from dicomgate.wire.user_identity import encode_identity
from dicomgate.wire.user_information import Negotiation, RoleSelection

pytestmark = pytest.mark.anyio
VERIFICATION = b"1.2.840.10008.1.1"
CT, MR, GET = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.4", b"1.2.840.10008.5.1.4.1.2.2.3"
ALICE = encode_identity(username("alice"))[4:]
RULE = {"name": "readers", "allow": ["get"], "groups": ["radiology"]}


class Staff:
    """Accepts everybody, as one of radiology."""

    async def authenticate(self, attempt: Attempt) -> Accept:
        return Accept("alice", groups=frozenset({"radiology"}))


def asking(*classes: bytes, roles: tuple[RoleSelection, ...] = ()) -> bytes:
    """An A-ASSOCIATE-RQ with a context for each class."""
    contexts = tuple(ProposedContext(2 * n + 1, uid, (b"1.2.840.10008.1.2",)) for n, uid in enumerate(classes))
    negotiation = Negotiation(16384, b"1.2.3", role_selections=roles)
    return AssociateRequest("WARD", "CT1", contexts, negotiation, username("alice")).encode()


async def asked(logins: LoginService, pdu: bytes) -> Admit | Refuse:
    async with logins:
        return await logins(replace(attempt(), request=lambda: pdu), ALICE, secured=True)


async def left(pdu: bytes, **rule: Any) -> AssociateRequest | None:
    """The request that a program may answer; None if all of it."""
    answer = await asked(LoginService.of([Staff()], rules=[RULE | rule]), pdu)
    assert isinstance(answer, Limited)
    return None if answer.limits.request is None else AssociateRequest.parse(answer.limits.request)


async def test_what_a_program_may_negotiate() -> None:
    both = (RoleSelection(CT, 1, 1),)
    assert await left(asking(GET)) is None
    some = await left(asking(GET, MR, CT, roles=both))
    assert some is not None
    assert [context.id for context in some.contexts] == [1, 5]
    assert some.identity == username("alice")
    only_its_role = await left(asking(GET, CT, roles=both))
    assert only_its_role is not None
    assert only_its_role.negotiation.role_selections == (RoleSelection(CT, 0, 1),)
    assert await left(asking(GET, CT, roles=both), allow=["get", "store"]) is None


async def test_nothing_is_granted() -> None:
    for rule, granted in (({"groups": ["surgery"]}, False), ({}, True)):
        answer = await asked(LoginService.of([Staff()], rules=[RULE | rule]), asking(GET))
        assert isinstance(answer, Limited) is granted
        if isinstance(answer, Refuse):
            assert (answer.refusal, answer.reason_class.value) == (NO_CONTEXT, "not_granted")


def written(folder: Path, listener: str) -> Path:
    """A file with one authenticator and one rule, which allows C-ECHO; and perhaps with a listener."""
    file = folder / "dicomgate.toml"
    devices = 'devices = { MODALITY = { networks = ["192.0.2.0/24"] } }'
    rule = '[[rule]]\nname = "echo"\nallow = "echo"\ncalled_ae_titles = "PACS"\n'
    file.write_text(
        f'[gateway]\naudit = "audit.jsonl"\n{listener}[[authenticator]]\nuse = "network"\n{devices}\n{rule}'
    )
    return file


LISTENER = '[[listener]]\nname = "ward"\nbind = "127.0.0.1:11112"\nidentity = "optional"\n'


@pytest.mark.parametrize(("report", "expected"), [("", Refuse), ('rules = "report"\n', Limited)])
async def test_a_request_that_cannot_be_read(tmp_path: Path, report: str, expected: type) -> None:
    """pynetdicom takes requests that the standard does not allow; reporting must not stop them."""
    for pdu, answer in ((asking(GET)[:-1], expected), (asking(VERIFICATION, CT), Limited)):
        logins = LoginService.configured(written(tmp_path, f"{LISTENER}{report}"))
        async with logins:
            assert type(await logins(replace(attempt(), request=partial(bytes, pdu)), None, secured=True)) is answer


async def test_the_rules_of_a_file_without_listeners_are_enforced(tmp_path: Path) -> None:
    logins = LoginService.configured(written(tmp_path, ""))
    assert logins.enforces_rules
    reported = LoginService.configured(written(tmp_path, f'{LISTENER}rules = "report"\n'))
    assert not reported.enforces_rules


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"allow": "stor"}, r"rule\.0\.allow.*no service is called 'stor', did you mean 'store'"),
        ({"authenticators": "staf"}, r"rule\.0\.authenticators: no authenticator is called 'staf'"),
        ({"alow": "store"}, r"rule\.0\.alow: unknown key, did you mean 'allow'"),
    ],
)
def test_rules_in_code_are_checked_as_in_a_file(rule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        LoginService.of([Staff()], rules=[RULE | rule])
    with pytest.raises(ConfigError, match="whose groups"):
        LoginService.of([Staff(), Staff()], rules=[RULE])
    LoginService.of([Staff(), Staff()], rules=[RULE | {"authenticators": "staff-2", "called_ae_titles": "WARD"}])
