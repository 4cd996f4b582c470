"""The keys that every `[[authenticator]]` table has; all others are the options of its authenticator."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..kit.durations import Deadline, Duration
from .link import DEFAULT_DEADLINE, DEFAULT_PATIENCE, DEFAULT_WORKERS

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores, hyphens")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""A name that an operator gives: it appears in logs and in the audit."""


class AuthenticatorTable(BaseModel):
    """One `[[authenticator]]` table. Keys that are not fields here are checked by `loading.construct`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, hide_input_in_errors=True)

    use: str
    name: Name | None = None
    timeout: Deadline = DEFAULT_DEADLINE
    patience: Duration = DEFAULT_PATIENCE
    on_error: Literal["stop", "next"] = "stop"
    workers: int = Field(default=DEFAULT_WORKERS, ge=1, le=256)
    groups_from: Name | None = None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Without the authenticator's own keys: one of them may be a secret."""
        return [(name, getattr(self, name)) for name in type(self).model_fields]

    @property
    def title(self) -> str:
        """The name in records: `name`, or the entry point's."""
        return self.name or self.use

    @property
    def options(self) -> dict[str, Any]:
        """The authenticator's own keys."""
        return dict(self.model_extra or {})


GATEWAY_KEYS = frozenset(AuthenticatorTable.model_fields)
"""An option of an authenticator cannot have one of these names: the gateway would take its key."""
