"""How text from outside may appear in a log line, an audit record or a name."""

from __future__ import annotations

import hashlib
import re

LONGEST_NAME = 256
_LONGEST_QUOTED = 80
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SAVE_AS_UTF_8 = "save the file as UTF-8"


def without_mark(data: bytes) -> bytes:
    """The content of a text file without the byte order mark that some editors write at its beginning."""
    return data.removeprefix(_BYTE_ORDER_MARK)


def utf_16_problem(data: bytes) -> str:
    """What to do about a file that some editors and shells of Windows write; "" if it is not UTF-16."""
    return f"is UTF-16, not UTF-8: {_SAVE_AS_UTF_8}" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""


def read_text(data: bytes) -> str:
    """The text of a file that a person wrote: UTF-8, with or without a byte order mark, lines ended by LF or CRLF.

    Lines end with LF alone in the result. Raises ValueError, which names the line and what to do, and does not repeat
    the content.
    """
    if problem := utf_16_problem(data):
        raise ValueError(problem)
    try:
        return without_mark(data).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
    raise ValueError(f"line {line} is not UTF-8 (probably Latin-1 or Windows-1252): {_SAVE_AS_UTF_8}")


def is_name(value: object, longest: int = LONGEST_NAME) -> bool:
    """True if the value can name a user or a group: 1 to `longest` printable characters, no space at either end."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and value == value.strip()


def is_ae_title(value: str) -> bool:
    """True for an AE title without padding (PS3.5 table 6.2-1): 1 to 16 characters, no backslash, no control."""
    return _AE_TITLE.fullmatch(value) is not None


def ae_title(value: str) -> str:
    """The AE title as it is. Raises ValueError, which says what an AE title is, if it is not valid."""
    if not is_ae_title(value):
        raise ValueError(f"{value!r} is not an AE title (1 to 16 characters, no backslash, no space at its ends)")
    return value


def quoted(value: object, longest: int = _LONGEST_QUOTED) -> str:
    """A value from outside for a log line: its `repr` as `one_line` shows it, cut after `longest` characters."""
    text = one_line(repr(value))
    return text if len(text) <= longest else f"{text[:longest]}..."


def told_apart(found: object, configured: str) -> str:
    """Two identifiers that differ, in words, also where the eye sees no difference: a slash, a look-alike."""
    text, why = found if isinstance(found, str) else "", ""
    if text and text.rstrip("/") == configured.rstrip("/"):
        why = " (the slash at the end counts)"
    elif not text.isascii() and configured.isascii():
        why = " (it has letters that are not ASCII)"
    return f"{quoted(found)}, not {configured!r}{why}"


def one_line(text: str) -> str:
    """The rule for all text from outside: what is printable stays as it is, umlauts for example.

    Everything else is escaped: controls, line ends, marks that change the direction.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


_LONGEST_SHOWN = 128
_MARKS = re.compile(
    r"eyJ[\w-]{8}"  # a JSON object in base64: the beginning of a signed or encrypted token (RFC 7515, RFC 7516)
    r"|<[?\w]"  # markup: an assertion
    r"|-----BEGIN "
    r"|\$[\w-]{1,16}\$|\{[\w-]{3,20}\}"  # a hash, as in crypt(5) and RFC 2307
    r"|^(?i:bearer|basic|negotiate|digest)\s"  # the value of an Authorization header (RFC 9110 11.6.2)
    r"|\b(?:gh[opsu]_|github_pat_|glpat-|xox[a-z]-|ya29\.|sk-)\w{10}"  # tokens that say what they are
    r"|\b[0-9A-Fa-f]{32,}\b"
)
_BLOB = re.compile(r"[A-Za-z0-9+/_=~-]{40,}")
_KINDS = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]")))


def looks_like_a_token(name: str) -> bool:
    """True for what no user is called: a token, an assertion, a ticket in base64, a hash, a very long text."""
    return (
        len(name) > _LONGEST_SHOWN
        or _MARKS.search(name) is not None
        or any(all(kind.search(blob) for kind in _KINDS) for blob in _BLOB.findall(name))
    )


def token_digest(name: str) -> str:
    """What stands for a name that looks like a token, for example as the key of a counter: 16 characters."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def claimed_name(name: str) -> str:
    """A claimed username for log, audit and messages: as it is, but never one that looks like a token.

    Clients send tokens in the field for the username, and records are kept for years. A passcode that somebody types
    there cannot be told from a name.
    """
    if not looks_like_a_token(name):
        return name
    return f"(looks like a token: {len(name)} characters, sha256 {token_digest(name)}...)"
