"""Hostile documents cost nothing: no file is opened, nothing is fetched, little CPU and memory is taken."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugins.saml.tests import mint as m
from plugins.saml.tests.conftest import Trap
from plugins.saml.tests.hostile import burning, doctypes, everything, inclusive_namespaces
from plugins.saml.tests.mint import ENVELOPED, EXCLUSIVE, RSA, Reference, assertion, mint, sign_by_hand, written

JUDGING = Path(__file__).with_name("judging.py")
BOMBS = Path(__file__).parents[4] / "shared" / "corpora" / "xml-bombs"
CPU = 1.0
"""Seconds for one document: five times what it may take, because the machine may be busy."""
GROWTH = 20.0
"""MiB for all of them."""
OPENED = re.compile(r"(?:open|openat|openat2|creat|socket|connect|execve|memfd_create)\(.*")
MALLOC = "/proc/sys/vm/overcommit_memory"
"""What the C library looks at before it gives memory back."""


def judged(folder: Path, documents: Mapping[str, bytes], *options: str) -> tuple[dict[str, Any], list[str]]:
    """What the program found of the documents; and what it opened meanwhile, if that can be watched here."""
    written(folder / "certificate.pem", RSA.pem)
    written(folder / "genuine", mint())
    for number, document in enumerate(documents.values()):
        written(folder / f"hostile-{number:04}", document)
    trace = folder / "trace"
    strace = shutil.which("strace")
    watched = [strace, "-f", "-s", "200", "-o", str(trace), "-e", "trace=file,network"] if strace else []
    ended = subprocess.run(
        [*watched, sys.executable, JUDGING, folder, *options], capture_output=True, timeout=60, check=True
    )
    said = json.loads(ended.stdout)
    assert {said["found"][name][0] for name in ("genuine", "genuine again")} <= {"Accept", "naively"}
    said["found"] = {name: said["found"][f"hostile-{number:04}"] for number, name in enumerate(documents)}
    if not trace.exists():
        return said, []
    _, _, behind = trace.read_text(errors="replace").partition('"/the-beginning"')
    meanwhile, end, _ = behind.partition('"/the-end"')
    assert end
    return said, [one for one in OPENED.findall(meanwhile) if MALLOC not in one]


def assert_cheap(folder: Path, documents: Mapping[str, bytes]) -> None:
    said, opened = judged(folder, documents)
    assert {name for name, (decision, _) in said["found"].items() if decision != "Reject"} == set()
    assert {name: cpu for name, (_, cpu) in said["found"].items() if cpu > CPU} == {}
    assert said["grown"] < GROWTH
    assert opened == []


def test_nothing_is_opened_and_nothing_fetched(tmp_path: Path, trap: Trap) -> None:
    url = trap.url
    genuine = mint()
    documents = {name: make() for name, make in everything(url).items()}
    documents |= {f"{name}, in a Response": m.response(document) for name, document in documents.items()}
    documents |= {f"document type, {name}": one.encode() + genuine for name, one in doctypes(url).items()}
    sheet = f'<?xml-stylesheet href="{url}"?>'.encode()
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}"/>'.encode()
    documents |= {"a style sheet": sheet + genuine, "XInclude": genuine.replace(b">ada<", b">" + include + b"<")}
    assert_cheap(tmp_path, documents)
    trap.assert_unvisited()


def test_names_that_are_never_seen_again(tmp_path: Path) -> None:
    """Each document with 1,800 names of its own, at the place where only the digest shows that they were added."""
    genuine = mint()
    documents = {
        str(number): genuine.replace(
            b"<saml:Subject>", b"".join(b"<n%x-%x/>" % (number, name) for name in range(1_800)) + b"<saml:Subject>"
        )
        for number in range(400)
    }
    assert_cheap(tmp_path, documents)


def test_what_costs_the_most(tmp_path: Path) -> None:
    """As many elements, attributes, namespaces, references to characters as fit into the largest document."""
    genuine = sign_by_hand(assertion()).decode()
    room = 65_000 - len(genuine)
    many = " ".join(f'xmlns:n{n:x}="u:{n:x}"' for n in range(2_800))
    few = " ".join(f'xmlns:n{n:x}="urn:{"x" * 200}"' for n in range(55))
    crowded = "<b " + " ".join(f'a{n:x}=""' for n in range(32)) + "/>"
    declaring = "<b " + " ".join(f'xmlns:n{n:x}="u:{n:x}"' for n in range(32)) + "/>"
    identified = "".join(f'<a ID="{n:x}"/>' for n in range(1_750))
    inside = {
        "attributes": crowded * (room // len(crowded)),
        "namespaces of each": declaring * (room // len(declaring)),
        "deep": "<b>" * 29 + "<c/>" * 1_700 + "</b>" * 29,
        "references to characters": "&#65;" * (room // 5),
        "IDs": identified,
        "right angle brackets": ">" * room,
        "line ends": "\r" * room,
    }
    documents = {name: genuine.replace("<saml:S", one + "<saml:S", 1).encode() for name, one in inside.items()}
    # Prefixes that are looked for at each element (xml-exc-c14n 3), and namespaces that are written at each anew.
    chain = (ENVELOPED, inclusive_namespaces(" ".join(f"z{n}" for n in range(16))))
    looking = sign_by_hand(assertion(), references=[Reference(transforms=chain)]).decode()
    for name, declared, used in (
        ("looked for", many, "<a/>" * 1_750),
        ("looked for, few", few, "<a/>" * 1_750),
        ("written", f'xmlns:n="u:{"x" * 45_000}"', "<n:a/>" * 1_750),
        ("written, few", few, "".join(f'<n{n % 55:x}:a n{(n + 1) % 55:x}:a=""/>' for n in range(1_750))),
    ):
        crafted = looking.replace("<saml:Assertion ", f"<saml:Assertion {declared} ", 1)
        documents[f"namespaces, {name}"] = crafted.replace("<saml:S", used + "<saml:S", 1).encode()
    documents |= {
        "a long digest": genuine.replace("<ds:DigestValue>", "<ds:DigestValue>" + "AAAA" * (room // 4)).encode(),
        "a long signature": genuine.replace("<ds:SignatureValue>", "<ds:SignatureValue>" + "A" * room).encode(),
        "tags without end": b"<a " * 21_000,
        "starts without end": b"<a>" * 21_000,
    }
    assert {name: len(document) for name, document in documents.items() if len(document) > 65_535} == {}
    assert_cheap(tmp_path, documents)


def test_bombs(tmp_path: Path) -> None:
    """Those of defusedxml as they are, and their document types in front of a genuine assertion."""
    if not BOMBS.is_dir():
        pytest.skip(f"the bombs are not there: {BOMBS}")
    bombs = {path.name: path.read_bytes() for path in sorted(BOMBS.iterdir()) if path.suffix != ""}
    assert len(bombs) == 13
    genuine = mint().decode()
    documents = dict(bombs)
    for name, bomb in bombs.items():
        text = re.sub(r"^\s*<\?xml.*?\?>", "", bomb.decode()).strip()
        documents[f"{name} in front"] = (text + genuine).encode()
        if doctype := re.match(r"<!DOCTYPE[^\[>]*(?:\[.*?\])?\s*>", text, re.DOTALL):
            entity = (re.findall(r"<!ENTITY\s+(\w+)", text) or ["x"])[-1]
            documents[f"{name} in the name"] = (doctype[0] + genuine.replace(">ada<", f">&{entity};<")).encode()
    assert_cheap(tmp_path, documents)


def test_that_all_of_this_would_be_seen(tmp_path: Path) -> None:
    """What happens if documents go to python3-saml and xmlsec without the look at their form."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not there: that no file is opened cannot be seen here")
    passwords = sign_by_hand(assertion(), references=[Reference(uri="file:///etc/passwd")])
    slow = sign_by_hand(assertion(), references=[Reference(transforms=(ENVELOPED, burning(4), EXCLUSIVE))])
    said, opened = judged(tmp_path, {"file": passwords, "slow": slow}, "--naively")
    assert any("/etc/passwd" in one for one in opened)
    (_, cheap), (_, dear) = said["found"]["file"], said["found"]["slow"]
    assert dear > 10 * cheap, (dear, cheap)
