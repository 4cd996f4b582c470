"""Ask the running gateway at its control socket; for commands, which wait."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from ..errors import StartError
from ..kit.accounts import group_name, user_name

_PATIENCE = 30.0  # seconds
_FOR_RELOAD = 120.0  # it looks names up, and enters all authenticators
_LONGEST_ANSWER = 67_108_864  # bytes


class NobodyListens(StartError):
    """No gateway is at this socket, or not for this user."""


def ask(path: Path, **question: object) -> dict[str, Any]:
    """The answer of the gateway that listens at `path`. Raises NobodyListens, and StartError with what it says."""
    patience = _FOR_RELOAD if question["ask"] == "reload" else _PATIENCE
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise NobodyListens(_why(path, error)) from error
        try:
            connection.sendall(json.dumps(question).encode("ascii") + b"\n")
            answer = json.loads(_line(connection))
        except TimeoutError:
            raise StartError(f"the gateway at {path} does not answer within {patience:g} s") from None
        except (OSError, ValueError):
            raise StartError(f"the gateway at {path} ended before it had answered") from None
    if "error" in answer:
        raise StartError(f"the gateway at {path}: {answer['error']}")
    found: dict[str, Any] = answer
    return found


def _line(connection: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < _LONGEST_ANSWER:
        if not (more := connection.recv(1_048_576)):
            break
        data += more
    return bytes(data)


def _why(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"{path}: no gateway listens there: it is not running, or its [control] names another path"
    if isinstance(error, PermissionError):
        return f"{path}: you may not open it: {_who_may(path)}"
    return f"{path}: cannot be opened: {error.strerror or error}"


def _who_may(path: Path) -> str:
    """Who may connect, as far as this user may see it."""
    try:
        status = path.stat()
    except OSError:
        return f"only who may enter its folder, {path.parent}"
    owner, group = user_name(status.st_uid), group_name(status.st_gid)
    return f"only root, the user {owner} and members of the group {group} may"
