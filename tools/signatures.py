"""Definitions as a reader wants to see them: signatures, fields, members, errors, from the syntax alone."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

PROPERTIES = {"property", "cached_property"}


@dataclass(frozen=True)
class Member:
    """A method, property or `__call__` of a class, or a name of a public module."""

    name: str
    signature: str
    doc: str
    arguments: tuple[str, ...] = ()


def short(annotation: ast.expr | None) -> str:
    """A type as a reader wants it."""
    if annotation is None:
        return ""
    text = ast.unparse(annotation).replace("'", "")
    for long, brief in (("npt.NDArray[np.float64]", "Array"), ("npt.", ""), ("np.", "")):
        text = text.replace(long, brief)
    return text


def parameters(node: ast.FunctionDef) -> list[tuple[str, str]]:
    """Each parameter as it is written, with its bare name; without self and cls."""
    a = node.args
    positional = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(positional) - len(a.defaults)) + list(a.defaults)
    found = [described(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    if a.vararg:
        found.append((f"*{a.vararg.arg}", a.vararg.arg))
    elif a.kwonlyargs:
        found.append(("*", ""))
    found += [described(arg, d) for arg, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    if a.kwarg:
        kind = short(a.kwarg.annotation).removeprefix("Unpack[").removesuffix("]")
        found.append((f"**{a.kwarg.arg}: {kind}" if kind != "Any" else f"**{a.kwarg.arg}", a.kwarg.arg))
    return [(text, name) for text, name in found if name not in ("self", "cls")]


def described(arg: ast.arg, default: ast.expr | None) -> tuple[str, str]:
    kind = short(arg.annotation)
    text = arg.arg + (f": {kind}" if kind else "")
    if default is not None:
        text += (" = " if kind else "=") + ast.unparse(default).replace("'", '"')
    return text, arg.arg


def call(name: str, arguments: list[str], returns: str, width: int = 66) -> str:
    """A signature, on one line where it fits."""
    returns = re.sub(r"\b[a-z_]+\.(?=[A-Z])", "", returns)  # linear.KL: a reader knows it as KL
    end = f" -> {returns}" if returns and returns != "None" else ""
    line = f"{name}({', '.join(arguments)}){end}"
    if len(line) <= width or not arguments:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){end}"


def fields(node: ast.ClassDef) -> list[tuple[str, str]]:
    """The fields of a dataclass or of a TypedDict, or what the constructor of another class takes."""
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list) or "TypedDict" in map(
        ast.unparse, node.bases
    ):
        found = []
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                name = item.target.id
                default = f" = {ast.unparse(item.value)}" if item.value is not None else ""
                if not name.startswith("_") and not default.startswith(" = field("):
                    found.append((f"{name}: {short(item.annotation)}{default}".replace("'", '"'), name))
        return found
    start = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    return parameters(start[0]) if start else []


def members(node: ast.ClassDef) -> Iterator[Member]:
    """Public methods and properties that have a docstring, in the order of the source."""
    for item in node.body:
        if not isinstance(item, ast.FunctionDef) or not (doc := ast.get_docstring(item)):
            continue
        if item.name.startswith("_") and item.name != "__call__":
            continue
        marks = {ast.unparse(d).split(".")[-1] for d in item.decorator_list}
        arguments = [text for text, _ in parameters(item)]
        names = tuple(name for _, name in parameters(item) if name)
        returns = short(item.returns)
        name = "" if item.name == "__call__" else f".{item.name}"
        plain = f"{name}: {returns}"
        yield Member(item.name, plain if marks & PROPERTIES else call(name, arguments, returns), doc, names)


def raised(node: ast.AST) -> tuple[str, ...]:
    """The exceptions that the body of a definition raises by name; `refuse` makes a ValueError."""
    found = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Raise) and item.exc is not None:
            made = item.exc.func if isinstance(item.exc, ast.Call) else item.exc
            word = ast.unparse(made).split(".")[-1]
            if word[0].isupper():
                found.add(word)
            elif word in ("refuse", "too_rough"):
                found.add("ValueError")
    return tuple(sorted(found))


def described_class(node: ast.ClassDef) -> Member:
    """A class that has no entry of its own."""
    given = fields(node)
    text = call(node.name, [a for a, _ in given], "")
    return Member(node.name, text, ast.get_docstring(node) or "", tuple(n for _, n in given if n))
