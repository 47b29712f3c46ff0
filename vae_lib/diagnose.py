"""What is wrong with a VAE, seen from outside: its functions are called, and its loss is probed.

AUROC does not see most bugs; closed forms do. What is asked here is what holds for every VAE with
the prior N(0, I), whoever wrote it. Nothing is trained, and a Keras model is left as it was.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .checks import check_seed, is_real, plain_array

ROWS, FEWEST, DRAWS = 256, 16, 4096
ACTIVE = 0.01  # variance of a latent's mean over x; Burda, Grosse and Salakhutdinov (2016)
SIGMAS = {
    "exp(log_var / 2)": lambda v: np.exp(v / 2),
    "exp(log_var)": np.exp,
    "log_var": np.abs,
}
FORMS = {  # of each value of x, in nats, up to a scale and a constant
    "logits": lambda x, out: np.logaddexp(0, out) - x * out,
    "probabilities": lambda x, p: -x * np.log(p) - (1 - x) * np.log(1 - p),
    "squared error": lambda x, out: (x - out) ** 2,
}
KLS = {  # of each latent dimension, in nats; the first is the right one
    "KL": lambda m, v: 0.5 * (m**2 + np.exp(v) - v - 1),
    "mean**2, without the variance": lambda m, v: 0.5 * m**2,
    "KL with prior and posterior swapped": lambda m, v: 0.5 * ((m**2 + 1) * np.exp(-v) + v - 1),
    "KL with log_var taken for log sigma": lambda m, v: 0.5 * (m**2 + np.exp(2 * v) - 2 * v - 1),
}


class Finding(NamedTuple):
    """One thing that is wrong: which check, what, the evidence, how sure, and where to read."""

    check: str
    problem: str
    evidence: str
    sure: str  # "certain", "likely" or "possible"
    chapter: int


@dataclass
class Diagnosis:
    """What `diagnose` found, the facts it measured, and the checks it could not make."""

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        """A word and a sentence for each finding, fact and check left out."""
        found = [
            (f"{f.sure}: {f.check}", f"{f.problem} ({f.evidence}); chapter {f.chapter}")
            for f in self.findings
        ]
        return [*found, *self.facts.items(), *(("not looked at", text) for text in self.skipped)]

    def __repr__(self) -> str:
        head = f"{len(self.findings) or 'no'} finding{'s' * (len(self.findings) != 1)}"
        return "\n".join([head, *(f"  {word}: {text}" for word, text in self.rows())])

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th>{html.escape(word)}</th><td>{html.escape(text)}</td></tr>"
            for word, text in self.rows()
        )
        return f"<table>{''.join(cells)}</table>"


def diagnose(
    model: keras.Model | None,
    x,
    encoder: Callable | str | None = None,
    decoder: Callable | str | None = None,
    sample: Callable | None = None,
    loss: Callable | None = None,
    reconstruct: Callable | None = None,
    beta: float | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Look for bugs in a trained VAE that has an encoder and a decoder.

    Args:
        model: any Keras model, or None where encoder and decoder are functions.
        x: at least 16 normal examples as the encoder takes them, (n, ...); 256 are looked at.
        encoder: x to (mean, log_var), each (n, latent_dim), or to (mean, log_var, z); or the name
            of a layer. Default: the model's `encode` or `encoder`.
        decoder: z to the reconstruction or its logits, in the shape of x; or the name of a layer.
            Default: the model's `decode` or `decoder`.
        sample: (mean, log_var) to z, with fresh noise. Default: the model's `reparameterize`.
        loss: (x, decoded, mean, log_var) to the training loss, a scalar or (n,), so that each term
            can be probed. Default: that of a `VAE`.
        reconstruct: x to what scores compare x with. Default: the model's own, or its call.
        beta: the weight of the KL term that is meant. Default: the model's, or 1.
        seed: of the probes.

    Raises:
        ValueError: no encoder or decoder, x that they do not take, another prior than N(0, I).
    """
    check_seed("seed", seed)
    if beta is not None and not (is_real(beta) and 0 <= beta < np.inf):
        raise ValueError(f"beta is {beta!r}; expected a finite number of at least 0")
    if hasattr(model, "log_prior") or hasattr(model, "given"):
        found = f"model is a {type(model).__name__}"
        raise ValueError(f"{found}; expected a VAE with the prior N(0, I) and without labels")
    x = _examples(x)
    encode = _part(model, encoder, "encoder", "encode")
    decode = _part(model, decoder, "decoder", "decode")
    beta = float(getattr(model, "beta", 1.0)) if beta is None else float(beta)
    sample = sample or getattr(model, "reparameterize", None)
    loss = loss or _own_loss(model)
    variables = [*model.variables, *model.metrics_variables] if _is_keras(model) else []
    before = [(v, v.numpy()) for v in variables]
    try:
        look = _Look(model, x, encode, decode, sample, loss, beta, np.random.RandomState(seed))
        look.all(reconstruct or _reconstruction(model))
    finally:
        for variable, value in before:
            variable.assign(value)
    return look.report


def _is_keras(model) -> bool:
    return isinstance(model, keras.Model)


def _examples(x) -> np.ndarray:
    x = plain_array(x, "x")
    if x.dtype.kind not in "fiub" or x.ndim < 2 or len(x) < FEWEST:
        found = f"x has shape {x.shape} and dtype {x.dtype}"
        raise ValueError(f"{found}; expected at least {FEWEST} rows of numbers, (n, ...)")
    x = x[np.linspace(0, len(x) - 1, min(len(x), ROWS)).astype(int)].astype("float32")
    if not np.isfinite(x).all():
        raise ValueError("x contains NaN or infinite values; expected finite numbers")
    return x


def _part(model, given, argument: str, method: str) -> Callable:
    """A function given, a layer by its name, or the model's own part."""
    own = _is_keras(model)
    parts = {layer.name: layer for layer in (model.layers if own else ())}
    if own and given is None:
        parts[None] = getattr(model, method, getattr(model, argument, parts.get(argument)))
    named = given if given is None or isinstance(given, str) else ""
    part = given if callable(given) else parts.get(named)
    if callable(part):
        return part
    found = f"model is a {type(model).__name__} and {argument} is {given!r}"
    raise ValueError(f"{found}; expected a model with {argument!r}, a layer's name or a function")


def _own_loss(model) -> Callable | None:
    if not (_is_keras(model) and hasattr(model, "likelihood") and hasattr(model, "kl")):
        return None

    def loss(x, decoded, mean, log_var):
        terms = {"mean": mean, "log_var": log_var, "parameters": decoded}
        return model.compute_loss(x=x, y_pred={k: tf.constant(v) for k, v in terms.items()})

    return loss


def _reconstruction(model) -> Callable | None:
    own = getattr(model, "reconstruct", None)
    return own if callable(own) else model if _is_keras(model) else None


def _array(value) -> np.ndarray:
    """A tensor of any framework as float64."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value, dtype="float64")


def _squares(difference: np.ndarray) -> float:
    return np.sum(difference**2)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))


class _Look:
    """The checks, in an order in which each may use what those before it have seen."""

    def __init__(self, model, x, encode, decode, sample, loss, beta, random):
        self.model, self.x, self.encode, self.decode = model, x, encode, decode
        self.sample, self.loss, self.beta, self.random = sample, loss, beta, random
        self.report = Diagnosis()
        self.form = self.scale = None  # of the reconstruction term

    def add(self, check, problem, evidence, chapter, sure="certain") -> None:
        self.report.findings.append(Finding(check, problem, evidence, sure, chapter))

    def all(self, reconstruct) -> None:
        if not self.outputs():
            self.report.skipped.append("all else, since numbers or shapes are missing")
            return
        if self.sample is not None or self.given is not None:
            self.noise()
        else:
            self.report.skipped.append("the noise: give sample, (mean, log_var) to z")
        if self.loss is not None:
            self.reconstruction_term()
            self.kl_term()
        else:
            self.report.skipped.append("the loss: give loss, (x, decoded, mean, log_var) to it")
        self.ranges()
        self.latents()
        self.scores(reconstruct)

    def call(self, name: str, part: Callable, *arrays):
        try:
            return part(*(a.astype("float32") for a in arrays))
        except Exception as error:  # whatever framework it comes from
            shapes = ", ".join(str(a.shape) for a in arrays)
            told = f"{type(error).__name__}: {str(error).strip()[:200]}"
            raise ValueError(
                f"{name} does not take {shapes}; expected one that does: {told}"
            ) from (error)

    def outputs(self) -> bool:
        """Whether there are finite numbers of the right shapes; sets mean, log_var, decoded."""
        if _is_keras(self.model):
            broken = [v.path for v in self.model.weights if not np.isfinite(v.numpy()).all()]
            if broken:
                self.add("finite", "weights are NaN or infinite", broken[0], 5)
                return False
        found = self.call("encoder", self.encode, self.x)
        if not isinstance(found, (list, tuple)) or len(found) not in (2, 3):
            kind = f"{len(found)} parts" if isinstance(found, (list, tuple)) else type(found)
            raise ValueError(f"encoder gives {kind}; expected (mean, log_var) or with z")
        self.mean, self.log_var, self.given, *_ = [*map(_array, found), None]
        shape = self.mean.shape
        if shape != self.log_var.shape or shape[0] != len(self.x) or len(shape) < 2:
            told = f"encoder gives the shapes {shape} and {self.log_var.shape}"
            raise ValueError(f"{told}; expected twice ({len(self.x)}, latent_dim)")
        if len(shape) > 2:
            told = "the means of q are maps: is there no Flatten before the heads?"
            self.add("shapes", told, f"{shape}, expected (n, latent_dim)", 3)
            return False
        self.decoded = _array(self.call("decoder", self.decode, self.mean))
        if self.decoded.shape[:1] != shape[:1] or self.decoded.size != self.x.size:
            told = f"decoder gives the shape {self.decoded.shape}"
            raise ValueError(f"{told}; expected that of x, {self.x.shape}")
        for name in ("mean", "log_var", "decoded"):
            if not np.isfinite(getattr(self, name)).all():
                self.add("finite", f"{name} has NaN or infinite values", f"shape {shape}", 5)
                return False
        own = getattr(self.model, "columns", None) is not None
        target = _array(self.model.standardise(self.x)) if own else self.x.astype("float64")
        self.target = target.reshape(self.decoded.shape)
        self.report.facts["looked at"] = f"{len(self.x)} examples, latent_dim {shape[1]}"
        return True

    def noise(self) -> None:
        """z is to be mean + exp(log_var / 2) eps, with eps fresh for each number; (3.2)."""
        mean, log_var = self.mean, self.log_var
        if self.sample is not None:
            shape = (DRAWS // mean.shape[1] + 1, mean.shape[1])
            mean, log_var = self.random.randn(*shape), self.random.uniform(-4, 2, shape)
        one, two = (self.draw(mean, log_var) for _ in range(2))
        apart, right = one - mean, SIGMAS["exp(log_var / 2)"](log_var)
        eps = apart / right
        fits = {  # mean log density of what was drawn, were its deviation this times a constant
            name: -np.mean(np.log(sigma)) - np.log((apart / sigma).std() + 1e-12)
            for name, sigma in ((name, of(log_var) + 1e-9) for name, of in SIGMAS.items())
        }
        best = max(fits, key=fits.get)
        moments = f"eps has mean {eps.mean():.3f} and deviation {eps.std():.3f}"
        limit = 0.05 + 4 / np.sqrt(eps.size)
        told = None
        if np.abs(eps).max() < 1e-3:
            told = "z is the mean: nothing is sampled"
        elif np.abs(one - two).max() < 1e-6:
            told = "the noise is frozen: two draws are the same"
        elif eps.std(axis=0).max() < 1e-3:
            told = "one noise for the whole batch"
        elif fits[best] > fits["exp(log_var / 2)"] + 0.02:
            told = f"{best} is used as the deviation; expected exp(log_var / 2)"
        elif abs(eps.mean()) > limit or abs(eps.std() - 1) > limit:
            told = "the noise is not standard normal"
        self.report.facts["noise"] = moments
        if told:
            self.add("noise", told, moments, 3)
        else:
            self.gradients(mean, log_var)

    def draw(self, mean, log_var) -> np.ndarray:
        if self.sample is None:
            return _array(self.call("encoder", self.encode, self.x)[2])
        return _array(self.call("sample", self.sample, mean, log_var))

    def gradients(self, mean, log_var) -> None:
        """In TensorFlow: whether they pass, and whether the batch may be of any size."""
        if self.sample is None or not tf.is_tensor(self.call("sample", self.sample, mean, log_var)):
            return
        terms = [tf.constant(term, tf.float32) for term in (mean, log_var)]
        with tf.GradientTape() as tape:
            tape.watch(terms)
            z = self.sample(*terms)
        for name, gradient in zip(("mean", "log_var"), tape.gradient(z, terms), strict=True):
            if gradient is None or not np.abs(gradient).max() > 0:
                told = f"no gradient reaches {name} through z"
                self.add("noise", told, "the gradient is 0", 3)
        unknown = tf.TensorSpec((None, mean.shape[1]), tf.float32)
        try:
            tf.function(self.sample, autograph=False).get_concrete_function(unknown, unknown)
        except Exception as error:  # what Keras raises depends on its version
            told = "sampling fails in a graph, where the size of the batch is unknown"
            self.add("noise", told, type(error).__name__, 3)

    def loss_of(self, decoded, mean, log_var, x=None) -> float:
        return _array(
            self.call("loss", self.loss, self.x if x is None else x, decoded, mean, log_var)
        ).mean()

    def reconstruction_term(self) -> None:
        """Its form and scale, from what it says of made-up outputs at KL = 0."""
        t, none, shape = self.target, np.zeros_like(self.mean), self.decoded.shape
        unit = t.min() >= 0 and t.max() <= 1
        levels = np.linspace(0.1, 0.9, 9)
        outs = [level + self.random.uniform(-0.08, 0.08, shape) for level in levels]
        losses = np.array([self.loss_of(out, none, none) for out in outs])
        if np.ptp(losses) <= 1e-7 * np.abs(losses).max():
            told = "the loss does not depend on what is decoded"
            self.add("reconstruction", told, f"{losses[0]:.4g} whatever it is", 4)
            return
        fits = {
            name: _fit(losses, [form(t, o).sum() / len(t) for o in outs])
            for name, form in FORMS.items()
        }
        best = min(fits, key=lambda name: fits[name][1])
        if fits[best][1] < 1e-3:
            self.form, self.scale = best, fits[best][0]
        step = self.random.randn(*shape)
        at = [self.loss_of(t + h * step, none, none) for h in (0, 1, -1, 2)]
        up, down, twice = np.array(at[1:]) - at[0]
        if self.form is None and np.allclose((down, twice), (up, 4 * up), rtol=0.01):
            self.form, self.scale = "squared error", up / np.sum(step**2) * len(t)
        if self.form is None and unit:
            ones = np.ones_like(self.x)
            high, low = (self.loss_of(np.full(shape, o), none, none, ones) for o in (0.9, 0.1))
            if high > low:
                told = "for a white image the loss prefers dark outputs"
                self.add("reconstruction", told, f"{high:.4g} at 0.9, {low:.4g} at 0.1", 4)
        known = self.form or "none that is known here"
        if self.form:
            known += f", times {self.scale:.4g}"
        self.report.facts["reconstruction term"] = known

    def kl_term(self) -> None:
        """Its form and weight, from what the loss says of made-up posteriors; (2.8)."""
        n, d = self.mean.shape
        base = self.loss_of(self.decoded, np.zeros((n, d)), np.zeros((n, d)))
        probes = [
            (size * self.random.randn(n, d), level + 0.3 * self.random.randn(n, d))
            for size in (0, 0.5, 1, 3)
            for level in (-2, 0, 1)
        ]
        change = np.array([self.loss_of(self.decoded, m, v) - base for m, v in probes])
        if np.abs(change).max() < max(1e-6 * abs(base), 1e-9):
            if self.beta:
                told = "the KL term has no effect on the loss, and no gradient"
                self.add("KL", told, f"the loss changes by {np.abs(change).max():.2g}", 4)
            return
        fits = {
            name: _fit(change, [form(m, v).sum() / n for m, v in probes], free=False)
            for name, form in KLS.items()
        }
        form = min(fits, key=lambda name: fits[name][1])
        self.weight, error = fits[form]
        told = f"{self.weight:.4g} times {form}"
        self.report.facts["KL term"] = told
        if error > 0.05:
            told = f"{error:.0%} beside {told}, the nearest"
            self.add("KL", "the KL term is none that is known here", told, 4, "likely")
        elif form != "KL":
            self.add("KL", "the formula is wrong", told, 4)
        elif self.weight < 0:
            self.add("KL", "the KL term has the wrong sign", told, 4)
        else:
            self.balance(d, self.decoded[0].size)

    def balance(self, d: int, size: int) -> None:
        """beta hidden in a mean: the weight of the KL term, of a normalised likelihood."""
        if self.form in ("logits", "probabilities"):
            found = self.weight / self.scale
        elif any(np.isclose(self.weight, self.beta * w, rtol=0.02) for w in (1 / d, 2, 0.5)):
            found = self.weight
        else:
            found = self.beta
            if self.form is not None and self.beta:
                sigma = np.sqrt(self.weight / (2 * self.scale * self.beta))
                spread = self.target.std(axis=0).mean()
                self.report.facts["sigma in the loss"] = (
                    f"{sigma:.4g}, data deviate by {spread:.4g}"
                )
                error = np.sqrt(np.mean((self.target - self.decoded) ** 2))
                evidence = f"sigma {sigma:.4g}, data deviate by {spread:.4g}, errors by {error:.4g}"
                if sigma > 2 * max(spread, error):
                    told = "the loss takes the data for noise: a mean where a sum is meant?"
                    self.add("balance", told, evidence, 4, "likely")
                elif sigma < error / 8:
                    told = "the KL term hardly counts: a mean where a sum is meant?"
                    self.add("balance", told, evidence, 4, "likely")
        if np.isclose(found, self.beta, rtol=0.05):
            return
        causes = {1 / d: "a mean over latents", 2: "no half", 0.5: "a half too many"}
        causes |= {size: "a mean over x"}
        cause = next((why for w, why in causes.items() if np.isclose(found, w, rtol=0.05)), "")
        told = f"beta is {found:.4g}, expected {self.beta:.4g}" + (f": {cause}?" if cause else "")
        self.add("balance", told, f"weight of the KL term {self.weight:.4g}", 4)

    def ranges(self) -> None:
        """What the decoder can give beside what the loss and the data ask for."""
        z = 3 * self.random.randn(64, self.mean.shape[1]) * np.maximum(1, self.mean.std())
        out, t = np.append(_array(self.call("decoder", self.decode, z)), self.decoded), self.target
        low, high, seen = out.min(), out.max(), f"decoded {out.min():.3g}..{out.max():.3g}"
        if self.form == "logits" and low >= 0:
            what = (
                "within 0..1, as after a sigmoid"
                if 0 < high <= 1
                else "never negative, as by a ReLU"
            )
            self.add("range", f"outputs are {what}, and the loss takes them for logits", seen, 4)
        elif self.form == "probabilities" and (low < 0 or high > 1):
            self.add("range", "the loss takes outputs for probabilities, they are not", seen, 4)
        if self.form in ("logits", "probabilities") and (t.min() < 0 or t.max() > 1):
            told = f"x {t.min():.3g}..{t.max():.3g}"
            self.add("scale", "a Bernoulli likelihood of data beyond 0..1", told, 4)
        elif low >= 0 and self.form != "logits":
            lost = np.mean((t < 0) | ((t > 1) & (high <= 1)))
            if lost > 0.01:
                told = f"{lost:.0%} of the values are out of the decoder's reach"
                self.add("range", told, f"{seen}, x {t.min():.3g}..{t.max():.3g}", 10)
        if np.abs(t).max() > 50:
            told = f"x {t.min():.4g}..{t.max():.4g}"
            self.add("scale", "neither 0..1 nor standardised", told, 10, "possible")
        probable = _squares(t - _sigmoid(self.decoded)) < _squares(t - self.decoded)
        logits = self.form == "logits" or (self.form is None and probable)
        self.expected = _sigmoid if logits else np.asarray

    def latents(self) -> None:
        """Active units, what z explains, and whether the codes are where the prior is."""
        kl = KLS["KL"](self.mean, self.log_var)
        active = int(np.sum(self.mean.var(axis=0) > ACTIVE))
        moment = np.mean(self.mean**2 + np.exp(self.log_var))
        centred = self.target - self.target.mean(axis=0)
        left = _squares(self.target - self.expected(self.decoded)) / _squares(centred)
        mixed = _array(self.call("decoder", self.decode, self.mean[::-1]))
        blind = _squares(self.expected(mixed) - self.expected(self.decoded)) / _squares(centred)
        facts = f"{kl.sum(axis=1).mean():.4g} nats, {active} of {kl.shape[1]} latents active"
        self.report.facts |= {"KL": facts, "unexplained": f"{left:.3f} of the variance of x"}
        self.report.facts["second moment of z"] = f"{moment:.3f}, of the prior 1"
        if active == 0:
            self.add("latents", "no latent is active: collapsed, or not trained", facts, 5)
        elif blind < 1e-3:
            self.add("latents", "the decoder hardly looks at z", f"it moves by {blind:.2g}", 5)
        elif left > 0.95:
            told = "hardly better than the mean of x: is it trained?"
            self.add("latents", told, f"{left:.2f} of the variance is unexplained", 5, "likely")
        if not 0.4 < moment < 2.5:
            told = "the codes are far from the prior: is the KL term at work?"
            self.add("latents", told, f"second moment {moment:.3g}, of the prior 1", 5, "likely")

    def scores(self, reconstruct) -> None:
        """The same input is to give the same score, in every batch."""
        try:
            found = [_array(reconstruct(part)) for part in (self.x, self.x, self.x[:5])]
        except Exception:  # no call, or outputs that are no array
            found = [self.x[:0]]
        if found[0].size != self.x.size:
            self.report.skipped.append("repeatability of scores: give reconstruct, x to its like")
            return
        one, two, few = (
            np.sum((self.x[: len(f)] - f.reshape(self.x[: len(f)].shape)) ** 2, axis=-1)
            .reshape(len(f), -1)
            .sum(axis=1)
            for f in found
        )
        repeat, batch = (np.mean(np.abs(a - b) / a) for a, b in ((one, two), (one[:5], few)))
        self.report.facts["score again"] = f"differs by {repeat:.2%}; in another batch {batch:.2%}"
        if repeat > 1e-3:
            told = "the same input gives another score each time: z is drawn"
            self.add("scores", told, f"differs by {repeat:.1%} on average", 6)
        elif batch > 1e-3:
            told = "a score depends on the others in its batch"
            self.add("scores", told, f"differs by {batch:.1%} on average", 6)


def _fit(found, expected, free: bool = True) -> tuple[float, float]:
    """found = scale expected (+ a constant, if free), and the largest residual, as a share."""
    found, expected = np.asarray(found), np.asarray(expected)
    if free:
        found, expected = found - found.mean(), expected - expected.mean()
    scale = np.sum(found * expected) / np.sum(expected**2)
    return scale, np.abs(found - scale * expected).max() / np.abs(found).max()
