"""How chapters speak: checks, the house style, figures that move without a kernel.

A chapter imports from here and never touches rcParams, HTML or widgets itself.
"""

from rfcore.book.check import CheckFailed, check, seed
from rfcore.book.live import live
from rfcore.book.pictures import picture_slider
from rfcore.book.slider import SliderFigure, slider_figure
from rfcore.book.style import COLORS, color_of, histogram, image_grid, measured, name_curve, panels, theory

__all__ = [
    "COLORS",
    "CheckFailed",
    "SliderFigure",
    "check",
    "color_of",
    "histogram",
    "image_grid",
    "live",
    "measured",
    "name_curve",
    "panels",
    "picture_slider",
    "seed",
    "slider_figure",
    "theory",
]


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
