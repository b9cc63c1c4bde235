"""Six networks, two training sets, one noise: every number by another way, from networks trained here."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import rfcore as rf
from rfcore._points import points_of, task_of
from rfcore.images import LinearDenoiser, NetworkScore, Training, pairs, sampling_times, train
from rfcore.sweep import read_plan

Arrays = Mapping[str, np.ndarray]
FEW: dict[str, Any] = {"n": 20, "steps": 12, "batch": 8, "checkpoints": 1, "first": 12, "learning_rate": 1e-2}
SMALL: dict[str, Any] = {"unet": "nano", "samples": 48, "sampling_steps": 5, "shown": 48, "bank": 64}
PRECISE: dict[str, Any] = {"precision": "float64"}


@pytest.fixture(scope="module")
def found() -> Arrays:
    return pairs.image_pairs(**FEW, **SMALL, **PRECISE, seed=1)


@pytest.fixture(scope="module")
def drawn(found: Arrays) -> np.ndarray:
    """Samples of the six networks at the end, (6, m, d), each trained and sampled here."""
    network = {"unet": "nano", "dit": "dit-cpu"}
    asked = zip(found["network"], found["split"].tolist(), found["seed"].tolist(), strict=True)
    questions = [Training(network=network[k], split=s, seed=r, **FEW, **PRECISE) for k, s, r in asked]
    return np.stack([_sampled(train(q, rf.datasets.digits()).score(clip=1.5), found) for q in questions])


def _sampled(score: NetworkScore, found: Arrays) -> np.ndarray:
    # The noise is stored in float32; its double is the same to 1e-7.
    source = torch.Generator().manual_seed(rf.images.Training(seed=4).seeds.sample)
    z = torch.randn((48, 1, 8, 8), generator=source, dtype=torch.float64)
    assert np.abs(z.numpy() - found["noise"]).max() < 1e-6
    return rf.diffusion.sample(score, z, sampling_times(5), "ddim").flatten(1).numpy()


def test_pictures_are_those_of_six_independent_trainings(found: Arrays, drawn: np.ndarray) -> None:
    bright = (drawn.clip(-1, 1) + 1) * 127.5
    stored = found["pictures"][-1].reshape(6, 48, 64)
    assert np.abs(stored - bright).max() <= 0.5 + 1e-3
    assert found["tau"].tolist() == [0, 12] and len(found["pair"]) == 15


def test_each_architecture_has_two_splits_and_two_controls(found: Arrays) -> None:
    about = list(zip(found["network"], found["split"], found["seed"], strict=True))
    kinds = {"data": 0, "start": 0}
    for a, b in found["pair"]:
        (net, split, seed), (other_net, other_split, other_seed) = about[a], about[b]
        if net != other_net:
            assert seed != other_seed  # nothing in common but the data
        elif seed == other_seed:
            kinds["data"] += split != other_split
        elif split == other_split:
            kinds["start"] += 1
    assert kinds == {"data": 2, "start": 2} and set(found["seed"]) == {4, 5, 6, 7}


def test_agreement_of_pairs(found: Arrays, drawn: np.ndarray) -> None:
    """From the definitions: distances by cdist, modes by the eigenvectors of Sigma."""
    digits = rf.datasets.digits()
    lam, u = np.linalg.eigh(digits.sigma)
    held_out = digits.images[digits.test].reshape(512, -1).astype(np.float64)
    for p, (a, b) in enumerate(found["pair"]):
        table = cdist(drawn[a], drawn[b], "sqeuclidean") / 64
        others = (table.sum() - np.trace(table)) / (48 * 47)
        assert found["d2"][-1, p] == pytest.approx(np.trace(table) / 48, rel=1e-5)
        assert found["rho2"][-1, p] == pytest.approx(1 - np.trace(table) / 48 / others, abs=1e-5)
        np.testing.assert_allclose(found["distances"][-1, p], np.diag(table), rtol=1e-4)
        one, two = (cdist(x, held_out).argmin(axis=1) for x in (drawn[a], drawn[b]))
        assert found["nearest"][-1, p] == pytest.approx(np.mean(one == two))
        np.testing.assert_allclose(
            found["cosine"][-1, p], _cosine(drawn[a], drawn[b], digits.mean), atol=1e-5
        )
        along = ((drawn[a] - drawn[b]) @ u[:, ::-1]) ** 2
        np.testing.assert_allclose(found["modes"][-1, p, :60], along.mean(axis=0)[:60], rtol=1e-3)
    np.testing.assert_allclose(found["eigenvalues"], lam[::-1].clip(0), atol=1e-6)


def _cosine(x: np.ndarray, y: np.ndarray, mean: np.ndarray) -> float:
    x, y = x - mean, y - mean
    return float(np.mean((x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)))


def test_linear_share_and_linear_pair_are_those_of_linear_networks(found: Arrays, drawn: np.ndarray) -> None:
    """The linear map by sampling the linear network with DDIM, in place of its matrix."""
    sets = [rf.datasets.digits().subset(20, split).train for split in (0, 1)]
    linear = [_sampled(NetworkScore(LinearDenoiser.fit(each)), found) for each in sets]
    for k, split in enumerate(found["split"]):
        x, mean = drawn[k], sets[split].reshape(20, -1).astype(np.float64).mean(axis=0)
        share = 1 - ((x - linear[split]) ** 2).sum() / ((x - mean) ** 2).sum()
        assert found["share"][-1, k] == pytest.approx(share, abs=1e-5)
    distances = ((linear[0] - linear[1]) ** 2).mean(axis=1)
    error = distances.std(ddof=1) / np.sqrt(48)
    assert abs(found["linear_d2"] - distances.mean()) < 4 * error and error < 0.1 * found["linear_d2"]
    assert found["linear_modes"].sum() == pytest.approx(64 * found["linear_d2"])


def test_prediction_is_the_average_over_pairs_of_splits(found: Arrays) -> None:
    digits, start = rf.datasets.digits(), float(sampling_times(5)[0])
    maps = [rf.images.linear_map(digits.images[digits.train(20, k)], [start, 0.0]) for k in range(64)]
    exact = [
        rf.images.linear_pair(a, b, digits.images).d2 for a, b in zip(maps[::2], maps[1::2], strict=True)
    ]
    error = np.std(exact, ddof=1) / np.sqrt(len(exact))
    assert found["flow_d2"] == pytest.approx(exact[0])
    assert abs(found["theory_d2"] - np.mean(exact)) < 4 * error + found["theory_error"] * found["theory_d2"]
    assert error < 0.03 * found["theory_d2"]


def test_losses_and_copies_of_each_network(found: Arrays, drawn: np.ndarray) -> None:
    for k, split in enumerate(found["split"]):
        known = rf.datasets.digits().subset(20, split).train.reshape(20, -1).astype(np.float64)
        near = np.sort(cdist(drawn[k], known), axis=1)
        assert found["f_mem"][-1, k] == pytest.approx(np.mean(near[:, 0] < near[:, 1] / 3))
    assert np.all(found["test_loss"][-1] < 0.95 * found["test_loss"][0])


def test_interrupted_it_goes_on_and_leaves_nothing(found: Arrays, tmp_path, monkeypatch) -> None:
    """A stop in the last training keeps the first five; the next call ends as if there had been none."""
    asked: list[Training] = []

    def interrupted(question: Training, *rest: Any, **more: Any) -> rf.images.Trained:
        asked.append(question)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return train(question, *rest, **more)

    arguments = {**FEW, **SMALL, **PRECISE, "seed": 1, "scratch": tmp_path / "point"}
    monkeypatch.setattr(pairs, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pairs.image_pairs(**arguments)
    assert len(list(tmp_path.iterdir())) == 5
    again = pairs.image_pairs(**arguments)
    assert list(tmp_path.iterdir()) == [] and len(asked) == 12
    assert again.keys() == found.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(again[name], values)


def test_no_picture_is_kept_of_data_from_files(tmp_path, monkeypatch) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (600, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=np.concatenate([grey] * 5))
    monkeypatch.chdir(tmp_path)
    few = {**FEW, "n": 4, "steps": 1, "first": 1}
    kept = pairs.image_pairs(data="array:mine.npz", **few, **{**SMALL, "samples": 20, "dit": "nano"})
    assert kept["noise"].shape == (0, 1, 8, 8) and kept["pictures"].shape == (2, 6, 0, 1, 8, 8)
    assert kept["distances"].shape == (2, 15, 20)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"n": 700}, "n = 700"),
        ({"n": 1}, "number of training pictures = 1"),
        ({"samples": 19}, "samples = 19"),
        ({"shown": -1}, "shown = -1"),
        ({"seed": -1}, "seed = -1"),
        ({"clip": -1.0}, "clip = -1"),
        ({"unet": "unknown"}, "network = 'unknown'"),
        ({"data": "unknown"}, "data = 'unknown'"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        pairs.image_pairs(**{**FEW, **SMALL, **changed})


def test_the_plan_for_digits_can_be_asked() -> None:
    plan = read_plan("digits-pairs")
    points = points_of(task_of(plan.experiment), plan.points)
    assert [point.arguments["n"] for point in points] == [40, 160, 640]
    assert all(rf.datasets.digits().subset(point.arguments["n"], 1) for point in points)
