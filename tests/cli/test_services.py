from __future__ import annotations

from typing import Any

import pytest

from dicomgate.rights.services import SERVICES


def test_every_service_is_listed_with_what_it_allows(run: Any) -> None:
    result = run("rules", "services")
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == list(SERVICES)
    assert all(len(row) == 2 and len(row[1]) > 10 for row in rows)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("move", "1.2.840.10008.5.1.4.1.2.1.2\tPatient Root Query/Retrieve Information Model - MOVE\tC-MOVE"),
        ("store", "1.2.840.10008.5.1.1.27\tStored Print Storage SOP Class (retired)\tC-STORE"),
        (
            "1.2.840.10008.1.20.1",
            "1.2.840.10008.1.20.1\tStorage Commitment Push Model SOP Class\tN-ACTION, N-EVENT-REPORT\tcommitment",
        ),
    ],
)
def test_the_sop_classes_of_a_service_are_listed(name: str, first: str, run: Any) -> None:
    result = run("rules", "services", name)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, first)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("fnd", ", did you mean 'find'?"), ("1.2.840.10008.1.2", ""), ("wörklist", ", did you mean 'wor")],
)
def test_what_is_no_service_is_told_with_the_nearest(name: str, meant: str, run: Any, one_line: Any) -> None:
    assert one_line(run("rules", "services", name), 2).startswith(
        f"no service and no SOP class of DICOM is called {name!r}{meant}"
    )
