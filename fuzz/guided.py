"""One target with atheris: libFuzzer chooses the inputs by the code that they reach. Never returns: libFuzzer exits.

    python -m fuzz.guided SEED SECONDS EXECUTIONS FOLDER TARGET

`python -m fuzz --guided` runs this. FOLDER keeps the inputs that reach more, for `--grow` to choose from, and gets the
input that breaks the promise. With 0 for EXECUTIONS, only the time ends it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris


def main() -> None:
    """Write the seeds into the corpus, and fuzz."""
    seed, seconds, executions, folder, name = sys.argv[1:]
    plugins = [f"dicomgate_{name}" for name in ("jwt", "kerberos", "passcode", "saml")]
    with atheris.instrument_imports(include=["dicomgate", *plugins]):
        from .engine import check, load

        target = load(name)
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.inputs()):
        (corpus / f"seed-{number}").write_bytes(data)

    def run_one(data: bytes) -> None:
        if what := check(target, data):
            raise AssertionError(what)

    bounds = [f"-seed={seed}", f"-max_total_time={seconds}", f"-runs={int(executions) or -1}", "-max_len=65536"]
    words = ["".join(f"\\x{byte:02x}" for byte in word) for word in target.words]
    dictionary = Path(folder) / f"{name}.words"
    dictionary.write_text("".join(f'"{word}"\n' for word in words), "ascii")
    bounds += [f"-dict={dictionary}", f"-artifact_prefix={folder}/{name}-"]
    atheris.Setup([name, *bounds, str(corpus)], run_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
