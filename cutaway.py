"""Cutaway opens a trained network and shows what is inside, as figures, as tables, or as a whole site.

    import cutaway

    run = cutaway.open("timm:resnet18", images="pictures/")
    run.figure("cam", image="cat").save("cam.pdf")
    run.table("units").to_pandas()
    cutaway.build("exhibit.yml")

A *run* is one model on its inputs. A *technique* asks one question of it: `run[technique]` measures when it
is first asked, through a store on disk, and `run.control[technique]` asks the same of random weights.
Techniques of Cutaway and of one's own are the same thing; the guide writes one.

What stands in `__all__` keeps its meaning between minor versions; the package `generator`, of which it is
made, may change.
"""

from generator import __version__
from generator.errors import CutawayError, UsageError
from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_exhibit
from generator.figures.figure import Figure, published
from generator.inputs.shown import Inputs
from generator.opening import build
from generator.opening import open_model as open
from generator.run import PAIRS, PICTURES, TEXTS, Control, Run, Section, Technique
from generator.store import Store
from generator.table import Table
from generator.techniques.plain import FigureView, figure_view

__all__ = [
    "PAIRS",
    "PICTURES",
    "TEXTS",
    "Control",
    "CutawayError",
    "Exhibit",
    "Figure",
    "FigureView",
    "Inputs",
    "Run",
    "Section",
    "Store",
    "Table",
    "Technique",
    "UsageError",
    "__version__",
    "build",
    "figure_view",
    "load_exhibit",
    "open",
    "published",
]
