"""Operations: what becomes of each message of a client whose rights are limited."""

from __future__ import annotations

import pytest

from dicomgate.rights.operations import MOST_KINDS, OTHER, Denial, Operations
from dicomgate.rights.rights import Moves, Rights
from dicomgate.wire.dimse import CommandSet, refused_response
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError
from tests.wire import commands as c
from tests.wire.commands import command_set

VIEWER = Rights(
    classes=frozenset({c.VERIFICATION, c.FIND_STUDIES, c.MOVE_STUDIES, c.GET_STUDIES}),
    moves=(Moves(frozenset({c.MOVE_STUDIES}), ("WS_*", "TEACHING")),),
)
MODALITY = Rights(classes=frozenset({c.VERIFICATION, c.CT, c.MR}))
CONTEXTS = {1: c.VERIFICATION, 3: c.CT, 5: c.FIND_STUDIES, 7: c.MOVE_STUDIES, 9: c.GET_STUDIES, 11: b"1.2.3"}


class Judged(Operations):
    """The operations of an association with these contexts, and what it was told of."""

    def __init__(self, rights: Rights) -> None:
        self.told: list[Denial] = []
        super().__init__(rights, CONTEXTS, 16384, "CT1", self.told.append)


def refused(context: int, command: bytes) -> bytes:
    return refused_response(CommandSet.parse(command), context, 16384)


def store(message_id: int = 7, sop_class: bytes = c.CT) -> bytes:
    return command_set(c.STORE, sop_class, message_id)


def move(destination: bytes, message_id: int = 7) -> bytes:
    return command_set(c.MOVE, c.MOVE_STUDIES, message_id, destination + b" " * (len(destination) % 2))


CANCEL = command_set(c.CANCEL, message_id=7)


def test_what_is_granted_passes_and_is_counted() -> None:
    viewer = Judged(VIEWER)
    for context, command in (
        (1, command_set(c.ECHO, c.VERIFICATION)),
        (5, command_set(c.FIND, c.FIND_STUDIES)),
        (7, move(b"WS_1")),
        (7, move(b"WS_2  ")),
        (7, move(b"TEACHING")),
        (7, move(b"WS_1\0\0")),
        (9, command_set(c.GET, c.GET_STUDIES)),
        (3, command_set(c.STORE | c.RSP, c.CT)),
        (7, CANCEL),
    ):
        assert viewer.judge(context, command) is None
    assert viewer.used == {"echo": 1, "find": 1, "move WS_1": 2, "move WS_2": 1, "move TEACHING": 1, "get": 1}
    assert (viewer.denied, viewer.told) == ({}, [])


def test_a_refused_request_is_answered_and_told_once() -> None:
    viewer = Judged(VIEWER)
    for number in (1, 2):
        assert viewer.judge(3, store(number)) == refused(3, store(number))
        assert viewer.judge(7, move(b"ARCHIVE2", number)) == refused(7, move(b"ARCHIVE2", number))
        assert viewer.judge(7, move(b"CT1", number)) == refused(7, move(b"CT1", number))
        assert viewer.judge(7, move(b"ws_1", number)) == refused(7, move(b"ws_1", number))
        assert viewer.judge(7, move(b'A"', number)) == refused(7, move(b'A"', number))
        assert viewer.judge(7, move(b"*", number)) == refused(7, move(b"*", number))
        assert viewer.judge(7, move(b"own", number)) == refused(7, move(b"own", number))
    assert viewer.denied == dict.fromkeys(
        ("store", "move ARCHIVE2", "move CT1", "move ws_1", 'move A"', "move *", "move own"), 2
    )
    assert viewer.used == {}
    assert viewer.told == [
        Denial("store", "C-STORE-RQ", 'allow = "store"'),
        Denial("move", "C-MOVE-RQ", 'allow = "move", destinations = "ARCHIVE2"'),
        Denial("move", "C-MOVE-RQ", 'allow = "move", destinations = "own"'),
        Denial("move", "C-MOVE-RQ", 'allow = "move", destinations = "ws_1"'),
        Denial("move", "C-MOVE-RQ", r'allow = "move", destinations = "A\""'),
        Denial("move", "C-MOVE-RQ", 'another destination: in a rule "*" means others'),
        Denial("move", "C-MOVE-RQ", 'another destination: in a rule "own" means others'),
    ]


def test_another_class_of_the_service_needs_its_own_grant() -> None:
    assert Judged(MODALITY).judge(3, store(sop_class=c.MR)) is None
    only_ct = Judged(Rights(classes=frozenset({c.CT, c.FIND_STUDIES})))
    assert only_ct.judge(3, store()) is None
    assert only_ct.judge(3, store(sop_class=c.MR)) == refused(3, store(sop_class=c.MR))
    with pytest.raises(PduError, match="which no rule grants"):  # C-FIND has no status for it
        only_ct.judge(5, command_set(c.FIND, c.FIND_PATIENTS))
    # It is granted there, and not on a context that may only receive.
    only_mr = Judged(Rights(classes=frozenset({c.MR})))
    assert only_mr.judge(3, store(sop_class=c.MR)) == refused(3, store(sop_class=c.MR))


FILM_META, FILM_SESSION, GRAYSCALE_BOX, COLOR_BOX, PRINT_JOB = (
    b"1.2.840.10008.5.1.1." + end for end in (b"9", b"1", b"4", b"4.1", b"14")
)
UPS_PUSH, UPS_PULL = b"1.2.840.10008.5.1.4.34.6.1", b"1.2.840.10008.5.1.4.34.6.3"
AVAILABILITY, STUDY_CONTENT = b"1.2.840.10008.5.1.4.33", b"1.2.840.10008.1.9"


def test_a_context_may_stand_for_other_classes() -> None:
    """PS3.4 H.3, CC.2: on a context of a Meta SOP class its members are named, on one of UPS Pull, UPS Push is."""
    contexts = {1: FILM_META, 3: UPS_PULL, 5: AVAILABILITY}
    rights = Rights(classes=frozenset({FILM_META, UPS_PULL, AVAILABILITY, STUDY_CONTENT}))
    association = Operations(rights, contexts, 16384, "CT1", lambda _: None)
    for context, field, named in (
        (1, c.CREATE, FILM_SESSION),
        (1, c.N_SET, GRAYSCALE_BOX),
        (1, c.EVENT_REPORT | c.RSP, b"1.2.840.10008.5.1.1.16"),
        (1, c.EVENT_REPORT | c.RSP, b""),
        (3, c.FIND, UPS_PUSH),
        (3, c.ACTION, UPS_PUSH),
        (3, c.CANCEL, b""),
        (5, c.CREATE, AVAILABILITY),
    ):
        assert association.judge(context, command_set(field, named)) is None
    for context, field, named in (
        (1, c.N_SET, COLOR_BOX),
        (1, c.N_GET, PRINT_JOB),
        (1, c.STORE, FILM_SESSION),
        (3, c.CREATE, UPS_PUSH),  # with Push alone
        (5, c.CREATE, STUDY_CONTENT),  # with which C-STORE is made
    ):
        with pytest.raises(PduError):
            association.judge(context, command_set(field, named))
    assert association.used == {"print": 2, "ups": 2, "instance-availability": 1}


def test_a_class_that_the_standard_does_not_know_is_one_of_storage() -> None:
    private = Judged(Rights(classes=frozenset({b"1.2.3"})))
    assert private.judge(11, store(sop_class=b"1.2.3")) is None
    assert private.judge(11, store(sop_class=c.CT)) == refused(11, store(sop_class=c.CT))
    assert (private.used, private.denied) == ({"1.2.3": 1}, {"store": 1})
    with pytest.raises(PduError):
        private.judge(11, command_set(c.FIND, b"1.2.3"))


FOREIGN = {
    "C-STORE on Verification": (1, store()),
    "C-STORE of Verification": (1, command_set(c.STORE, c.VERIFICATION)),
    "C-FIND on storage": (3, command_set(c.FIND, c.FIND_STUDIES)),
    "C-FIND of storage": (3, command_set(c.FIND, c.CT)),
    "C-MOVE on find": (5, move(b"WS_1")),
    "C-ECHO on find": (5, command_set(c.ECHO, c.VERIFICATION)),
    "C-FIND of the worklist on find": (5, command_set(c.FIND, c.WORKLIST)),
    "C-FIND of storage on find": (5, command_set(c.FIND, c.CT)),
    "N-ACTION on storage": (3, command_set(c.ACTION, c.CT)),
    "C-STORE-RSP on find": (5, command_set(c.STORE | c.RSP, c.FIND_STUDIES)),
    "C-FIND-RSP on storage": (3, command_set(c.FIND | c.RSP)),
    "C-STORE-RSP of find on storage": (3, command_set(c.STORE | c.RSP, c.FIND_STUDIES)),
    "C-CANCEL on storage": (3, CANCEL),
    "C-CANCEL of storage on find": (5, command_set(c.CANCEL, c.CT)),
}


@pytest.mark.parametrize("rights", [VIEWER, MODALITY])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_of_its_contexts_service_breaks_the_law(name: str, rights: Rights) -> None:
    association = Judged(rights)
    with pytest.raises(PduError) as caught:
        association.judge(*FOREIGN[name])
    assert caught.value.answer == INVALID_PARAMETER
    assert association.used == association.denied == {}


def test_a_cancel_of_a_refused_request_is_swallowed_until_its_message_id_is_used_again() -> None:
    viewer = Judged(VIEWER)
    other = command_set(c.CANCEL, message_id=8)
    assert viewer.judge(7, move(b"NOWHERE"))
    for _ in range(2):
        assert viewer.judge(7, CANCEL) == viewer.judge(5, CANCEL) == b""
        assert viewer.judge(7, other) is None
    assert viewer.judge(5, command_set(c.FIND, c.FIND_STUDIES)) is None
    assert viewer.judge(5, CANCEL) is None
    for message_id in range(0x10000):
        assert viewer.judge(3, store(message_id))
    for message_id in (0, 7, 0xFFFF):
        assert viewer.judge(5, command_set(c.CANCEL, message_id=message_id)) == b""


def test_the_kinds_are_bounded() -> None:
    viewer = Judged(VIEWER)
    for destination in range(3 * MOST_KINDS):
        for prefix in (b"WS_", b"AE_"):
            viewer.judge(7, move(b"%s%03d" % (prefix, destination)))
    for counts in (viewer.used, viewer.denied):
        assert len(counts) == MOST_KINDS + 1
        assert counts[OTHER] == 2 * MOST_KINDS
    assert len(viewer.told) == MOST_KINDS + 1


def test_without_any_rule_everything_is_judged_not_granted() -> None:
    """As in the first step of a roll-out, where the answers are not sent."""
    nobody = Judged(Rights())
    assert nobody.judge(1, command_set(c.ECHO, c.VERIFICATION)) == b""
    assert nobody.judge(5, command_set(c.FIND, c.FIND_PATIENTS)) == b""
    assert nobody.judge(7, move(b"WS_1")) == refused(7, move(b"WS_1"))
    assert nobody.judge(3, store()) == refused(3, store())
    assert nobody.judge(3, command_set(c.STORE | c.RSP)) is None
    assert [denial.missing for denial in nobody.told] == [
        'allow = "echo"',
        'allow = "find"',
        'allow = "move", destinations = "WS_1"',
        'allow = "store"',
    ]
