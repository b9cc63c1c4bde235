"""Answers at d = infinity: numpy and scipy, no randomness."""

from rfcore.theory.dynamics import loss_curves
from rfcore.theory.minimizer import minimizer
from rfcore.theory.resolvent import Resolvent, density, resolvent
from rfcore.theory.shares import Share, shares
from rfcore.theory.support import Atom, Bulk, Support, support
from rfcore.theory.timescales import Timescales, timescales

__all__ = [
    "Atom",
    "Bulk",
    "Resolvent",
    "Share",
    "Support",
    "Timescales",
    "density",
    "loss_curves",
    "minimizer",
    "resolvent",
    "shares",
    "support",
    "timescales",
]
