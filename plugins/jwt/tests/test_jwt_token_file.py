"""A token in a file that another program renews: read again, not presented once it has ended, told to nobody else."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomgate import ConfigError, IdentityType, Presented, Unavailable
from dicomgate.testing import admission
from dicomgate_jwt import TokenFile
from dicomgate_jwt.token import LONGEST
from plugins.jwt.tests.mint import GONE, mint, written

OPAQUE = "2YotnFZFEjr1zCsicMWpAA"
NOW = datetime.now(UTC).replace(microsecond=0)


def shown(credential: TokenFile, after: timedelta = timedelta()) -> Presented | Unavailable:
    """What an association that comes so long after now presents."""
    return asyncio.run(credential.present(admission(time=NOW + after)))


def made(folder: Path, content: str) -> TokenFile:
    return TokenFile(token_file=written(folder / "token", content.encode(), 0o600))


@pytest.mark.parametrize("around", ["{}", "{}\n", "{}\r\n", "Bearer {}\n"])
def test_it_is_presented_without_what_is_around_it(tmp_path: Path, around: str) -> None:
    answer = shown(made(tmp_path, around.format(OPAQUE)))
    assert isinstance(answer, Presented)
    assert answer.identity.type is IdentityType.JWT
    assert answer.identity.primary == OPAQUE.encode()
    assert answer.expires_at is None


def test_a_signed_one_ends_when_it_says_so(tmp_path: Path) -> None:
    ends = NOW + timedelta(seconds=60)
    credential = made(tmp_path, mint(exp=int(ends.timestamp())))
    for after in (0, 59):
        answer = shown(credential, timedelta(seconds=after))
        assert isinstance(answer, Presented)
        assert answer.expires_at == ends
    refused = shown(credential, timedelta(seconds=60))
    assert isinstance(refused, Unavailable)
    assert f"the token expired at {ends.isoformat()}" in refused.reason


@pytest.mark.parametrize("exp", [GONE, "soon", -1, 10**15, True])
def test_one_that_says_nothing_of_its_end_is_presented(tmp_path: Path, exp: object) -> None:
    answer = shown(made(tmp_path, mint(exp=exp)))
    assert isinstance(answer, Presented)
    assert answer.expires_at is None


def test_a_new_token_counts_at_once_and_a_bad_file_never(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomgate_jwt")
    old, new = mint(exp=int(NOW.timestamp()) - 5), mint()
    credential = made(tmp_path, old)
    assert isinstance(shown(credential), Unavailable)
    written(tmp_path / "next", new.encode(), 0o600).rename(tmp_path / "token")
    for content, mode in ((new, 0o600), ("", 0o600), ("two words", 0o600), (OPAQUE, 0o644)):
        written(tmp_path / "token", content.encode(), mode)
        answer = shown(credential)
        assert isinstance(answer, Presented)
        assert answer.identity.primary == new.encode()
    assert caplog.text.count("the last good version stays in use") == 3
    for token in (old, new):
        assert token not in repr((credential, vars(credential), credential._held.current())) + caplog.text


@pytest.mark.parametrize("content", ["", "\n", "two words", f"{OPAQUE}\n\n", "ü", "a\0b", "a" * (LONGEST + 1)])
def test_what_is_no_token_is_refused_at_the_start(tmp_path: Path, content: str) -> None:
    assert made(tmp_path, "a" * LONGEST)
    with pytest.raises(ConfigError, match=r"must be one line with a token|longer than") as raised:
        made(tmp_path, content)
    assert OPAQUE not in str(raised.value)


def test_a_file_that_is_missing_or_open_to_all(tmp_path: Path) -> None:
    path = made(tmp_path, OPAQUE).token_file
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody may read"):
        TokenFile(token_file=path)
    path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        TokenFile(token_file=path)
