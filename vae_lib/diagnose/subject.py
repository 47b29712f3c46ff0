"""What is looked at, a model's functions and examples, and the report of what was found."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ..checks import plain_array

ROWS, FEWEST = 256, 16
OWN = {"encoder": "encode", "decoder": "decode"}  # a VAE's methods for its parts
PROBLEMS = {  # by a key: the check, how sure it is, the chapter that explains it, and what is wrong
    "weights": "finite, certain, 5: weights are NaN or infinite",
    "numbers": "finite, certain, 5: {} has NaN or infinite values",
    "maps": "shapes, certain, 3: the means of q are maps: is there no Flatten before the heads?",
    "still": "noise, certain, 3: z is the mean: nothing is sampled",
    "frozen": "noise, certain, 3: the noise is frozen: two draws are the same",
    "shared": "noise, certain, 3: one noise for the whole batch",
    "repeated": "noise, certain, 3: one noise for all latents of a code",
    "sigma": "noise, certain, 3: {} is used as the deviation; expected exp(log_var / 2)",
    "moments": "noise, certain, 3: the noise is not standard normal",
    "no path": "noise, certain, 3: no gradient reaches {} through z",
    "batch size": "noise, certain, 3: sampling fails in a graph, where the batch has no known size",
    "ignored": "reconstruction, certain, 4: the loss does not depend on what is decoded",
    "inverted": "reconstruction, certain, 4: for a white image the loss prefers dark outputs",
    "no KL": "KL, certain, 4: the KL term has no effect on the loss, and no gradient",
    "strange KL": "KL, likely, 4: the KL term is none that is known here",
    "wrong KL": "KL, certain, 4: the formula is wrong: {}",
    "sign": "KL, certain, 4: the KL term has the wrong sign",
    "beta": "balance, certain, 4: {}",
    "beta or sigma": "balance, likely, 4: {}",  # with squared errors another sigma does the same
    "too strong": "balance, likely, 4: the loss takes the data for noise: a mean for a sum?",
    "too weak": "balance, likely, 4: the KL term hardly counts: a mean for a sum?",
    "squashed": "range, certain, 4: outputs are within 0..1, as after a sigmoid, and no logits",
    "cut": "range, certain, 4: outputs are never negative, as by a ReLU, and no logits",
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

    def judge(self, evidence: str, problems: dict[str, bool], *words) -> bool:
        """Note the first of the problems that is there; returns whether one is.

        `problems` has keys of `PROBLEMS`, and `words` are for the places that a text leaves open.
        """
        for key in (key for key, there in problems.items() if there):
            head, _, text = PROBLEMS[key].partition(": ")
            check, sure, chapter = head.split(", ")
            text = text.format(*words)
            self.findings.append(Finding(check, text, evidence, sure, int(chapter)))
            return True
        return False

    def rows(self) -> list[tuple[str, str]]:
        """A word and a sentence for each finding, fact and check left out."""
        findings = [
            (f"{f.sure}: {f.check}", f"{f.problem} ({f.evidence}); chapter {f.chapter}")
            for f in self.findings
        ]
        return [*findings, *self.facts.items(), *(("not looked at", text) for text in self.skipped)]

    def __repr__(self) -> str:
        head = f"{len(self.findings) or 'no'} finding{'s' * (len(self.findings) != 1)}"
        return "\n".join([head, *(f"  {word}: {text}" for word, text in self.rows())])

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th>{html.escape(word)}</th><td>{html.escape(text)}</td></tr>"
            for word, text in self.rows()
        )
        return f'<table class="dataframe">{"".join(cells)}</table>'  # a class themes know


class Subject:
    """A VAE as functions: see `diagnose` for what each takes. `report` is what was found so far."""

    def __init__(self, model, x, given: dict[str, Callable | str | None], beta, seed: int):
        if hasattr(model, "log_prior") or hasattr(model, "given"):
            problem = f"model is a {type(model).__name__}"
            raise ValueError(f"{problem}; expected a VAE with the prior N(0, I) and without labels")
        self.model = model if isinstance(model, keras.Model) else None
        self.x, self.report = _examples(x), Diagnosis()
        self.parts = {**given, **{name: _part(model, given[name], name) for name in OWN}}
        self.parts["sample"] = given["sample"] or getattr(model, "reparameterize", None)
        self.parts["loss"] = given["loss"] or _own_loss(self.model)
        self.asked_to_reconstruct = given["reconstruct"] is not None
        own = getattr(self.model, "reconstruct", self.model)
        self.parts["reconstruct"] = given["reconstruct"] or own
        self.beta = float(getattr(model, "beta", 1.0) if beta is None else beta)
        self.random = np.random.RandomState(seed)

    @contextlib.contextmanager
    def left_as_it_was(self) -> Iterator[None]:
        """Set a Keras model's variables back in the end: metrics and the states of its noise."""
        own = [] if self.model is None else [*self.model.variables, *self.model.metrics_variables]
        before = [(v, v.numpy()) for v in own]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def call(self, name: str, *arrays: np.ndarray):
        """What a function gives for float32; where it fails, a ValueError that names it."""
        try:
            return self.parts[name](*(a.astype("float32") for a in arrays))
        except Exception as error:  # whatever framework it comes from
            shapes = ", ".join(str(a.shape) for a in arrays)
            reason = f"{type(error).__name__}: {str(error).strip()[:200]}"
            problem = f"{name} does not take {shapes}; expected one that does"
            raise ValueError(f"{problem}: {reason}") from error

    def encode(self) -> None:
        """Set `mean` and `log_var` of x, and `given`, the encoder's z or None."""
        codes = self.call("encoder", self.x)
        if not isinstance(codes, (list, tuple)) or len(codes) not in (2, 3):
            kind = f"{len(codes)} parts" if isinstance(codes, (list, tuple)) else type(codes)
            raise ValueError(f"encoder gives {kind}; expected (mean, log_var) or with z")
        self.mean, self.log_var, self.given, *_ = [*map(as_array, codes), None]
        shapes = self.mean.shape, self.log_var.shape
        if shapes[0] != shapes[1] or shapes[0][:1] != (len(self.x),) or self.mean.ndim < 2:
            problem = f"encoder gives the shapes {shapes[0]} and {shapes[1]}"
            raise ValueError(f"{problem}; expected twice ({len(self.x)}, latent_dim)")

    def decode(self) -> None:
        """Set `decoded`, what the decoder gives for the means, and `target`, x as it is meant."""
        self.decoded = as_array(self.call("decoder", self.mean))
        if self.decoded.shape[:1] != (len(self.x),) or self.decoded.size != self.x.size:
            problem = f"decoder gives the shape {self.decoded.shape}"
            raise ValueError(f"{problem}; expected that of x, {self.x.shape}")
        own = getattr(self.model, "columns", None) is not None
        target = as_array(self.model.standardise(self.x)) if own else as_array(self.x)
        self.target = target.reshape(self.decoded.shape)

    def loss(self, decoded, mean, log_var, x=None) -> float:
        """The loss of made-up outputs and posteriors, as a mean over examples."""
        x = self.x if x is None else x
        return as_array(self.call("loss", x, decoded, mean, log_var)).mean()


def as_array(value) -> np.ndarray:
    """A tensor of any framework as float64."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value, dtype="float64")


def _examples(x) -> np.ndarray:
    x = plain_array(x, "x")
    if x.dtype.kind not in "fiub" or x.ndim < 2 or len(x) < FEWEST:
        problem = f"x has shape {x.shape} and dtype {x.dtype}"
        raise ValueError(f"{problem}; expected at least {FEWEST} rows of numbers, (n, ...)")
    x = x[np.linspace(0, len(x) - 1, min(len(x), ROWS)).astype(int)].astype("float32")
    if not np.isfinite(x).all():
        raise ValueError("x contains NaN or infinite values; expected finite numbers")
    return x


def _part(model, given: Callable | str | None, name: str) -> Callable:
    """A function given, a layer by its name, or the model's own part."""
    part, own = given, isinstance(model, keras.Model)
    layers = {layer.name: layer for layer in model.layers} if own else {}
    if isinstance(given, str):
        part = layers.get(given)
    elif given is None and own:
        part = getattr(model, OWN[name], getattr(model, name, layers.get(name)))
    if callable(part):
        return part
    problem = f"model is a {type(model).__name__} and {name} is {given!r}"
    raise ValueError(f"{problem}; expected a model with {name!r}, a layer's name or a function")


def _own_loss(model) -> Callable | None:
    """The loss of a `VAE` as a function of its four parts."""
    if not (hasattr(model, "likelihood") and hasattr(model, "kl")):
        return None
    names = ("parameters", "mean", "log_var")
    return lambda x, *parts: model.compute_loss(
        x=x, y_pred={name: tf.constant(part) for name, part in zip(names, parts, strict=True)}
    )
