"""A model, a score and a threshold as one thing: fitted or calibrated once, saved as one file."""

from .detector import AnomalyDetector
from .evaluation import Evaluation, Interval, Verdicts
from .models import Scorer

__all__ = ["AnomalyDetector", "Evaluation", "Interval", "Scorer", "Verdicts"]
