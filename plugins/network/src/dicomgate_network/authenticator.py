"""`use = "network"`: no user identity, but a calling AE title (PS3.8 9.3.2) that comes from where its device is.

Rule 1: an AE title is written out, and compared exactly.
Rule 2: where a device may come from is said, one network at a time; "from anywhere" only in so many words.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from dicomgate import Accept, Attempt, ConfigError, Decision, Pass, Reject
from dicomgate.kit.text import ae_title

from .networks import IpNetwork, is_everywhere, read_address, read_network

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where a device may come from, and who it is then."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    networks: Sequence[str] = ()
    anywhere: bool = False
    user: str | None = None
    groups: Sequence[str] = ()


@dataclass(kw_only=True, eq=False)
class Network:
    """The devices that are known by their AE title and their network.

    Raises ConfigError for what is wrong with these keys.
    """

    devices: Mapping[str, Device]
    """A calling AE title = { networks = ["10.1.2.0/24"], user = "ct-1", groups = ["ct"] }; the user is the AE title
    unless it is given. { anywhere = true } instead of networks lets in whoever knows the AE title."""

    handles: frozenset[None] = field(init=False, repr=False, default=frozenset({None}))
    _networks: dict[str, list[IpNetwork]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.devices:
            raise ConfigError("devices: there is none: nobody gets in")
        self._networks = {title: _read(title, device) for title, device in self.devices.items()}
        for title, device in self.devices.items():
            if device.anywhere:
                _log.warning("device %r may come from anywhere: whoever knows its AE title is let in", title)

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Judge one attempt. Nobody is asked and nothing is waited for."""
        if attempt.identity is not None:
            return Pass("it has an identity")
        title = attempt.calling_ae_title
        device = self.devices.get(title)
        if device is None:
            return Reject(f"no device has the calling AE title {title!r}")
        source = read_address(attempt.peer.address)
        network = next((one for one in self._networks[title] if source in one), None)
        if network is None and not device.anywhere:
            return Reject(f"device {title!r} does not come from {source}: that is in none of its networks")
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
        raise ConfigError(f"{where}: AE titles are written out, there are no wildcards")
    for text in (*device.groups, *(() if device.user is None else (device.user,))):
        if not text or not text.isprintable():
            raise ConfigError(f"{where}: {text!r}: users and groups are text that can be printed")
    if bool(device.networks) == device.anywhere:
        raise ConfigError(f"{where}: either networks or anywhere = true")
    try:
        networks = [read_network(text) for text in device.networks]
    except ValueError as error:
        raise ConfigError(f"{where}: networks: {error}") from error
    if is_everywhere(networks):
        raise ConfigError(f"{where}: networks: that is everywhere; if it is meant, write anywhere = true instead")
    return networks
