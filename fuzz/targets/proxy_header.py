"""The PROXY header of a load balancer: `read_header` (HAProxy's proxy-protocol.txt).

Promise: it is read or refused with ProxyError. What belongs to the header does not depend on how much of the rest has
come. The header that the gateway writes for the client it names is read as the same client.
"""

from __future__ import annotations

from dicomgate.wire.proxy import LONGEST, Client, ProxyError, block, crc32c, line, read_header

from ..engine import Target

_ONE, _OTHER = ("192.0.2.17", 50000), ("192.0.2.1", 2762)
_SSL = b"\x20\0\x10\3\0\0\0\0\x22\0\4ct-1\x21\0\1x"


def _run(data: bytes) -> None:
    length, announced = read_header(data)
    assert length <= min(len(data), LONGEST)
    if announced is None:
        return
    assert read_header(data[:length]) == (length, announced)
    assert read_header(data[: length - 1]) == (length - 1, None)
    if announced.ends is not None:
        for write in (line, block):
            written = write(Client(*announced.ends, "0123456789ab"))
            _, again = read_header(written)
            assert again is not None
            assert again.ends == announced.ends


def _seeds() -> list[bytes]:
    made = [make(client) for make in (line, block) for client in (Client(_ONE, _OTHER, "0123456789ab"), None)]
    whole = block(Client(_ONE, _OTHER, "0123456789ab")) + _SSL + b"\3\0\4\0\0\0\0"
    whole = whole[:14] + (len(whole) - 16).to_bytes(2, "big") + whole[16:]
    return [*made, whole[:-4] + crc32c(whole).to_bytes(4, "big"), b"PROXY TCP6 2001:db8::17 ::1 5 6\r\n"]


TARGET = Target(
    "proxy_header",
    ("dicomgate.wire.proxy",),
    _run,
    (ProxyError,),
    _seeds,
    (b"PROXY ", b"\r\n", _SSL, b"\5\0\1x"),
)
