"""What a Redis says that it will not do, in words of our own: what an operator must change there.

Rule: the server's text is not repeated. Of it, only what is known here counts: the name of a command that the script
runs, or the line of the script that failed.
"""

from __future__ import annotations

import re
from importlib.resources import files

from redis import exceptions

SCRIPT = files("dicomgate.state").joinpath("redis.lua").read_text("utf-8")
CLUSTER_SCRIPT = files("dicomgate.state").joinpath("redis_cluster.lua").read_text("utf-8")
_CALL = re.compile(r"redis\.call\('([A-Z]+)'")
COMMANDS = (
    "evalsha", "script|load", "info",
    *sorted({name.lower() for script in (SCRIPT, CLUSTER_SCRIPT) for name in _CALL.findall(script)}),
)  # fmt: skip
"""All that the gateway sends, and what its scripts run."""
KEYS = "~dicomgate:*"
ACL = " ".join((KEYS, *(f"+{name}" for name in COMMANDS)))
"""What the ACL of the gateway's user must allow; +select as well for a database other than 0."""

_WORDS: dict[type[Exception], str] = {
    exceptions.AuthenticationError: "it refuses the user or the password",
    exceptions.BusyLoadingError: "it is still loading its data",
    exceptions.NoPermissionError: "its ACL forbids this user what the gateway needs",
    exceptions.OutOfMemoryError: "its memory is full (maxmemory)",
    exceptions.ReadOnlyError: "it is a replica, which cannot be written",
}
_FORBIDDEN = re.compile(r"no permissions to run the '([a-z|]{1,32})' command")
_IN_SCRIPT = re.compile(r"user executing the script can't (run|access).*@user_script: ?(\d{1,4})")
_KEYS_FORBIDDEN = "no permissions to access a key", "no permissions to access one of the keys"


def in_words(error: Exception, script: str = SCRIPT) -> str:
    """What an error of redis-py means when `script` was run; the name of its class if that is not known."""
    if isinstance(error, exceptions.ResponseError) and (forbidden := _forbidden(str(error).lower(), script)):
        return f"its ACL forbids this user {forbidden}. Allow all of: {ACL}"
    return next((words for kind, words in _WORDS.items() if isinstance(error, kind)), type(error).__name__)


def _forbidden(text: str, script: str) -> str:
    """What an ACL forbids: a command, or the keys; "" if that is not what the error says, in Redis 7 or Valkey 8."""
    if any(words in text for words in _KEYS_FORBIDDEN):
        return "the keys dicomgate:*"
    if (found := _FORBIDDEN.search(text)) is not None:
        return f"the command {found[1]}" if found[1] in (*COMMANDS, "select") else "a command"
    if (found := _IN_SCRIPT.search(text)) is None:
        return ""
    # Before 7.2 a command within a script is not named, but its line is.
    lines = script.splitlines()
    line = lines[int(found[2]) - 1] if 0 < int(found[2]) <= len(lines) else ""
    if found[1] == "access":
        return "the keys dicomgate:*"
    return f"the command {' or '.join(name.lower() for name in _CALL.findall(line)) or 'of a script'}"
