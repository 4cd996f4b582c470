"""What rules leave of an association with an AE, over the wire: every refusal beside what is granted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import Association, _config, evt, sop_class
from pynetdicom.dimse_messages import N_GET_RQ
from pynetdicom.dimse_primitives import C_STORE, N_CREATE, N_GET
from pynetdicom.events import _INTERVENTION_EVENTS
from pynetdicom.sop_class import (
    BasicFilmSession,
    CTImageStorage,
    MRImageStorage,
    Printer,
    StorageCommitmentPushModel,
    Verification,
)

from dicomgate import ConfigError
from dicomgate.testing.evidence import ALICE as ALICE_KNOWS
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.slices import ct_images
from dicomgate_passcode.hashing import make_hash
from dicomgate_pynetdicom import bind
from dicomgate_pynetdicom.limits import REQUESTS
from plugins.pynetdicom.tests.entities import TRY_LATER, entity, log_in
from plugins.pynetdicom.tests.wards import GENUINE, Ward, raises

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

FIND = sop_class.StudyRootQueryRetrieveInformationModelFind
GET = sop_class.StudyRootQueryRetrieveInformationModelGet
MOVE = sop_class.StudyRootQueryRetrieveInformationModelMove
MPPS = sop_class.ModalityPerformedProcedureStep
MPPS_GET = sop_class.ModalityPerformedProcedureStepRetrieve
MPPS_REPORT = sop_class.ModalityPerformedProcedureStepNotification
CONTEXTS = (Verification, CTImageStorage, MOVE, GET)
ALICE = user_identity(1, *GENUINE[1])
READER = {"name": "readers", "allow": ["echo", "move"], "destinations": "own"}
EVERYTHING = {"name": "all", "allow": "*"}
PASSCODE = user_identity(2, b"alice", ALICE_KNOWS)
REFUSED, NOT_AUTHORIZED, DESTINATION_UNKNOWN = (1, 1, 1), 0x0124, 0xA801


class Program:
    """The handlers of an AE, which note what they serve."""

    def __init__(self, established: Callable[[Any], None] = lambda event: None) -> None:
        self.served: list[str] = []
        self.image = next(ct_images(1))
        self.handlers: list[Any] = [
            (evt.EVT_C_ECHO, self.echo),
            (evt.EVT_C_STORE, self.store, ["given"]),
            (evt.EVT_C_MOVE, self.move),
            (evt.EVT_C_GET, self.get),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_ESTABLISHED, established),
        ]

    def echo(self, event: Any) -> int:
        self.served.append("echo")
        return 0x0000

    def store(self, event: Any, given: str = "given") -> int:
        assert given == "given"
        self.served.append("store")
        return 0x0000

    def move(self, event: Any) -> Iterator[Any]:
        self.served.append(f"move {event.move_destination}")
        yield "127.0.0.1", 1
        yield 0

    def create(self, event: Any) -> tuple[int, None]:
        self.served.append("create")
        return 0x0000, None

    def get(self, event: Any) -> Iterator[Any]:
        self.served.append("get")
        yield 1
        yield 0xFF00, self.image


@contextmanager
def ae(program: Program, *rules: Any, audit: Path | None = None) -> Iterator[Address]:
    """An AE behind these rules."""
    login = bind(Ward(), rules=rules, audit=audit)
    with login, entity(*login.strict, *program.handlers, contexts=CONTEXTS) as address:
        yield address


def configure(folder: Path, rules: str | None) -> None:
    """A configuration file of an AE whose listener treats READER so; None says nothing of it."""
    users = folder / "users.htpasswd"
    users.touch(mode=0o600)
    users.write_text(f"alice:{make_hash(ALICE_KNOWS)}\n")
    listener = {
        "name": "ward",
        "bind": "127.0.0.1:11112",
        "cleartext_passcodes": True,
        **({"rules": rules} if rules else {}),
    }
    authenticator = {"use": "passcode", "file": "users.htpasswd", "timeout": "20s"}
    tables = {"gateway": {"audit": "audit.jsonl"}, "listener": [listener], "authenticator": [authenticator]}
    (folder / "dicomgate.toml").write_text(as_toml({**tables, "rule": [READER]}))


def store(association: Association) -> int:
    return int(association.send_c_store(next(ct_images(1))).Status)


def move(association: Association, destination: str) -> int:
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", generate_uid()
    return int([status for status, _ in association.send_c_move(query, destination, MOVE)][-1].Status)


def answers(association: Association) -> dict[str, int]:
    contexts = [*association.accepted_contexts, *association.rejected_contexts]
    return {str(context.abstract_syntax): context.result for context in contexts}


def denied(audit: Path) -> list[tuple[str, bool]]:
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    return [(record["missing"], record["enforced"]) for record in records if record["event"] == "Denied"]


@pytest.mark.parametrize("unrestricted", [False, True])
def test_what_is_withheld_is_rejected_and_never_negotiated(
    tmp_path: Path, unrestricted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", unrestricted)
    negotiated: list[set[str]] = []

    def accepted(event: Any) -> None:
        negotiated.append({context.abstract_syntax for context in event.assoc.requestor.requested_contexts})

    for rule, result in ((READER, 1), (EVERYTHING, 0)):
        program, audit = Program(accepted), tmp_path / f"{rule['name']}.jsonl"
        with ae(program, rule, audit=audit) as address, associate(address, CONTEXTS, identity=ALICE) as association:
            assert answers(association) == {Verification: 0, MOVE: 0, CTImageStorage: result, GET: result}
            assert association.send_c_echo().Status == 0
    assert negotiated == [{Verification, MOVE}, {*CONTEXTS}]
    assert denied(tmp_path / "readers.jsonl") == [('allow = "get"', True), ('allow = "store"', True)]
    assert denied(tmp_path / "all.jsonl") == []


def test_nothing_is_left() -> None:
    with ae(Program(), READER) as address:
        with associate(address, [CTImageStorage], identity=ALICE) as association:
            refusal = association.acceptor.primitive
            assert association.is_rejected
            assert (refusal.result, refusal.result_source, refusal.diagnostic) == REFUSED
        assert log_in(address, 1, *GENUINE[1]) is None


def test_a_destination_that_is_not_granted(tmp_path: Path) -> None:
    program, audit = Program(), tmp_path / "audit.jsonl"
    program.handlers.append((evt.EVT_DIMSE_RECV, raises(ValueError("after which pynetdicom calls no other handler"))))
    with (
        ae(program, READER, audit=audit) as address,
        associate(address, [MOVE], identity=ALICE, calling="WS_1") as association,
    ):
        statuses = [move(association, destination) for destination in ("WS_9", "WS_1") * 25]
    assert statuses == [DESTINATION_UNKNOWN, 0x0000] * 25
    assert program.served == ["move WS_1"] * 25
    assert denied(audit) == [('allow = "move", destinations = "WS_9"', True)]


def test_get_without_store() -> None:
    """The client receives, and what it sends on the contexts of receiving is refused."""
    program = Program()
    received: dict[str, bytes] = {}
    rule = {"name": "get", "allow": ["echo", "get"]}
    with ae(program, rule) as address, associate(address, CONTEXTS, identity=ALICE, get=received) as association:
        (storage,) = [one for one in association.accepted_contexts if one.abstract_syntax == CTImageStorage]
        query = Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", program.image.StudyInstanceUID
        assert [status.Status for status, _ in association.send_c_get(query, GET)][-1] == 0
        storage._as_scu = True  # or pynetdicom would not send it
        assert store(association) == NOT_AUTHORIZED
        assert association.send_c_echo().Status == 0
    assert [*received] == [program.image.SOPInstanceUID]
    assert program.served == ["get", "echo"]


def create_rq() -> N_CREATE:
    request = N_CREATE()
    request.MessageID, request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = 1, MPPS, "1.2.3"
    return request


def store_rq(named: str) -> C_STORE:
    request = C_STORE()
    request.MessageID, request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = 1, named, "1.2.3"
    request.Priority, request.DataSet = 0, BytesIO(b"\x08\x00\x16\x00UI\x02\x001\x00")
    return request


@pytest.mark.parametrize(
    "request_", [store_rq(Verification), store_rq(CTImageStorage), store_rq(MRImageStorage), create_rq()]
)
def test_a_command_on_a_foreign_context(request_: Any) -> None:
    """pynetdicom serves what the command names, whatever its presentation context."""
    ends = {}
    for rule in (READER, EVERYTHING):
        program = Program()
        with ae(program, rule) as address, associate(address, [Verification], identity=ALICE) as association:
            association.dimse.send_msg(request_, 1)
            wait_until(lambda: association.is_aborted or program.served, "it is served or the association ends")  # noqa: B023
            ends[rule["name"]] = program.served, association.is_aborted
    assert ends["readers"] == ([], True)
    assert ends["all"][0]


def test_every_kind_of_request_is_served_where_it_is_granted() -> None:
    served: list[str] = []
    answers = {
        evt.EVT_C_FIND: iter(()),
        evt.EVT_N_DELETE: 0x0000,
        **dict.fromkeys((evt.EVT_N_ACTION, evt.EVT_N_CREATE, evt.EVT_N_EVENT_REPORT), (0x0000, None)),
        **dict.fromkeys((evt.EVT_N_GET, evt.EVT_N_SET), (0x0000, Dataset())),
    }

    def serve(event: Any, answer: Any) -> Any:
        served.append(type(event.request).__name__)
        return answer

    handlers = [(event, serve, [answer]) for event, answer in answers.items()]
    classes = (FIND, MPPS, MPPS_GET, MPPS_REPORT, StorageCommitmentPushModel, BasicFilmSession)
    rule = {"name": "modalities", "allow": ["find", "mpps", "commitment", "print"]}
    with (
        bind(Ward(), rules=[rule]) as login,
        entity(*login.strict, *handlers, contexts=classes) as address,
        associate(address, classes, identity=ALICE) as association,
    ):
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        statuses = [
            [status for status, _ in association.send_c_find(query, FIND)][-1],
            association.send_n_create(query, MPPS, "1.2.3")[0],
            association.send_n_set(query, MPPS, "1.2.3")[0],
            association.send_n_get([], MPPS_GET, "1.2.3")[0],
            association.send_n_event_report(query, 1, MPPS_REPORT, "1.2.3")[0],
            association.send_n_action(query, 1, StorageCommitmentPushModel, "1.2.3")[0],
            association.send_n_delete(BasicFilmSession, "1.2.3"),
        ]
    assert [status.Status for status in statuses] == [0x0000] * 7
    assert served == ["C_FIND", "N_CREATE", "N_SET", "N_GET", "N_EVENT_REPORT", "N_ACTION", "N_DELETE"]


def test_a_request_that_names_two_classes() -> None:
    """pynetdicom goes by the Affected SOP Class UID, also where the standard has the Requested one."""
    served: list[str] = []

    def get(event: Any) -> tuple[int, Dataset]:
        served.append(event.request.AffectedSOPClassUID or "")
        return 0x0000, Dataset()

    rule = {"name": "modalities", "allow": ["mpps"]}
    for affected, ends in ((MPPS_GET, False), (Printer, True)):
        message, request = N_GET_RQ(), N_GET()
        request.MessageID, request.RequestedSOPClassUID, request.RequestedSOPInstanceUID = 1, MPPS_GET, "1.2.3"
        request.AffectedSOPClassUID = message.command_set.AffectedSOPClassUID = affected
        message.primitive_to_message(request)
        with (
            bind(Ward(), rules=[rule]) as login,
            entity(*login.strict, (evt.EVT_N_GET, get), contexts=[MPPS_GET]) as address,
            associate(address, [MPPS_GET], identity=ALICE) as association,
        ):
            for data in message.encode_msg(1, 16382):
                association.dul.send_pdu(data)
            wait_until(lambda: association.is_aborted or served, "it is served or the association ends")
            assert association.is_aborted is ends
            assert served == ([] if ends else [MPPS_GET])
        served.clear()


def test_a_handler_that_the_program_binds_later_is_guarded_too() -> None:
    late: list[str] = []

    def move_late(event: Any) -> Iterator[Any]:
        late.append(event.move_destination)
        yield "127.0.0.1", 1
        yield 0

    program = Program(established=lambda event: event.assoc.bind(evt.EVT_C_MOVE, move_late))
    with ae(program, READER) as address, associate(address, [MOVE], identity=ALICE, calling="WS_1") as association:
        assert [move(association, title) for title in ("WS_9", "WS_1")] == [DESTINATION_UNKNOWN, 0x0000]
    assert late == ["WS_1"]
    assert program.served == []


def test_every_request_has_its_guard() -> None:
    negotiation = {evt.EVT_ASYNC_OPS, evt.EVT_SOP_COMMON, evt.EVT_SOP_EXTENDED, evt.EVT_USER_ID}
    assert {*REQUESTS} == {*_INTERVENTION_EVENTS} - negotiation


@pytest.mark.parametrize("strict", [False, True])
def test_report_changes_nothing_and_records_all(tmp_path: Path, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, "report")
    program = Program()
    with bind("dicomgate.toml") as login:
        handlers = login.strict if strict else [login]
        with entity(*handlers, *program.handlers, contexts=CONTEXTS) as address:
            with associate(address, CONTEXTS, identity=PASSCODE, calling="WS_1") as association:
                assert {*answers(association).values()} == {0}
                assert (store(association), move(association, "WS_9")) == (0x0000, 0x0000)
            with associate(address, [Verification], identity=PASSCODE) as association:
                association.dimse.send_msg(store_rq(CTImageStorage), 1)
                wait_until(lambda: program.served.count("store") == 2, "it is served")
    assert program.served == ["store", "move WS_9", "store"]
    missing = ['allow = "get"', 'allow = "store"', 'allow = "store"', 'allow = "move", destinations = "WS_9"', ""]
    assert denied(tmp_path / "audit.jsonl") == [(one, False) for one in missing]


# pynetdicom leaves the socket of a server that does not start to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_login_alone_cannot_enforce_rules(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A client without a user identity would come in unasked: the server does not even start."""
    with bind(Ward(), rules=[READER]) as login:
        with pytest.raises(ConfigError, match=r"rules are enforced by login\.strict alone"), entity(login):
            pass
        event, handler = login[0], login[1]
        with entity((event, handler)) as address:
            assert log_in(address, 1, *GENUINE[1]) == TRY_LATER
        assert "login.strict" in caplog.text
        with entity(*login.strict) as address:
            assert log_in(address, 1, *GENUINE[1]) is None


def test_the_rules_of_a_file_and_of_its_listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for rules, result in (("enforce", 1), (None, 1), ("report", 0)):
        configure(tmp_path, rules)
        login = bind("dicomgate.toml")
        with (
            login,
            entity(*login.strict, contexts=CONTEXTS) as address,
            associate(address, CONTEXTS, identity=PASSCODE) as association,
        ):
            assert answers(association)[CTImageStorage] == result


def test_wrong_rules() -> None:
    with pytest.raises(ConfigError, match="no service is called 'stor', did you mean 'store'"):
        bind(Ward(), rules=[{"name": "one", "allow": ["stor"]}])
    with pytest.raises(ConfigError, match="no authenticator is called 'wart', did you mean 'ward'"):
        bind(Ward(), rules=[{**EVERYTHING, "authenticators": "wart"}])
    with pytest.raises(ConfigError, match="rules are set in the configuration file"):
        bind("dicomgate.toml", rules=[EVERYTHING])
