"""What a credential costs an association: made anew, or from what is cached, through the link that the gateway asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from dicomgate.contract import Credential, Presented
from dicomgate.credentials.link import CredentialLink
from dicomgate.testing import admission, jwt
from dicomgate.testing.linked import presenting
from dicomgate_jwt import ClientCredentials, Minted, TokenExchange, TokenFile

from .processes import BenchError
from .results import Bar, Comparison, Options, Sample, interleave

_MOST = 150
_Make: TypeAlias = Callable[[], Credential]


def run(options: Options, folder: Path) -> list[Comparison]:
    """Microseconds of CPU of each."""
    with ExitStack() as stack:
        makes = _credentials(folder, stack)
        take = {name: partial(_take, make, 100 if options.quick else 5000) for name, make in makes.items()}
        rounds = interleave(take, options.rounds)
        parts = {"made anew": [name for name in makes if "minted" in name]}
        parts["what is there already"] = [name for name in makes if "minted" not in name]
        return [
            Comparison(
                title,
                "µs of CPU",
                [{name: taken[name] for name in names} for taken in rounds],
                bars=tuple(Bar(most=_MOST, contestant=name) for name in names),
            )
            for title, names in parts.items()
        ]


def _credentials(folder: Path, stack: ExitStack) -> dict[str, _Make]:
    from dicomgate.testing.peers.issuer import ca_file
    from plugins.jwt.tests.exchanger import PATH, Exchanger
    from plugins.jwt.tests.mint import ED25519, P256, mint, written

    provider = stack.enter_context(Exchanger())
    asked: dict[str, Any] = {
        "client_id": "bench",
        "client_secret_file": written(folder / "secret", b"the bench's secret", 0o600),
        "token_url": provider.name + PATH,
        "ca": ca_file(provider, folder),
        "fetch_timeout": timedelta(seconds=20),
    }
    signing = {key.id: written(folder / f"{key.id}.key", key.private_pem, 0o600) for key in (P256, ED25519)}
    minted = partial(Minted, issuer="gate", audience="pacs")
    return {
        "minted, P-256": partial(minted, key_file=signing[P256.id]),
        "minted, Ed25519": partial(minted, key_file=signing[ED25519.id]),
        "client-credentials, cached": partial(ClientCredentials, **asked),
        "token-exchange, cached": partial(TokenExchange, **asked),
        "token-file": partial(TokenFile, token_file=written(folder / "token", mint().encode(), 0o600)),
    }


def _take(make: _Make, count: int) -> Sample:
    return Sample(presenting(make(), partial(_present, count)) / count * 1e6)


async def _present(count: int, link: CredentialLink) -> float:
    from plugins.jwt.tests.mint import mint

    groups = frozenset(f"group {number}" for number in range(10))
    somebody = admission(groups=groups, identity=jwt(mint()))
    found = await link.ask(somebody)
    if not isinstance(found, Presented):
        raise BenchError(found.reason)
    start = time.process_time()
    for _ in range(count):
        await link.ask(somebody)
    return time.process_time() - start
