"""asyncio's event loop, with callbacks for sockets that cost less than half.

For each `add_reader` asyncio makes four objects, and for each event two calls and an entry of its queue: an association
has nine events. Here the callbacks are in a table, and are called where the loop waits, one after the other. Whatever
else the loop does is asyncio's, the sockets of libraries included.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_AT_ONCE = 256  # descriptors in one turn
_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
_Callback: TypeAlias = Callable[[], object]
_Callbacks: TypeAlias = tuple[_Callback | None, _Callback | None]
_NONE: _Callbacks = (None, None)
_Args = TypeVarTuple("_Args")


class Loop(asyncio.SelectorEventLoop):
    """A descriptor has one callback for reading and one for writing, and each of them is called once in a turn.

    What is removed and not in the table may be asyncio's own: `sock_recv` and its like register a descriptor with a
    method of asyncio's, and remove it with these.
    """

    def __init__(self) -> None:
        self._table = _Table(self._failed)
        super().__init__(self._table)

    def add_reader(self, fd: FileDescriptorLike, callback: Callable[[*_Args], Any], *args: *_Args) -> None:
        """Call back, with these arguments, whenever there is something to read."""
        number = _number(fd)
        self._table.set(number, _bound(callback, args), self._table.get(number)[1])

    def remove_reader(self, fd: FileDescriptorLike) -> bool:
        """Do not call back any more; False if there was no callback."""
        number = _number(fd)
        reader, writer = self._table.get(number)
        if reader is None:
            return number >= 0 and super().remove_reader(number)
        self._table.set(number, None, writer)
        return True

    def add_writer(self, fd: FileDescriptorLike, callback: Callable[[*_Args], Any], *args: *_Args) -> None:
        """Call back, with these arguments, whenever something can be written."""
        number = _number(fd)
        self._table.set(number, self._table.get(number)[0], _bound(callback, args))

    def remove_writer(self, fd: FileDescriptorLike) -> bool:
        """Do not call back any more; False if there was no callback."""
        number = _number(fd)
        reader, writer = self._table.get(number)
        if writer is None:
            return number >= 0 and super().remove_writer(number)
        self._table.set(number, reader, None)
        return True

    def _failed(self, callback: _Callback, error: Exception) -> None:
        self.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})


class _Table(selectors.EpollSelector):
    """The selector of the loop, which calls back for the descriptors of the table.

    What asyncio registers is in the selector that this one extends: a descriptor among the others.
    """

    def __init__(self, failed: Callable[[_Callback, Exception], None]) -> None:
        super().__init__()
        self._failed = failed
        self._callbacks: dict[int, _Callbacks] = {}
        self._epoll = select.epoll()
        self._epoll.register(self.fileno(), _READ)

    def get(self, fd: int) -> _Callbacks:
        """The callbacks of a descriptor, for reading and for writing."""
        return self._callbacks.get(fd, _NONE)

    def set(self, fd: int, reader: _Callback | None, writer: _Callback | None) -> None:
        """Replace them. Raises OSError if the descriptor is closed."""
        events = (0 if reader is None else _READ) | (0 if writer is None else _WRITE)
        if fd not in self._callbacks:
            if not events:
                return
            self._epoll.register(fd, events)
        elif events:
            self._epoll.modify(fd, events)
        else:
            del self._callbacks[fd]
            with suppress(OSError):  # it is closed already
                self._epoll.unregister(fd)
            return
        self._callbacks[fd] = reader, writer

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, and call back. Returns what happened to the descriptors that are not in the table."""
        # Rounded up, as selectors does: epoll_wait takes whole milliseconds, and must not end before the time.
        seconds = -1 if timeout is None else math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0
        callbacks, others = self._callbacks, False
        for fd, event, found in [(fd, event, callbacks.get(fd)) for fd, event in self._epoll.poll(seconds, _AT_ONCE)]:
            if found is None:
                others = True
                continue
            reader, writer = found
            # Not if another callback has changed it: the number may be another socket's by now.
            if reader is not None and event & ~_WRITE and callbacks.get(fd) is found:
                self._call(reader)
            if writer is not None and event & ~_READ and callbacks.get(fd) is found:
                self._call(writer)
        return super().select(0) if others else []

    def _call(self, callback: _Callback) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 (as in asyncio: a defect ends no loop)
            self._failed(callback, error)

    def close(self) -> None:
        """Close both descriptors."""
        self._epoll.close()
        super().close()


def _number(fd: FileDescriptorLike) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def _bound(callback: Callable[..., object], args: tuple[Any, ...]) -> _Callback:
    return partial(callback, *args) if args else callback
