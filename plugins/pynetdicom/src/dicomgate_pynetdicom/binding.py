"""`bind(...)`: the chain behind EVT_USER_ID of any pynetdicom AE.

ae.start_server(("", 11112), evt_handlers=[bind("dicomgate.toml")])

with bind("dicomgate.toml") as login:
    ae.start_server(("", 11112), evt_handlers=[*login.strict, (evt.EVT_C_STORE, handle_store)])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from pynetdicom import evt

from dicomgate import Authenticator, ConfigError
from dicomgate.run.embedding import DEFAULT_DEADLINE, DEFAULT_WORKERS, LoginService

from .bench import Bench
from .judging import Judging

Handler = tuple[Any, Callable[..., Any]]
"""An event of pynetdicom and what is called when it occurs."""


class Binding(tuple[Any, Callable[..., Any]]):
    """What goes into `evt_handlers`: (EVT_USER_ID, handler). And a context manager, which closes it."""

    _judging: Judging
    strict: list[Handler]
    """Goes into `evt_handlers` in its place, in front of all others, and gives what pynetdicom lacks by itself: who
    brings no identity is refused, refusals have their own codes, an answer that was asked for is always sent, and an
    association ends with its credential."""

    def __new__(cls, judge: LoginService) -> Binding:
        """Of what `bind` made."""
        judging = Judging(judge)
        bench = Bench(judging)
        self = super().__new__(cls, (evt.EVT_USER_ID, bench.identified))
        self._judging = judging
        self.strict = [
            (evt.EVT_REQUESTED, bench.requested),
            (evt.EVT_USER_ID, bench.admitted),
            (evt.EVT_ESTABLISHED, bench.established),
        ]
        return self

    def __repr__(self) -> str:
        return f"<dicomgate behind EVT_USER_ID: {self._judging.listener}>"

    def __enter__(self) -> Binding:
        """Raises StartError, and ConfigError for a wrong `[state]`; without `with`, both are only logged."""
        self._judging.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the authenticators, close state and audit, end the thread. From here on everybody is refused."""
        self._judging.close()


def bind(
    what: str | PathLike[str] | Authenticator | Sequence[Authenticator],
    *,
    listener: str | None = None,
    deadline: timedelta | None = None,
    workers: int | None = None,
    cleartext_passcodes: bool | None = None,
    audit: str | PathLike[str] | None = None,
) -> Binding:
    """Put a chain behind EVT_USER_ID: a configuration file's, or the given authenticators in this order.

    For a file: `listener`, whose authenticators and rules count; without it those of the only listener, or all where
    the file has none. For authenticators: `deadline`, each one's own; `workers`, how many threads ask one that is a
    plain function; `cleartext_passcodes`, True to take passcodes without TLS; `audit`, a file. Raises ConfigError with
    all that is wrong.
    """
    if isinstance(what, str | PathLike):
        if any(option is not None for option in (deadline, workers, cleartext_passcodes, audit)):
            raise ConfigError("deadline, workers, cleartext_passcodes and audit are the configuration file's to say")
        return Binding(LoginService.configured(Path(what), listener))
    if listener is not None:
        raise ConfigError("a listener is one of a configuration file")
    authenticators: list[Authenticator] = [*what] if isinstance(what, Sequence) else [what]
    if not authenticators:
        raise ConfigError("no authenticator was given")
    judge = LoginService.of(
        authenticators,
        deadline=deadline or DEFAULT_DEADLINE,
        workers=workers or DEFAULT_WORKERS,
        cleartext_passcodes=bool(cleartext_passcodes),
        audit=None if audit is None else Path(audit),
    )
    return Binding(judge)
