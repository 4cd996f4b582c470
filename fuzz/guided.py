"""One target with atheris: libFuzzer chooses the inputs by the code that they reach. Never returns: libFuzzer exits.

    python -m fuzz.guided TARGET SEED SECONDS FOLDER

`python -m fuzz --guided` runs this. FOLDER keeps the corpus and gets the input that breaks the promise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris


def main() -> None:
    """Write the seeds into the corpus, and fuzz."""
    name, seed, seconds, folder = sys.argv[1:]
    with atheris.instrument_imports(include=["dicomgate", "dicomgate_jwt", "dicomgate_saml"]):
        from .engine import check, load

        target = load(name)
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(data)

    def run_one(data: bytes) -> None:
        if what := check(target, data):
            raise AssertionError(what)

    bounds = [f"-seed={seed}", f"-max_total_time={seconds}", "-max_len=65536", f"-artifact_prefix={folder}/{name}-"]
    atheris.Setup([name, *bounds, str(corpus)], run_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
