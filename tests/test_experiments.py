"""The experiments that have a name compute what the package computes."""

import numpy as np
import pytest

import rfcore as rf
from rfcore._points import task_of


def test_losses_of_the_experiment_are_those_of_theory_and_simulation():
    arrays = task_of("random-feature-losses").function(
        psi_p=3.3, psi_n=2.1, d=20, exponent=0.5, taus=7, seed=4
    )
    covariance = rf.Covariance.power_law(0.5)
    model = rf.RandomFeatureModel(66 / 20, 42 / 20, 0.1, covariance)
    tau = arrays["tau"]
    np.testing.assert_array_equal(arrays["theory_test"], rf.theory.loss_curves(model, tau).test)
    np.testing.assert_array_equal(
        arrays["simulation_train"], rf.simulation.loss_curves(model, tau, 20, 4).train
    )


def test_training_of_the_experiment_is_training(tmp_path):
    """Measuring does not disturb, and a run that was finished is read from its scratch file."""
    few = {"network": "nano", "n": 4, "steps": 6, "checkpoints": 2, "first": 3, "batch": 8}
    task, small = task_of("image-training"), {"pairs": 16, "samples": 8, "sampling_steps": 2}
    arrays = task.function(**few, **small)
    digits = rf.datasets.digits()
    run = rf.images.train(rf.images.Training(**few), digits)
    np.testing.assert_array_equal(arrays["tau"], run.tau)
    np.testing.assert_array_equal(arrays["batch_loss"], run.curves["batch_loss"])
    assert arrays["data_sha256"] == digits.sha256 and arrays["parameters"] == rf.images.count(run.network)
    assert arrays["ratios"].shape == (3, 8) and arrays["f_mem"][0] == 0
    task.function(**few, **small, scratch=tmp_path / "state")
    again = task.function(**few, **small, scratch=tmp_path / "state")
    for name, values in arrays.items():
        np.testing.assert_array_equal(again[name], values)


def test_data_come_from_a_relative_path(tmp_path, monkeypatch):
    from rfcore.images.experiment import dataset

    grey = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=np.repeat(grey, 200, axis=0))
    monkeypatch.setenv("RFCORE_DATA", str(tmp_path))
    assert dataset("array:mine.npz").images.shape == (2400, 1, 8, 8)
    for word, said in (
        ("array", "digits, patches"),
        ("other:x", "data = 'other:x'"),
        (f"mnist:{tmp_path}", "relative"),
    ):
        with pytest.raises(ValueError, match=said):
            dataset(word)
    with pytest.raises(FileNotFoundError, match="no none.npz in .*RFCORE_DATA"):
        dataset("array:none.npz")


@pytest.mark.parametrize("name", ["gpu-faces", "gpu-pairs"])
def test_the_plans_for_a_gpu_run_anywhere_in_small(tmp_path, monkeypatch, name):
    """Each point asks for a network, data and measurements that there are; two steps of it here."""
    grey = np.random.default_rng(0).integers(0, 256, (2600, 16, 16), dtype=np.uint8)
    (tmp_path / "lfwcrop").mkdir()
    np.savez(tmp_path / "lfwcrop" / "lfwcrop_gray32.npz", images=grey)
    monkeypatch.setenv("RFCORE_DATA", str(tmp_path))
    plan = rf.sweep.read_plan(name)
    small = {"n": 4, "steps": 2, "first": 1, "checkpoints": 1, "batch": 4, "precision": "float32"}
    small |= {"samples": 20, "sampling_steps": 2, "device": "cpu", "compile": False}
    small |= {"bank": 8} if "pairs" in name else {"pairs": 8}
    faces = [point for point in plan.points if point["data"].startswith("array:lfwcrop")]
    for point in {p.get("network", "") + p.get("optimizer", ""): p for p in faces}.values():
        arrays = task_of(plan.experiment).function(**{**point, **small})
        assert arrays["tau"].tolist() == [0, 1, 2]
        assert np.isfinite(arrays["test_loss" if "pairs" in name else "test"]).all()
        assert "pictures" not in arrays or arrays["pictures"].shape[2] == 0, "faces are not stored"
