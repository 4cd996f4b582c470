"""The clients: prebuilt bytes on raw sockets, so that the contestant and not the generator is the limit.

`python -m bench.load PORT PDU_LENGTH` sends bulk data until it is stopped.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from .messages import BULK, BULK_END, ECHO, ECHO_RQ, RELEASE_RQ, STORE_RQ, associate_rq, bulk_block
from .processes import PYTHON, BenchError, Running, running

TIMEOUT = 60.0
"""Seconds that a peer may be silent before the benchmark fails."""
_AC, _DATA, _RELEASE_RP = 2, 4, 6
_ECHO_REQUEST = associate_rq(ECHO)
_FIRST = 64  # blocks of an endless stream before it counts as under way


def tls_context() -> ssl.SSLContext:
    """TLS 1.3 without verification of the certificate, which is not measured here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(port: int, context: ssl.SSLContext | None = None) -> socket.socket:
    """A connection without Nagle's delay."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection if context is None else context.wrap_socket(connection)


def exchange(connection: socket.socket, request: bytes, expected: int) -> None:
    """Send, and read one whole PDU of the expected type. Raises BenchError."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while 0 < len(answer) < 6 or (answer and len(answer) < 6 + int.from_bytes(answer[2:6], "big")):
        more = connection.recv(65536)
        if not more:
            break
        answer += more
    if not answer or answer[0] != expected:
        raise BenchError(f"expected a PDU of type {expected:02X}H, received {answer[:10].hex() or 'nothing'}")


def send_bulk(port: int, block: bytes, count: int, context: ssl.SSLContext | None = None) -> float:
    """One association with an object of `count` blocks; the seconds from its start to the answer to the release."""
    with closing(connect(port, context)) as connection:
        exchange(connection, associate_rq(BULK), _AC)
        start = time.perf_counter()
        connection.sendall(STORE_RQ)
        for _ in range(count):
            connection.sendall(block)
        exchange(connection, BULK_END + RELEASE_RQ, _RELEASE_RP)
        return time.perf_counter() - start


def send_stores(port: int, request: bytes, count: int) -> float:
    """One association with `count` C-STOREs, each after the response to the one before; the seconds that they take."""
    with closing(connect(port)) as connection:
        exchange(connection, associate_rq(BULK), _AC)
        start = time.perf_counter()
        for _ in range(count):
            exchange(connection, request, _DATA)
        seconds = time.perf_counter() - start
        exchange(connection, RELEASE_RQ, _RELEASE_RP)
    return seconds


def echo(port: int) -> tuple[float, float]:
    """One association with one C-ECHO: the seconds that it took in all, and those of the C-ECHO alone."""
    start = time.perf_counter()
    with closing(connect(port)) as connection:
        exchange(connection, _ECHO_REQUEST, _AC)
        asked = time.perf_counter()
        exchange(connection, ECHO_RQ, _DATA)
        answered = time.perf_counter()
        exchange(connection, RELEASE_RQ, _RELEASE_RP)
    return time.perf_counter() - start, answered - asked


def open_idle(port: int, count: int, context: ssl.SSLContext | None, kept: ExitStack) -> None:
    """Establish associations that then say nothing, until `kept` is closed."""
    for _ in range(count):
        connection = kept.enter_context(closing(connect(port, context)))
        exchange(connection, _ECHO_REQUEST, _AC)


@contextmanager
def endless(module: str, numbers: Sequence[int], folder: Path, name: str) -> Iterator[Running]:
    """A load without an end, `python -m MODULE NUMBERS`; it is under way when the block begins. Raises BenchError."""
    with running([PYTHON, "-m", module, *map(str, numbers)], folder, name) as process:
        deadline = time.monotonic() + TIMEOUT
        while not process.log.stat().st_size:
            process.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{name} does not get under way")
            time.sleep(0.02)
        yield process
        process.check()


def main() -> None:
    """Say when it is under way, and go on until stopped."""
    port, pdu_length = map(int, sys.argv[1:3])
    block = bulk_block(pdu_length)
    send_bulk(port, block, _FIRST)
    print("under way", flush=True)
    send_bulk(port, block, sys.maxsize)


if __name__ == "__main__":
    main()
