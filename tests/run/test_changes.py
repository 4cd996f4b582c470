"""`reload_on_change`: when a change counts, and which files are looked at. tests/cli/test_serve.py has it reload."""

from pathlib import Path

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
