"""The same for scripts: JSON, with HTTP Basic (RFC 7617) or a Bearer token (RFC 6750) in each request.

A cookie counts for nothing here, so that no page of somebody else's can use that of an operator.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...contract import Identity
from ...run.page import Right
from .actions import ACTIONS
from .judging import NotAdmitted, judged, passcode_identity, token_identity
from .logins import Admitted
from .requests import ends_of, json_of
from .site import site_of
from .view import MOST_SESSIONS, Sought

_ASKED = {"www-authenticate": 'Bearer realm="dicomgate"'}


async def status(request: Request) -> Response:
    """What is going on."""
    await _who(request)
    return JSONResponse(_plain(site_of(request).operator.status()))


async def sessions(request: Request) -> Response:
    """The associations under way: those with the text `q`, at most 1,000, and how many there are."""
    await _who(request)
    sought = Sought(request.query_params.get("q", ""), request.query_params.get("of", ""))
    found = [session for session in site_of(request).operator.sessions() if sought.shows(session)]
    return JSONResponse({"found": len(found), "sessions": _plain(found[:MOST_SESSIONS])})


async def act(request: Request) -> Response:
    """Do what an operator asks for."""
    site, name = site_of(request), request.path_params["action"]
    if name not in ACTIONS:
        raise HTTPException(404, "there is no such action")
    who = await _who(request)
    form = await json_of(request)
    if site.page.right_of(who.authenticator, who.user, who.groups) is not Right.ACT:
        await site.operator.note(name, "", who.name, problem="is no operator")
        raise HTTPException(403, "only operators may do this")
    said = await ACTIONS[name](site, form, who.name)
    return JSONResponse({"done": said.done, "said": said.sentences}, 409 if said.failed else 200)


async def _who(request: Request) -> Admitted:
    """Who asks. Raises HTTPException."""
    site = site_of(request)
    if site.page.chain is None:
        raise HTTPException(404, "nobody may log in")
    try:
        return await judged(site, _identity(request.headers.get("authorization", "")), *ends_of(request), tell=False)
    except NotAdmitted as error:
        raise HTTPException(error.status, str(error), _ASKED if error.status == 401 else None) from None


def _identity(header: str) -> Identity:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return token_identity(value.strip())
    if scheme.lower() != "basic":
        raise NotAdmitted(401, "Authorization is wanted: Basic or Bearer")
    try:
        user, colon, passcode = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        user, colon, passcode = "", "", ""
    if not colon:
        raise NotAdmitted(401, "Authorization is not as RFC 7617 says")
    return passcode_identity(user, passcode)


async def refused(request: Request, error: Exception) -> Response:
    """A refusal."""
    assert isinstance(error, HTTPException)  # noqa: S101 (starlette calls it for no other)
    return JSONResponse({"problem": error.detail}, error.status_code, error.headers)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
