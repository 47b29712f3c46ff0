"""The score that suits the data, found without an anomaly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops
from sklearn.metrics import roc_auc_score

from ..checks import check_seed
from ..model import VAE
from .base import SCORES, Score, get, scaled
from .errors import SquaredError
from .fusion import Fusion, Logarithms, squares, usual_of
from .pseudo import KINDS

MOST = 500  # images that pseudo-anomalies are made of
FOLDS = 5  # what is usual is learned on four of them, and tried on the fifth
CLEARLY = 0.8  # share of the fusion's mistakes that another score may make and take its place
ALONE = ("relative", "neighbours")  # parts of the fusion that may be better without the others
FUSIONS = ("fusion", "typicality")


@dataclasses.dataclass(eq=False)
class Auto(Score):
    """A fusion, or a score that clearly better tells pseudo-anomalies from normal images.

    The others are "relative", "neighbours" and "typicality". The one with the largest AUROC on
    images of `pseudo`, averaged over their kinds, takes the place of "fusion" if it puts fewer than
    four fifths as many pairs in the wrong order (1 - AUROC). What a fusion takes as usual is
    learned, for this alone, from other normal images than those it is tried on. For images and one
    normal class: classes that choose for themselves would get scores that do not compare.

    Args:
        parts: those of the fusion.
        seed: of the pseudo-anomalies.
    """

    name = "auto"
    images_only = True
    parts: tuple[str, ...] | None = None
    seed: int = 0
    learned = ("aurocs",)

    def __post_init__(self):
        check_seed("seed", self.seed)
        self.fusion = Fusion(self.parts)
        self.parts = self.fusion.parts
        self.score: Score | None = None

    @property
    def table(self) -> dict[str, float]:
        """The mean AUROC of each candidate on pseudo-anomalies, no promise for real ones."""
        self._check_fitted()
        return dict(zip(self._candidates(), self.aurocs.numpy().tolist(), strict=True))

    @property
    def chosen(self) -> str:
        """The name of the candidate that is used."""
        mistakes = {name: 1 - area for name, area in self.table.items()}
        best = min(mistakes, key=mistakes.get)
        return best if mistakes[best] < CLEARLY * mistakes["fusion"] else "fusion"

    def suit(self, models: Sequence[VAE]) -> None:
        """One model, and the parts of the fusion that suit it."""
        if len(models) > 1:
            found = "score is 'auto', which would choose anew for each class"
            raise ValueError(f"{found}; expected another one, 'fusion' say")
        super().suit(models)
        self.fusion.suit(models)
        self.parts = self.fusion.parts

    def terms(self, vae: VAE, x):
        """Those of the chosen score."""
        return self.score.terms(vae, x)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """That of the chosen score; of the squared error where it has none, scaled to the score."""
        self._check_fitted()
        if not isinstance(self.score, type(get("neighbours"))):
            return self.score.map(vae, images)
        return scaled(SquaredError().map(vae, images), self(vae, images))

    def state(self) -> dict[str, np.ndarray]:
        """The AUROCs, and what the chosen score has learned."""
        return super().state() | {f"chosen.{k}": v for k, v in self.score.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        if self.parts is None:
            raise ValueError("parts is None; expected the names of those whose state this is")
        super().set_state(state)
        if self.aurocs.shape != (len(self._candidates()),):
            found = f"state has 'aurocs' of shape {self.aurocs.shape}"
            raise ValueError(f"{found}; expected ({len(self._candidates())},)")
        self.score = self._candidate()
        self.score.set_state({k.removeprefix("chosen."): v for k, v in state.items()})

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Auto:
        """Fit the fusion, as there; make pseudo-anomalies of held_out, and choose by them."""
        self.suit([vae])
        images, held_out = self.fusion.parted(vae, images, held_out)
        self.fusion.fit(vae, images, held_out)
        together = Logarithms(self.fusion.scores)  # one graph for all
        normal, found = held_out[:MOST], []
        usual = together.of(vae, normal, pixels=True)[0]
        for kind in KINDS:
            images = kind(normal, np.random.RandomState(self.seed))
            strange = together.of(vae, images, pixels=True)[0]
            found.append(self._aurocs(np.stack([usual, strange])))
        super().set_state({"aurocs": np.mean(found, axis=0)})
        self.score = self._candidate()
        if isinstance(self.score, Fusion):
            self.score.set_state(self.fusion.state())
        else:
            self.score = self.fusion.scores[self.parts.index(self.chosen)]
        self._model = self.score._model = self.fusion._model
        return self

    def _candidates(self) -> list[str]:
        return [*(name for name in ALONE if name in self.parts), *FUSIONS]

    def _candidate(self) -> Score:
        return SCORES[self.chosen](self.parts) if self.chosen in FUSIONS else get(self.chosen)

    def _aurocs(self, logs: np.ndarray) -> list[float]:
        """Of each candidate, from logarithms (2, n, parts) of images and what was made of them."""
        n = logs.shape[1]
        folds, fusions = min(FOLDS, n), np.empty((len(FUSIONS), 2, n))
        for fold in range(folds):
            tried = np.arange(n) % folds == fold
            usual = usual_of(logs[0, ~tried])
            for values, name in zip(fusions, FUSIONS, strict=True):
                terms = squares(logs[:, tried], *usual, SCORES[name].below)
                values[:, tried] = ops.convert_to_numpy(terms).sum(axis=-1)
        alone = [logs[..., self.parts.index(name)] for name in self._candidates()[: -len(FUSIONS)]]
        truth = np.repeat([0, 1], n)
        return [roc_auc_score(truth, values.ravel()) for values in (*alone, *fusions)]
