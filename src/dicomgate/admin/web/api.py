"""The same for scripts: JSON, with HTTP Basic (RFC 7617) or a Bearer token (RFC 6750) in each request.

A cookie counts for nothing here, so that no page of somebody else's can use that of an operator.
"""

from __future__ import annotations

from base64 import b64decode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ...contract import Identity
from ...run.page import Right
from ..as_json import LongList, encoded
from .actions import ACTIONS, as_recorded
from .judging import NotAdmitted, judged, passcode_identity, token_identity
from .logins import Admitted
from .requests import ends_of, json_of
from .site import site_of
from .view import Sought

_JSON = "application/json"
_ASKED = {"www-authenticate": 'Bearer realm="dicomgate"'}


async def status(request: Request) -> Response:
    """What is going on."""
    await _who(request)
    return Response(encoded(site_of(request).operator.status()), media_type=_JSON)


async def sessions(request: Request) -> Response:
    """The associations under way: those with the text `q`, and how many were left out."""
    await _who(request)
    sought = Sought(request.query_params.get("q", ""), request.query_params.get("of", ""))
    rows = (session if sought.shows(session) else None for session in site_of(request).operator.sessions())
    return StreamingResponse(LongList("sessions", rows).pieces(), media_type=_JSON)


async def act(request: Request) -> Response:
    """Do what an operator asks for."""
    site, name = site_of(request), request.path_params["action"]
    if name not in ACTIONS:
        raise HTTPException(404, "there is no such action")
    who = await _who(request)
    form = await json_of(request)
    if site.page.right_of(who.authenticator, who.user, who.groups) is not Right.ACT:
        await site.operator.note(as_recorded(name), "", who.name, problem="is no operator")
        raise HTTPException(403, "only operators may do this")
    said = await ACTIONS[name](site, form, who.name)
    return JSONResponse({"done": said.done, "said": said.sentences}, 409 if said.failed else 200)


async def _who(request: Request) -> Admitted:
    """Who asks. Raises HTTPException."""
    site = site_of(request)
    if site.page.chain is None:
        raise HTTPException(404, "nobody may log in")
    try:
        who = await judged(site, _identity(request.headers.get("authorization", "")), *ends_of(request), tell=False)
    except NotAdmitted as error:
        raise HTTPException(error.status, str(error), _ASKED if error.status == 401 else None) from None
    where = f"the page's API, from {ends_of(request)[0][0]}"
    if site.recorded.is_new(f"{who.name} {where}"):
        await site.operator.note("log in", where, who.name)
    return who


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
