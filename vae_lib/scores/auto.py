"""The score that suits the data, found without an anomaly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops
from sklearn.metrics import roc_auc_score

from ..checks import check_seed
from ..model import VAE
from .base import SCORES, Score, get, scaled, total
from .errors import SquaredError
from .fusion import Fusion, Logarithms
from .pseudo import KINDS

MOST = 500  # images that pseudo-anomalies are made of
ALONE = ("relative", "neighbours")  # parts of the fusion that may be better without the others
FUSIONS = ("fusion", "typicality")


@dataclasses.dataclass(eq=False)
class Auto(Score):
    """Of four scores, the one that best tells pseudo-anomalies from the normal images behind them.

    The candidates are "relative", "neighbours", "fusion" and "typicality"; the chosen one has the
    largest AUROC on images of `pseudo`, averaged over their kinds. For images and one normal class:
    classes that choose for themselves would get scores that do not compare.

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
        """The mean AUROC of each candidate on pseudo-anomalies: no promise for real ones."""
        self._check_fitted()
        return dict(zip(self._candidates(), self.aurocs.numpy().tolist(), strict=True))

    @property
    def chosen(self) -> str:
        """The name of the candidate that is used."""
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
        normal, together = held_out[:MOST], Logarithms(self.fusion.scores)  # one graph for all
        usual, found = self._values(together, vae, normal), []
        for kind in KINDS:
            images = kind(normal, np.random.RandomState(self.seed))
            strange = self._values(together, vae, images)
            found.append([_auroc(usual[name], strange[name]) for name in usual])
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

    def _values(self, together: Logarithms, vae: VAE, images) -> dict[str, np.ndarray]:
        """What each candidate says of them: (n,)."""
        logs = together.of(vae, images, pixels=True)[0]
        values = {name: logs[:, self.parts.index(name)] for name in self._candidates()[:-2]}
        sides = {name: SCORES[name].below for name in FUSIONS}
        squares = {name: self.fusion.squares(logs, below) for name, below in sides.items()}
        return values | {name: ops.convert_to_numpy(total(s)) for name, s in squares.items()}


def _auroc(usual: np.ndarray, strange: np.ndarray) -> float:
    truth = np.repeat([0, 1], [len(usual), len(strange)])
    return roc_auc_score(truth, np.concatenate([usual, strange]))
