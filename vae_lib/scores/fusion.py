"""Several scores as one, and the one that suits the data, chosen without an anomaly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops
from sklearn.metrics import roc_auc_score

from ..checks import check_seed, is_real
from ..model import VAE
from .base import SCORES, Score, get, scaled, total
from .errors import SquaredError
from .pseudo import KINDS

LEAST = 1e-9  # has a logarithm, where a part is 0
OF_IMAGES = (
    *("reconstruction", "local", "relative", "largest"),
    *("latent", "activations", "neighbours", "kl"),
)
SHRINKAGE = 0.1  # of the correlations towards 0: what parts share may not be all taken out
OF_TABLES = ("reconstruction", "joint")

MOST = 500  # images that pseudo-anomalies are made of
FOLDS = 5  # what is usual is learned on four of them, and tried on the fifth
CLEARLY = 0.8  # share of the fusion's mistakes that another score may make and take its place
ALONE = ("relative", "neighbours")  # parts of the fusion that may be better without the others
FUSIONS = ("fusion", "typicality")


class Logarithms(Score):
    """Those of several scores side by side, in one graph."""

    def __init__(self, scores: Sequence[Score]):
        self.scores = scores

    def arguments(self) -> dict:
        """None: each object has its own scores."""
        return {}

    def terms(self, vae: VAE, x):
        """One a part: (n, parts)."""
        logs = [ops.log(total(score.terms(vae, x)) + LEAST) for score in self.scores]
        return ops.stack(logs, axis=1)


@dataclasses.dataclass(eq=False)
class Fusion(Score):
    """How unusual several scores of an image are together; equation (7.2).

    The logarithms of the parts are standardised on normal images, where R is their correlation.
    R^(-1/2) takes out what they share and leaves each as near to itself as it can (Kessy, Lewin and
    Strimmer, 2018); then all are squared and summed. A part below the usual counts `below` times:
    an image that is rebuilt better than normal ones is suspicious, too, though less.

    Args:
        parts: names of scores that are never negative; None takes, of `OF_IMAGES` or `OF_TABLES`,
            those that suit the model.
        below: from 0 to 1.
    """

    name = "fusion"
    parts: tuple[str, ...] | None = None
    below: float = 0.5
    learned = ("location", "whitening")

    def __post_init__(self):
        if not (is_real(self.below) and 0 <= self.below <= 1):
            raise ValueError(f"below is {self.below!r}; expected a number from 0 to 1")
        self.scores: list[Score] = []
        if self.parts is not None:
            self._take(self.parts)

    def _take(self, parts: tuple[str, ...]) -> None:
        positive = tuple(name for name, kind in SCORES.items() if kind.positive)
        listed = isinstance(parts, (tuple, list)) and len(parts) > 0
        if not listed or not all(part in positive for part in parts):
            raise ValueError(f"parts is {parts!r}; expected one or more of {positive}")
        if len(set(parts)) < len(parts):
            raise ValueError(f"parts is {tuple(parts)}; expected each of them once")
        self.parts, self.scores = tuple(parts), [get(name) for name in parts]

    def suit(self, models: Sequence[VAE]) -> None:
        """Without `parts`, take those that suit all of the models."""
        if self.parts is None:
            for model in models:
                super().check_model(model)
            parts = OF_IMAGES if len(models[0].data_shape) == 3 else OF_TABLES
            self._take(tuple(n for n in parts if all(get(n).suits(model) for model in models)))
        super().suit(models)

    def check_model(self, vae: VAE) -> None:
        """That of all parts."""
        super().check_model(vae)
        for score in self.scores:
            score.check_model(vae)

    def terms(self, vae: VAE, x):
        """One for each direction."""
        logs = Logarithms(self.scores).terms(vae, x)
        usual = (ops.cast(a, logs.dtype) for a in (self.location, self.whitening))
        return squares(logs, *usual, self.below)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """The map of its first part that has one, scaled so that its shares sum to the score."""
        shown = next((score for score in self.scores if score.has_map), None)
        if shown is None:
            return super().map(vae, images)
        return scaled(shown.map(vae, images), self(vae, images))

    def state(self) -> dict[str, np.ndarray]:
        """Its own, and that of its parts with their names in front."""
        own = super().state()
        parts = zip(self.parts, self.scores, strict=True)
        return own | {f"{n}.{k}": v for n, s in parts for k, v in s.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        if self.parts is None:
            raise ValueError("parts is None; expected the names of those whose state this is")
        super().set_state(state)
        for name, score in zip(self.parts, self.scores, strict=True):
            score.set_state({k.removeprefix(f"{name}."): v for k, v in state.items()})

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Fusion:
        """Fit the parts on images; what is usual, on held_out.

        Without held_out every other image is held out from the parts: then no image may be one
        that the model was trained on, since its errors are smaller than those of new ones.
        """
        self.suit([vae])
        images, held_out = self.parted(vae, images, held_out)
        for score in self.scores:
            score.fit(vae, images, held_out)
        logs, _ = Logarithms(self.scores).of(vae, held_out, pixels=True)
        location, whitening = usual_of(logs)
        self._learn(vae, location=location, whitening=whitening)
        return self

    def parted(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None):
        """Images to fit the parts on, and those held out from them."""
        fewest = max(2, *(score.fewest for score in self.scores))
        images = self._normal(vae, images, 2 * fewest if held_out is None else fewest)
        if held_out is None:
            return images[::2], images[1::2]
        return images, self._normal(vae, held_out, 2, "held_out")


@dataclasses.dataclass(eq=False)
class Typicality(Fusion):
    """A fusion to which too normal is as odd as too strange: a squared Mahalanobis distance.

    After the test of typicality of Nalisnick et al. (2019). It pays where strangers are simpler
    than what is normal, as a smooth surface is among rough ones.
    """

    name = "typicality"
    below: float = 1.0


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
    score = None  # the chosen one, once it is fitted

    def __post_init__(self):
        check_seed("seed", self.seed)
        self.parts = Fusion(self.parts).parts  # which checks them

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
            problem = "score is 'auto', which would choose anew for each class"
            raise ValueError(f"{problem}; expected another one, 'fusion' say")
        super().suit(models)
        fusion = Fusion(self.parts)
        fusion.suit(models)
        self.parts = fusion.parts

    def terms(self, vae: VAE, x):
        """Those of the chosen score."""
        return self.score.terms(vae, x)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """That of the chosen score; of the squared error where it has none, scaled to the score."""
        self._check_fitted()
        if self.chosen != "neighbours":
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
        expected = (len(self._candidates()),)
        if self.aurocs.shape != expected:
            problem = f"state has 'aurocs' of shape {self.aurocs.shape}"
            raise ValueError(f"{problem}; expected {expected}")
        self._choose({k.removeprefix("chosen."): v for k, v in state.items()})

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Auto:
        """Fit the fusion, as there; make pseudo-anomalies of held_out, and choose by them."""
        self.suit([vae])
        fusion = Fusion(self.parts)
        images, held_out = fusion.parted(vae, images, held_out)
        fusion.fit(vae, images, held_out)
        together = Logarithms(fusion.scores)  # one graph for all
        normal, aurocs = held_out[:MOST], []
        usual, _ = together.of(vae, normal, pixels=True)
        for kind in KINDS:
            made = kind(normal, np.random.RandomState(self.seed))
            strange, _ = together.of(vae, made, pixels=True)
            aurocs.append(self._aurocs(np.stack([usual, strange])))
        self._learn(vae, aurocs=np.mean(aurocs, axis=0))
        fitted = dict(zip(self.parts, fusion.scores, strict=True)).get(self.chosen, fusion)
        self._choose(fitted.state())
        self.score._model = self._model
        return self

    def _candidates(self) -> list[str]:
        return [*(name for name in ALONE if name in self.parts), *FUSIONS]

    def _choose(self, state: dict[str, np.ndarray]) -> None:
        """Take the chosen score, with what it has learned."""
        self.score = get(self.chosen, **({"parts": self.parts} if self.chosen in FUSIONS else {}))
        self.score.set_state(state)

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


def usual_of(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Location (parts,) and whitening (parts, parts) of normal images' logarithms (n, parts)."""
    location, scale = logs.mean(axis=0), logs.std(axis=0) + 1e-6
    standardised = (logs - location) / scale
    correlation = standardised.T @ standardised / len(logs)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(logs.shape[1])
    values, vectors = np.linalg.eigh(shrunk)
    return location, vectors / np.sqrt(values) @ vectors.T / scale[:, None]


def squares(logs, location, whitening, below: float):
    """The terms (..., parts) of logarithms: squared deviations, those below times `below` first."""
    deviations = (logs - location) @ whitening
    return ops.where(deviations < 0, below * deviations, deviations) ** 2
