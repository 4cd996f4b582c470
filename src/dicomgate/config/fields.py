"""What the keys of the configuration file may hold, and how its tables are checked.

A plugin's own keys are checked by the signature of its class instead (auth/loading.py).
"""

from __future__ import annotations

import codecs
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Strict, Tag

from ..kit.addresses import parse_address
from ..kit.durations import Duration
from ..kit.files import credential_path
from ..kit.networks import IpNetwork, read_network
from ..kit.text import ae_title

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def _encoding(value: str) -> str:
    try:
        "a".encode(value)  # codecs.lookup also finds codecs that are no text encodings: hex, rot13
    except LookupError:
        raise ValueError(f"{value!r} is not the name of a text encoding") from None
    return codecs.lookup(value).name


def _fingerprint(value: str) -> str:
    plain = value.replace(":", "").lower()
    if _FINGERPRINT.fullmatch(plain) is None:
        raise ValueError("a pin is the SHA-256 of the certificate: 64 hexadecimal digits, colons allowed")
    return plain


def _keepalive(value: timedelta) -> timedelta:
    if value and not timedelta(seconds=1) <= value <= timedelta(hours=9):  # the kernel takes up to 32767 s
        raise ValueError('must be "1s" to "9h", or "0s" for none')
    return value


def _several(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("there can be several of these tables: write the name in double brackets, [[like_this]]")  # noqa: TRY004
    return value


FilePath = Annotated[Path, Strict(False), AfterValidator(credential_path)]  # from text
Address = Annotated[tuple[str, int], BeforeValidator(parse_address)]
AeTitle = Annotated[str, AfterValidator(ae_title)]
Addresses = Annotated[list[Address], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
"""One address, or several."""
Network = Annotated[IpNetwork, BeforeValidator(read_network)]
AddressesOrDevices = Annotated[
    Annotated[list[Address], Tag("a list")] | Annotated[dict[AeTitle, Address], Tag("a table")],
    Discriminator(lambda value: "a table" if isinstance(value, dict) else "a list"),
]
"""The addresses of one PACS; or devices by AE title, each with its address."""
Encoding = Annotated[str, AfterValidator(_encoding)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Keepalive = Annotated[Duration, AfterValidator(_keepalive)]
SEVERAL = BeforeValidator(_several)
"""There may be several of these tables."""


class Table(BaseModel):
    """A table of the file, or one in it."""

    # strict: "yes" and 1 are not true, and true is no number
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
