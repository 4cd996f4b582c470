"""The URL of a Redis: what it may say, and what must not be possible by an option of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from dicomgate.errors import ConfigError
from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff, Limits, StateUnavailable
from dicomgate.state.redis import RedisState
from dicomgate.state.redis_cluster import RedisCluster
from dicomgate.state.redis_url import read_url
from dicomgate.state.redis_words import ACL, COMMANDS, in_words
from dicomgate.testing.pages import DOCS, blocks, text
from dicomgate.testing.peers.certificates import make_certificates
from dicomgate.testing.peers.redis import run_redis, tls_options
from tests.state.test_redis import CANARY, QUESTIONS, QUICK, opened, unavailable, works

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("url", "shown", "hosts", "login"),
    [
        ("redis://", "redis://localhost:6379", [("localhost", 6379)], {"db": 0}),
        ("redis://:p%40ss@10.0.0.5/2", "redis://10.0.0.5:6379/2", [("10.0.0.5", 6379)], {"password": "p@ss", "db": 2}),
        ("redis://a:b@[::1]:7/", "redis://[::1]:7/", [("::1", 7)], {"username": "a", "password": "b", "db": 0}),
        ("redis://h?username=a&password=b&db=3", "redis://h:6379", [("h", 6379)],
         {"username": "a", "password": "b", "db": 3}),
        ("redis+sentinel://a:b@s1,s2:7,[::1]/pacs/1", "redis+sentinel://s1:26379,s2:7,[::1]:26379/pacs/1",
         [("s1", 26379), ("s2", 7), ("::1", 26379)], {"username": "a", "password": "b", "db": 1}),
        ("rediss+sentinel://s1/pacs?ssl_cert_reqs=required", "rediss+sentinel://s1:26379/pacs", [("s1", 26379)],
         {"db": 0}),
    ],
)  # fmt: skip
def test_what_a_url_says(url: str, shown: str, hosts: list[tuple[str, int]], login: dict[str, object]) -> None:
    target = read_url(url)
    assert (target.shown, list(target.hosts), target.login) == (shown, hosts, login)
    assert (target.tls is not None) == url.startswith("rediss")
    assert (target.master == "pacs") == ("sentinel" in url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://h/0?ssl_cert_reqs=none", "ssl_cert_reqs: the server's certificate and name are always verified"),
        ("rediss://h/0?ssl_cert_reqs=optional", "ssl_cert_reqs: the server's"),
        ("rediss://h/0?ssl_check_hostname=false", "ssl_check_hostname: the server's"),
        ("rediss://h/0?ssl_ca_certs=ca.pem", "ssl_ca_certs: must be an absolute path"),
        ("rediss://h/0?ssl_ca_certs=/none/ca.pem", "/none/ca.pem"),
        ("rediss://h/0?ssl_certfile=/none/a.pem", "ssl_certfile and ssl_keyfile: both or none"),
        ("redis://h/0?ssl_ca_certs=/ca.pem", "write rediss:// in place of redis://"),
        # A command could be sent twice, or wait for longer than the deadline, or be read in another protocol.
        ("redis://h/0?retry_on_timeout=yes", "an option that is not known. Known are ssl_ca_certs, ssl_certfile"),
        ("redis://h/0?socket_timeout=60", "an option that is not known"),
        ("redis://h/0?protocol=3", "an option that is not known"),
        ("redis://h/0?sentinel_password=x", "an option that is not known"),
        ("redis://h1,h2/0", "is not redis://HOST:PORT/NUMBER"),
        ("redis+sentinel://h1,h2", "is not redis://HOST:PORT/NUMBER"),
        ("redis+sentinel://h1,h2/0/pacs", "redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/MASTER/NUMBER"),
        ("redis+cluster://h/0", "is not redis://HOST:PORT/NUMBER"),
    ],
)
def test_what_a_url_must_not_say(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_state(None, url.replace("://", f"://:{CANARY}@"))
    assert says in str(raised.value)
    assert CANARY not in str(raised.value)


async def test_a_client_certificate_and_the_name_of_the_server(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    options = {**tls_options(certificates), "tls-auth-clients": "yes"}
    url = f"rediss://127.0.0.1:{options['tls-port']}/0?ssl_ca_certs={certificates.ca}"
    client = certificates.client
    with run_redis(tmp_path, options):
        async with opened(f"{url}&ssl_certfile={client.certificate}&ssl_keyfile={client.key}") as state:
            await works(state)
        async with opened(url, QUICK) as state:
            await unavailable(state, "cannot be reached", QUESTIONS[:1])
        with pytest.raises(ConfigError, match="is not the key of the certificate"):
            read_url(f"{url}&ssl_certfile={client.certificate}&ssl_keyfile={certificates.server.key}")
        client.key.chmod(0o644)
        with pytest.raises(ConfigError, match="chmod"):
            read_url(f"{url}&ssl_certfile={client.certificate}&ssl_keyfile={client.key}")


async def test_the_user_of_the_page_is_allowed_what_is_needed_and_no_more(tmp_path: Path) -> None:
    page = DOCS / "throttling.md"
    (line,) = [block.text for block in blocks(page, "conf") if block.text.startswith("user ")]
    assert ACL in line
    _, rules = line.rstrip("\n").split(" ", 1)
    with run_redis(tmp_path, {"user": rules}) as server:
        login = server.url.replace("//", "//dicomgate:PASSCODE@")
        async with opened(login) as state:
            await works(state)
            for question in QUESTIONS:
                await question(state)
        async with opened(login.replace("/0", "/3"), QUICK) as state:
            await unavailable(
                state, r"its ACL forbids this user the command select\. Allow all of: ~dicomgate", QUESTIONS[:1]
            )
        server.command("acl", "setuser", "dicomgate", "+select")
        async with opened(login.replace("/0", "/3")) as state:
            await works(state)
    assert "`+select`" in text(page)


async def test_what_an_acl_forbids_is_named(tmp_path: Path) -> None:
    """Each command that the gateway needs, taken away alone; and the keys."""
    full = Limits(deadline=20, counters=1, known=1)  # so that something must be dropped
    with run_redis(tmp_path, {"user": f"gate on >x {ACL}"}) as server:
        login = server.url.replace("//", "//gate:x@")
        cluster = RedisCluster(login, "gate-1", deadline=20)
        async with opened(login, full) as state:
            await works(state)
            for name in COMMANDS:
                server.command("acl", "setuser", "gate", f"-{name}")
                server.command("script", "flush")
                told = await refusals(state, cluster)
                # Without INFO all works: only the policy for a full memory is not looked at.
                assert told == ({f"the command {name}"} if name != "info" else set()), (name, told)
                server.command("acl", "setuser", "gate", f"+{name}")
            server.command("acl", "setuser", "gate", "resetkeys", "~other:*")
            assert await refusals(state, cluster) == {"the keys dicomgate:*"}
            await cluster.close()


SECRET = "canarysecret"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        # As Redis 7.0 says it, then as Redis 7.2 and Valkey 8 do.
        (ResponseError("The user executing the script can't access at least one of the keys ... @user_script:1."),
         "the keys dicomgate:*"),
        (NoPermissionError("No permissions to access a key"), "the keys dicomgate:*"),
        (ResponseError("ACL failure in script: No permissions to access a key script: 0c, on @user_script:1."),
         "the keys dicomgate:*"),
        (NoPermissionError("User gate has no permissions to run the 'evalsha' command"), "the command evalsha"),
        (ResponseError("ACL failure in script: User gate has no permissions to run the 'time' command script: 10"),
         "the command time"),
        # What is not ours is not repeated.
        (NoPermissionError(f"User gate has no permissions to run the '{SECRET}' command"), "a command"),
        (ResponseError("The user executing the script can't run this ... @user_script:9999."), "the command of a"),
    ],
)  # fmt: skip
def test_the_words_of_servers(error: Exception, says: str) -> None:
    assert in_words(error).startswith(f"its ACL forbids this user {says}")
    assert SECRET not in in_words(error)


async def refusals(state: RedisState, cluster: RedisCluster) -> set[str]:
    """What the ACL forbids, of all questions; the cluster's are few, and together need all of its commands."""
    told = []
    more: list[Callable[[Any], Awaitable[object]]] = [
        *(partial(RedisState.take, subject="nobody", known=(), unknown=[Backoff(name, 5, 1, 1)]) for name in "ab"),
        partial(RedisState.succeeded, subject="bob@b", forget=(), refund=()),
    ]
    ours = (cluster.beat(), cluster.order("sessions", 1), cluster.enter("alice", "1", 9, ["2"]))
    for asked in (*(question(state) for question in (*QUESTIONS, *more)), *ours):
        try:
            await asked
        except StateUnavailable as error:
            told.append(re.sub(r".*its ACL forbids this user (.*)\. Allow all of: (.*)", r"\1, of \2", str(error)))
    return {one.removesuffix(f", of {ACL}") for one in told}
