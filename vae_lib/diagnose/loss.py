"""What a loss is made of, by what it says of made-up outputs and posteriors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .subject import Subject

FORMS = {  # of each value of x, in nats, up to a scale and a constant
    "logits": lambda x, out: np.logaddexp(0, out) - x * out,
    "probabilities": lambda x, p: -x * np.log(p) - (1 - x) * np.log(1 - p),
    "squared error": lambda x, out: (x - out) ** 2,
}
COINS = ("logits", "probabilities")
KLS = {  # of each latent dimension, in nats; the first is the right one
    "KL": lambda m, v: 0.5 * (m**2 + np.exp(v) - v - 1),
    "mean**2, without the variance": lambda m, v: 0.5 * m**2,
    "KL with prior and posterior swapped": lambda m, v: 0.5 * ((m**2 + 1) * np.exp(-v) + v - 1),
    "KL with log_var taken for log sigma": lambda m, v: 0.5 * (m**2 + np.exp(2 * v) - 2 * v - 1),
}


def nearest(
    forms: dict[str, Callable], found: np.ndarray, probes: list, free: bool
) -> tuple[str, float, float]:
    """Which form times a scale (plus a constant, if `free`) is nearest to the losses of probes.

    Returns its name, the scale, and the largest residual as a share of the largest loss.
    """
    fits = {}
    for name, form in forms.items():
        expected = np.array([form(*probe).sum() / len(probe[0]) for probe in probes])
        a, b = (v - v.mean() if free else v for v in (found, expected))
        scale = np.sum(a * b) / np.sum(b**2)
        fits[name] = (np.abs(a - scale * b).max() / np.abs(a).max(), name, scale)
    error, name, scale = min(fits.values())
    return name, scale, error


def reconstruction_term(it: Subject) -> tuple[str | None, float]:
    """Its form, or None for one that is not known, and its scale, at KL = 0."""
    t, none, shape = it.target, np.zeros_like(it.mean), it.decoded.shape
    outs = [level + it.random.uniform(-0.08, 0.08, shape) for level in np.linspace(0.1, 0.9, 9)]
    losses = np.array([it.loss(out, none, none) for out in outs])
    still = np.ptp(losses) <= 1e-7 * np.abs(losses).max()
    if it.report.judge(f"{losses[0]:.4g} whatever it is", {"ignored": still}):
        return None, 0.0
    form, scale, error = nearest(FORMS, losses, [(t, out) for out in outs], free=True)
    if error > 1e-3:
        step = it.random.randn(*shape)
        at = [it.loss(t + h * step, none, none) for h in (0, 1, -1, 2)]
        up, down, twice = np.array(at[1:]) - at[0]
        quadratic = np.allclose((down, twice), (up, 4 * up), rtol=0.01)  # squares, with weights
        form, scale = "squared error" if quadratic else None, up / np.sum(step**2) * len(t)
    if form is None and t.min() >= 0 and t.max() <= 1:
        white = np.ones_like(it.x)
        low, high = (it.loss(np.full(shape, out), none, none, white) for out in (0.1, 0.9))
        it.report.judge(f"{low:.4g} at 0.1, {high:.4g} at 0.9", {"inverted": high > low})
    known = f"{form}, times {scale:.4g}" if form else "none that is known here"
    it.report.facts["reconstruction term"] = known
    return form, scale


def kl_term(it: Subject, form: str | None, scale: float) -> None:
    """Its formula and weight; (2.8). `form` and `scale` are those of the reconstruction term."""
    n, d = it.mean.shape
    base = it.loss(it.decoded, np.zeros((n, d)), np.zeros((n, d)))
    probes = [
        (size * it.random.randn(n, d), level + 0.3 * it.random.randn(n, d))
        for size in (0, 0.5, 1, 3)
        for level in (-2, 0, 1)
    ]
    change = np.array([it.loss(it.decoded, m, v) - base for m, v in probes])
    most = np.abs(change).max()
    if most < max(1e-6 * abs(base), 1e-9):
        it.report.judge(f"the loss changes by {most:.2g}", {"no KL": it.beta > 0})
        return
    formula, weight, error = nearest(KLS, change, probes, free=False)
    told = it.report.facts["KL term"] = f"{weight:.4g} times {formula}"
    wrong = {"strange KL": error > 0.05, "wrong KL": formula != "KL", "sign": weight < 0}
    if not it.report.judge(f"{error:.0%} of it differs from {told}", wrong, told):
        balance(it, form, scale, weight)


def balance(it: Subject, form: str | None, scale: float, weight: float) -> None:
    """beta hidden in a mean: the weight of the KL term, of a likelihood that is normalised."""
    told = f"the loss has {weight:.4g} times KL"
    weight = weight / scale if form in COINS else weight  # its scale is 1, or hides in beta
    ratio = weight / it.beta if it.beta else np.inf
    causes = {1 / it.mean.shape[1]: "a mean over latents", it.decoded[0].size: "a mean over x"}
    causes |= {2: "no half", 0.5: "a half too many", 1 / (it.beta or 1): "is it left out"}
    causes = [f": {c}?" for value, c in causes.items() if np.isclose(ratio, value, rtol=0.02)]
    odd = not np.isclose(ratio, 1, rtol=0.05)
    certain = form in COINS or it.beta == 0  # else another deviation of x would do the same
    found = f"beta is {weight:.4g}, expected {it.beta:.4g}{''.join(causes[:1])}"
    if it.report.judge(
        told, {"beta": odd and certain, "beta or sigma": odd and causes != []}, found
    ):
        return
    if form == "squared error":
        sigma = np.sqrt(ratio / (2 * scale))
        error = np.sqrt(np.mean((it.target - it.decoded) ** 2))
        spread = np.sqrt(np.mean(it.target.var(axis=0)))
        told = f"{sigma:.4g}, data deviate by {spread:.4g}, errors by {error:.4g}"
        it.report.facts["sigma in the loss"] = told
        weak, strong = sigma < error / 8, sigma > 2 * max(spread, error)
        it.report.judge(f"sigma {told}", {"too strong": strong, "too weak": weak})
