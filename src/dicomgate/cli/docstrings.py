"""What an authenticator's class says of its fields (attribute docstrings, PEP 257).

Python forgets these texts when it compiles a class, so they are read from its source.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent


def field_docstrings(factory: object) -> dict[str, str]:
    """By name, on one line each; a field of a base class is said there. Empty where there is no class, or no source."""
    found: dict[str, str] = {}
    for origin in reversed(getattr(factory, "__mro__", ())):
        found |= _below_fields(origin)
    return found


def _below_fields(origin: type) -> Iterator[tuple[str, str]]:
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(origin))).body
    except (OSError, TypeError, ValueError, SyntaxError):  # made by a program, or by the interpreter itself
        return
    for field, below in pairwise(getattr(tree, "body", ())):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
