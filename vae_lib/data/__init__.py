"""Data sets, and splits into four disjoint parts for anomaly detection.

Every protocol in the book is the same: a detector learns from *normal* images alone (`train`), its
threshold comes from other normal images (`calibration`), choices between detectors are made on
labelled `validation` images, and `test` is looked at once, at the end.
"""

from .datasets import ARRAYS, NAMES, Dataset, load
from .folders import from_folder
from .images import as_images
from .pictures import read_images
from .splits import Labelled, Split, multi_class, one_class
from .table_splits import from_table
from .tables import TableEncoder
from .tiles import join_tiles, tiles

__all__ = [
    "ARRAYS",
    "NAMES",
    "Dataset",
    "Labelled",
    "Split",
    "TableEncoder",
    "as_images",
    "from_folder",
    "from_table",
    "join_tiles",
    "load",
    "multi_class",
    "one_class",
    "read_images",
    "tiles",
]
