"""`bind(...)`: a chain of authenticators that answers EVT_USER_ID of any pynetdicom AE.

ae.start_server(("", 11112), evt_handlers=[bind("dicomgate.toml")])

with bind("dicomgate.toml") as login:
    ae.start_server(("", 11112), evt_handlers=[*login.strict, (evt.EVT_C_STORE, handle_store)])

In `handle_store`, `login.who(event.assoc)` tells who has logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association

from dicomgate import Authenticator, ConfigError
from dicomgate.run.embedding import DEFAULT_DEADLINE, DEFAULT_WORKERS, LoginService

from .handlers import STRICT_ALONE, Handlers
from .login_thread import LoginThread
from .principals import Principal, Principals

Handler = tuple[Any, Callable[..., Any]]
"""An event of pynetdicom and the function to call."""


class Binding(tuple[Any, Callable[..., Any]]):
    """An item for `evt_handlers`, (EVT_USER_ID, handler), and a context manager that closes it."""

    _principals: Principals
    _thread: LoginThread
    _enforces_rules: bool
    strict: list[Handler]
    """Items for `evt_handlers` instead, before all others. They add what pynetdicom lacks: requests without identity
    are refused, refusals have their own codes, a requested server response is always sent, an association ends with its
    credential, and rules are enforced."""

    def __new__(cls, logins: LoginService) -> Binding:
        """`bind` calls this."""
        thread = LoginThread(logins)
        handlers = Handlers(thread)
        self = super().__new__(cls, (evt.EVT_USER_ID, handlers.identified))
        self._principals, self._thread, self._enforces_rules = handlers.principals, thread, logins.enforces_rules
        self.strict = [
            (evt.EVT_REQUESTED, handlers.requested),
            (evt.EVT_USER_ID, handlers.admitted),
            (evt.EVT_ESTABLISHED, handlers.established),
        ]
        return self

    def __iter__(self) -> Iterator[Any]:
        """Called by pynetdicom where it is an item of `evt_handlers`: raises ConfigError if rules are enforced."""
        if self._enforces_rules:
            raise ConfigError(STRICT_ALONE)
        return super().__iter__()

    def __repr__(self) -> str:
        return f"<dicomgate for EVT_USER_ID: {self._thread.listener}>"

    def __enter__(self) -> Binding:
        """Raises StartError, and ConfigError for a wrong `[state]`. Without `with`, both are only logged."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def who(self, association: Association) -> Principal | None:
        """Who has logged in on this association: in any handler, `login.who(event.assoc)`; may be called in any thread.

        None if this binding has admitted nobody on it: with `login` alone, a client without a user identity. It is
        known from EVT_ESTABLISHED on, for as long as the association object exists. Raises TypeError for anything else.
        """
        if not isinstance(association, Association):
            raise TypeError(f"who: an association is expected, event.assoc, not {type(association).__name__}")
        return self._principals.of(association)

    def close(self) -> None:
        """Leave the authenticators, close state and audit, end the thread. Every later login is refused."""
        self._thread.close()


def bind(
    what: str | PathLike[str] | Authenticator | Sequence[Authenticator],
    *,
    listener: str | None = None,
    deadline: timedelta | None = None,
    workers: int | None = None,
    cleartext_passcodes: bool | None = None,
    audit: str | PathLike[str] | None = None,
    audit_required: bool | None = None,
    rules: Sequence[Mapping[str, Any]] | None = None,
) -> Binding:
    """Let a chain answer EVT_USER_ID: that of a configuration file, or the given authenticators in this order.

    With a file: `listener` names the listener whose authenticators and rules apply; by default the only one, or all
    authenticators if the file has no listener. With authenticators: `deadline` for each one; `workers`, the threads for
    each one that is a plain method; `cleartext_passcodes`, True to accept passcodes without TLS; `audit`, the file to
    write; `audit_required`, True if no login may be without its record in it; `rules`, the `[[rule]]` tables as
    dictionaries. Raises ConfigError with everything that is wrong.
    """
    if isinstance(what, str | PathLike):
        if any(option is not None for option in (deadline, workers, cleartext_passcodes, audit, audit_required, rules)):
            raise ConfigError(
                "deadline, workers, cleartext_passcodes, audit, audit_required and rules are set in the configuration "
                "file"
            )
        return Binding(LoginService.configured(Path(what), listener))
    if listener is not None:
        raise ConfigError("listener can only be given with a configuration file")
    authenticators: list[Authenticator] = [*what] if isinstance(what, Sequence) else [what]
    if not authenticators:
        raise ConfigError("no authenticator was given")
    logins = LoginService.of(
        authenticators,
        deadline=deadline or DEFAULT_DEADLINE,
        workers=workers or DEFAULT_WORKERS,
        cleartext_passcodes=bool(cleartext_passcodes),
        audit=None if audit is None else Path(audit),
        audit_required=bool(audit_required),
        rules=rules or (),
    )
    return Binding(logins)
