"""What to know about the tables of `tools.validation_report`, as Markdown."""

from tools import validation_features as setup
from tools import validation_linear as linear

FEATURES = f"""### Random features

True networks and their Gaussian twins at $\\psi_p={setup.PSI_P:g}$, $\\psi_n={setup.PSI_N:g}$,
$t={setup.T:g}$, away from the peaks $p=nm$ and from the hard edge $p=n+d$. Compared are train, test and
empirical loss and score error at {len(setup.TAU)} times from {setup.TAU[0]:g} to {setup.TAU[-1]:g} and at
the end of training, without ridge and with ridge {setup.RIDGES[1]:g}, and the resolvent at {len(setup.Z)}
points. Each line holds $m=1,2,5,\\infty$ together. Two-level: eigenvalues 0.5 and 1.5. Patches: 64 atoms,
from the covariance of 16 × 16 patches of photographs. The last column adds a second term to the fit."""

PATCHES = """The twin follows the rule for every covariance, the network for the isotropic and the
two-level one. With the covariance of image patches the network does not: $d=256$ is not large there. With
tanh and erf a second term mends most of it; with relu the deviations fall about like $d^{-1/2}$ or more
slowly. The likely reason is the size of the expansion parameter. The twin keeps of each feature the part
that is linear in its input and replaces the rest by independent noise. What it drops first, with relu, is
the second Hermite component (tanh and erf have none): a random matrix whose variance, relative to that
noise, is about $2\\psi_p\\langle\\lambda^2\\rangle^2/d$. That is $8/d$ for the isotropic law and nearly
$1000/d$ for this one, where $\\langle\\lambda^2\\rangle=11$ because the top atom alone has four tenths of
the variance. Below: the test loss of the network at the end of training without ridge, simulation minus
theory, and the exponent of $1/d$ from each dimension to the next, where the deviations are significant.
Where there are three, they grow with $d$: the law may well be $1/d$ here too, but only at larger $d$."""

SPECTRA = """The whole spectrum, by the largest difference of cumulative distributions, the worst setting
of each kind. Networks at $m=\\infty$ miss the limit by a fraction of the mass of the atom at $s^2$: at
finite $d$ it is spread over a relative width of order $\\sqrt{2p}/d$, to both sides. Averages of smooth
functions over the spectrum, such as the losses and the resolvent above, hardly see this."""

LINEAR = f"""### Linear denoisers

Training sets drawn at $\\gamma=0.1, 0.5, 1, 2, 8$ from isotropic, power-law ($\\lambda_k\\propto 1/k$)
and patch covariances: {linear.DRAWS[64]}, {linear.DRAWS[128]} and {linear.DRAWS[256]} sets at
$d=64, 128, 256$. Losses at the end of training and divergences have a stated $1/d$ correction; with it
nothing is fitted. The last column fits nothing either: it asks of $d=256$ alone whether mean and theory
differ by at most 3 standard errors."""
