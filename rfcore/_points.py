"""A point of a grid: the arguments of one call, the name of its result, and the command that repeats it.

The name is a hash of what is asked, defaults included: ``image-training-`` and 16 hexadecimal digits.
Arguments are plain values (numbers, words, lists of them) or frozen questions made of such.
"""

import dataclasses
import datetime
import hashlib
import importlib
import inspect
import itertools
import json
import math
import re
import shlex
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore._commands import ALONE
from rfcore._experiments import EXPERIMENTS, known
from rfcore.checks import refuse

Function = Callable[..., Mapping[str, npt.ArrayLike]]
Grid = Mapping[str, Any] | Iterable[Any]
SCRATCH = "scratch"  # an argument of this name is no part of the question: a file for unfinished work
BARE = re.compile(r"[A-Za-z][\w./:+-]*")
ARGUMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Task:
    """A function, the word it is called by, and whether that word finds it again in another process."""

    word: str
    function: Function
    found_again: bool

    @property
    def keeps_scratch(self) -> bool:
        return SCRATCH in inspect.signature(self.function).parameters


@dataclass(frozen=True, eq=False)
class Point:
    """name : of the result;  arguments : of the call, all of them;  plain : the same as JSON values."""

    name: str
    arguments: Mapping[str, Any]
    plain: Mapping[str, Any]
    command: str


def task_of(experiment: str | Function) -> Task:
    """The registered experiment of that name, the function ``module:name``, or the function itself."""
    if callable(experiment):
        word = f"{experiment.__module__}:{getattr(experiment, '__qualname__', '')}"
        return Task(word, experiment, _found_again(word, experiment))
    word = EXPERIMENTS.get(experiment, experiment) if isinstance(experiment, str) else ""
    module, separator, name = word.partition(":")
    if not separator:
        raise refuse("experiment", experiment, f"{known()}, or a function as 'module:name'")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise refuse("experiment", experiment, f"a function that can be imported ({error})") from None
    if not callable(function):
        raise refuse("experiment", experiment, "a function")
    return Task(str(experiment), function, True)


def points_of(task: Task, grid: Grid, command: str | None = None) -> list[Point]:
    """The points of a grid, in order, each once: a mapping of names to values or lists of values (all
    combinations, the last name runs fastest), or mappings and questions one by one."""
    asked = combinations(grid) if isinstance(grid, Mapping) else grid
    points = {point.name: point for point in (point_of(task, each, command) for each in asked)}
    if not points:
        raise ValueError("grid has no points, which is not allowed: at least one")
    return list(points.values())


def combinations(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All combinations of the values in lists, the last name fastest."""
    axes = [list(v) if isinstance(v, list | tuple | range | np.ndarray) else [v] for v in grid.values()]
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*axes)]


def point_of(task: Task, asked: Any, command: str | None = None) -> Point:
    """One point; ``asked`` is a mapping of arguments, or a frozen question, the function's first argument."""
    signature = inspect.signature(task.function)
    names = [name for name in signature.parameters if name != SCRATCH]
    if _is_question(asked) and names:
        asked = {names[0]: asked}
    if not isinstance(asked, Mapping):
        raise refuse("point", asked, "a mapping of arguments, or a frozen question")
    if unknown := [name for name in asked if name not in names]:
        raise ValueError(f"{task.word} has no parameter {unknown[0]!r}: it has {', '.join(names)}")
    bound = {name: p.default for name, p in signature.parameters.items() if name in names} | dict(asked)
    if missing := [name for name, value in bound.items() if value is inspect.Parameter.empty]:
        raise ValueError(f"{task.word} needs {', '.join(missing)}")
    hints = _hints(task.function)
    arguments = {name: _settled(name, value, hints.get(name)) for name, value in bound.items()}
    content = {name: _encoded(name, value) for name, value in arguments.items()}
    digest = hashlib.sha256(json.dumps([task.word, content], sort_keys=True).encode()).hexdigest()
    short = re.sub(r"[^a-z0-9]+", "-", task.word.rpartition(":")[2].lower()).strip("-")
    if command is None and not task.found_again:
        raise refuse(
            "command", None, f"what to type to run this again: {task.word} cannot be imported by name"
        )
    return Point(f"{short}-{digest[:16]}", arguments, _finite(content), command or _typed(task.word, content))


def parsed(words: Iterable[str]) -> dict[str, Any]:
    """``name=value`` words of a command line; values as in TOML, and a bare word is text."""
    arguments: dict[str, Any] = {}
    for word in words:
        match = ARGUMENT.fullmatch(word)
        if match is None:
            raise ValueError(
                f"{word!r} is not allowed: parameters are given as name=value, for instance d=64"
            )
        name, text = match.groups()
        if name in arguments:
            raise ValueError(f"{name} is given twice")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        arguments[name] = decoded(text if _is_date(value) else value)
    return arguments


def decoded(value: Any) -> Any:
    """Tables with a ``type`` become the frozen questions they describe."""
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    fields = {name: decoded(each) for name, each in value.items()}
    word = fields.pop("type", None)
    module, _, name = str(word).partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        kind = None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise refuse("type", word, "a question as 'module:name', for instance 'rfcore.model:LinearModel'")
    return kind(**fields)


def _settled(name: str, value: Any, hint: Any) -> Any:
    """Numpy's scalars as Python's, and a whole number as float where the function says float."""
    if isinstance(value, np.generic):
        value = value.item()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float) and (isinstance(value, str) or value is None):
        raise refuse(name, value, "a whole number" if hint is int else "a number")
    if hint in (str, bool) and not isinstance(value, hint):
        raise refuse(name, value, "text" if hint is str else "true or false")
    return value


def _encoded(name: str, value: Any) -> Any:
    """What a value says, as JSON values (and inf, nan): equal for equal questions."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return _encoded(name, value.item())
    if isinstance(value, np.ndarray):
        return _encoded(name, value.tolist())
    if isinstance(value, list | tuple | range):
        return [_encoded(name, each) for each in value]
    if _is_question(value):
        kind = type(value)
        fields = (field.name for field in dataclasses.fields(value) if field.init)
        said = {field: _encoded(f"{name}.{field}", getattr(value, field)) for field in fields}
        return {"type": f"{kind.__module__}:{kind.__qualname__}", **said}
    raise refuse(name, value, "a number, text, a list of them, or a frozen question made of them")


def _typed(word: str, content: Mapping[str, Any]) -> str:
    """The command line of one point."""
    given = [f"{name}={_toml(value, bare=True)}" for name, value in content.items() if value is not None]
    return ALONE + " ".join(shlex.quote(each) for each in [word, *given])


def _toml(value: Any, bare: bool = False) -> str:
    if isinstance(value, dict):
        inside = (f"{name}={_toml(each)}" for name, each in value.items() if each is not None)
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        plain = bare and BARE.fullmatch(value) and value not in ("true", "false", "inf", "nan")
        return value if plain else _quoted(value)
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def _quoted(text: str) -> str:
    """A TOML string on one line, in which everything can be printed."""
    plain = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return '"' + "".join(plain) + '"'


def _finite(value: Any) -> Any:
    """JSON has no infinity: words for it in the provenance."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _found_again(word: str, function: Function) -> bool:
    module, _, name = word.partition(":")
    try:
        return module != "__main__" and getattr(importlib.import_module(module), name, None) is function
    except ImportError:
        return False


def _hints(function: Function) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _is_question(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and _frozen(value)


def _frozen(value: Any) -> bool:
    return bool(type(value).__dataclass_params__.frozen)


def _is_date(value: Any) -> bool:
    return isinstance(value, datetime.date | datetime.time)
