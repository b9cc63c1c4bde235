"""Answers at d = infinity: numpy and scipy, no randomness."""

from rfcore.theory.resolvent import Resolvent, density, resolvent

__all__ = ["Resolvent", "density", "resolvent"]
