"""Entry points -> plugins: the signature of an entry point is the schema of its table.

An entry point (of the group `dicomgate.authenticators`, for example) is a callable; the keys of its table are its
keyword arguments, converted and checked by their annotations. A `timedelta` is written as "2s"; a relative `Path` is
relative to the configuration file. Errors tell apart what is not installed, what does not import and what does not fit.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, cast, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, Strict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ..errors import ConfigError, DicomgateError, PluginError, place
from ..kit.durations import Duration, duration_text
from ..kit.files import credential_path
from .kind import AUTHENTICATORS, Kind
from .problems import Keys, describe_problems, nearest
from .table import GATEWAY_KEYS
from .type_words import type_in_words

_RAISES = re.compile(r"\s*\bRaises \w+Error\b[^.;]*(?:\.|; (.))")


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a plugin's table, for the operator to read."""

    name: str
    type: str
    default: str
    required: bool


def installed(kind: Kind = AUTHENTICATORS) -> dict[str, EntryPoint]:
    """Every plugin of a kind that some installed distribution provides, by name; nothing is imported."""
    return {point.name: point for point in sorted(entry_points(group=kind.group), key=lambda point: point.name)}


def how_to_install(name: str, kind: Kind = AUTHENTICATORS) -> str:
    """How to install a plugin that comes with dicomgate; "" for any other name."""
    plugin = kind.plugins.get(name)
    return f"The bundle has it; from the checkout: pip install ./plugins/{plugin}" if plugin else ""


def find(use: str, kind: Kind = AUTHENTICATORS) -> Callable[..., object]:
    """The callable of this name. Raises PluginError if it is not installed, ambiguous, or fails to import."""
    points = [point for point in entry_points(group=kind.group) if point.name == use]
    if not points:
        if how := how_to_install(use, kind):
            raise PluginError(f"{kind.word} {use!r} is not installed. {how}")
        known = installed(kind)
        names = ", ".join(known) or "none"
        raise PluginError(f"no {kind.word} is called {use!r}{nearest(use, known)}; installed are: {names}")
    if len({point.value for point in points}) > 1:
        raise PluginError(f"{kind.word} {use!r} is provided by more than one installed distribution")
    try:
        factory = points[0].load()
    except (Exception, SystemExit) as error:
        # An import can raise anything: xmlsec's version check, for example, raises no ImportError.
        distribution = points[0].dist
        where = f" of {distribution.name} {distribution.version}" if distribution else ""
        raise PluginError(
            f"{kind.word} {use!r}{where} is installed but does not import: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if not callable(factory):
        raise PluginError(f"{kind.word} {use!r}: its entry point {points[0].value} is not callable")
    return cast(Callable[..., object], factory)


def make(use: str, table: Mapping[str, object], folder: Path, kind: Kind = AUTHENTICATORS) -> Any:
    """The authenticator, or the plugin of another kind, from its table, without the gateway's own keys.

    Raises PluginError from `find`, and what `construct` raises.
    """
    return construct(use, find(use, kind), table, folder, kind)


def read_options(use: str, table: Mapping[str, object], folder: Path, kind: Kind = AUTHENTICATORS) -> dict[str, Any]:
    """The keyword arguments that `make` would make the plugin with. Raises as `make` does for a wrong key."""
    return _check(find(use, kind), table, folder)


def construct(
    use: str, factory: Callable[..., object], table: Mapping[str, object], folder: Path, kind: Kind = AUTHENTICATORS
) -> Any:
    """What `factory` makes from its table; `use` is its name in messages.

    Raises ConfigError with a problem for each wrong key, or with the text of a ValueError or OSError of the factory;
    and PluginError if the factory has a defect.
    """
    options = _check(factory, table, folder)
    try:
        return factory(**options)
    except DicomgateError:
        raise
    except ValidationError as error:
        # From a pydantic model of the plugin. Its text would repeat values, and one of them may be a secret.
        raise ConfigError(describe_problems(error, {}, lambda _: options)) from None
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    except Exception as error:  # noqa: BLE001
        raise PluginError(f"{kind.word} {use!r} has a defect: {place(error)}") from None


def options(factory: Callable[..., object]) -> list[Option]:
    """The keys that a table of this authenticator may have, in the order of the signature."""
    return [
        Option(
            parameter.name,
            type_in_words(parameter.annotation),
            "" if parameter.default is parameter.empty else _as_toml(_default(factory, parameter)),
            parameter.default is parameter.empty,
        )
        for parameter in _parameters(factory)
    ]


def options_adapter(factory: Callable[..., object]) -> TypeAdapter[Any]:
    """What checks the options of an authenticator; for a schema of them. Raises PluginError."""
    try:
        return _schema(_parameters(factory), Path())
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"the annotations of {factory!r} cannot be used: {type(error).__name__}: {error}") from error


def description(factory: Callable[..., object]) -> str:
    """What its docstring says to an operator; what it raises is for programmers."""
    said = _RAISES.sub(lambda raises: f" {raises[1].upper()}" if raises[1] else "", inspect.getdoc(factory) or "")
    return said.strip()


def _default(factory: Callable[..., object], parameter: inspect.Parameter) -> object:
    """The default of a key. For a `default_factory` of a dataclass, the signature does not show it."""
    field: Any = getattr(factory, "__dataclass_fields__", {}).get(parameter.name)
    return parameter.default if field is None or field.default_factory is MISSING else field.default_factory()


def _as_toml(value: object) -> str:
    """A default as it would be written in the file; "none" for a key that is then absent."""
    if value is None:
        return "none"
    if isinstance(value, timedelta):
        return json.dumps(duration_text(value))
    if isinstance(value, Path):
        return json.dumps(str(value))
    plain = isinstance(value, str | bool | int | float | list | tuple) or value == {}
    return json.dumps(value, default=str) if plain else repr(value)


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(factory, eval_str=True)
    except Exception as error:
        # Annotations are evaluated, and can raise anything.
        raise PluginError(f"the signature of {factory!r} cannot be read: {type(error).__name__}: {error}") from error
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [parameter for parameter in signature.parameters.values() if parameter.kind in kinds]
    for parameter in named:
        if parameter.name in GATEWAY_KEYS:
            raise PluginError(f"{factory!r} has an option {parameter.name!r}, which is a key of the gateway's own")
    return named


def _check(factory: Callable[..., object], table: Mapping[str, object], folder: Path) -> dict[str, Any]:
    parameters = _parameters(factory)
    try:
        schema = _schema(parameters, folder)
    except Exception as error:
        # Annotations can be anything; one that pydantic cannot use is the plugin's defect.
        raise PluginError(f"the annotations of {factory!r} cannot be used: {type(error).__name__}: {error}") from error
    try:
        return cast(dict[str, Any], schema.validate_python(dict(table)))
    except ValidationError as error:
        # Not `from error`: its text repeats the values.
        raise ConfigError(describe_problems(error, table, partial(_known_keys, parameters))) from None


def _known_keys(parameters: list[inspect.Parameter], keys: Keys) -> list[str]:
    """The keys of the table that has the last of `keys`: an authenticator's own, or one in an option of it."""
    if len(keys) > 1:
        annotation = next((one.annotation for one in parameters if one.name == keys[0]), None)
        return [one.name for inner in _dataclasses(annotation) for one in _parameters(inner)]
    return [parameter.name for parameter in parameters]


def _dataclasses(annotation: Any) -> list[type]:
    """Those in an annotation: each is a table of its own."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        return [annotation]
    return [one for argument in get_args(annotation) for one in _dataclasses(argument)]


def _schema(parameters: list[inspect.Parameter], folder: Path) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(_table(parameters, folder))
    adapter.rebuild()  # or a name that is not defined would be noticed only when a value comes
    return adapter


def _table(parameters: list[inspect.Parameter], folder: Path) -> Any:
    fields: dict[str, Any] = {}
    for parameter in parameters:
        annotation = Any if parameter.annotation is parameter.empty else _adapt(parameter.annotation, folder)
        fields[parameter.name] = (Required if parameter.default is parameter.empty else NotRequired)[annotation]
    make_schema: Any = TypedDict  # pydantic reads typing_extensions' before Python 3.12
    schema = make_schema("schema", fields)
    schema.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return schema


def _made(factory: Callable[..., object], options: Mapping[str, Any]) -> object:
    return factory(**options)


def _adapt(annotation: Any, folder: Path) -> Any:
    """An annotation for pydantic: durations with their unit, paths relative to the configuration's folder.

    `true` is no number, 1 is not true, and neither is "yes": pydantic would take them for each other.
    """
    if annotation is timedelta:
        return Duration
    if annotation in (bool, int, float):
        return Annotated[annotation, Strict()]
    if isinstance(annotation, type) and is_dataclass(annotation):
        return Annotated[_table(_parameters(annotation), folder), AfterValidator(partial(_made, annotation))]
    if annotation is Path:
        return Annotated[Path, AfterValidator(lambda path: folder / credential_path(path))]
    origin, arguments = get_origin(annotation), get_args(annotation)
    adapted = () if origin is Literal else tuple(_adapt(argument, folder) for argument in arguments)
    if origin is None or adapted in ((), arguments):
        return annotation
    # list[Path], Sequence[Path], Annotated[Path, ...], dict[str, timedelta], Path | None: something in it was adapted.
    return Union[adapted] if origin in (Union, UnionType) else origin[adapted]  # noqa: UP007
