"""Data in four disjoint parts for anomaly detection, and what brings files into the library's form.

Every protocol in the book is the same: a detector learns from *normal* examples alone (`train`),
its threshold comes from other normal examples (`calibration`), choices between detectors are made
on labelled `validation` examples, and `test` is looked at once, at the end. `split` makes these
parts from a data set, a table, a series, an array or a folder of pictures.
"""

from .datasets import ARRAYS, NAMES, Dataset, load
from .parts import Labelled, Split
from .pictures import as_images, join_tiles, read_images, tiles
from .sources import split
from .tables import TableEncoder

__all__ = [
    "ARRAYS",
    "NAMES",
    "Dataset",
    "Labelled",
    "Split",
    "TableEncoder",
    "as_images",
    "join_tiles",
    "load",
    "read_images",
    "split",
    "tiles",
]
