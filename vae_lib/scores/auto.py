"""A fusion, and beside it the score that suits the data, found without an anomaly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops
from sklearn.metrics import roc_auc_score

from ..checks import check_seed
from ..model import VAE
from .base import Score, get, scaled, total
from .fusion import LEAST, Fusion, Logarithms, Typicality
from .pseudo import KINDS

MOST = 500  # images that pseudo-anomalies are made of
ALONE = ("relative", "neighbours")  # parts of the fusion that may be better than it
FUSIONS = {"fusion": Fusion.below, "typicality": Typicality.below}


@dataclasses.dataclass(eq=False)
class Auto(Score):
    """A fusion, and the score that best tells pseudo-anomalies from the normal images behind them.

    The candidates are "relative", "neighbours", "fusion" and "typicality"; the chosen one has the
    largest AUROC on images of `pseudo`, averaged over their kinds. The score is the geometric mean
    of the fusion and the chosen score, weighted so that the logarithms of both vary alike over
    normal images, where it is about 1. For images and one normal class: classes that choose for
    themselves would get scores that do not compare.

    Args:
        parts: those of the fusion.
        seed: of the pseudo-anomalies.
    """

    name = "auto"
    images_only = True
    parts: tuple[str, ...] | None = None
    seed: int = 0
    learned = ("aurocs", "location", "weights")

    def __post_init__(self):
        check_seed("seed", self.seed)
        self.fusion = Fusion(self.parts)
        self.parts = self.fusion.parts

    @property
    def table(self) -> dict[str, float]:
        """The mean AUROC of each candidate on pseudo-anomalies: no promise for real ones."""
        self._check_fitted()
        return dict(zip(self._candidates(), self.aurocs.numpy().tolist(), strict=True))

    @property
    def chosen(self) -> str:
        """The name of the candidate that stands beside the fusion; "fusion" where none does."""
        return max(self.table, key=self.table.get)

    def suit(self, models: Sequence[VAE]) -> None:
        """One model, and the parts of the fusion that suit it."""
        if len(models) > 1:
            found = "score is 'auto', which would choose anew for each class"
            raise ValueError(f"{found}; expected another one, 'fusion' say")
        super().suit(models)
        self.fusion.suit(models)
        self.parts = self.fusion.parts

    def terms(self, vae: VAE, x):
        """One an image."""
        logs = Logarithms(self.fusion.scores).terms(vae, x)
        of_candidates = self._logarithms(logs)
        pair = ops.stack([of_candidates[name] for name in ("fusion", self.chosen)], axis=1)
        location, weights = (ops.cast(a, logs.dtype) for a in (self.location, self.weights))
        return ops.exp(ops.sum(weights * (pair - location), axis=1))

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """That of the chosen score, or of the squared error, scaled to the score."""
        self._check_fitted()
        shown = get("relative" if self.chosen == "relative" else "reconstruction")
        return scaled(shown.map(vae, images), self(vae, images))

    def state(self) -> dict[str, np.ndarray]:
        """Its own, and that of the fusion."""
        return super().state() | {f"fusion.{k}": v for k, v in self.fusion.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        if self.parts is None:
            raise ValueError("parts is None; expected the names of those whose state this is")
        super().set_state(state)
        sizes = {"aurocs": len(self._candidates()), "location": 2, "weights": 2}
        for name, size in sizes.items():
            if (shape := getattr(self, name).shape) != (size,):
                raise ValueError(f"state has a {name!r} of shape {shape}; expected ({size},)")
        self.fusion.set_state({k.removeprefix("fusion."): v for k, v in state.items()})

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Auto:
        """Fit the fusion, as there; make pseudo-anomalies of held_out, and choose by them."""
        self.suit([vae])
        images, held_out = self.fusion.parted(vae, images, held_out)
        together, logs = self.fusion.learn(vae, images, held_out)
        usual, found = self._of(logs), []
        for kind in KINDS:
            images = kind(held_out[:MOST], np.random.RandomState(self.seed))
            strange = self._of(together.of(vae, images, pixels=True)[0])
            found.append([_auroc(usual[n][:MOST], strange[n]) for n in usual])
        aurocs = dict(zip(usual, np.mean(found, axis=0), strict=True))
        pair = np.array([usual[name] for name in ("fusion", max(aurocs, key=aurocs.get))])
        weights = 1 / (pair.std(axis=1) + 1e-6)
        super().set_state(
            {
                "aurocs": list(aurocs.values()),
                "location": pair.mean(axis=1),
                "weights": weights / weights.sum(),
            }
        )
        self._model = self.fusion._model
        return self

    def _candidates(self) -> list[str]:
        return [*(name for name in ALONE if name in self.parts), *FUSIONS]

    def _logarithms(self, logs) -> dict:
        """Those of each candidate, (n,), from those (n, parts) of the fusion's parts."""
        alone = [name for name in self._candidates() if name not in FUSIONS]
        found = {name: logs[:, self.parts.index(name)] for name in alone}
        squares = {name: self.fusion.squares(logs, below) for name, below in FUSIONS.items()}
        return found | {name: ops.log(total(terms) + LEAST) for name, terms in squares.items()}

    def _of(self, logs: np.ndarray) -> dict[str, np.ndarray]:
        return {n: ops.convert_to_numpy(v) for n, v in self._logarithms(logs).items()}


def _auroc(usual: np.ndarray, strange: np.ndarray) -> float:
    truth = np.repeat([0, 1], [len(usual), len(strange)])
    return roc_auc_score(truth, np.concatenate([usual, strange]))
