"""VAEs for many normal classes: told the class of each example, or finding groups by themselves.

`ConditionalVAE` needs labels 0..classes-1 and models p(x given z, class). `MixtureVAE` needs none:
its prior is a mixture of normals, so that every group may have a place of its own.
"""

from .conditional import ConditionalVAE, Given
from .labels import check_labels
from .mixture import MixtureVAE

__all__ = ["ConditionalVAE", "Given", "MixtureVAE", "check_labels"]
