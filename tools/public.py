"""The public names of rfcore, read from the sources without importing them: neither torch nor data is needed.

A room is a page of the reference: a few modules, and for each the names in its ``__all__``.  A name may stand
for a function, a class, a constant (described by the string that follows it) or a module.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.run_notebooks import ROOT
from tools.signatures import Member, call, described_class, fields, members, parameters, raised, short

PACKAGE = ROOT / "rfcore"
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Name:
    """One public name: where it is found, what it is, how it is called, what its docstring says."""

    room: str
    module: str  # the public one: "theory"
    name: str
    home: str  # the file, below rfcore/: "theory/resolvent.py"
    kind: str  # "function", "class", "constant" or "module"
    signature: str
    returns: str
    doc: str
    raised: tuple[str, ...]
    arguments: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def qualified(self) -> str:
        """How it is called after `import rfcore as rf`, without the `rf.`."""
        return label(self.module, self.name)

    @property
    def anchor(self) -> str:
        return f"api-{self.module.strip('_')}-{self.name}".lower().replace("_", "-") + (
            "-type" if self.kind == "class" else ""
        )

    @property
    def summary(self) -> str:
        """The first sentence or line of the docstring."""
        return " ".join(self.doc.split("\n\n")[0].split())


def file_of(module: str) -> Path:
    """The source of a module, given without `rfcore.`."""
    base = PACKAGE / module.replace(".", "/")
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def literal(module: str, name: str) -> object:
    """The value of a constant that is written out in the source; None if there is none."""
    for node in tree(file_of(module)).body:
        if isinstance(node, ast.Assign) and name in [t.id for t in node.targets if isinstance(t, ast.Name)]:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


def top() -> dict[str, str]:
    """The names that `import rfcore` gives at once, with their modules."""
    imports = [n for n in tree(PACKAGE / "__init__.py").body if isinstance(n, ast.ImportFrom)]
    return {
        a.name: (n.module or "").removeprefix("rfcore.")
        for n in imports
        for a in n.names
        if n.level == 0 and (n.module or "").startswith("rfcore.")
    }


def label(module: str, name: str) -> str:
    """How a name of a module is called, without the `rf.`."""
    return name if top().get(name) == module else f"{module}.{name}"


def listed(module: str) -> list[str]:
    """The names in ``__all__``, or in ``_HOMES`` where a room loads on first use, or else those of `top`."""
    names = literal(module, "__all__")
    if isinstance(names, list | tuple):
        return sorted(names)
    homes = literal(module, "_HOMES")
    if isinstance(homes, dict):
        return sorted([*homes, *(name for members in homes.values() for name in members)])
    return sorted(name for name, home in top().items() if home == module)


def rooms() -> dict[str, tuple[str, ...]]:
    """The pages, and the modules on each: the questions, with what else is imported at once, come first."""
    first = dict.fromkeys(("model", *top().values(), "answers", "gaussian"))
    rest = {name: (name,) for name in ("theory", "simulation", "diffusion", "images")}
    return {"model": tuple(first), **rest, "data": ("datasets", "results", "sweep"), "book": ("book",)}


def find(module: str, name: str) -> tuple[str, Definition | None]:
    """Where a name is defined: module and definition, or the module of that name and None."""
    for node in tree(file_of(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name and not overload(node):
            return module, node
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in [t.id for t in targets if isinstance(t, ast.Name)]:
                return module, node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rfcore"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = (node.module or "").removeprefix("rfcore").removeprefix(".")
                    if source in ("", module):
                        return f"{source}.{alias.name}".strip("."), None
                    return find(source, alias.name)
    homes = literal(module, "_HOMES")
    for home, found in homes.items() if isinstance(homes, dict) else ():
        if name in found:
            return find(f"{module}.{home}", name)
    if file_of(f"{module}.{name}").exists():
        return f"{module}.{name}", None
    raise ValueError(f"rfcore.{module}.{name} is listed and not defined")


def overload(node: ast.stmt) -> bool:
    """Whether a definition only says what another one takes."""
    return isinstance(node, ast.FunctionDef) and "overload" in [ast.unparse(d) for d in node.decorator_list]


def forms(home: str, node: ast.FunctionDef) -> list[ast.FunctionDef]:
    """The ways to call a function: its overloads, or itself."""
    same = [n for n in tree(file_of(home)).body if isinstance(n, ast.FunctionDef) and n.name == node.name]
    return [n for n in same if overload(n)] or [node]


def describe(room: str, module: str, name: str) -> Name:
    """Everything about one public name."""
    home, node = find(module, name)
    path = file_of(home).relative_to(PACKAGE).as_posix()
    called = f"rf.{label(module, name)}"
    if node is None:
        source = tree(file_of(home))
        parts = tuple(inside(source, home))
        doc = ast.get_docstring(source) or ""
        return Name(room, module, name, path, "module", called, "", doc, (), (), parts)
    if isinstance(node, ast.ClassDef):
        given = fields(node)
        text = call(called, [a for a, _ in given], "")
        names, doc = tuple(n for _, n in given if n), ast.get_docstring(node) or ""
        return Name(room, module, name, path, "class", text, "", doc, (), names, tuple(members(node)))
    if isinstance(node, ast.FunctionDef):
        given, returns = parameters(node), short(node.returns)
        ways = [(parameters(n), short(n.returns)) for n in forms(home, node)]
        text = "\n".join(call(called, [a for a, _ in way], end) for way, end in ways)
        doc = ast.get_docstring(node) or ""
        names, more = tuple(n for _, n in given if n), tuple(ways_of(doc, node, home))
        return Name(room, module, name, path, "function", text, returns, doc, raised(node), names, more)
    doc = after(tree(file_of(home)), node)
    return Name(room, module, name, path, "constant", called, "", doc, (), (), ())


def ways_of(doc: str, node: ast.FunctionDef, home: str) -> Iterator[Member]:
    """The functions of the same name to which a verb hands the kinds of questions, as its docstring says."""
    for module in re.findall(rf":func:`rfcore\.([\w.]+)\.{node.name}`", doc):
        if module == home or not file_of(module).exists():
            continue
        place, found = find(module, node.name)
        if place == module and isinstance(found, ast.FunctionDef):
            given = parameters(found)
            text = call(f"{module.split('.')[-1]}.{node.name}", [a for a, _ in given], short(found.returns))
            yield Member(node.name, text, ast.get_docstring(found) or "", tuple(n for _, n in given if n))


def after(source: ast.Module, node: ast.AST) -> str:
    """The string that follows a constant: its docstring."""
    place = source.body.index(node)  # type: ignore[arg-type]
    following = source.body[place + 1] if place + 1 < len(source.body) else None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        if isinstance(following.value.value, str):
            first, *rest = following.value.value.split("\n")
            return "\n".join([first.strip(), *(line.rstrip() for line in rest)]).strip()
    return ""


def inside(source: ast.Module, home: str) -> Iterator[Member]:
    """What a public module defines beside the names of its room."""
    known = set(listed(home.split(".")[0]))
    for node in source.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if node.name in known and find(home.split(".")[0], node.name)[0] == home:
            continue
        if isinstance(node, ast.ClassDef):
            yield described_class(node)
        else:
            given = parameters(node)
            text = call(node.name, [a for a, _ in given], short(node.returns))
            yield Member(node.name, text, ast.get_docstring(node) or "", tuple(n for _, n in given if n))


ROOMS = rooms()


def everything() -> list[Name]:
    """All public names, room by room, in the order of their names."""
    return [
        describe(room, module, name)
        for room, modules in ROOMS.items()
        for module in modules
        for name in listed(module)
    ]
