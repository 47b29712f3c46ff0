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

PROBLEMS = {  # by a key: the check, how sure it is, the chapter that explains it, and what is wrong
    "weights": "finite, certain, 5: weights are NaN or infinite",
    "numbers": "finite, certain, 5: {} has NaN or infinite values",
    "maps": "shapes, certain, 3: the means of q are maps: is there no Flatten before the heads?",
    "still": "noise, certain, 3: z is the mean: nothing is sampled",
    "frozen": "noise, certain, 3: the noise is frozen: two draws are the same",
    "shared": "noise, certain, 3: one noise for the whole batch",
    "sigma": "noise, certain, 3: {} is used as the deviation; expected exp(log_var / 2)",
    "moments": "noise, certain, 3: the noise is not standard normal",
    "no path": "noise, certain, 3: no gradient reaches {} through z",
    "batch size": "noise, certain, 3: sampling fails in a graph, where the batch has no known size",
    "ignored": "reconstruction, certain, 4: the loss does not depend on what is decoded",
    "inverted": "reconstruction, certain, 4: for a white image the loss prefers dark outputs",
    "no KL": "KL, certain, 4: the KL term has no effect on the loss, and no gradient",
    "strange KL": "KL, likely, 4: the KL term is none that is known here",
    "wrong KL": "KL, certain, 4: the formula is wrong",
    "sign": "KL, certain, 4: the KL term has the wrong sign",
    "beta": "balance, certain, 4: {}",
    "too strong": "balance, likely, 4: the loss takes the data for noise: "
    "a mean where a sum is meant?",
    "too weak": "balance, likely, 4: the KL term hardly counts: a mean where a sum is meant?",
    "squashed": "range, certain, 4: outputs are within 0..1, as after a sigmoid, "
    "and the loss takes them for logits",
    "cut": "range, certain, 4: outputs are never negative, as by a ReLU, "
    "and the loss takes them for logits",
    "no chances": "range, certain, 4: the loss takes outputs for probabilities, they are not",
    "out of reach": "range, certain, 10: {:.0%} of the values are out of the decoder's reach",
    "no coin": "scale, certain, 4: a Bernoulli likelihood of data beyond 0..1",
    "levels": "scale, possible, 10: neither 0..1 nor standardised",
    "collapsed": "latents, certain, 5: no latent is active: collapsed, or not trained",
    "blind": "latents, certain, 5: the decoder hardly looks at z",
    "untrained": "latents, likely, 5: hardly better than the mean of x: is it trained?",
    "far": "latents, likely, 5: the codes are far from the prior: is the KL term at work?",
    "drawn": "scores, certain, 6: the same input gives another score each time: z is drawn",
    "in company": "scores, certain, 6: a score depends on the others in its batch",
}
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
        return f'<table class="dataframe">{"".join(cells)}</table>'  # a class themes know


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
        own = getattr(model, "reconstruct", model if _is_keras(model) else None)
        look.all(reconstruct or own)
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
    """The loss of a `VAE` as a function of its four parts."""
    if not (_is_keras(model) and hasattr(model, "likelihood") and hasattr(model, "kl")):
        return None
    names = ("parameters", "mean", "log_var")
    return lambda x, *parts: model.compute_loss(
        x=x, y_pred={name: tf.constant(part) for name, part in zip(names, parts, strict=True)}
    )


def _array(value) -> np.ndarray:
    """A tensor of any framework as float64."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value, dtype="float64")


def _squares(difference: np.ndarray) -> float:
    return np.sum(difference**2)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _fit(found, expected, free: bool = True) -> tuple[float, float]:
    """found = scale expected (+ a constant, if free), and the largest residual, as a share."""
    found, expected = np.asarray(found), np.asarray(expected)
    if free:
        found, expected = found - found.mean(), expected - expected.mean()
    scale = np.sum(found * expected) / np.sum(expected**2)
    return scale, np.abs(found - scale * expected).max() / np.abs(found).max()


class _Look:
    """The checks, in an order in which each may use what those before it have seen."""

    def __init__(self, model, x, encode, decode, sample, loss, beta, random):
        self.model, self.x, self.encode, self.decode = model, x, encode, decode
        self.sample, self.loss, self.beta, self.random = sample, loss, beta, random
        self.report = Diagnosis()
        self.form = self.scale = None  # of the reconstruction term

    def add(self, key: str, evidence: str, *words) -> None:
        """A finding: its line in `PROBLEMS`, with the words that it leaves open."""
        head, _, problem = PROBLEMS[key].partition(": ")
        check, sure, chapter = head.split(", ")
        finding = Finding(check, problem.format(*words), evidence, sure, int(chapter))
        self.report.findings.append(finding)

    def all(self, reconstruct) -> None:
        """Every check that the functions at hand allow."""
        skipped = self.report.skipped
        if not self.outputs():
            skipped.append("all else, since numbers or shapes are missing")
            return
        if self.sample is None and self.given is None:
            skipped.append("the noise: give sample, (mean, log_var) to z")
        else:
            self.noise()
        if self.loss is None:
            skipped.append("the loss: give loss, (x, decoded, mean, log_var) to it")
        else:
            self.reconstruction_term()
            self.kl_term()
        self.ranges()
        self.latents()
        self.scores(reconstruct)

    def call(self, name: str, part: Callable, *arrays):
        """What a function gives for float32; where it fails, a ValueError that names it."""
        try:
            return part(*(a.astype("float32") for a in arrays))
        except Exception as error:  # whatever framework it comes from
            shapes = ", ".join(str(a.shape) for a in arrays)
            told = f"{type(error).__name__}: {str(error).strip()[:200]}"
            found = f"{name} does not take {shapes}; expected one that does"
            raise ValueError(f"{found}: {told}") from error

    def outputs(self) -> bool:
        """Whether there are finite numbers of the right shapes; sets mean, log_var, decoded."""
        for v in self.model.weights if _is_keras(self.model) else ():
            if not np.isfinite(v.numpy()).all():
                self.add("weights", v.path)
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
            self.add("maps", f"{shape}, expected (n, latent_dim)")
            return False
        self.decoded = _array(self.call("decoder", self.decode, self.mean))
        if self.decoded.shape[:1] != shape[:1] or self.decoded.size != self.x.size:
            told = f"decoder gives the shape {self.decoded.shape}"
            raise ValueError(f"{told}; expected that of x, {self.x.shape}")
        for name in ("mean", "log_var", "decoded"):
            if not np.isfinite(getattr(self, name)).all():
                self.add("numbers", f"shape {getattr(self, name).shape}", name)
                return False
        own = getattr(self.model, "columns", None) is not None
        target = _array(self.model.standardise(self.x) if own else self.x)
        self.target = target.reshape(self.decoded.shape)
        self.report.facts["looked at"] = f"{len(self.x)} examples, latent_dim {shape[1]}"
        return True

    def noise(self) -> None:
        """z is to be mean + exp(log_var / 2) eps, with eps fresh for each number; (3.2)."""
        mean, log_var, part = self.mean, self.log_var, ("encoder", self.encode, self.x)
        if self.sample is not None:
            shape = (DRAWS // mean.shape[1] + 1, mean.shape[1])
            mean, log_var = self.random.randn(*shape), self.random.uniform(-4, 2, shape)
            part = ("sample", self.sample, mean, log_var)
        drawn = [self.call(*part) for _ in range(2)]
        one, two = (_array(z if self.sample is not None else z[2]) for z in drawn)
        apart, right = one - mean, SIGMAS["exp(log_var / 2)"](log_var)
        eps = apart / right
        fits = {  # mean log density of what was drawn, were its deviation this times a constant
            name: -np.mean(np.log(sigma)) - np.log((apart / sigma).std() + 1e-12)
            for name, sigma in ((name, of(log_var) + 1e-9) for name, of in SIGMAS.items())
        }
        best = max(fits, key=fits.get)
        told = f"eps has mean {eps.mean():.3f} and deviation {eps.std():.3f}"
        limit = 0.05 + 4 / np.sqrt(eps.size)
        self.report.facts["noise"] = told
        if np.abs(eps).max() < 1e-3:
            self.add("still", told)
        elif np.abs(one - two).max() < 1e-6:
            self.add("frozen", told)
        elif eps.std(axis=0).max() < 1e-3:
            self.add("shared", told)
        elif fits[best] > fits["exp(log_var / 2)"] + 0.02:
            self.add("sigma", told, best)
        elif abs(eps.mean()) > limit or abs(eps.std() - 1) > limit:
            self.add("moments", told)
        elif self.sample is not None and tf.is_tensor(drawn[0]):
            self.gradients(mean, log_var)

    def gradients(self, mean, log_var) -> None:
        """In TensorFlow: whether they pass, and whether the batch may be of any size."""
        terms = [tf.constant(term, tf.float32) for term in (mean, log_var)]
        with tf.GradientTape() as tape:
            tape.watch(terms)
            z = self.sample(*terms)
        for name, gradient in zip(("mean", "log_var"), tape.gradient(z, terms), strict=True):
            if gradient is None or not np.abs(gradient).max() > 0:
                self.add("no path", "the gradient is 0", name)
        unknown = tf.TensorSpec((None, mean.shape[1]), tf.float32)
        try:
            tf.function(self.sample, autograph=False).get_concrete_function(unknown, unknown)
        except Exception as error:  # what Keras raises depends on its version
            self.add("batch size", type(error).__name__)

    def loss_of(self, decoded, mean, log_var, x=None) -> float:
        """The loss of made-up outputs and posteriors, as a mean over examples."""
        x = self.x if x is None else x
        return _array(self.call("loss", self.loss, x, decoded, mean, log_var)).mean()

    def reconstruction_term(self) -> None:
        """Its form and scale, from what it says of made-up outputs at KL = 0."""
        t, none, shape = self.target, np.zeros_like(self.mean), self.decoded.shape
        levels = np.linspace(0.1, 0.9, 9)
        outs = [level + self.random.uniform(-0.08, 0.08, shape) for level in levels]
        losses = np.array([self.loss_of(out, none, none) for out in outs])
        if np.ptp(losses) <= 1e-7 * np.abs(losses).max():
            self.add("ignored", f"{losses[0]:.4g} whatever it is")
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
            self.form, self.scale = "squared error", up / _squares(step) * len(t)
        if self.form is None and t.min() >= 0 and t.max() <= 1:
            ones = np.ones_like(self.x)
            high, low = (self.loss_of(np.full(shape, o), none, none, ones) for o in (0.9, 0.1))
            if high > low:
                self.add("inverted", f"{high:.4g} at 0.9, {low:.4g} at 0.1")
        known = f"{self.form}, times {self.scale:.4g}" if self.form else "none that is known here"
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
                self.add("no KL", f"the loss changes by {np.abs(change).max():.2g}")
            return
        fits = {
            name: _fit(change, [form(m, v).sum() / n for m, v in probes], free=False)
            for name, form in KLS.items()
        }
        form = min(fits, key=lambda name: fits[name][1])
        self.weight, error = fits[form]
        told = self.report.facts["KL term"] = f"{self.weight:.4g} times {form}"
        if error > 0.05:
            self.add("strange KL", f"{error:.0%} beside {told}, the nearest")
        elif form != "KL":
            self.add("wrong KL", told)
        elif self.weight < 0:
            self.add("sign", told)
        else:
            self.balance(d, self.decoded[0].size, told)

    def balance(self, d: int, size: int, told: str) -> None:
        """beta hidden in a mean: the weight of the KL term, of a normalised likelihood."""
        causes = {1 / d: ": a mean over latents?", 2: ": no half?", 0.5: ": a half too many?"}
        found = self.beta
        if self.form in ("logits", "probabilities"):
            found = self.weight / self.scale
        elif any(np.isclose(self.weight, self.beta * w, rtol=0.02) for w in causes):
            found = self.weight
        elif self.form and self.beta:
            sigma = np.sqrt(self.weight / (2 * self.scale * self.beta))
            error = np.sqrt(np.mean((self.target - self.decoded) ** 2))
            spread = np.sqrt(np.mean(self.target.var(axis=0)))
            told = f"{sigma:.4g}, data deviate by {spread:.4g}, errors by {error:.4g}"
            self.report.facts["sigma in the loss"] = told
            if sigma > 2 * max(spread, error):
                self.add("too strong", f"sigma {told}")
            elif sigma < error / 8:
                self.add("too weak", f"sigma {told}")
        if not np.isclose(found, self.beta, rtol=0.05):
            causes[size] = ": a mean over x?"
            why = [cause for w, cause in causes.items() if np.isclose(found, w, rtol=0.05)]
            words = f"beta is {found:.4g}, expected {self.beta:.4g}{''.join(why[:1])}"
            self.add("beta", f"the loss has {told}", words)

    def ranges(self) -> None:
        """What the decoder can give beside what the loss and the data ask for."""
        z = 3 * self.random.randn(64, self.mean.shape[1]) * np.maximum(1, self.mean.std())
        out, t = np.append(_array(self.call("decoder", self.decode, z)), self.decoded), self.target
        low, high, coin = out.min(), out.max(), self.form in ("logits", "probabilities")
        given, seen = f"decoded {low:.3g}..{high:.3g}", f"x {t.min():.3g}..{t.max():.3g}"
        if self.form == "logits" and low >= 0:
            self.add("squashed" if 0 < high <= 1 else "cut", given)
        elif self.form == "probabilities" and (low < 0 or high > 1):
            self.add("no chances", given)
        if coin and (t.min() < 0 or t.max() > 1):
            self.add("no coin", seen)
        elif low >= 0 and self.form != "logits":
            lost = np.mean((t < 0) | ((t > 1) & (high <= 1)))
            if lost > 0.01:
                self.add("out of reach", f"{given}, {seen}", lost)
        if np.abs(t).max() > 50:
            self.add("levels", seen)
        probable = _squares(t - _sigmoid(self.decoded)) < _squares(t - self.decoded)
        logits = self.form == "logits" or (self.form is None and probable)
        self.expected = _sigmoid if logits else np.asarray

    def latents(self) -> None:
        """Active units, what z explains, and whether the codes are where the prior is."""
        kl = KLS["KL"](self.mean, self.log_var).sum(axis=1).mean()
        active = int(np.sum(self.mean.var(axis=0) > ACTIVE))
        moment = np.mean(self.mean**2 + np.exp(self.log_var))
        given, spread = self.expected(self.decoded), _squares(self.target - self.target.mean(0))
        left = _squares(self.target - given) / spread
        mixed = _array(self.call("decoder", self.decode, self.mean[::-1]))
        moved = _squares(self.expected(mixed) - given) / spread
        told = f"{kl:.4g} nats, {active} of {self.mean.shape[1]} latents active"
        self.report.facts |= {"KL": told, "unexplained": f"{left:.3f} of the variance of x"}
        self.report.facts["second moment of z"] = f"{moment:.3f}, of the prior 1"
        if active == 0:
            self.add("collapsed", told)
        elif moved < 1e-3:
            self.add("blind", f"another z moves it by {moved:.2g} of the variance of x")
        elif left > 0.95:
            self.add("untrained", f"{left:.2f} of the variance is unexplained")
        if not 1 / 3 < moment < 3:
            self.add("far", f"second moment {moment:.3g}, of the prior 1")

    def scores(self, reconstruct) -> None:
        """The same input is to give the same score, in every batch."""
        try:
            found = [_array(reconstruct(part)) for part in (self.x, self.x, self.x[:5])]
        except Exception:  # no call, or outputs that are no array
            found = [self.x[:0]]
        if found[0].size != self.x.size:
            told = "repeatability of scores: give reconstruct, x to its like"
            self.report.skipped.append(told)
            return
        flat = [part.reshape(len(part), -1) for part in (self.x, *found)]
        one, two, few = (np.sum((flat[0][: len(f)] - f) ** 2, axis=1) for f in flat[1:])
        repeat, batch = (np.mean(np.abs(a - b) / a) for a, b in ((one, two), (one[:5], few)))
        self.report.facts["score again"] = f"differs by {repeat:.2%}; in another batch {batch:.2%}"
        if repeat > 1e-3:
            self.add("drawn", f"differs by {repeat:.1%} on average")
        elif batch > 1e-3:
            self.add("in company", f"differs by {batch:.1%} on average")
