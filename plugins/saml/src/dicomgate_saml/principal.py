"""A verified assertion -> the user, the groups, and what the audit shall know (saml-core-2.0-os 2.4, 2.7.3).

Rule: a user has one name, written in one way. An attribute may stand there several times, as Keycloak writes roles:
      its values are those of all of them, so that one that is to be the user's name must stand there once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .claims import Problem
from .document import Element
from .names import SAML, TRANSIENT

_LONGEST = 256
_MOST_GROUPS = 1000
_XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
_TOLD: Mapping[str, str] = {
    "urn:oasis:names:tc:xacml:2.0:subject:role": "subject_role",
    f"{_XSPA}purposeofuse": "purpose_of_use",
    f"{_XSPA}organization": "organization",
    f"{_XSPA}organization-id": "organization_id",
    f"{_XSPA}subject-id": "subject_name",
    "urn:oasis:names:tc:xacml:1.0:subject:subject-id": "subject_name",
}
"""IHE ITI TF-2 3.40.4.1.2 (Cross-Enterprise User Assertion): what goes to the audit under which name."""


@dataclass(frozen=True, slots=True)
class Mapper:
    """Which parts of an assertion say who somebody is. Without a `user_attribute` it is the NameID."""

    user_attribute: str | None
    group_attributes: Sequence[str]

    def user(self, assertion: Element) -> str | Problem:
        """The user's name; or why there is none."""
        if self.user_attribute is not None:
            values = attributes(assertion).get(self.user_attribute, [])
            if len(values) != 1 or not _is_name(values[0]):
                return Problem("Attribute", f"{self.user_attribute!r} has not one value that can be a user's name")
            return values[0]
        names = assertion.findall(f"{SAML}Subject/{SAML}NameID")
        if len(names) != 1:
            return Problem("NameID", "is missing")
        if names[0].get("Format") == TRANSIENT:
            return Problem("NameID", "is another one for each login (transient): name a user_attribute")
        name = names[0].text
        return name if len(names[0]) == 0 and _is_name(name) else Problem("NameID", "cannot be a user's name")

    def groups(self, assertion: Element) -> frozenset[str]:
        """The values of the group attributes, each one group."""
        found = attributes(assertion)
        values = [value for name in self.group_attributes for value in found.get(name, []) if _is_name(value)]
        return frozenset(values[:_MOST_GROUPS])


def attributes(assertion: Element) -> dict[str, list[str]]:
    """The values of each attribute, by its Name: text, or a coded value as IHE writes it; "" for anything else."""
    found: dict[str, list[str]] = {}
    for attribute in assertion.iterfind(f"{SAML}AttributeStatement/{SAML}Attribute"):
        values = [_value(value) for value in attribute.iterfind(f"{SAML}AttributeValue")]
        found.setdefault(attribute.get("Name", ""), []).extend(values)
    return found


def told(assertion: Element) -> dict[str, str]:
    """For the audit: which assertion it was, and what IHE XUA says of its subject."""
    found = attributes(assertion)
    known = {_TOLD[name]: ", ".join(filter(_is_name, values)) for name, values in found.items() if name in _TOLD}
    return {"assertion": assertion.get("ID", ""), **{name: value[:_LONGEST] for name, value in known.items() if value}}


def _value(value: Element) -> str:
    """Text; or of one coded value in it, `code^codeSystem^displayName` without what is not there."""
    if len(value) == 1 and value[0].get("code"):
        parts = [value[0].get(name, "") for name in ("code", "codeSystem", "displayName")]
        return "^".join(parts).rstrip("^")
    return "" if len(value) else value.text or ""


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable() and value == value.strip()
