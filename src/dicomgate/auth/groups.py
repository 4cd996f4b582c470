"""Groups from a second authenticator: a ticket says who the user is, a directory which groups it has.

Rule: groups that are configured are never left out. A user that the directory does not know is rejected; if the
      directory cannot be asked, the answer is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import cast

from ..contract import Accept, Authenticator, Decision, Reject, Unavailable
from ..errors import ConfigError, place


class GroupSource:
    """An authenticator that is asked for groups. Raises ConfigError if it has no method `groups_of`."""

    def __init__(self, name: str, authenticator: Authenticator, deadline: float) -> None:
        groups = getattr(authenticator, "groups_of", None)
        if not inspect.iscoroutinefunction(groups):
            raise ConfigError(f"groups_from: authenticator {name!r} cannot be asked for groups")
        self._name = name
        self._groups = cast(Callable[[str], Awaitable[Collection[str]]], groups)
        self.deadline = deadline

    async def complete(self, accept: Accept) -> Decision:
        """The decision with this source's groups added to its own. Raises only if cancelled."""
        asking = asyncio.ensure_future(self._ask(accept.user))
        try:
            await asyncio.wait((asking,), timeout=self.deadline)
            if not asking.done():  # not awaited any longer: it may ignore its cancellation
                return Unavailable(f"groups from {self._name}: no answer within {self.deadline:g} s")
        finally:
            asking.cancel()
        if asking.cancelled():
            return Unavailable(f"groups from {self._name}: defect: it broke the task it ran in")
        found = asking.result()
        return replace(accept, groups=accept.groups | found) if isinstance(found, frozenset) else found

    async def _ask(self, user: str) -> frozenset[str] | Reject | Unavailable:
        # Nothing may escape from here: SystemExit in a task would end the event loop.
        try:
            groups = await self._groups(user)
            found = frozenset(groups)
            if isinstance(groups, str) or not isinstance(groups, Collection) or not all(map(_is_text, found)):
                return Unavailable(f"groups from {self._name}: defect: not a collection of text")
        except (KeyError, IndexError) as error:
            return Unavailable(f"groups from {self._name}: defect: {place(error)}")
        except LookupError as error:
            return Reject(f"groups from {self._name}: {error}")
        except OSError as error:
            return Unavailable(f"groups from {self._name}: {error}")
        except BaseException as error:  # noqa: BLE001 (its text may hold a secret)
            return Unavailable(f"groups from {self._name}: defect: {place(error)}")
        return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)
