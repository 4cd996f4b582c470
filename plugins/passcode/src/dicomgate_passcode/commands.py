"""`dicomgate passcode add | import | remove | list | verify | hash`: the users file from the command line.

Rule 1: a passcode comes from the terminal, hidden, or from standard input; never from the command line, which every
        process of the machine can read.
Rule 2: exit status 0: done, or yes; 1: the answer is no; 2: wrong usage, a wrong file, or one that cannot be changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from dicomgate import ConfigError
from dicomgate.cli import plugin_commands
from dicomgate.cli.plugin_commands import DEFAULT_CONFIG, ConfigOption, NegativeAnswer, print_table, read_input, tables

from .file_writer import UserExistsError, check_writable, set_hashes
from .file_writer import remove as remove_user
from .hashing import HashingFailedError, cannot_be_right, foreign_scheme, make_hash
from .hashing import verify as verify_hash
from .import_file import Entry, parse
from .policy import LONGEST_MINIMUM, SHORTEST, unfit
from .policy import generate as generate_passcode
from .users_file import LARGEST_FILE, User, is_disabled, name_problem, read_users_file, why_not

# Never a traceback with local variables: one of them is a passcode.
app = typer.Typer(help="Manage the users file.", no_args_is_help=True, pretty_exceptions_show_locals=False)

_MOST_PROBLEMS = 20

_NameArgument = Annotated[str, typer.Argument(metavar="USER", help="The name of the user, exactly as devices send it.")]
_FileOption = Annotated[Path | None, typer.Option("--file", help="The users file. Default: the configuration's.")]
_TableOption = Annotated[
    str | None, typer.Option("--name", help="Which passcode authenticator, if the configuration has several.")
]
_MinimumOption = Annotated[
    int, typer.Option("--minimum-length", min=SHORTEST, max=LONGEST_MINIMUM, help="The least characters of a passcode.")
]


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except HashingFailedError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"the users file cannot be changed: {error}") from None


@app.command()
@_told_in_one_line()
def add(
    user: _NameArgument,
    generate: Annotated[bool, typer.Option("--generate", help="Make a passcode and print it, once.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give an existing user a new passcode.")] = False,
    minimum_length: _MinimumOption = SHORTEST,
    file: _FileOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Add a user. The passcode is asked for twice, or is the first line of standard input."""
    path = _users_file(file, config, name)
    if problem := name_problem(user):
        raise ConfigError(f"{problem}: {user!r}")
    seen = read_users_file(path).users if path.exists() else {}
    if not replace and user in seen:
        raise UserExistsError(user, path)  # before the passcode is asked for; set_hashes looks again
    if generate:
        passcode = generate_passcode(user, minimum_length)
    else:
        passcode = plugin_commands.ask_for_passcode(user, twice=True)
        if problem := unfit(passcode, user, minimum_length):
            raise ConfigError(problem)
    set_hashes(path, {user: make_hash(passcode)}, replace=replace, seen=seen)
    if generate:
        typer.echo(passcode.decode())
    typer.echo(f"{user} can log in: {path}", err=True)


@app.command("import")
@_told_in_one_line()
def import_users(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="Lines name,passcode or name:hash; - = standard input.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Existing users get what the file says.")] = False,
    minimum_length: _MinimumOption = SHORTEST,
    file: _FileOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    name: _TableOption = None,
) -> None:
    """Add all users of a file, or none if a line is wrong."""
    path = _users_file(file, config, name)
    check_writable(path)
    seen = read_users_file(path).users if path.exists() else {}
    entries, problems = parse(read_input(source, LARGEST_FILE + 1), () if replace else seen.keys(), minimum_length)
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        conclusion = f"{more} more lines are wrong; no user was added" if more > 0 else "no user was added"
        raise ConfigError("\n".join([*problems[:_MOST_PROBLEMS], conclusion]))
    hashes = {entry.name: entry.hash or make_hash(entry.passcode) for entry in _with_progress(entries)}
    set_hashes(path, hashes, replace=replace, seen=seen)
    replaced = len(hashes.keys() & seen.keys())
    typer.echo(f"{len(hashes) - replaced} users added, {replaced} replaced: {path}", err=True)


@app.command()
@_told_in_one_line()
def remove(
    user: _NameArgument, file: _FileOption = None, config: ConfigOption = DEFAULT_CONFIG, name: _TableOption = None
) -> None:
    """Remove a user."""
    path = _users_file(file, config, name)
    read_users_file(path)  # reports a missing or broken file before a folder that cannot be written
    if not remove_user(path, user):
        raise NegativeAnswer(f"no user {user!r} in {path}")
    typer.echo(f"{user} is removed: {path}", err=True)


@app.command("list")
def list_users(file: _FileOption = None, config: ConfigOption = DEFAULT_CONFIG, name: _TableOption = None) -> None:
    """List the users, the scheme of their hash, and whether it is outdated or the user is disabled."""
    users = read_users_file(_users_file(file, config, name)).users.values()
    rows = [(user.name, user.cost.scheme if user.cost else _foreign(user), _state(user)) for user in users]
    print_table(("user", "scheme", "state"), rows)


@app.command("hash")
@_told_in_one_line()
def print_hash(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Whose passcode it is: it must not contain the name.")
    ] = "",
    minimum_length: _MinimumOption = SHORTEST,
) -> None:
    """Print the hash of a passcode, for a database. It is asked for twice, or the first line of standard input."""
    passcode = plugin_commands.ask_for_passcode(user or "the user", twice=True)
    if problem := unfit(passcode, user, minimum_length):
        raise ConfigError(problem)
    typer.echo(make_hash(passcode))


@app.command()
@_told_in_one_line()
def verify(
    user: _NameArgument, file: _FileOption = None, config: ConfigOption = DEFAULT_CONFIG, name: _TableOption = None
) -> None:
    """Ask for a passcode, or read it from standard input, and say whether it is right."""
    path = _users_file(file, config, name)
    entry = read_users_file(path).users.get(user)
    if entry is None:
        raise NegativeAnswer(f"no user {user!r} in {path}")
    if entry.cost is None:
        raise NegativeAnswer(f"{user} cannot log in: {why_not(entry.hash)}")
    passcode = plugin_commands.ask_for_passcode(user)
    if cannot_be_right(passcode, entry.cost.scheme) or not verify_hash(passcode, entry.hash):
        raise NegativeAnswer("wrong passcode")
    typer.echo("right", err=True)


def _users_file(file: Path | None, config: Path, name: str | None) -> Path:
    """The users file that the options mean. Raises ConfigError."""
    if file is not None:
        return file.absolute()
    found = tables(config, "passcode")
    if name is None and len(found) == 1:
        (name,) = found
    if name not in found:
        raise ConfigError(f"{config}: choose one of the passcode authenticators with --name: {', '.join(found)}")
    path: Path = found[name]["file"]
    return path


def _with_progress(entries: Sequence[Entry]) -> Iterable[Entry]:
    """The entries, one by one, with a progress bar on a terminal: an argon2id hash takes its time."""
    off = not sys.stderr.isatty()
    return track(entries, "hashing", console=Console(stderr=True), transient=True, disable=off)


def _foreign(user: User) -> str:
    return "-" if is_disabled(user.hash) else foreign_scheme(user.hash)


def _state(user: User) -> str:
    if user.cost is None:
        return "disabled" if is_disabled(user.hash) else "cannot log in: its scheme is not read"
    return "outdated" if user.cost.outdated else "current"
