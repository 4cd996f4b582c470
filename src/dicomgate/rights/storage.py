"""The SOP classes of storage: of PS3.4 B.5, and of PS3.4 GG.3 for what belongs to no patient; retired ones included."""

from __future__ import annotations

_COMPOSITE = b"1.2.840.10008.5.1.4.1.1."

STORAGE: frozenset[bytes] = frozenset(
    _COMPOSITE + end
    for end in b"""
    1 1.1 2 4 7
    """.split()
)
"""Each may be sent with C-STORE."""
