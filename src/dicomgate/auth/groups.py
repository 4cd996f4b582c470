"""The groups of a user from another place than the one that verified it: a ticket says who, a directory says what.

Law: a user that is unknown there is rejected, and where nobody could look the answer is `Unavailable`. What was asked
for is never left out.
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
    """An authenticator that is asked for groups. Raises ConfigError if it has none to give."""

    def __init__(self, name: str, authenticator: Authenticator, deadline: float) -> None:
        groups = getattr(authenticator, "groups_of", None)
        if not inspect.iscoroutinefunction(groups):
            raise ConfigError(f"groups_from: authenticator {name!r} cannot be asked for groups")
        self._name = name
        self._groups = cast(Callable[[str], Awaitable[Collection[str]]], groups)
        self.deadline = deadline

    async def complete(self, accept: Accept) -> Decision:
        """The decision with the groups that this source knows beside its own. Raises only if cancelled."""
        try:
            async with asyncio.timeout(self.deadline):
                groups = await self._groups(accept.user)
        except LookupError as error:
            return Reject(f"groups from {self._name}: {error}")
        except TimeoutError:
            return Unavailable(f"groups from {self._name}: no answer within {self.deadline:g} s")
        except OSError as error:
            return Unavailable(f"groups from {self._name}: {error}")
        except Exception as error:  # noqa: BLE001 (what it says may hold a secret)
            return Unavailable(f"groups from {self._name}: defect: {place(error)}")
        if isinstance(groups, str) or not all(isinstance(group, str) for group in groups):
            return Unavailable(f"groups from {self._name}: defect: not a collection of text")
        return replace(accept, groups=accept.groups | frozenset(groups))
