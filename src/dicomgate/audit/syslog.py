"""The envelope of an audit message: RFC 5424, and for a stream RFC 5425."""

from __future__ import annotations

import os
import re

from .messages import Message

APP_NAME = "dicomgate"
FACILITY = 10
"""PS3.15 A.6: "security/authorization messages"."""
NOTICE, WARNING = 5, 4
LAST_SEQUENCE_ID = 2_147_483_647
_UNPRINTABLE = re.compile(r"[^!-~]")
_MARK = b"\xef\xbb\xbf"


def host_name(node: str) -> str:
    """A node as HOSTNAME: 1 to 255 printable ASCII characters (RFC 5424 6)."""
    return _UNPRINTABLE.sub("_", node)[:255] or "-"


class Envelope:
    """Makes the RFC 5424 messages of one node."""

    def __init__(self, node: str, message_id: str, mark: bool) -> None:
        """With `mark`, the content begins with a byte order mark (RFC 5424 6.4)."""
        self._sender = f"{host_name(node)} {APP_NAME} {os.getpid()} {message_id}"
        self._mark = _MARK if mark else b""

    def around(self, message: Message, number: int) -> bytes:
        """What is sent. `number` counts from 1, and becomes the sequenceId (RFC 5424 7.3.1)."""
        priority = FACILITY * 8 + (WARNING if message.failure else NOTICE)
        meta = f'[meta sequenceId="{(number - 1) % LAST_SEQUENCE_ID + 1}"]'
        head = f"<{priority}>1 {message.moment} {self._sender} {meta} "
        return head.encode("ascii") + self._mark + message.xml.encode()


def framed(message: bytes) -> bytes:
    """RFC 5425 4.3: MSG-LEN SP SYSLOG-MSG."""
    return b"%d %b" % (len(message), message)
