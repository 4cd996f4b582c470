"""`reload_on_change`: when a change counts, and which files are looked at. tests/cli/test_serve.py has it reload."""

import time
from pathlib import Path
from typing import Any

import pytest

from dicomgate.config.load import load
from dicomgate.run.changes import Changes, look

A, B = Path("a"), Path("b")
OLD, NEW, NEWER = (1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 1, 3)


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        pytest.param([{A: OLD}, {A: OLD}], [[], []], id="nothing"),
        pytest.param([{A: NEW}, {A: NEW}, {A: NEW}], [[], [A], []], id="told once"),
        pytest.param([{A: NEW}, {A: NEWER}, {A: NEWER}], [[], [], [A]], id="while it is written"),
        pytest.param([{A: None}, {A: OLD}, {A: OLD}], [[], [], []], id="away for a moment"),
        pytest.param([{A: None}, {A: None}], [[], [A]], id="removed"),
        pytest.param([{A: OLD, B: OLD}, {A: OLD, B: OLD}], [[], [B]], id="one more is named"),
    ],
)
def test_when_a_change_counts(
    looks: list[dict[Path, tuple[int, int, int, int] | None]], told: list[list[Path]]
) -> None:
    changes = Changes({A: OLD})
    assert [changes.seen(one) for one in looks] == told


def test_what_changed_while_it_was_loaded_is_loaded_again() -> None:
    changes = Changes({A: OLD, B: NEWER}, began=NEW[-1])
    assert [changes.seen({A: OLD, B: NEWER}) for _ in range(3)] == [[], [B], []]


def test_a_file_that_may_be_read_now_has_changed_and_a_replay_cache_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keytab, replays = tmp_path / "keytab", tmp_path / "replays"
    named = [("authenticator domain.keytab", keytab), ("authenticator domain.replay_cache", replays)]
    monkeypatch.setattr("dicomgate.run.changes.read_files", lambda _: named)
    looks = []
    for mode in (0o600, 0o640):
        for path in (keytab, replays):
            path.touch()
            path.chmod(mode)
        looks.append(look(Any))  # type: ignore[arg-type]
        time.sleep(0.02)  # a file system may count time in steps of 10 ms
    assert [[*one] for one in looks] == [[keytab], [keytab]]
    assert looks[0] != looks[1]


def test_what_it_writes_itself_is_no_change(tmp_path: Path) -> None:
    configuration = tmp_path / "dicomgate.toml"
    tls = 'tls = { certificate = "gate.pem", key = "gate.key" }'
    configuration.write_text(
        '[gateway]\naudit = "audit.jsonl"\n[control]\npath = "control.sock"\n'
        f'[[listener]]\nname = "clinical"\nbind = "127.0.0.1:0"\n{tls}\n'
        '[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:1"\ncalled_ae_titles = ["*"]\n'
        '[[authenticator]]\nuse = "passcode"\nname = "staff"\nfile = "users.htpasswd"\n'
    )
    names = "dicomgate.toml", "gate.key", "gate.pem", "users.htpasswd"
    assert sorted(look(load(configuration))) == [tmp_path / name for name in names]
