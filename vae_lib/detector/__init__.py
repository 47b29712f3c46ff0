"""A model, a score and a threshold as one thing: calibrated once, saved and loaded as one file."""

from .detector import AnomalyDetector
from .evaluation import Evaluation, Interval
from .own import Scorer

__all__ = ["AnomalyDetector", "Evaluation", "Interval", "Scorer"]
