"""File descriptors: the soft limit is raised as far as it may be, and what it cannot carry is not promised."""

from __future__ import annotations

import resource

import pytest

from dicomgate.net.capacity import Limits
from dicomgate.net.descriptors import affordable

LIMITS = Limits(500, 100, 200, 50)  # they need 2 * 500 + 200 + 64


class System:
    """Stands for the system's limit of file descriptors."""

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = soft, hard

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        assert limits[1] == self.limits[1]
        self.limits = limits


def in_force(monkeypatch: pytest.MonkeyPatch, system: System, limits: Limits = LIMITS) -> Limits:
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    return affordable(limits)


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1264, 1264, 1264),
        (4096, 4096, 4096),
        (1024, 4096, 1264),
        (256, resource.RLIM_INFINITY, 1264),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_what_suffices_changes_no_limit(
    soft: int, hard: int, raised: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    system = System(soft, hard)
    assert in_force(monkeypatch, system) == LIMITS
    assert system.limits == (raised, hard)
    assert not caplog.records


def test_too_few_lower_the_limits_that_are_higher_and_the_log_says_which_are_in_force(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert in_force(monkeypatch, System(128, 256)) == Limits(76, 38, 38, 19)
    (record,) = caplog.records
    assert record.getMessage() == (
        "256 file descriptors are allowed, 1264 are needed for max_associations = 500: raise the limit (LimitNOFILE); "
        "until then these are in force: max_associations = 76, max_associations_per_source = 38, "
        "max_unauthenticated = 38, max_unauthenticated_per_source = 19"
    )
    assert in_force(monkeypatch, System(256, 256), Limits(500, 10, 200, 5)) == Limits(76, 10, 38, 5)


@pytest.mark.parametrize("allowed", [20, 64, 80, 256, 1000, 1263])
def test_what_is_in_force_is_carried_by_what_is_allowed(allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = in_force(monkeypatch, System(allowed, allowed))
    assert min(limits.max_associations_per_source, limits.max_unauthenticated_per_source) >= 1
    assert 2 * limits.max_associations_per_source <= limits.max_associations
    assert 2 * limits.max_unauthenticated_per_source <= limits.max_unauthenticated
    if allowed >= 80:
        assert 2 * limits.max_associations + limits.max_unauthenticated + 64 <= allowed
