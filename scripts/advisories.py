"""Known advisories about the packages that dicomgate is tested with and installed with.

`make advisories` asks the package index about each package of the locks, and writes what it says into
advisories.json, in the form of OSV. Mirrors of indexes may know of the newest versions alone: then an older version in
a lock is one that nobody was asked about, and the file says so. With DATABASE, a checkout of pypa/advisory-database,
what it has about these packages is added. What the file had about them before is kept.

`make audit` holds the locks against that file, without a network. Exit status 1: an advisory affects a locked version.
It warns when the file is older than 30 days, and about locked versions that it says nothing of.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "advisories.json"
OLD = timedelta(days=30)
_TIMEOUT = 60.0  # seconds
_ABOUT = """What the package index said of the packages in the locks, and what PyPA's advisory database (CC BY 4.0) \
has about them, cut to what is compared. OSV, made by scripts/advisories.py."""
_KEPT = "id", "aliases", "published", "modified", "withdrawn", "summary", "affected"


def locked(folder: Path) -> set[tuple[str, str]]:
    """Every package of the locks and its version: of some there are several, for several Pythons."""
    pins = (re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", path.read_text("utf-8"), re.MULTILINE) for path in locks(folder))
    return {pin for found in pins for pin in found}


def locks(folder: Path) -> list[Path]:
    """The lock files."""
    return sorted(folder.glob("requirements*.lock"))


def affected(advisory: Mapping[str, Any], name: str, version: str) -> bool:
    """Whether an advisory is about this version: one that it lists, or one within a range (OSV, "Evaluation")."""
    if advisory.get("withdrawn"):
        return False
    here = Version(version)
    for one in advisory["affected"]:
        if one["package"]["name"] != name:
            continue
        if version in one.get("versions", ()):
            return True
        if any(_within(found["events"], here) for found in one.get("ranges", ()) if found["type"] == "ECOSYSTEM"):
            return True
    return False


def _about(advisory: Mapping[str, Any]) -> set[str]:
    return {one["package"]["name"] for one in advisory["affected"]}


def _within(events: list[dict[str, str]], here: Version) -> bool:
    inside = False
    for event in sorted(events, key=lambda event: Version(*event.values())):
        match event:
            case {"introduced": first}:
                inside = inside or here >= Version(first)
            case {"fixed": first}:
                inside = inside and here < Version(first)
            case {"last_affected": last}:
                inside = inside and here <= Version(last)
    return inside


def audit(snapshot: Mapping[str, Any], pins: set[tuple[str, str]], now: datetime) -> tuple[list[str], list[str]]:
    """What is wrong, and what is only worth a warning."""
    wrong = [
        f"{name} {version}: {', '.join([advisory['id'], *advisory.get('aliases', ())])}: {advisory.get('summary', '')}"
        for name, version in sorted(pins)
        for advisory in snapshot["advisories"]
        if affected(advisory, name, version)
    ]
    warnings = []
    taken = datetime.fromisoformat(snapshot["taken"])
    if now - taken > OLD:
        warnings.append(f"the advisories are those of {taken:%Y-%m-%d}, {(now - taken).days} days ago: make advisories")
    asked = {(name, version) for name, version in snapshot["asked"]}
    if unknown := sorted(f"{name} {version}" for name, version in pins - asked):
        warnings.append(f"nobody was asked about {len(unknown)} of {len(pins)} versions: {', '.join(unknown)}")
    return wrong, warnings


def _index() -> str:
    """Where the index tells of a package in JSON: next to the index that pip uses."""
    from pip._internal.models.index import PyPI

    simple = os.environ.get("PIP_INDEX_URL", "").rstrip("/")
    return simple.removesuffix("/simple") + "/pypi" if simple else PyPI.pypi_url


def _told(name: str, version: str) -> tuple[str, list[dict[str, Any]]]:
    """The version that the index tells about, which may be a newer one, and its advisories. Raises OSError."""
    for path in (f"{name}/{version}", name):
        try:
            with urlopen(f"{_index()}/{path}/json", timeout=_TIMEOUT) as answer:  # noqa: S310 (the index of pip)
                found = json.load(answer)
            return found["info"]["version"], found["vulnerabilities"]
        except HTTPError as error:
            if error.code != 404:
                raise
    return "", []


def _as_osv(name: str, version: str, told: Mapping[str, Any]) -> dict[str, Any]:
    events = [{"introduced": "0"}, *({"fixed": fixed} for fixed in told["fixed_in"][:1])]
    about: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": name}, "versions": [version]}
    if told["fixed_in"]:
        about["ranges"] = [{"type": "ECOSYSTEM", "events": events}]
    summary = told["summary"] or told["details"].partition("\n")[0]
    return {"id": told["id"], "aliases": told["aliases"], "summary": summary, "affected": [about]} | (
        {"withdrawn": told["withdrawn"]} if told["withdrawn"] else {}
    )


def _of_database(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    import yaml  # type: ignore[import-untyped]

    for path in sorted((folder / "vulns" / name).glob("*.yaml")):
        found = yaml.safe_load(path.read_text("utf-8").replace("\t", " "))
        found.setdefault("summary", " ".join(found.get("details", "").split())[:120])
        for one in found["affected"]:
            for key in set(one) - {"package", "ranges", "versions"}:
                del one[key]
            one["package"].pop("purl", None)
            one["ranges"] = [known for known in one.get("ranges", ()) if known["type"] == "ECOSYSTEM"]
            if one["ranges"]:
                one.pop("versions", None)
        yield {key: str(found[key]) if key in _KEPT[2:4] else found[key] for key in _KEPT if key in found}


def take(pins: set[tuple[str, str]], database: Path | None) -> str:
    """A new snapshot, with a line for each advisory. Raises OSError if the index cannot be reached.

    What the last one had about these packages is kept, unless it is told anew.
    """
    asked, names = [], {name for name, _ in pins}
    former = json.loads(SNAPSHOT.read_text("utf-8"))["advisories"] if SNAPSHOT.exists() else []
    advisories = {(one["id"], name): one for one in former for name in names & _about(one)}
    for name, version in sorted(pins):
        answered, told = _told(name, version)
        if answered == version:
            asked.append([name, version])
        for one in told:
            advisories[one["id"], name] = _as_osv(name, answered, one)
        for one in _of_database(database, name) if database else ():
            advisories[one["id"], name] = one
    lines = ",\n".join(json.dumps(advisories[key], ensure_ascii=False) for key in sorted(advisories))
    head = {"about": _ABOUT, "taken": datetime.now(UTC).isoformat(timespec="seconds"), "asked": asked}
    return json.dumps(head)[:-1] + f', "advisories": [\n{lines}\n]}}\n'


def main(arguments: list[str]) -> int:
    """`take [DATABASE]`, or nothing to audit."""
    pins = locked(ROOT)
    if arguments[:1] == ["take"]:
        try:
            taken = take(pins, Path(arguments[1]) if arguments[1:] else None)
        except OSError as error:
            print(f"advisories: the package index cannot be asked ({error}); the file is as it was", file=sys.stderr)
            return 1
        SNAPSHOT.write_text(taken, "utf-8")
    wrong, warnings = audit(json.loads(SNAPSHOT.read_text("utf-8")), pins, datetime.now(UTC))
    for line in [*wrong, *(f"warning: {line}" for line in warnings)]:
        print(f"audit: {line}", file=sys.stderr)
    print(f"audit: {len(pins)} versions in the locks, {len(wrong)} with a known advisory")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
