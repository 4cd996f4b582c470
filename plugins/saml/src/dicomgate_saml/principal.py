"""A verified assertion -> the user, the groups, the audit's attributes (saml-core-2.0-os 2.4, 2.7.3).

Rule: a user has one name. An attribute may be repeated, as Keycloak does for roles, and then has the values of all of
      them; the attribute with the user's name must have one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import LONGEST_NAME, is_name

from .document import SAML, TRANSIENT, Element

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
"""IHE ITI TF-2 3.40.4.1.2 (Cross-Enterprise User Assertion): attribute -> its name in the audit."""


@dataclass(frozen=True, slots=True)
class Mapper:
    """The attributes with the user's name and groups. Without a `user_attribute` the name is the NameID."""

    user_attribute: str | None
    group_attributes: Sequence[str]

    def user(self, assertion: Element) -> str | ClaimProblem:
        """The user's name, or why there is none."""
        if self.user_attribute is not None:
            values = attributes(assertion).get(self.user_attribute, [])
            if len(values) != 1 or not is_name(values[0]):
                return ClaimProblem("Attribute", f"{self.user_attribute!r} does not have one value that can be a name")
            return values[0]
        names = assertion.findall(f"{SAML}Subject/{SAML}NameID")
        if len(names) != 1:
            return ClaimProblem("NameID", "is missing")
        if names[0].get("Format") == TRANSIENT:
            return ClaimProblem("NameID", "changes with each login (transient): configure a user_attribute")
        name = names[0].text
        return name if len(names[0]) == 0 and is_name(name) else ClaimProblem("NameID", "cannot be a user's name")

    def groups(self, assertion: Element) -> frozenset[str]:
        """The values of the group attributes that are names; each is a group."""
        found = attributes(assertion)
        values = [value for name in self.group_attributes for value in found.get(name, []) if is_name(value)]
        return frozenset(values[:_MOST_GROUPS])


def attributes(assertion: Element) -> dict[str, list[str]]:
    """The values of each attribute, by its Name: text, or a coded value of IHE as text; "" for anything else."""
    found: dict[str, list[str]] = {}
    for attribute in assertion.iterfind(f"{SAML}AttributeStatement/{SAML}Attribute"):
        values = [_value(value) for value in attribute.iterfind(f"{SAML}AttributeValue")]
        found.setdefault(attribute.get("Name", ""), []).extend(values)
    return found


def told(assertion: Element) -> dict[str, str]:
    """The audit's attributes: the assertion's ID, and what IHE XUA says of its subject."""
    found = attributes(assertion)
    known = {_TOLD[name]: ", ".join(filter(is_name, values)) for name, values in found.items() if name in _TOLD}
    return {"assertion": assertion.get("ID", ""), **{name: told[:LONGEST_NAME] for name, told in known.items() if told}}


def _value(value: Element) -> str:
    """The text, or `code^codeSystem^displayName` for one coded value, without the parts that are missing."""
    if len(value) == 1 and value[0].get("code"):
        parts = [value[0].get(name, "") for name in ("code", "codeSystem", "displayName")]
        return "^".join(parts).rstrip("^")
    return "" if len(value) else value.text or ""
