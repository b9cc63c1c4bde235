"""Names of symbols for the full-text search: who types tau_mem finds the pages with \\tau_{\\text{mem}}."""

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx

DRESSED = re.compile(r"\\(?:text|mathrm|operatorname|mathsf|mathcal|mathbf|boldsymbol)\s*\{([^{}]*)\}")
INDEXED = re.compile(r"\\?([A-Za-z]+)_\s*(?:\{\s*\\?([A-Za-z0-9]+)[^{}]*\}|\\([A-Za-z]+)|([A-Za-z0-9]))")
COMMAND = re.compile(r"\\([A-Za-z]+)")
GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi pi "
        "rho sigma varsigma tau phi varphi chi psi omega "
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(),
        "αβγδϵεζηθϑκλμνξπρσςτϕφχψωΓΔΘΛΞΠΣΦΨΩ",
        strict=True,
    )
)


def spoken(formula: str) -> set[str]:
    """What one may type for the symbols of a formula: kappa, psi_p, tau_mem, and with Greek letters too.

    The words of the source itself are in the index already; these are the ones that braces, fonts and
    letters that stand close (``\\Delta_te^{2t}``) hide from it.
    """
    plain = formula
    for _ in range(2):  # \operatorname{\mathrm{..}}
        plain = DRESSED.sub(lambda match: match[1].strip(), plain)
    words = {f"{letter}_{a or b or c}" for letter, a, b, c in INDEXED.findall(plain)}
    words |= {name for name in COMMAND.findall(plain) if name in GREEK}
    parts = [word.partition("_") for word in words]
    return words | {GREEK[name] + bar + index for name, bar, index in parts if name in GREEK}


def keywords(formulas: Iterable[str]) -> str:
    """All of them, sorted, as the content of a meta element."""
    return ", ".join(sorted(set().union(*map(spoken, formulas))))


def name_symbols(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Adds the names as keywords of the page, which the search index takes up."""
    formulas = [node.astext() for kind in (nodes.math, nodes.math_block) for node in doctree.findall(kind)]
    found = keywords(formulas)
    if found:
        doctree.insert(0, nodes.meta(name="keywords", lang="en", content=found))
