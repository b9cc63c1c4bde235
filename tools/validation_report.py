"""The agreement of theory and simulation as Markdown, computed from what `tools.validate` stored."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from tools import validation_features as features
from tools import validation_linear as linear
from tools import validation_text as text
from tools.validation_filters import Filters
from tools.validation_fit import (
    Columns,
    Fit,
    chi_square,
    exponents,
    families,
    fit,
    inside,
    markdown,
    null,
    select,
)
from tools.validation_store import Row, Table, read_table

SECOND = ((1, 2), (1, 0.5))  # powers of 1/d of a fit with a second term
SPACE = "\u00a0"  # does not break
SHOWN = (64, 256, 512)  # dimensions at which deviations are shown
END = "test mu=0 tau=inf"
LOSSES = {"train loss": "train", "test loss": "test", "empirical loss": "empirical", "score error": "score_"}
LINEAR = {
    "loss curves and end of training": ("train", "test", "score_"),
    "KL divergences": ("KL",),
    "renormalised noise kappa": ("kappa",),
    "denoiser, mean": ("denoiser mean",),
    "denoiser, variance": ("denoiser variance",),
    "sampling map, mean": ("map mean",),
    "sampling map, variance": ("map variance",),
    "agreement of splits": ("agreement",),
    "oracle filter, best stopping, best ridge": ("oracle", "best"),
    "least KL divergences": ("least",),
    "gradient flow by mode": ("flow",),
    "early-stopped sampler": ("stopped",),
    "generated covariance, mean": ("generated mean",),
    "generated covariance, variance": ("generated variance",),
    "power of the covariance, mean": ("power mean",),
    "power of the covariance, variance": ("power variance",),
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How well a group of quantities follows the rule."""

    quantities: int
    inside2: float
    inside3: float
    chi2: float

    def cells(self) -> list[str]:
        return [str(self.quantities), _percent(self.inside2), _percent(self.inside3), f"{self.chi2:.2f}"]


def verdict(fits: Iterable[Fit]) -> Verdict:
    """Pooled over settings and quantities."""
    every = list(fits)
    count = sum(int(f.judged.sum()) for f in every)
    return Verdict(count, inside(every, 2), inside(every, 3), chi_square(every))


def within(rows: dict[int, Row], dimensions: Iterable[int] = features.SEEDS) -> dict[int, Row]:
    """The rows at these dimensions."""
    return {d: rows[d] for d in dimensions}


def spectral(table: Table) -> Columns:
    """All columns but the Kolmogorov distance, which is no mean of independent parts."""
    return np.array([k for k, name in enumerate(table.columns) if not name.startswith("Kolmogorov")])


def starting(table: Table, *starts: str) -> Columns:
    """The columns whose name begins so."""
    return np.array([k for k, name in enumerate(table.columns) if name.startswith(starts)])


def feature_groups(table: Table) -> dict[str, list[dict[int, Row]]]:
    """The settings of the features table by who, law and activation; one entry per m."""
    found: dict[str, list[dict[int, Row]]] = {}
    for name, rows in families(table).items():
        found.setdefault(name.rsplit(" ", 1)[0], []).append(rows)
    return found


def features_by_setting(table: Table) -> str:
    """One line per network or twin, covariance and activation; m pooled."""
    columns, lines = spectral(table), []
    for name, settings in feature_groups(table).items():
        one = verdict(select(fit(within(rows)), columns) for rows in settings)
        two = [
            chi_square([select(fit(within(rows), powers), columns) for rows in settings]) for powers in SECOND
        ]
        lines.append([name, *one.cells()[1:], " or ".join(f"{value:.2f}" for value in two)])
    header = ["setting", "inside 2", "inside 3", "χ²/dof", "with D/d² or D/√d besides"]
    perfect = [*_perfect(features.SEEDS)[1:], f"{null(features.SEEDS, (1, 2))[2]:.2f}"]
    return markdown(header, [*lines, ["*if the rule held exactly*", *perfect]])


def features_by_quantity(table: Table, who: Iterable[str]) -> str:
    """One line per quantity, over the settings whose name begins with one of ``who``."""
    fits = [fit(within(rows)) for name, rows in families(table).items() if name.startswith(tuple(who))]
    groups = {name: starting(table, start) for name, start in LOSSES.items()}
    groups["resolvent"] = starting(table, "Re q", "Im q")
    lines = [[name, *verdict(select(f, columns) for f in fits).cells()] for name, columns in groups.items()]
    header = ["quantity", "numbers", "inside 2", "inside 3", "χ²/dof"]
    return markdown(header, [*lines, ["*if the rule held exactly*", *_perfect(features.SEEDS)]])


def features_constants(table: Table) -> str:
    """C of the test loss at the end of training without ridge, for each m."""
    column, lines = table.columns.index(END), []
    for name, settings in feature_groups(table).items():
        fits = [fit(within(rows)) for rows in settings]
        lines.append([name, *(_error(f.constants[0, column], f.errors[0, column]) for f in fits)])
    return markdown(["C of the test loss, end of training", *(f"m = {m:g}" for m in features.DRAWS)], lines)


def features_exponents(table: Table) -> str:
    """The deviation of the test loss with patch covariance at each d, and the exponents between."""
    column, lines = table.columns.index(END), []
    for name, rows in families(table).items():
        if "network patches" in name:
            shown = [_deviation(rows.get(d), column) for d in SHOWN]
            powers = ["-" if math.isnan(power) else f"{power:.2f}" for power, _ in exponents(rows, column)]
            lines.append([name.removeprefix("network patches "), *shown, ", ".join(powers)])
    return markdown(["deviation", *(f"d = {d}" for d in SHOWN), "exponents"], lines)


def features_distance(table: Table) -> str:
    """The Kolmogorov distance of the spectra, largest over settings, with and without an atom at s^2."""
    column = table.columns.index("Kolmogorov distance")
    lines = []
    for who in ("network", "twin"):
        for draws, label in ((False, "finite m"), (True, "m = infinity")):
            chosen = [
                rows
                for name, rows in families(table).items()
                if name.startswith(who) and (name.endswith("inf") == draws)
            ]
            largest = [max(rows[d].mean[column] for rows in chosen) for d in features.SEEDS]
            lines.append([f"{who}, {label}", *(f"{value:.3f}" for value in largest)])
    return markdown(["Kolmogorov distance", *(f"d = {d}" for d in features.SEEDS)], lines)


def linear_groups(table: Table) -> dict[str, tuple[Columns, Columns]]:
    """Columns of each kind of quantity: without and with the stated 1/d correction."""
    found = {}
    for name, starts in LINEAR.items():
        columns = [k for k, label in enumerate(table.columns) if any(_is(label, start) for start in starts)]
        corrected = [k for k in columns if table.columns[k].endswith(linear.CORRECTED)]
        plain = [k for k in columns if k not in corrected]
        if columns:
            found[name] = np.array(plain), np.array(corrected, dtype=np.intp)
    return found


def linear_by_quantity(tables: Iterable[Table]) -> str:
    """One line per kind of quantity, over all covariances and gamma; a second one with the stated 1/d."""
    lines, last = [], max(linear.DRAWS)
    for table in tables:
        settings = list(families(table).values())
        for name, (plain, corrected) in linear_groups(table).items():
            found = verdict(select(fit(rows), plain) for rows in settings)
            bare = inside([select(fit({last: rows[last]}, ()), plain) for rows in settings], 3)
            lines.append([name, *found.cells()[1:], _percent(bare)])
            if corrected.size:
                found = verdict(select(fit(rows, ()), corrected) for rows in settings)
                bare = inside([select(fit({last: rows[last]}, ()), corrected) for rows in settings], 3)
                lines.append([f"{name}, with the stated 1/d, no fit", *found.cells()[1:], _percent(bare)])
    header = ["quantity", "inside 2", "inside 3", "χ²/dof", f"d = {last} alone, no fit: inside 3"]
    perfect = [*_perfect(linear.DRAWS)[1:], _percent(null({last: linear.DRAWS[last]}, ())[1])]
    return markdown(header, [*lines, ["*if the rule held exactly*", *perfect]])


def linear_by_setting(tables: Iterable[Table]) -> str:
    """One line per covariance and gamma, all quantities."""
    fits: dict[str, list[Fit]] = {}
    for table in tables:
        plain = np.concatenate([group[0] for group in linear_groups(table).values()])
        for name, rows in families(table).items():
            fits.setdefault(name, []).append(select(fit(rows), plain))
    lines = [[name, *verdict(found).cells()] for name, found in fits.items()]
    header = ["setting", "numbers", "inside 2", "inside 3", "χ²/dof"]
    return markdown(header, [*lines, ["*if the rule held exactly*", *_perfect(linear.DRAWS)]])


def report() -> str:
    """All tables, with what to know about them."""
    table = read_table(features.NAME)
    tables = [read_table(part.NAME) for part in (linear.Losses, linear.Maps, Filters)]
    regular = ("twin", "network isotropic", "network two-level")
    return "\n\n".join(
        [
            text.FEATURES,
            features_by_setting(table),
            "By quantity (twins, and networks with isotropic and two-level covariance):",
            features_by_quantity(table, regular),
            "The constant $C$ of the test loss at the end of training without ridge:",
            features_constants(table),
            text.PATCHES,
            features_exponents(table),
            text.SPECTRA,
            features_distance(table),
            text.LINEAR,
            linear_by_quantity(tables),
            "By setting, all quantities with a fitted $C/d$:",
            linear_by_setting(tables),
        ]
    )


def _is(label: str, start: str) -> bool:
    """Whether a column belongs: its first word, and for moments also whether it is a mean or a variance."""
    first, *second = start.split(" ")
    return label.startswith(first) and all(f" {word} " in label for word in second)


def _perfect(samples: dict[int, int]) -> list[str]:
    two, three, chi2 = null(samples)
    return ["", _percent(two), _percent(three), f"{chi2:.2f}"]


def _percent(fraction: float) -> str:
    return "-" if math.isnan(fraction) else f"{100 * fraction:.1f}{SPACE}%"


def _error(value: float, error: float) -> str:
    digits = 2 if error < 0.095 else 1
    return f"{value:.{digits}f}{SPACE}±{SPACE}{error:.{digits}f}"


def _deviation(row: Row | None, column: int) -> str:
    if row is None:
        return "-"
    digits = 3 if row.error[column] > 5e-4 else 4
    return f"{row.mean[column] - row.theory[column]:+.{digits}f}{SPACE}±{SPACE}{row.error[column]:.{digits}f}"
