"""What all who answer share: the gateway and its operator, who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from starlette.requests import Request

from ...run.page import Page
from ...run.server import Server
from ..operator import Operator
from .failed_logins import FailedLogins
from .logins import Logins
from .repeats import Repeats

Exposition: TypeAlias = Callable[[str], tuple[bytes, str]]
"""The metrics for an Accept header: the text, and its media type."""


@dataclass(slots=True)
class Site:
    """The listener of `[admin]` as it is configured now, and what stands behind it.

    `judging` is how many logins are being verified.
    """

    server: Server
    operator: Operator
    exposition: Exposition
    page: Page
    logins: Logins = field(default_factory=Logins)
    failed_logins: FailedLogins = field(default_factory=FailedLogins)
    recorded: Repeats = field(default_factory=Repeats)
    judging: int = 0


def site_of(request: Request) -> Site:
    """The site that this request came to."""
    return cast(Site, request.app.state.site)
