"""The reference of rfcore: makes its pages from the docstrings and from what the chapters use.

    python -m tools.api            writes chapters/api.md and chapters/api-*.md

Nothing of rfcore is imported; the sources and the notebooks are read.
"""

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from nbformat import NotebookNode

from tools.docstrings import inline, markdown
from tools.public import PACKAGE, ROOMS, Name, everything, file_of, find, tree
from tools.run_notebooks import ROOT
from tools.signatures import Member, described_class, members
from tools.verdicts import notebooks

TITLES = {
    "model": "Questions and their answers",
    "theory": "Theory: answers at infinite dimension",
    "simulation": "Simulation: answers at finite dimension",
    "diffusion": "The diffusion process",
    "images": "Networks on real pictures",
    "data": "Data sets, stored results, sweeps",
    "book": "How chapters speak",
}
HEAD = r"""(api)=
# Reference

Every public name of `rfcore`, as its docstring explains it: what is computed, by which formula, in which
shapes and units, which errors it raises, where it comes from, and an example that the test suite runs.
These pages are made from the sources, and a test keeps them so. The words are those of the
[notation](notation.md) and of the [glossary](glossary.md).

A *question* is a frozen value: [`RandomFeatureModel`](#api-model-randomfeaturemodel-type) or
[`LinearModel`](#api-model-linearmodel-type). `rf.theory` answers it at $d=\infty$,
`rf.simulation` at finite $d$, with the same verbs and the same types of answer.

- Examples start from `import math`, `import numpy as np` and `import rfcore as rf`.
- Arrays are numpy arrays of double precision, and `Array` stands for one; `ArrayLike` is whatever numpy
  makes an array of. Shapes are written `(n, d)`; what has "any shape" broadcasts.
- Training time `tau` is that of the gradient flow $dA/d\tau=-d^2\,\nabla L$. Losses are in units where the
  zero score has loss 1; errors of the score and divergences are per dimension; eigenvalues are those of $U$.
- Diffusion time `t` is that of $dx=-x\,dt+\sqrt2\,dB$, entropies are in nats, pixels lie in $[-1,1]$.
- Formulas are typed as in the code: `e^-t`, `Delta` for $1-e^{-2t}$, `<f(lambda)>` for the mean over the law
  of the eigenvalues of $\Sigma$, `tr` for the trace, divided by $d$ where linear models are concerned.
- The letters of the networks are always the same: `p` features, `n` samples with `m` noise draws each, in
  dimension `d`; `lambda` an eigenvalue of $\Sigma$; `a`, `b`, `v`, `s` the constants of the
  [Gaussian equivalence](#api-gaussian-gaussianconstants-type), and `alpha` for $e^{-t}a$. Those of linear
  models: `z` the variance of the noise, `a` $=1/(1+z)$, `b` $=z/(1+z)$, `c` $=z$ plus the ridge.
- What is random takes a `seed` and nothing else decides: the same seed gives the same numbers.
- Bad input raises one `ValueError` that names the parameter, its value and what is allowed; what cannot be
  solved to the stated accuracy raises `RuntimeError` or `ArithmeticError`.
- Bulks and losses are to be had at a prompt as well, with tables, pictures and files:
  `python -m rfcore spectrum --help`.
- Questions, theory and the diffusion process need numpy and scipy alone; simulation and networks need
  torch.
"""


def uses(books: Mapping[str, NotebookNode], known: Iterable[str]) -> dict[str, list[str]]:
    """For each qualified name the chapters whose code uses it, in their order."""
    found: dict[str, list[str]] = {name: [] for name in known}
    for chapter, book in books.items():
        code = "\n".join(
            re.sub(r"(?m)^\s*[%!].*$", "pass", c.source) for c in book.cells if c.cell_type == "code"
        )
        for name in used(ast.parse(code)):
            if name in found:
                found[name].append(chapter)
    return found


def used(code: ast.Module) -> set[str]:
    """The dotted names below rfcore that a piece of code refers to."""
    places: dict[str, str] = {}
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            places |= {a.asname or a.name: a.name for a in node.names if a.name.split(".")[0] == "rfcore"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rfcore":
            places |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    names = set(places.values())
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            if first in places and re.fullmatch(r"[\w.]*", rest):
                names.add(f"{places[first]}.{rest}" if rest else places[first])
    return {name.removeprefix("rfcore.") for name in names}


class Reference:
    """All names, with what links them: addresses, twins, results, chapters."""

    def __init__(self, books: Mapping[str, NotebookNode]) -> None:
        self.names = everything()
        self.books = books
        self.uses = uses(books, [name.qualified for name in self.names])
        self.classes = {(find(n.module, n.name)[0], n.name): n for n in self.names if n.kind == "class"}
        self.explained: dict[tuple[str, str], Name] = {}  # answers without an entry, and where they stand
        for name in self.names:
            for module, node in self.answers(name):
                self.explained.setdefault((module, node.name), name)
        self.at = {name.qualified: name for name in self.names}

    def link(self, name: str, near: str) -> str | None:
        """The address of a name as a docstring in a module gives it."""
        called = name.partition("(")[0].strip()
        word = called.removeprefix("rfcore.").removeprefix("rf.")
        room = near.split(".")[0]
        tail = word.split(".")[-1]
        owner = word.split(".")[0]
        for candidate in (word, f"{room}.{word}", f"{room}.{tail}", f"model.{tail}", f"answers.{tail}"):
            if candidate in self.at and (candidate == word or owner in (tail, room, "rfcore")):
                found = self.at[candidate]
                return f"#{found.anchor}"
        return f"api-{word}.md" if word != called and word in ROOMS else None

    def returned(self, name: Name) -> list[Name]:
        """The public classes in what a function returns."""
        found = [location(name, word) for word in re.findall(r"[\w.]+", name.returns)]
        return [self.classes[f[0], f[1].name] for f in found if f and (f[0], f[1].name) in self.classes]

    def answers(self, name: Name) -> list[tuple[str, ast.ClassDef]]:
        """The other classes of rfcore in what a function returns: they have no entry of their own."""
        words = dict.fromkeys(re.findall(r"[\w.]+", name.returns))
        found = [here for word in words if (here := location(name, word))]
        return [(m, node) for m, node in found if (m, node.name) not in self.classes]

    def here(self, name: Name) -> list[Member]:
        """Those of them that stand with this function, the first that returns them."""
        nodes = [n for m, n in self.answers(name) if self.explained[m, n.name] == name]
        return [member for node in nodes for member in (described_class(node), *members(node))]

    def chapters(self, name: Name) -> str:
        """Links to the chapters that use a name, by their numbers."""
        found = [c for c in self.uses[name.qualified] if c[:2].isdigit()]
        links = [f"[{int(chapter[:2])}]({chapter}.ipynb)" for chapter in found]
        return f"chapter{'s' if len(links) > 1 else ''} {', '.join(links)}" if links else ""

    def relations(self, name: Name) -> list[str]:
        """The line of links under an entry."""
        said = []
        for other in {"theory": ("simulation",), "simulation": ("theory",)}.get(name.module, ()):
            if name.kind == "function" and f"{other}.{name.name}" in self.at:
                said.append(f"Twin: {self.reference(self.at[f'{other}.{name.name}'])}.")
        answers = [self.reference(n) for n in dict.fromkeys(self.returned(name))]
        for module, node in self.answers(name):
            where = self.explained[module, node.name]
            answers += [f"`{node.name}`, explained at {self.reference(where)}"] if where != name else []
        if answers:
            said.append(f"Answer: {', '.join(answers)}.")
        if name.kind == "class":
            makers = [n for n in self.names if n.kind == "function" and name in self.returned(n)]
            if makers:
                said.append(f"Returned by {', '.join(self.reference(n) for n in makers)}.")
        if found := self.chapters(name):
            said.append(f"Used in {found}.")
        return said

    def reference(self, name: Name) -> str:
        return f"[`{name.qualified}`](#{name.anchor})"

    def entry(self, name: Name) -> list[str]:
        """One name as Markdown."""

        def link(word: str) -> str | None:
            goal = self.link(word, name.module)
            return None if goal and goal.endswith(f"#{name.anchor}") else goal

        lines = [f"({name.anchor})=", f"### `{name.qualified}`", ""]
        if name.kind != "module":
            lines += ["```python", name.signature, "```", ""]
        lines += [markdown(name.doc, name.arguments, link)]
        for member in name.members:
            lines += ["```python", member.signature, "```", ""]
            lines += [markdown(member.doc, member.arguments, link)] if member.doc else []
        for member in self.here(name):
            lines += ["```python", member.signature, "```", ""]
            lines += [markdown(member.doc, member.arguments, link)] if member.doc else []
        said = self.relations(name)
        if said:
            lines += [" ".join(said), ""]
        return lines

    def page(self, room: str) -> str:
        """The page of one room: its names by the file that defines them."""
        lines = [f"(api-{room})=", f"# {TITLES[room]}", ""]
        mine = [name for name in self.names if name.room == room]
        for module in ROOMS[room]:
            doc = ast.get_docstring(tree(file_of(module))) or ""
            many = len(ROOMS[room]) > 1
            lines += [f"## {heading(module)}", ""] if many else []
            lines += [markdown(doc, (), lambda word, module=module: self.link(word, module))]
            own = sorted((n for n in mine if n.module == module), key=lambda n: (place(n), n.name.lower()))
            for (_, home), group in groupby(own, key=place):
                if not many:
                    lines += self.opening(home, module)
                for name in group:
                    lines += self.entry(name)
        return "\n".join(lines).rstrip() + "\n"

    def opening(self, home: str, module: str) -> list[str]:
        """The heading of a file's names, with what the file says of itself."""
        if home.endswith("__init__.py"):
            return ["## At once", ""]
        doc = ast.get_docstring(tree(PACKAGE / home)) or ""
        return [
            f"## {heading(home.removesuffix('.py').split('/')[-1])}",
            "",
            markdown(doc, (), lambda word: self.link(word, module)),
        ]

    def index(self) -> str:
        """The page with all names."""
        lines = [*HEAD.splitlines(), ""]
        for room, names in groupby(self.names, key=lambda n: n.room):
            lines += [f"## [{TITLES[room]}](api-{room}.md)", ""]
            for name in sorted(names, key=lambda n: n.qualified.lower()):
                first = inline(first_sentence(name.summary), lambda word: None)
                lines += [f"- {self.reference(name)}: {first}"]
            lines += [""]
        return "\n".join(lines).rstrip() + "\n"


def location(name: Name, word: str) -> tuple[str, ast.ClassDef] | None:
    """Module and definition of a class that the file of a function knows by ``word``: "KL" or "linear.KL"."""
    module = name.home.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    node = None
    for part in word.split("."):
        try:
            module, node = find(module, part)
        except ValueError:
            return None
    return (module, node) if isinstance(node, ast.ClassDef) else None


def heading(module: str) -> str:
    return module.strip("_").replace("_", " ").capitalize()


def place(name: Name) -> tuple[str, str]:
    return name.module, name.home


def first_sentence(text: str) -> str:
    """Up to the first stop that ends a sentence."""
    return re.split(r"(?<=[^.][.:])\s+(?=[A-Z])", text)[0]


def pages(reference: Reference) -> dict[Path, str]:
    """The pages as they must be now."""
    folder = ROOT / "chapters"
    return {folder / "api.md": reference.index()} | {
        folder / f"api-{room}.md": reference.page(room) for room in ROOMS
    }


def main() -> int:
    for path, text in pages(Reference(notebooks())).items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
