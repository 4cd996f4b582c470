from __future__ import annotations

import time

import pytest

from dicomgate_passcode import dummy_hash
from dicomgate_passcode.dummy_hash import DEFAULT_COST, DummyHashes
from dicomgate_passcode.hashing import Cost, read_cost
from dicomgate_passcode.hashing import verify as hashing_verify

ARGON2 = Cost("argon2id", 1, memory_kib=8, lanes=1)
BCRYPT = Cost("bcrypt", 6)
SHA_CRYPT = Cost("sha512-crypt", 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds that a verification takes, by scheme; the dummy's clock sees nothing else."""
    seconds = {"argon2id": 0.02, "bcrypt": 0.25, "sha512-crypt": 0.4, "sha256-crypt": 0.3}
    now = [0.0]

    def verify(passcode: bytes, text: str) -> bool:
        cost = read_cost(text)
        assert cost is not None
        now[0] += seconds[cost.scheme]
        return hashing_verify(passcode, text)

    monkeypatch.setattr(dummy_hash, "verify", verify)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return seconds


def test_the_slowest_scheme_by_the_clock_wins(clock: dict[str, float]) -> None:
    costs = [ARGON2, BCRYPT, SHA_CRYPT, Cost("sha256-crypt", 1000)]
    assert DummyHashes().costliest(costs).scheme == "sha512-crypt"
    clock["argon2id"] = 0.5
    assert DummyHashes().costliest(costs).scheme == "argon2id"


def test_the_largest_parameters_of_a_scheme_win(clock: dict[str, float]) -> None:
    costs = [Cost("argon2id", 1, 64, 1), Cost("argon2id", 2, 48, 1), Cost("argon2id", 3, 16, 1)]
    assert read_cost(DummyHashes().costliest(costs).hash) == Cost("argon2id", 2, 48, 1)


def test_without_users_it_is_the_default_and_its_hash_is_not_shown() -> None:
    dummy = DummyHashes().costliest([])
    assert read_cost(dummy.hash) == DEFAULT_COST
    assert dummy.hash not in repr(dummy)


def test_the_floor_is_over_the_measured_time(clock: dict[str, float]) -> None:
    assert DummyHashes().costliest([BCRYPT]).floor == pytest.approx(0.25 * 1.25)


def test_each_cost_is_measured_once(clock: dict[str, float]) -> None:
    dummies = DummyHashes()
    first = dummies.costliest([BCRYPT])
    clock["bcrypt"] = 7.0
    assert dummies.costliest([BCRYPT, BCRYPT]) is first


@pytest.mark.parametrize(
    ("cost", "passcode", "spent"),
    [
        *((BCRYPT, passcode, b"dummy") for passcode in (b"", b"x" * 73, b"x" * 5000, b"x\0y")),
        (BCRYPT, b"secret", b"secret"),
        (SHA_CRYPT, b"x" * 100, b"x" * 100),  # its length costs time
    ],
)
def test_any_passcode_spends_a_whole_verification(
    cost: Cost, passcode: bytes, spent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    dummy = DummyHashes().costliest([cost])
    verified: list[bytes] = []
    monkeypatch.setattr(dummy_hash, "verify", lambda passcode, text: verified.append(passcode))
    dummy.verify(passcode)
    assert verified == [spent]
