"""`dicomgate rules services`: the services that a rule may allow, and the SOP classes of one."""

from __future__ import annotations

from typing import Annotated

import typer

from ..auth.problems import nearest
from ..errors import ConfigError
from ..rights.services import SERVICE_OF, SERVICES, requests_of
from .output import print_table


def services(
    name: Annotated[
        str | None, typer.Argument(metavar="SERVICE|UID", help="Print its SOP classes; of a UID, its service.")
    ] = None,
) -> None:
    """List the services that a rule may allow, or the SOP classes of one.

    Exit status: 0 done, 2 no service or SOP class is called so.
    """
    if name is None:
        print_table(("service", "what it allows"), [(word, one.about) for word, one in SERVICES.items()])
    elif name in SERVICES:
        print_table(
            ("SOP class", "name", "requests"), [_row(one) for one in sorted(SERVICES[name].classes, key=_numbers)]
        )
    elif service := SERVICE_OF.get(name.encode(errors="replace")):
        print_table(("SOP class", "name", "requests", "service"), [(*_row(name.encode()), service.word)])
    else:
        raise ConfigError(f"no service and no SOP class of DICOM is called {name!r}{nearest(name, SERVICES)}")


def _numbers(sop_class: bytes) -> list[int]:
    return [int(number) for number in sop_class.split(b".")]


def _row(sop_class: bytes) -> tuple[str, str, str]:
    from pydicom.uid import UID  # slow to import

    uid = UID(sop_class.decode("ascii"))
    name = "-" if uid.name == uid else uid.name or "-"  # PS3.6 has two without a name, and newer ones than pydicom
    requests = ", ".join(sorted(str(request).removesuffix("-RQ") for request in requests_of(sop_class)))
    return uid, f"{name} (retired)" if name != "-" and uid.is_retired else name, requests
