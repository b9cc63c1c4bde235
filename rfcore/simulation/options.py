"""What can be said about a draw besides its size and its seed."""

from typing import TypedDict

import numpy.typing as npt


class DrawOptions(TypedDict, total=False):
    """Where, and on which data, a network is drawn: options of the verbs that answer a RandomFeatureModel.

    device : any torch device, "cpu" where nothing is said; the random numbers do not depend on it
    x, x_test : (n, d) training points and (N, d) test points in place of Gaussian data, both or neither; the
        population average is then the mean over the test points (with exact noise)

    >>> x = rf.datasets.digits().x
    >>> data = rf.simulation.DrawOptions(x=x[:128], x_test=x[128:])
    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> rf.simulation.loss_curves(model, [1.0, 100.0], d=64, seed=0, **data).train.shape
    (2,)
    """

    device: str
    x: npt.ArrayLike | None
    x_test: npt.ArrayLike | None


class SetOptions(TypedDict, total=False):
    """How the training sets of a linear denoiser are drawn: the options of the verbs for a LinearModel.

    device : any torch device, "cpu" where nothing is said; the random numbers do not depend on it
    x : data set (N, d) to take training sets from, in place of Gaussian data; the covariance of the question
        is then not used (``realized(model, d, x)`` holds that of x)
    mean : "known" (where nothing is said), S = (1/n) sum (x - mu)(x - mu)^T, what the theory speaks of;
        "fitted", the mean of the training set takes the place of mu, a change of relative order 1/n: S has
        n - 1 degrees of freedom

    >>> how = rf.simulation.SetOptions(mean="fitted")
    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> rf.simulation.minimizer(model, d=16, draws=4, seed=0, **how).test < 1
    True
    """

    device: str
    x: npt.ArrayLike | None
    mean: str
