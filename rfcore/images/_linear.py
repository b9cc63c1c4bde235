"""The best linear denoiser at every noise level, as a network without training."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore.checks import refuse
from rfcore.diffusion import GaussianScore
from rfcore.images.schedule import clock


class LinearDenoiser(nn.Module):
    """Best affine prediction of the noise in data of mean m and covariance C, called like :class:`UNet`:

        eps(x, k) = sqrt(1 - abar) (abar C + (1 - abar) I)^{-1} (x - sqrt(abar) m) ,   abar at index k

    Parameters
    ----------
    mean : (d,);  covariance : (d, d);  shape : (C, H, W) of a picture, d = C H W

    It is exact for Gaussian data, and all that a linear network can learn from m and C.  One
    eigendecomposition serves all levels; arithmetic in float64, the answer in the dtype of x.

    Source: chapter 11 of the book.

    >>> import torch
    >>> net = rf.images.LinearDenoiser.fit(rf.datasets.digits().images)
    >>> float(net(torch.zeros(1, 1, 8, 8), torch.tensor([999])).abs().max()) < 0.1
    True
    """

    mean: torch.Tensor
    eigenvalues: torch.Tensor
    modes: torch.Tensor

    def __init__(self, mean: npt.ArrayLike, covariance: npt.ArrayLike, shape: tuple[int, int, int]) -> None:
        super().__init__()
        exact = GaussianScore(mean, covariance)
        if exact.d != int(np.prod(shape)):
            raise refuse("shape", shape, f"(C, H, W) with C H W = {exact.d}")
        for name in ("mean", "eigenvalues", "modes"):
            self.register_buffer(name, torch.tensor(getattr(exact, name)))

    @classmethod
    def fit(cls, pictures: npt.NDArray[np.floating]) -> "LinearDenoiser":
        """From the mean and the covariance (divisor n) of pictures (n, C, H, W).

        Raises ValueError for pictures that are not (n, C, H, W).
        """
        n, *shape = pictures.shape
        rows = pictures.reshape(n, -1).astype(np.float64)
        away = rows - rows.mean(axis=0)
        return cls(rows.mean(axis=0), away.T @ away / n, (shape[0], shape[1], shape[2]))

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        del y
        abar = torch.as_tensor(np.exp(-2 * clock(t.cpu().numpy())), device=x.device)[:, None]
        along = (x.flatten(1).double() - abar.sqrt() * self.mean) @ self.modes
        along = along * (1 - abar).sqrt() / (abar * self.eigenvalues + 1 - abar)
        return (along @ self.modes.T).reshape(x.shape).to(x.dtype)
