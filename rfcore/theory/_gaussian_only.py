"""A guard for answers that are known for Gaussian data only."""

from rfcore.checks import refuse
from rfcore.model import LinearModel, RandomFeatureModel


def gaussian_only(model: LinearModel | RandomFeatureModel) -> None:
    """Raises ValueError for a question with a scale law."""
    if model.scale is not None:
        raise refuse("scale", model.scale, "None here: this answer is known for Gaussian data only")
