"""`use = "network"`: no user identity, but a calling AE title (PS3.8 9.3.2) from one of its device's networks.

Rule 1: AE titles are configured in full, and compared exactly.
Rule 2: the networks of a device are configured one by one; "from anywhere" must be set explicitly.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from dicomgate import Accept, Attempt, ConfigError, Decision, Pass, Reject, always
from dicomgate.kit.networks import IpNetwork, is_everywhere, read_address, read_network
from dicomgate.kit.text import ae_title

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where a device may connect from, and its user and groups."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    networks: Sequence[str] = ()
    anywhere: bool = False
    user: str | None = None
    groups: Sequence[str] = ()


@dataclass(kw_only=True, eq=False)
class Network:
    """Accepts devices by their AE title and their network. Raises ConfigError if a key is wrong."""

    devices: Mapping[str, Device]
    """A calling AE title = { networks = ["10.1.2.0/24"], user = "ct-1", groups = ["ct"] }. Without `user`, the user is
    the AE title. { anywhere = true } instead of networks accepts every client that knows the AE title."""

    handles: ClassVar = frozenset({None})
    _networks: dict[str, list[IpNetwork]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.devices:
            raise ConfigError("devices: there are none: every login would be refused")
        self._networks = {title: _read(title, device) for title, device in self.devices.items()}
        for title, device in self.devices.items():
            if device.anywhere:
                _log.warning("device %r may come from anywhere: any client that knows its AE title is accepted", title)

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Answer one attempt, without waiting for anything."""
        if attempt.identity is not None:
            return Pass("it has an identity", always)
        title = attempt.calling_ae_title
        device = self.devices.get(title)
        if device is None:
            return Reject(f"no device has the calling AE title {title!r}", always)
        source = read_address(attempt.peer.address)
        network = next((one for one in self._networks[title] if source in one), None)
        if network is None and not device.anywhere:
            why = f"device {title!r} may not come from {source}: that is in none of its networks"
            return Reject(why, always)
        told = {"network": str(network or "anywhere")}
        return Accept(device.user or title, frozenset(device.groups), attributes=told)


def _read(title: str, device: Device) -> list[IpNetwork]:
    """The device's networks. Raises ConfigError."""
    where = f"devices: {title!r}"
    try:
        ae_title(title)
    except ValueError as error:
        raise ConfigError(f"devices: {error}") from error
    if "*" in title:
        raise ConfigError(f"{where}: write AE titles in full, without wildcards")
    for text in (*device.groups, *(() if device.user is None else (device.user,))):
        if not text or not text.isprintable():
            raise ConfigError(f"{where}: {text!r}: users and groups must be printable text")
    if bool(device.networks) == device.anywhere:
        raise ConfigError(f"{where}: write either networks or anywhere = true")
    try:
        networks = [read_network(text) for text in device.networks]
    except ValueError as error:
        raise ConfigError(f"{where}: networks: {error}") from error
    if is_everywhere(networks):
        raise ConfigError(
            f"{where}: networks: these are all addresses; if you mean that, write anywhere = true instead"
        )
    return networks
