"""A detector for tables as scikit-learn has them: fit, score_samples, predict."""

from .estimator import VAEDetector

__all__ = ["VAEDetector"]
