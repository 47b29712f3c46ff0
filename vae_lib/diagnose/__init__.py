"""Known mistakes in a VAE, seen from outside: its functions are called, and its loss is probed.

A broken KL term may hardly move an AUROC; closed forms show it. Most of what is asked is arithmetic
for a VAE with the prior N(0, I); a finding that rests on a habit of healthy models says "likely" or
"possible". No finding is no proof: mistakes outside of these functions, or not among those known
here, are not seen. Nothing is trained, and a Keras model is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit

from ..checks import check_seed, is_real
from .subject import Diagnosis, Finding, Subject, as_array

__all__ = ["Diagnosis", "Finding", "diagnose"]

DRAWS = 4096
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
COINS = ("logits", "probabilities")
KLS = {  # of each latent dimension, in nats; the first is the right one
    "KL": lambda m, v: 0.5 * (m**2 + np.exp(v) - v - 1),
    "mean**2, without the variance": lambda m, v: 0.5 * m**2,
    "KL with prior and posterior swapped": lambda m, v: 0.5 * ((m**2 + 1) * np.exp(-v) + v - 1),
    "KL with log_var taken for log sigma": lambda m, v: 0.5 * (m**2 + np.exp(2 * v) - 2 * v - 1),
}


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
    """Look for known mistakes in a trained VAE that has an encoder and a decoder.

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
    given = {"encoder": encoder, "decoder": decoder, "sample": sample, "loss": loss}
    it = Subject(model, x, given | {"reconstruct": reconstruct}, beta, seed)
    with it.left_as_it_was():
        run(it)
    return it.report


def run(it: Subject) -> None:
    """Every check that the functions at hand allow."""
    if not usable(it):
        it.report.skipped.append("all else, since numbers or shapes are missing")
        return
    form = None
    if it.parts["sample"] is None and it.given is None:
        it.report.skipped.append("the noise: give sample, (mean, log_var) to z")
    else:
        noise(it)
    if it.parts["loss"] is None:
        it.report.skipped.append("the loss: give loss, (x, decoded, mean, log_var) to it")
    else:
        form, scale = reconstruction_term(it)
        kl_term(it, form, scale)
    latents(it, ranges(it, form))
    scores(it)


def usable(it: Subject) -> bool:
    """Whether weights, codes and outputs are numbers, and codes are rows."""
    weights = it.model.weights if it.model is not None else ()
    wrong = [weight.path for weight in weights if not np.isfinite(weight.numpy()).all()]
    if it.report.judge(" ".join(wrong[:1]), {"weights": wrong != []}):
        return False
    it.encode()
    shape = it.mean.shape
    if it.report.judge(f"{shape}, expected (n, latent_dim)", {"maps": len(shape) > 2}):
        return False
    it.decode()
    names = ("mean", "log_var", "decoded")
    wrong = [name for name in names if not np.isfinite(getattr(it, name)).all()]
    it.report.facts["looked at"] = f"{len(it.x)} examples, latent_dim {shape[1]}"
    return not it.report.judge(f"x has shape {it.x.shape}", {"numbers": wrong != []}, *wrong[:1])


def noise(it: Subject) -> None:
    """z is to be mean + exp(log_var / 2) eps, with eps fresh for each number; (3.2)."""
    mean, log_var, asked = it.mean, it.log_var, ("encoder", it.x)
    if own := it.parts["sample"] is not None:
        shape = (DRAWS // mean.shape[1] + 1, mean.shape[1])
        mean, log_var = it.random.randn(*shape), it.random.uniform(-4, 2, shape)
        asked = ("sample", mean, log_var)
    drawn = [it.call(*asked) for _ in range(2)]
    one, two = (as_array(z if own else z[2]) for z in drawn)
    sigmas = {name: of(log_var) + 1e-9 for name, of in SIGMAS.items()}
    fits = {  # mean log density of what was drawn, were its deviation this times a constant
        name: -np.mean(np.log(sigma)) - np.log(((one - mean) / sigma).std() + 1e-12)
        for name, sigma in sigmas.items()
    }
    right, best = next(iter(fits)), max(fits, key=fits.get)
    eps = (one - mean) / sigmas[right]
    limit = 0.05 + 4 / np.sqrt(eps.size)
    evidence = it.report.facts["noise"] = (
        f"eps has mean {eps.mean():.3f} and deviation {eps.std():.3f}"
    )
    problems = {
        "still": np.abs(eps).max() < 1e-3,
        "frozen": np.abs(one - two).max() < 1e-6,
        "shared": eps.std(axis=0).max() < 1e-3,
        "repeated": eps.shape[1] > 1 and eps.std(axis=1).max() < 1e-3,
        "sigma": fits[best] > fits[right] + 0.02,
        "moments": abs(eps.mean()) > limit or abs(eps.std() - 1) > limit,
    }
    if not it.report.judge(evidence, problems, best) and own and tf.is_tensor(drawn[0]):
        gradients(it, mean, log_var)


def gradients(it: Subject, mean: np.ndarray, log_var: np.ndarray) -> None:
    """In TensorFlow: they are to pass through z, and the batch may be of any size."""
    sample, terms = it.parts["sample"], [tf.constant(term, tf.float32) for term in (mean, log_var)]
    with tf.GradientTape() as tape:
        tape.watch(terms)
        z = sample(*terms)
    for name, gradient in zip(("mean", "log_var"), tape.gradient(z, terms), strict=True):
        lost = gradient is None or not np.abs(gradient).max() > 0
        it.report.judge("the gradient is 0", {"no path": lost}, name)
    unknown = tf.TensorSpec((None, mean.shape[1]), tf.float32)
    try:
        tf.function(sample, autograph=False).get_concrete_function(unknown, unknown)
    except Exception as error:  # what Keras raises depends on its version
        it.report.judge(type(error).__name__, {"batch size": True})


def nearest(
    forms: dict[str, Callable], losses: np.ndarray, probes: list, free: bool
) -> tuple[str, float, float]:
    """Which form times a scale (plus a constant, if `free`) is nearest to the losses of probes.

    Returns its name, the scale, and the largest residual as a share of the largest loss.
    """
    fits = {}
    for name, form in forms.items():
        expected = np.array([form(*probe).sum() / len(probe[0]) for probe in probes])
        a, b = (v - v.mean() if free else v for v in (losses, expected))
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
    evidence = it.report.facts["KL term"] = f"{weight:.4g} times {formula}"
    wrong = {"strange KL": error > 0.05, "wrong KL": formula != "KL", "sign": weight < 0}
    if not it.report.judge(f"{error:.0%} of it differs from {evidence}", wrong, evidence):
        balance(it, form, scale, weight)


def balance(it: Subject, form: str | None, scale: float, weight: float) -> None:
    """beta hidden in a mean: the weight of the KL term, of a likelihood that is normalised."""
    evidence = f"the loss has {weight:.4g} times KL"
    weight = weight / scale if form in COINS else weight  # its scale is 1, or hides in beta
    ratio = weight / it.beta if it.beta else np.inf
    causes = {1 / it.mean.shape[1]: "a mean over latents", it.decoded[0].size: "a mean over x"}
    causes |= {2: "no half", 0.5: "a half too many", 1 / (it.beta or 1): "is it left out"}
    causes = [f": {c}?" for value, c in causes.items() if np.isclose(ratio, value, rtol=0.02)]
    odd = not np.isclose(ratio, 1, rtol=0.05)
    certain = form in COINS or it.beta == 0  # else another deviation of x would do the same
    text = f"beta is {weight:.4g}, expected {it.beta:.4g}{''.join(causes[:1])}"
    if it.report.judge(
        evidence, {"beta": odd and certain, "beta or sigma": odd and causes != []}, text
    ):
        return
    if form == "squared error":
        sigma = np.sqrt(ratio / (2 * scale))
        error = np.sqrt(np.mean((it.target - it.decoded) ** 2))
        spread = np.sqrt(np.mean(it.target.var(axis=0)))
        evidence = f"{sigma:.4g}, data deviate by {spread:.4g}, errors by {error:.4g}"
        it.report.facts["sigma in the loss"] = evidence
        weak, strong = sigma < error / 8, sigma > 2 * max(spread, error)
        it.report.judge(f"sigma {evidence}", {"too strong": strong, "too weak": weak})


def ranges(it: Subject, form: str | None) -> Callable:
    """What the decoder can give, beside loss and data; returns what turns outputs into x's like."""
    z = 3 * it.random.randn(64, it.mean.shape[1]) * np.maximum(1, it.mean.std())
    out, t = np.append(as_array(it.call("decoder", z)), it.decoded), it.target
    low, high, coin, beyond = out.min(), out.max(), form in COINS, t.min() < 0 or t.max() > 1
    given, seen = f"decoded {low:.3g}..{high:.3g}", f"x {t.min():.3g}..{t.max():.3g}"
    squashed, positive = 0 < high <= 1, form == "logits" and low >= 0
    chances = form != "probabilities" or (low >= 0 and high <= 1)
    problems = {"squashed": positive and squashed, "cut": positive, "no chances": not chances}
    it.report.judge(given, problems)
    lost = np.mean((t < 0) | ((t > 1) & (high <= 1))) if low >= 0 and form != "logits" else 0
    problems = {"no coin": coin and beyond, "out of reach": lost > 0.01}
    it.report.judge(f"{given}, {seen}", problems, lost)
    it.report.judge(seen, {"levels": np.abs(t).max() > 50})
    nearer = np.sum((t - expit(it.decoded)) ** 2) < np.sum((t - it.decoded) ** 2)
    return expit if form == "logits" or (form is None and nearer) else np.asarray


def latents(it: Subject, expected: Callable) -> None:
    """Active units, what z explains, and whether the codes are where the prior is."""
    kl = KLS["KL"](it.mean, it.log_var).sum(axis=1).mean()
    active = int(np.sum(it.mean.var(axis=0) > ACTIVE))
    moment = np.mean(it.mean**2 + np.exp(it.log_var))
    given, spread = expected(it.decoded), np.sum((it.target - it.target.mean(axis=0)) ** 2)
    mixed = expected(as_array(it.call("decoder", it.mean[::-1])))
    left, moved = (np.sum((a - given) ** 2) / spread for a in (it.target, mixed))
    facts = it.report.facts
    facts["KL"] = f"{kl:.4g} nats, {active} of {it.mean.shape[1]} latents active"
    facts["unexplained"] = f"{left:.3f} of the variance of x; another z moves {moved:.2g} of it"
    facts["second moment of z"] = f"{moment:.3f}, of the prior 1"
    problems = {"collapsed": active == 0, "blind": moved < 1e-3, "untrained": left > 0.95}
    it.report.judge(f"{facts['KL']}; unexplained {facts['unexplained']}", problems)
    far = not 1 / 3 < moment < 3
    it.report.judge(f"second moment {facts['second moment of z']}", {"far": far})


def scores(it: Subject) -> None:
    """The same input is to give the same score, in every batch."""
    parts = (it.x, it.x, it.x[:5])
    try:
        copies = [as_array(it.call("reconstruct", x)).reshape(x.shape) for x in parts]
    except (TypeError, ValueError) as error:  # no call, or what it gives is no array like x
        if it.asked_to_reconstruct:
            raise ValueError(f"reconstruct gives nothing like x, {it.x.shape}: {error}") from error
        it.report.skipped.append("repeatability of scores: give reconstruct, x to its like")
        return
    axes = tuple(range(1, it.x.ndim))
    one, two, few = (np.sum((x - c) ** 2, axes) for x, c in zip(parts, copies, strict=True))
    repeat, batch = (np.mean(np.abs(a - b) / a) for a, b in ((one, two), (one[:5], few)))
    evidence = f"differs by {repeat:.2%}; in another batch {batch:.2%}"
    it.report.facts["score again"] = evidence
    it.report.judge(evidence, {"drawn": repeat > 1e-3, "in company": batch > 1e-3})
