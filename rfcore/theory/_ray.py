"""Newton's method along rays: solutions at large |z| are carried inwards, at constant angle, to the goal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Equations = Callable[[Array, Array], tuple[Array, Array, Array]]
RATIO, PREDICTED, FINAL = 0.6, 2, 8


def follow(equations: Equations, start: Array, z: Array, radius: float) -> tuple[Array, Array]:
    """Solutions x (N, K) at the points z (N,), none of them 0, and their residuals (N,).

    equations(x, z) gives F (N, K), J = dF/dlog x (N, K, K) and dF/dlog z (N, K); ``start`` (N, K) solves them
    at z * radius/|z| to first order.
    """
    x = start
    steps = max(2, int(np.ceil(np.log(radius / np.min(np.abs(z))) / -np.log(RATIO))))
    scale = np.maximum(radius / np.abs(z), 1.0)
    path = scale[None, :] ** np.linspace(1, 0, steps)[:, None]
    for k in range(steps):
        for _ in range(PREDICTED):
            x = _improved(equations, x, z * path[k])
        if k + 1 < steps:
            _, slope, along = equations(x, z * path[k])
            tangent = np.linalg.solve(slope, -along[..., None])[..., 0]
            x = x * np.exp(tangent * np.log(path[k + 1] / path[k])[:, None])
    for _ in range(FINAL):
        x = _improved(equations, x, z)
    value, _, _ = equations(x, z)
    return x, np.max(np.abs(value), axis=1)


def _improved(equations: Equations, x: Array, z: Array) -> Array:
    value, slope, _ = equations(x, z)
    change = np.linalg.solve(slope, -value[..., None])[..., 0]
    size = np.max(np.abs(change), axis=1, keepdims=True)
    return np.asarray(x * np.exp(change / np.maximum(1.0, size)))
