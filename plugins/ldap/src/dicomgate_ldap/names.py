"""Names as parts of a filter (RFC 4515) or of a DN (RFC 4514), and DNs as lists of names.

Rule 1: whatever was typed is a value, never a part of the language around it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_ATTRIBUTE = re.compile(r"[A-Za-z][\w-]*|\d+(?:\.\d+)*")
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)


def escape(value: str) -> str:
    r"""The value for a filter as well as for a DN: every byte that is not a letter or a digit of ASCII as `\XX`.

    RFC 4515 chapter 3 and RFC 4514 chapter 2.4 allow it for every byte: nobody need know which ones are special.
    """
    return "".join(
        chr(byte) if byte < 0x80 and chr(byte).isalnum() else f"\\{byte:02x}" for byte in value.encode("utf-8")
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with the values in place of `{name}` and `{dn}`, as they are: escape them before."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def template_problem(template: str, allowed: Collection[str]) -> str:
    """Why this cannot be a template with one or more of these placeholders; empty if it can."""
    used = set(_PLACEHOLDER.findall(template))
    if used and used <= set(allowed) and not re.search("[{}]", _PLACEHOLDER.sub("", template)):
        return ""
    return f"must have {' or '.join(f'{{{name}}}' for name in allowed)}, and no other braces"


def filter_problem(template: str) -> str:
    """Why this cannot be a filter; empty if its parentheses say nothing against it."""
    depth = 0
    for position, character in enumerate(template):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 1 and position < len(template) - 1:
            return "is not one filter in parentheses"
    return "" if template and depth == 0 else "is not one filter in parentheses"


def read_dn(dn: str) -> list[tuple[str, str]]:
    """The RDNs of a DN, each as attribute and value, unescaped; the first is the entry's own, the last the root's.

    Of an RDN of several attributes only the first counts. Raises ValueError for what is no DN.
    """
    parts = []
    for rdn in _split(dn, ","):
        attribute, equals, value = next(_split(rdn, "+")).partition("=")
        if not equals or not _ATTRIBUTE.fullmatch(attribute.strip()):
            raise ValueError("not a DN")
        parts.append((attribute.strip(), _unescape(value.strip())))
    return parts


def is_below(dn: str, base: str) -> bool:
    """True if the entry stands below the base. What is no DN stands below nothing."""
    try:
        entry, root = _comparable(dn), _comparable(base)
    except ValueError:
        return False
    return len(entry) > len(root) and entry[-len(root) :] == root


def _comparable(dn: str) -> list[tuple[str, str]]:
    return [(attribute.lower(), value.casefold()) for attribute, value in read_dn(dn)]


def _split(text: str, separator: str) -> Iterator[str]:
    """The pieces between the separators that are not escaped."""
    begin = position = 0
    while position < len(text):
        if text[position] == separator:
            yield text[begin:position]
            begin = position + 1
        position += 2 if text[position] == "\\" else 1
    yield text[begin:]


def _unescape(value: str) -> str:
    def byte(match: re.Match[bytes]) -> bytes:
        return bytes.fromhex(match[1].decode()) if len(match[1]) == 2 else match[1]

    return _ESCAPED.sub(byte, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
