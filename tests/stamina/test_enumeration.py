"""A client that is refused learns nothing of the users: neither from the answer nor from the time that it takes."""

from pathlib import Path
from statistics import median

import pytest

from bench.messages import PASSCODE
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, log_in, login
from dicomgate.testing.timing import Question, measure, over_the_wire
from dicomgate_passcode.hashing import Cost, make_hash
from tests.stamina.measure import FULL, report, scaled
from tests.stamina.process import GatewayProcess, tables_for

# Where nothing can be told, the most telling of 36 pairs is by chance 0.03 from guessing if each kind is asked 1,000
# times (0.04 in one run of a hundred), and 0.16 (0.28) if asked 25 times. What takes no hash at all is 0.5 from it.
EACH = scaled(1000, 25)
MOST = scaled(0.05, 0.4)
CHEAPER = scaled(None, Cost("argon2id", 1, memory_kib=2048, lanes=1))  # None: as `dicomgate passcode add` makes them
DEARER = Cost("bcrypt", scaled(9, 6))
WRONG = b"correct horse-battery"
REASONS = {
    "wrong passcode",
    "unknown user",
    "the user cannot log in: disabled",
    (
        "the user cannot log in: the scheme of its hash is apr1 (MD5), none of those that are read (argon2id, bcrypt,"
        " sha512-crypt, sha256-crypt)"
    ),
    "passcode longer than the 1024 bytes that argon2id is given",
}


def users(schemes: int) -> str:
    """Return a users file: alice and erika can log in, bert is disabled, and the hash of chris cannot be read."""
    alice, bert, erika = (make_hash(PASSCODE, cost) for cost in (CHEAPER, CHEAPER, (CHEAPER, DEARER)[schemes - 1]))
    return f"alice:{alice}\nbert:!{bert}\nchris:$apr1$abcdefgh$0123456789012345678901\nerika:{erika}\n"


def strangers(address: Address) -> dict[str, Question[bytes]]:
    """Everybody who is refused."""
    kinds = {
        "wrong passcode": login("alice", WRONG),
        "wrong passcode of another": login("erika", WRONG),
        "unknown user": login("doris", WRONG),
        "disabled user": login("bert", PASSCODE),
        "no readable hash": login("chris", PASSCODE),
        "name too long": login("a" * 300, WRONG),
        "passcode too long": login("alice", WRONG * 60),
        "unknown user, type 1": login("doris", b"", kind=1),
        "disabled user, type 1": login("bert", b"", kind=1),
    }
    return {kind: over_the_wire(address, sub_item) for kind, sub_item in kinds.items()}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("schemes", [1, 2])
def test_answers_and_times_are_those_of_everybody(schemes: int, tmp_path: Path, spy: Spy) -> None:
    tables = tables_for(spy.address[1], listener={"authenticators": ["staff"]})
    tables["authenticator"][0]["username_only"] = True
    tables["throttle"] = {"enabled": False}  # or hardly one of them would be judged
    gateway = GatewayProcess(tmp_path, tables)
    gateway.users_file.write_text(users(schemes))
    with gateway:
        measured = measure(strangers(gateway.address()), EACH)
        for welcome in (login("alice", PASSCODE), login("alice", b"", kind=1)):
            assert log_in(gateway.address(), [welcome])[:1] == b"\2"
        refused = {event["reason"] for event in gateway.told("Decided", outcome="reject")}
    assert measured.answers == {kind: {REFUSED_IDENTITY} for kind in measured.answers}
    assert refused == REASONS
    comparisons = measured.comparisons(confidence=0.99)
    report("times of refusals", schemes=schemes, each=EACH, most_telling=comparisons[0])
    assert comparisons[0].advantage <= MOST
    if FULL:
        assert all(comparison.by_chance for comparison in comparisons)
        medians = [median(times) for times in measured.times.values()]
        assert max(medians) - min(medians) <= max(0.002, 0.03 * min(medians))
