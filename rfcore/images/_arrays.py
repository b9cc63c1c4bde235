"""Pictures as rows of float64 numbers, whatever they come as."""

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, refuse
from rfcore.diffusion.process import is_tensor

Array = npt.NDArray[np.float64]


def pictures(name: str, value: object, least: int = 1) -> Array:
    """A numpy array or torch tensor (N, ...), N >= least, on any device, as float64 of the same shape."""
    array = finite_array(name, value.detach().cpu().double().numpy() if is_tensor(value) else value)  # type: ignore[attr-defined]
    if array.ndim < 2 or 0 in array.shape or len(array) < least:
        raise refuse(f"shape of {name}", array.shape, f"(N, d) or (N, C, H, W) with N >= {least}")
    return array


def rows(name: str, value: object, least: int = 1) -> Array:
    """The same with each picture as one row, (N, d)."""
    array = pictures(name, value, least)
    return array.reshape(len(array), -1)


def alike(name: str, array: Array, other: Array, same_number: bool = False) -> None:
    """Raises ValueError unless the rows are as long as those of ``other``, and as many if asked."""
    wanted = other.shape if same_number else ("N", *other.shape[1:])
    if array.shape[1:] != other.shape[1:] or (same_number and len(array) != len(other)):
        text = ", ".join(str(each) for each in wanted)
        raise ValueError(f"{name} has shape {array.shape}, which is not allowed: ({text})")
