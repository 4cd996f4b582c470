"""Ask the running gateway at its control socket, and show what is in its answers."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..admin.control_client import ask
from ..config.load import load
from ..config.operation import ControlTable
from ..errors import ConfigError
from ..events.log import quoted
from ..kit.text import read_text

SocketOption = Annotated[
    Path | None, typer.Option("--socket", help="The gateway's control socket; default: as the configuration says.")
]


def asked(config: Path, socket: Path | None, question: str, **more: object) -> dict[str, Any]:
    """The gateway's answer. Raises ConfigError if it is not known where it is, and what `control_client.ask` raises."""
    return ask(socket or configured(config), ask=question, **more)


def configured(config: Path) -> Path:
    """The socket that a configuration names. Nothing else in the file is looked at: it may be wrong while it is edited.

    Raises ConfigError.
    """
    path = socket_of(config)
    if path is None:
        how = (
            f'write [control] into it, with path = "{ControlTable().path}" for example, and send SIGHUP to the gateway'
        )
        raise ConfigError(f"{config}: names no control socket: {how}")
    return path


def socket_of(config: Path) -> Path | None:
    """The same; None if the configuration names none. Raises ConfigError if it is no TOML."""
    try:
        table = tomllib.loads(read_text(config.read_bytes())).get("control")
    except (OSError, ValueError, RecursionError):
        load(config)  # it says what is wrong
        raise ConfigError(f"{config}: was changed just now; try again") from None
    if not isinstance(table, dict):
        return None
    path = table.get("path", ControlTable().path)
    if not isinstance(path, str | Path):
        raise ConfigError(f"{config}: control.path: must be text")
    return config.absolute().parent / path


def of_others(answer: dict[str, Any]) -> list[str]:
    """What an answer says of other gateways that should have been asked, in lines for people."""
    lines = []
    if answer["silent"]:
        lines.append(f"did not answer: {', '.join(map(quoted, answer['silent']))}")
    if answer["problem"]:
        lines.append(f"other gateways could not be asked: {answer['problem']}")
    return lines


def ae_titles(of: dict[str, Any]) -> str:
    """Who called whom."""
    return f"{of['calling_ae_title']} -> {of['called_ae_title']}" if of["called_ae_title"] else "-"


def moment(time: str | None) -> str:
    """A time of an answer, for people."""
    return "-" if time is None else f"{datetime.fromisoformat(time):%Y-%m-%dT%H:%M:%SZ}"
