"""The experiments that have a name: plain functions of plain parameters that return arrays by name.

One line in the table makes a function a command, ``python -m rfcore experiment NAME``, and a grid of it a
TOML file.  A parameter ``seed`` and a parameter ``device`` go into the provenance.
"""

import math

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]
EXPERIMENTS = {
    "random-feature-losses": "rfcore._experiments:random_feature_losses",
    "image-training": "rfcore.images.experiment:image_training",
    "image-pairs": "rfcore.images.pairs:image_pairs",
}


def known() -> str:
    """The names, for complaints."""
    return "one of " + ", ".join(map(repr, EXPERIMENTS))


def random_feature_losses(
    psi_p: float = 8.0,
    psi_n: float = 4.0,
    t: float = 0.1,
    d: int = 64,
    seed: int = 0,
    exponent: float = 0.0,
    activation: str = "tanh",
    noise_draws: float = math.inf,
    ridge: float = 0.0,
    tau_first: float = 0.1,
    tau_last: float = 1e5,
    taus: int = 60,
) -> Arrays:
    """Losses of the random-feature model at all times: theory at d = infinity and one draw at finite d.

    exponent : eigenvalues k^-exponent of the data covariance, 0 for isotropic data
    tau_first, tau_last, taus : training times in geometric progression

    The theory is that of the realised ratios p/d and n/d, which are returned as well.
    """
    import rfcore as rf
    from rfcore.checks import positive, whole

    covariance = rf.Covariance.power_law(exponent) if exponent else rf.Covariance.isotropic()
    asked = rf.RandomFeatureModel(psi_p, psi_n, t, covariance, activation, noise_draws, ridge)
    tau = np.geomspace(positive("tau_first", tau_first), positive("tau_last", tau_last), whole("taus", taus))
    model = rf.simulation.realized(asked, d)
    theory, measured = rf.theory.loss_curves(model, tau), rf.simulation.loss_curves(model, tau, d, seed)
    arrays = {"tau": tau, "psi_p": np.array(model.psi_p), "psi_n": np.array(model.psi_n)}
    for name in ("train", "test", "empirical", "score_error", "error"):
        arrays[f"theory_{name}"] = getattr(theory, name)
        arrays[f"simulation_{name}"] = getattr(measured, name)
    return arrays
