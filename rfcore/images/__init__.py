"""Networks on real pictures: what they learn, and what they copy.

A question, :class:`Training`, says everything about a run; :func:`train` answers it.  Sampling goes through
:func:`rfcore.diffusion.sample`, with a network as its score:

>>> import rfcore as rf, torch
>>> run = rf.images.train(rf.images.Training(network="nano", n=16, steps=2), rf.datasets.digits())
>>> z = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
>>> x = rf.diffusion.sample(run.score(clip=1.5), z, rf.images.sampling_times(20), "ddim")
>>> tuple(x.shape)
(4, 1, 8, 8)

Everything is loaded when it is first used.
"""

import importlib
from typing import Any

_HOMES = {
    "consistency": ("agreement", "linear_map", "linear_pair", "linear_share", "predicted_pair"),
    "estimators": ("collapse_score", "scaling", "tau_gap", "tau_gen", "tau_mem", "tau_over"),
    "jacobian": ("Shrinkage", "denoiser_jacobian", "in_basis", "shrinkage"),
    "losses": ("LossBank", "Losses"),
    "metrics": ("frechet_distance", "frechet_floor", "memorized_fraction", "trained_features"),
    "networks": ("DiT", "LinearDenoiser", "PRESETS", "ReferenceUNet", "UNet", "build", "count"),
    "schedule": ("ABAR", "NetworkScore", "clock", "index_at", "sampling_times"),
    "training": ("Trained", "Training", "train", "train_all"),
}
_HOME = {name: home for home, members in _HOMES.items() for name in members}
__all__ = sorted([*_HOME, *_HOMES])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return importlib.import_module(f"rfcore.images.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"rfcore.images.{_HOME[name]}"), name)
    raise AttributeError(f"module 'rfcore.images' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
