"""What to know about the tables of `tools.validation_report`, as Markdown."""

from tools import validation_features as rf
from tools import validation_linear as linear

FEATURES = f"""### Random features

True networks and their Gaussian twins at $\\psi_p={rf.PSI_P:g}$, $\\psi_n={rf.PSI_N:g}$, $t={rf.T:g}$,
away from the peaks $p=nm$ and from the hard edge $p=n+d$. Compared are train, test and empirical loss and
score error at {len(rf.TAU)} times from {rf.TAU[0]:g} to {rf.TAU[-1]:g} and at the end of training,
without ridge and with ridge {rf.RIDGES[1]:g}, and the resolvent at {len(rf.Z)} points. Each line holds
$m=1,2,5,\\infty$ together. Two-level: eigenvalues 0.5 and 1.5. Patches: 64 atoms, from the covariance of
16 × 16 patches of photographs."""

PATCHES = """The twin follows the rule for every covariance, the network for the isotropic and the
two-level one. With the covariance of image patches the network needs a second term: the corrections are
not small there. The squared norm of a sample, $|x|^2/d$, fluctuates with variance
$2\\langle\\lambda^2\\rangle/d$. That is $2/d$ for the isotropic law, and $22/d$ for this one, whose top
atom alone has four tenths of the variance. A network feels the norm of its input; its twin does not, as
its constants are those of the mean norm. The deviation of the test loss at the end of training, and the
power of $1/d$ that fits it best where it is significant:"""

SPECTRA = """The whole spectrum, by the largest difference of cumulative distributions, the worst setting
of each kind. Networks at $m=\\infty$ miss the limit by a fraction of the mass of the atom at $s^2$: at
finite $d$ it is spread over a relative width of order $\\sqrt{2p}/d$, to both sides. Averages of smooth
functions over the spectrum, such as the losses and the resolvent above, hardly see this."""

LINEAR = f"""### Linear denoisers

Training sets drawn at $\\gamma=0.1, 0.5, 1, 2, 8$ from isotropic, power-law ($\\lambda_k\\propto 1/k$)
and patch covariances: {linear.DRAWS[64]}, {linear.DRAWS[128]} and {linear.DRAWS[256]} sets at $d=64, 128,
256$. Losses at the end of training and divergences have a stated $1/d$ correction; with it nothing is
fitted. The last column fits nothing either: it asks of $d=256$ alone whether mean and theory differ by at
most 3 standard errors."""
