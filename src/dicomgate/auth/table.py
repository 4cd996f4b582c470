"""The keys that every table of a plugin has; all others are the options of that plugin."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..kit.durations import Deadline, Duration
from .link import DEFAULT_DEADLINE, DEFAULT_PATIENCE, DEFAULT_WORKERS

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores, hyphens")
    return value


def _interval(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError('must be "1s" or more')
    return value


Name = Annotated[str, AfterValidator(_name)]
"""A name that an operator gives: it appears in logs and in the audit."""


class PluginTable(BaseModel):
    """The keys of every table that a plugin is made from; its own are `options`, checked by `loading.construct`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, hide_input_in_errors=True)

    use: str
    name: Name | None = None
    timeout: Deadline = DEFAULT_DEADLINE
    workers: int = Field(default=DEFAULT_WORKERS, ge=1, le=256)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Without the plugin's own keys: one of them may be a secret."""
        return [(name, getattr(self, name)) for name in type(self).model_fields]

    @property
    def title(self) -> str:
        """The name in records: `name`, or the entry point's."""
        return self.name or self.use

    @property
    def options(self) -> dict[str, Any]:
        """The plugin's own keys."""
        return dict(self.model_extra or {})


class AuthenticatorTable(PluginTable):
    """One `[[authenticator]]` table."""

    on_error: Literal["stop", "next"] = "stop"
    patience: Duration = DEFAULT_PATIENCE
    groups_from: Name | None = None
    revalidate: Annotated[Duration, AfterValidator(_interval)] | None = None
    on_unavailable: Literal["keep", "end"] = "keep"

    @model_validator(mode="after")
    def _check_unavailable(self) -> Self:
        if self.on_unavailable == "end" and self.revalidate is None:
            raise ValueError('on_unavailable = "end" is about what revalidate asks: set revalidate, too')
        return self


GATEWAY_KEYS = frozenset(AuthenticatorTable.model_fields)
"""An option of a plugin cannot have one of these names: the gateway would take its key."""
