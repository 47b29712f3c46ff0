"""The checks, in an order in which each may use what those before it have seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy.special import expit

from .loss import COINS, KLS, kl_term, reconstruction_term
from .subject import Subject, as_array

DRAWS = 4096
ACTIVE = 0.01  # variance of a latent's mean over x; Burda, Grosse and Salakhutdinov (2016)
SIGMAS = {
    "exp(log_var / 2)": lambda v: np.exp(v / 2),
    "exp(log_var)": np.exp,
    "log_var": np.abs,
}


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
    found = {name: getattr(it, name) for name in ("mean", "log_var", "decoded")}
    wrong = [name for name, values in found.items() if not np.isfinite(values).all()]
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
    told = it.report.facts["noise"] = f"eps has mean {eps.mean():.3f} and deviation {eps.std():.3f}"
    problems = {
        "still": np.abs(eps).max() < 1e-3,
        "frozen": np.abs(one - two).max() < 1e-6,
        "shared": eps.std(axis=0).max() < 1e-3,
        "repeated": eps.shape[1] > 1 and eps.std(axis=1).max() < 1e-3,
        "sigma": fits[best] > fits[right] + 0.02,
        "moments": abs(eps.mean()) > limit or abs(eps.std() - 1) > limit,
    }
    if not it.report.judge(told, problems, best) and own and tf.is_tensor(drawn[0]):
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
        found = [as_array(it.call("reconstruct", x)).reshape(x.shape) for x in parts]
    except (TypeError, ValueError) as error:  # no call, or what it gives is no array like x
        if it.asked_to_reconstruct:
            raise ValueError(f"reconstruct gives nothing like x, {it.x.shape}: {error}") from error
        it.report.skipped.append("repeatability of scores: give reconstruct, x to its like")
        return
    axes = tuple(range(1, it.x.ndim))
    one, two, few = (np.sum((x - f) ** 2, axes) for x, f in zip(parts, found, strict=True))
    repeat, batch = (np.mean(np.abs(a - b) / a) for a, b in ((one, two), (one[:5], few)))
    told = f"differs by {repeat:.2%}; in another batch {batch:.2%}"
    it.report.facts["score again"] = told
    it.report.judge(told, {"drawn": repeat > 1e-3, "in company": batch > 1e-3})
