"""The status page and its login form: HTML that is whole without a script."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ...run.page import Right
from ..thread import breathe
from .actions import ACTIONS, as_recorded
from .judging import NotAdmitted, judged, may_stay, passcode_identity
from .logins import IDLE, Login
from .requests import cookie_name, cookie_of, ends_of, form_of, is_secure
from .shown import FILTERS
from .site import site_of
from .view import WARN, Sought, view

_SURELY = {"drain": "Drain the gateway?"}
"""What is asked again."""
_AT_ONCE = 1000
"""So many pieces of a page are made in a millisecond; then others have their turn."""
_NOBODY = 'Bearer realm="dicomgate"'
"""RFC 9110 15.5.2: a 401 "MUST send a WWW-Authenticate header field"; for this one no browser opens a window."""

_templates = Environment(
    loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True, auto_reload=False
)
_templates.filters |= FILTERS
_assets = files(__package__) / "templates"


async def status(request: Request) -> Response:
    """The page; or the login form."""
    site, sought = site_of(request), _sought(request)
    by_itself = "refresh" in request.query_params
    login = await _login(request, used=not by_itself)
    if login is None:
        over = "You have been logged out." if cookie_of(request) else ""
        return await _ask(request, 401, over)
    answer = await _html(
        "page.html",
        view=await view(site, sought),
        login=login,
        may_act=login.right(site.page) is Right.ACT,
        now=datetime.now(UTC),
        warn=WARN,
        query=_query(sought),
    )
    if not by_itself:
        login.said, login.failed = (), False
    return answer


async def log_in(request: Request) -> Response:
    """Verify what was typed into the form."""
    site, form = site_of(request), await form_of(request)
    if site.page.chain is None:
        raise HTTPException(404)
    try:
        who = await judged(site, passcode_identity(form.get("user", ""), form.get("passcode", "")), *ends_of(request))
    except NotAdmitted as error:
        return await _ask(request, error.status, str(error), form.get("user", ""))
    site.logins.end(cookie_of(request))
    answer = RedirectResponse("/", 303)
    secure = is_secure(request)
    answer.set_cookie(
        cookie_name(request), site.logins.begin(who), path="/", secure=secure, httponly=True, samesite="strict"
    )
    return answer


async def log_out(request: Request) -> Response:
    """Forget the login."""
    site, (login, _) = site_of(request), await _posted(request)
    site.logins.end(cookie_of(request))
    await site.operator.note("log out", f"the page, from {ends_of(request)[0][0]}", login.who.name)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="strict")
    return answer


async def act(request: Request) -> Response:
    """Do what an operator asks for; then show the page with what became of it."""
    site, (login, form) = site_of(request), await _posted(request)
    name = request.path_params["action"]
    if name not in ACTIONS:
        raise HTTPException(404)
    if login.right(site.page) is not Right.ACT:
        target = form.get("id") or form.get("user") or form.get("key") or form.get("address", "")
        await site.operator.note(as_recorded(name), target, login.who.name, problem="is no operator")
        raise HTTPException(403, "only operators may do this")
    query = _query(Sought(form.get("q", ""), form.get("of", "")))
    if name in _SURELY and form.get("surely") != "yes":
        return await _html(
            "surely.html", action=name, question=_SURELY[name], login=login, status=site.operator.status()
        )
    said = await ACTIONS[name](site, form, login.who.name)
    login.said, login.failed = said.sentences, said.failed
    return RedirectResponse(f"/{query}", 303)


def asset(name: str, media_type: str) -> Response:
    """A file of the page."""
    return Response((_assets / name).read_bytes(), media_type=media_type)


async def _login(request: Request, *, used: bool) -> Login | None:
    site = site_of(request)
    if site.page.chain is None:
        raise HTTPException(404)
    login = site.logins.find(cookie_of(request), site.page, used=used)
    if login is None:
        return None
    if site.server.users.shut_outs.until(login.who.authenticator, login.who.user) or not await may_stay(site, login):
        site.logins.end(cookie_of(request))
        return None
    return login


async def _posted(request: Request) -> tuple[Login, dict[str, str]]:
    """Whose form this is, and the form. Raises HTTPException for one that is not from a page of this login."""
    form, login = dict(await form_of(request)), await _login(request, used=True)
    if login is None:
        raise HTTPException(401)
    if not login.is_meant(form.get("token", "")):
        raise HTTPException(403, "not from a page of this login")
    return login, form


def _sought(request: Request) -> Sought:
    return Sought(request.query_params.get("q", "").strip(), request.query_params.get("of", ""))


def _query(sought: Sought) -> str:
    found = urlencode({key: value for key, value in (("q", sought.text), ("of", sought.user)) if value})
    return f"?{found}" if found else ""


async def _ask(request: Request, status_code: int, why: str, user: str = "") -> Response:
    headers = {"www-authenticate": _NOBODY} if status_code == 401 else {}
    return await _html("login.html", status_code, headers, why=why, user=user, host=request.headers["host"], idle=IDLE)


async def refused(request: Request, error: Exception) -> Response:
    """A refusal as a page, or as JSON for scripts."""
    assert isinstance(error, HTTPException)  # noqa: S101 (starlette calls it for no other)
    if error.status_code == 401:
        return await _ask(request, 401, "You have been logged out.")
    return await _html("refused.html", error.status_code, dict(error.headers or {}), why=error.detail)


async def _html(name: str, status_code: int = 200, headers: dict[str, str] | None = None, **values: object) -> Response:
    pieces = []
    for number, piece in enumerate(_templates.get_template(name).generate(values), 1):
        pieces.append(piece)
        if not number % _AT_ONCE:  # a thousand rows take a tenth of a second, in which nothing else could happen
            await breathe()
    return HTMLResponse("".join(pieces), status_code, headers)
