"""`dicomgate passcode add | import | remove | list | verify`: the users file from the command line.

Rule 1: a passcode comes from the terminal, hidden, or from standard input; never from the command line, where every
        process of the machine can read it.
Rule 2: exit status 0: done, or yes; 1: the answer is no; 2: wrong usage, or a file that is wrong.
Rule 3: what is wrong stands on standard error, one line for each thing. Standard output has what was asked for.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from dicomgate import ConfigError

from . import import_file
from .file_writer import FileBusyError, UserExistsError, check_writable, set_hash, set_hashes
from .file_writer import remove as remove_user
from .hashing import HashingFailedError, cannot_be_right, make_hash
from .hashing import verify as verify_hash
from .import_file import Entry
from .policy import LONGEST, LONGEST_MINIMUM, SHORTEST, unfit
from .policy import generate as generate_passcode
from .users_file import User, name_problem, read_users_file

# Never a traceback with local variables: one of them is a passcode.
app = typer.Typer(
    name="passcode",
    help="Users and passcodes of the users file.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

_MOST_PROBLEMS = 20

_NameArgument = Annotated[str, typer.Argument(metavar="USER", help="The name of the user, exactly as it is sent.")]
_FileOption = Annotated[
    Path | None, typer.Option("--file", help="The users file. Default: the one that the configuration names.")
]
_ConfigOption = Annotated[Path, typer.Option("--config", help="The gateway's configuration file.")]
_TableOption = Annotated[
    str | None, typer.Option("--name", help="Which passcode authenticator, if the configuration has several.")
]
_MinimumOption = Annotated[
    int,
    typer.Option(
        "--minimum-length", min=SHORTEST, max=LONGEST_MINIMUM, help="How many characters a passcode has at least."
    ),
]
_DEFAULT_CONFIG = Path("dicomgate.toml")


@app.command()
def add(
    user: _NameArgument,
    generate: Annotated[bool, typer.Option("--generate", help="Make a passcode and print it, once.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give an existing user a new passcode.")] = False,
    minimum_length: _MinimumOption = SHORTEST,
    file: _FileOption = None,
    config: _ConfigOption = _DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Add a user; the passcode is asked for twice, or is the first line of standard input."""
    with _errors_on_one_line():
        path = _users_file(file, config, name)
        if problem := name_problem(user):
            _fail(f"{problem}: {user!r}")
        if path.exists() and not replace and user in read_users_file(path).users:
            raise UserExistsError  # before the passcode is asked for; set_hash looks again under its lock
        if generate:
            passcode = generate_passcode(user, minimum_length)
        else:
            passcode = _asked_for(f"Passcode for {user}", twice=True)
            if problem := unfit(passcode, user, minimum_length):
                _fail(problem)
        set_hash(path, user, make_hash(passcode), replace=replace)
    if generate:
        typer.echo(passcode.decode())
    typer.echo(f"{user} can log in: {path}", err=True)


@app.command("import")
def import_users(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="Lines name,passcode or name:hash; - = standard input.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Existing users get what the file says.")] = False,
    minimum_length: _MinimumOption = SHORTEST,
    file: _FileOption = None,
    config: _ConfigOption = _DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Add the users of a file: all of them, or none if a line is wrong."""
    with _errors_on_one_line():
        path = _users_file(file, config, name)
        check_writable(path)
        known = read_users_file(path).users.keys() if path.exists() else set()
        data = import_file.read(source)
        entries, problems = import_file.parse(data, () if replace else known, minimum_length)
        for problem in problems[:_MOST_PROBLEMS]:
            typer.echo(problem, err=True)
        if problems:
            more = len(problems) - _MOST_PROBLEMS
            _fail(f"{more} more lines are wrong; no user was added" if more > 0 else "no user was added")
        hashes = {entry.name: entry.hash or make_hash(entry.passcode) for entry in _with_progress(entries)}
        set_hashes(path, hashes, replace=replace)
    replaced = len(hashes.keys() & known)
    typer.echo(f"{len(hashes) - replaced} users added, {replaced} replaced: {path}", err=True)


@app.command()
def remove(
    user: _NameArgument,
    file: _FileOption = None,
    config: _ConfigOption = _DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Remove a user."""
    with _errors_on_one_line():
        path = _users_file(file, config, name)
        read_users_file(path)  # a missing or broken file is named before a folder that cannot be written
        removed = remove_user(path, user)
    if not removed:
        _no(f"no user {user!r} in {path}")
    typer.echo(f"{user} is removed: {path}", err=True)


@app.command("list")
def list_users(
    file: _FileOption = None,
    config: _ConfigOption = _DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """List the users, the scheme of their hash, and whether it is outdated or the user is disabled."""
    with _errors_on_one_line():
        users = read_users_file(_users_file(file, config, name)).users.values()
    rows = [(user.name, user.cost.scheme if user.cost else "-", _state(user)) for user in users]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table("user", "scheme", "state")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name is not markup
    Console().print(table)


@app.command()
def verify(
    user: _NameArgument,
    file: _FileOption = None,
    config: _ConfigOption = _DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Ask for a passcode, or read it from standard input, and say whether it is right."""
    with _errors_on_one_line():
        path = _users_file(file, config, name)
        entry = read_users_file(path).users.get(user)
        if entry is None:
            _no(f"no user {user!r} in {path}")
        if entry.cost is None:
            _no(f"{user} cannot log in: disabled, or no hash of a readable scheme")
        passcode = _asked_for(f"Passcode for {user}", twice=False)
        if cannot_be_right(passcode, entry.cost.scheme) or not verify_hash(passcode, entry.hash):
            _no("wrong passcode")
    typer.echo("right", err=True)


def _users_file(file: Path | None, config: Path, name: str | None) -> Path:
    """The users file that the options mean. Raises ConfigError."""
    if file is not None:
        return file.absolute()
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8")).get("authenticator", [])
    except FileNotFoundError:
        raise ConfigError(f"{config}: no such file; say --file USERSFILE or --config CONFIGURATION") from None
    except OSError as error:
        raise ConfigError(f"{config}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # TOML or UTF-8
        raise ConfigError(f"{config}: {error}") from None
    found = [
        table
        for table in (tables if isinstance(tables, list) else [])
        if isinstance(table, dict) and table.get("use") == "passcode"
    ]
    names = [str(table.get("name", "passcode")) for table in found]
    chosen = [table for table, of_table in zip(found, names, strict=True) if name in (None, of_table)]
    if not found:
        raise ConfigError(f'{config}: no [[authenticator]] with use = "passcode"; say --file USERSFILE')
    if len(chosen) != 1:
        raise ConfigError(f"{config}: say --name with one of the passcode authenticators: {', '.join(names)}")
    path = chosen[0].get("file")
    if not isinstance(path, str):
        raise ConfigError(f"{config}: the passcode authenticator has no file")
    return config.absolute().parent / path


def _asked_for(prompt: str, *, twice: bool) -> bytes:
    """The passcode: typed, hidden, or the first line of standard input without its line ending."""
    if sys.stdin.isatty():
        typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
        return typed.encode("utf-8", "surrogateescape")
    line = sys.stdin.buffer.readline(LONGEST + 3)
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _with_progress(entries: Sequence[Entry]) -> Iterable[Entry]:
    """The entries, one by one, and on a terminal how far it is: an argon2id hash takes its time."""
    off = not sys.stderr.isatty()
    return track(entries, "hashing", console=Console(stderr=True), transient=True, disable=off)


def _state(user: User) -> str:
    if user.cost is None:
        return "disabled"
    return "outdated" if user.cost.outdated else "current"


@contextmanager
def _errors_on_one_line() -> Iterator[None]:
    try:
        yield
    except (ConfigError, HashingFailedError) as error:
        _fail(str(error))
    except UserExistsError:
        _fail("the user exists already; --replace gives a new passcode")
    except FileBusyError:
        _fail("the users file is being changed by another process; try again")
    except OSError as error:
        _fail(f"the users file cannot be changed: {error}")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2) from None


def _no(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
