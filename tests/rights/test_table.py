"""What a `[[rule]]` table means. What is wrong with one is told by tests/config/test_load.py."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from dicomgate.rights.rule import Rule
from dicomgate.rights.services import SERVICES, requests_of
from dicomgate.rights.table import RuleTable
from dicomgate.wire.dimse import CommandField


def made(**keys: Any) -> Rule:
    return RuleTable.model_validate({"name": "r", **keys}).rule


def test_a_list_of_one_may_be_its_text() -> None:
    lists: dict[str, Any] = {
        "allow": ["move"], "destinations": ["own"], "listeners": ["a"], "authenticators": ["b"], "users": ["c"],
        "groups": ["d"], "attributes": {"e": ["f"]}, "networks": ["10.1.2.0/24"], "calling_ae_titles": ["G*"],
        "called_ae_titles": ["H"], "upstreams": ["i"],
    }  # fmt: skip
    texts = {key: value[0] if isinstance(value, list) else {"e": "f"} for key, value in lists.items()}
    assert made(**texts) == made(**lists) == Rule(
        "r", frozenset(SERVICES["move"].classes), destinations=("own",), listeners=frozenset("a"),
        authenticators=frozenset("b"), users=frozenset("c"), groups=frozenset("d"), attributes={"e": frozenset("f")},
        networks=(ip_network("10.1.2.0/24"),), calling_ae_titles=("G*",), called_ae_titles=("H",),
        upstreams=frozenset("i"),
    )  # fmt: skip


def test_services_and_sop_classes_are_added_up() -> None:
    assert made(allow=["echo", "1.2.840.113619.4.27", "worklist"]).classes == {
        b"1.2.840.10008.1.1", b"1.2.840.113619.4.27", b"1.2.840.10008.5.1.4.31",
    }  # fmt: skip
    assert made(allow="*") == Rule("r", everything=True)


@pytest.mark.parametrize("word", [word for word in SERVICES if word != "move"])
def test_no_c_move_is_granted_without_a_destination(word: str) -> None:
    fetching = CommandField.C_MOVE_RQ in {request for one in SERVICES[word].classes for request in requests_of(one)}
    without = made(allow=[word])
    assert not any(CommandField.C_MOVE_RQ in requests_of(one) for one in without.classes)
    if fetching:
        assert without.classes < made(allow=[word], destinations="*").classes == SERVICES[word].classes.keys()
    else:
        assert without.classes == SERVICES[word].classes.keys()
