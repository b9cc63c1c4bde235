"""The page of stored results is what the stored files say, lists all of them, and its rule holds."""

import re

import numpy as np
import pytest

from rfcore import results
from tools import provenance, validation_features, validation_linear, validation_report
from tools.validation_filters import Filters
from tools.validation_fit import chi_square, exponents, families, fit, null, select
from tools.validation_store import read_table


def test_the_page_is_that_of_the_stored_files():
    assert provenance.PAGE.read_text(encoding="utf-8") == provenance.page(), f"run `{provenance.COMMAND}`"


def test_every_stored_result_is_on_the_page_with_its_checksum():
    text = provenance.page()
    for name in results.names():
        assert f"### {name}\n" in text and results.load(name).sha256 in text
    for path in results.FOLDER.iterdir():
        assert f"`{path.name}`" in text or path.name.startswith(".")


def test_a_file_that_nothing_describes_is_named(tmp_path, monkeypatch):
    (tmp_path / "mystery.bin").write_bytes(b"?")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="mystery.bin"):
        provenance.page()


def test_the_page_names_no_host_and_no_path():
    for name in results.names():
        assert not re.search(r"/(home|root|work|tmp|Users)/", str(dict(results.load(name).provenance)))


def test_the_table_counts_what_lies_inside_as_lapack_fits_it():
    """Pulls of one setting by LAPACK's least squares, quantity by quantity, against the table's line."""
    table = read_table(validation_features.NAME)
    columns = validation_report.spectral(table)
    settings = validation_report.feature_groups(table)["network two-level tanh"]
    pulls = []
    for rows in map(validation_report.within, settings):
        d = np.array(list(rows))
        for k in columns:
            numerical = np.array([row.numerical[k] for row in rows.values()])
            delta = np.array([row.mean[k] - row.theory[k] for row in rows.values()])
            sigma = np.sqrt(np.array([row.error[k] for row in rows.values()]) ** 2 + numerical**2)
            if np.all((np.abs(delta) <= 3 * numerical) & (sigma <= 3 * numerical)):
                continue
            x, y = (1 / d / sigma)[:, None], delta / sigma
            pulls.append(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])
    found = 100 * np.mean(np.abs(pulls) <= 3)
    line = next(
        line for line in provenance.page().splitlines() if line.startswith("| network two-level tanh |")
    )
    assert float(line.split("|")[3].split("%")[0]) == pytest.approx(found, abs=0.051)


def fits(table, columns, who, powers=(1.0,)):
    """The fits of all settings whose name begins with ``who``, over d = 64, 128, 256."""
    chosen = [rows for name, rows in families(table).items() if name.startswith(who)]
    return [select(fit(validation_report.within(rows), powers), columns) for rows in chosen]


@pytest.mark.parametrize("who", ["twin", "network isotropic", "network two-level"])
def test_random_features_follow_the_rule(who):
    """As many inside 3 standard errors as with exact agreement, less half a percent; the same chi-square."""
    table = read_table(validation_features.NAME)
    found = validation_report.verdict(fits(table, validation_report.spectral(table), who))
    _, three, chi2 = null(validation_features.SEEDS)
    assert found.quantities > 1000
    assert found.inside3 > three - 0.005
    assert abs(found.chi2 / chi2 - 1) < 0.25


def test_networks_on_patches_do_as_the_page_says():
    table = read_table(validation_features.NAME)
    columns = validation_report.spectral(table)
    for activation, second, limit in (("tanh", 2, 2.5), ("erf", 2, 2.5), ("relu", 0.5, 2.5)):
        who = f"network patches {activation}"
        assert validation_report.verdict(fits(table, columns, who)).inside3 < 0.8
        assert chi_square(fits(table, columns, who, (1, second))) < limit
    assert chi_square(fits(table, columns, "network patches relu", (1, 2))) > 10
    end = table.columns.index(validation_report.END)
    for name, rows in families(table).items():
        powers = [power for power, _ in exponents(rows, end)]
        if name.startswith("network patches relu"):
            assert np.nanmax(powers) < 0.75, name
        elif name.startswith("network patches"):
            assert min(powers) > 0.4, name
        if name.startswith("network patches") and len(powers) == 3:
            assert powers[0] < powers[1] < powers[2], name


@pytest.mark.parametrize("part", [validation_linear.Losses, validation_linear.Maps, Filters])
def test_linear_denoisers_follow_the_rule(part):
    """With a fitted C/d, and with the stated correction and nothing fitted."""
    table = read_table(part.NAME)
    groups = validation_report.linear_groups(table).values()
    plain, stated = (np.concatenate([group[k] for group in groups]) for k in (0, 1))
    found = validation_report.verdict(fits(table, plain, ""))
    _, three, chi2 = null(validation_linear.DRAWS)
    assert found.quantities > 300
    assert found.inside3 > three - 0.005
    assert abs(found.chi2 / chi2 - 1) < 0.25
    if stated.size:
        assert validation_report.verdict(fits(table, stated, "", ())).inside3 > three - 0.005
