"""rfcore: random matrix theory for diffusion models.

One question, two answers.  A frozen question says everything about a problem:

>>> import rfcore as rf
>>> model = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)

``rf.theory`` answers it at d = infinity, ``rf.simulation`` at finite d, with the same verbs:

>>> [round(bulk.mass * 64, 6) for bulk in rf.theory.support(model).bulks]
[1.0, 7.0, 1.0]

``import rfcore`` does not import torch: the rooms that need it are loaded when first used.
"""

import importlib
from typing import Any

from rfcore._scale import ScaleLaw
from rfcore.conditional import ConditionalModel
from rfcore.covariance import Covariance
from rfcore.descent import Descent
from rfcore.gaussian import GaussianConstants
from rfcore.manifold import CurvedManifold
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.progress import progress

__version__ = "0.1.0"
_ROOMS = ("theory", "simulation", "diffusion", "datasets", "images", "gaussian", "results", "sweep", "book")
__all__ = [
    "ConditionalModel",
    "Covariance",
    "CurvedManifold",
    "Descent",
    "GaussianConstants",
    "LinearModel",
    "RandomFeatureModel",
    "ScaleLaw",
    "progress",
    *_ROOMS,
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"rfcore.{name}")
    raise AttributeError(f"module 'rfcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
