"""Real VAE bugs, put into a copy of the library one by one: an ordinary test must find each."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
EPS = "keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seed)"
CONV_END = 'padding="same", name="parameters"'


class Bug(NamedTuple):
    """In `file`, `right` becomes `wrong`; the tests in test_<`tests`>.py must see it.

    `only` picks those of them that are about it.
    """

    file: str
    right: str
    wrong: str
    tests: str
    only: str


BUGS = {
    # the tutorial's own
    "no Flatten before the heads": Bug(
        "networks", "layers.Flatten()(x), lat", "x, lat", "networks", "conv_shapes"
    ),
    "sigmoid, then used as logits": Bug(
        "networks", CONV_END, f'{CONV_END}, activation="sigmoid"', "networks", "activation"
    ),
    "variance never regularised": Bug(
        "losses", "ops.expm1(log_var) - log_var", "ops.zeros_like(log_var)", "losses", "kl"
    ),
    "log p(z) with the wrong sign": Bug(
        "losses",
        "return -0.5 * ops.sum(terms",
        "return 0.5 * ops.sum(terms",
        "bounds",
        "log_normal",
    ),
    "log p(z) without its half": Bug(
        "losses", "return -0.5 * ops.sum(terms", "return -ops.sum(terms", "bounds", "log_normal"
    ),
    "log q(z) without its log-variance": Bug(
        "losses",
        "math.log(2 * math.pi) + log_var +",
        "math.log(2 * math.pi) +",
        "bounds",
        "log_normal",
    ),
    "noise for a known batch size only": Bug(
        "model", EPS, EPS.replace("ops.shape(mean)", "tuple(mean.shape)"), "model", "unknown_batch"
    ),
    # the KL term
    "KL: mean for sum": Bug(
        "losses", "0.5 * ops.sum(mean**2", "0.5 * ops.mean(mean**2", "losses", "kl"
    ),
    "KL: no half": Bug("losses", "0.5 * ops.sum(mean**2", "ops.sum(mean**2", "losses", "kl"),
    "KL: clamped to zero": Bug(
        "model",
        "return losses.kl_divergence(",
        "return 0.0 * losses.kl_divergence(",
        "model",
        "beta_weighs",
    ),
    "KL: wrong sign in the bound": Bug(
        "losses",
        "-(reconstruction + beta * kl)",
        "-(reconstruction - beta * kl)",
        "losses",
        "elbo_is_minus",
    ),
    "KL: prior and posterior swapped": Bug(
        "losses",
        "mean**2 + (ops.expm1(log_var) - log_var)",
        "(mean**2 + 1) * ops.exp(-log_var) + log_var - 1",
        "losses",
        "kl",
    ),
    "KL: log-variance taken for a log-deviation": Bug(
        "losses",
        "ops.expm1(log_var) - log_var",
        "ops.expm1(2 * log_var) - 2 * log_var",
        "losses",
        "kl",
    ),
    # the noise
    "log-variance used as sigma": Bug(
        "model", "ops.exp(0.5 * log_var) *", "log_var *", "model", "moments"
    ),
    "variance used as sigma": Bug(
        "model", "ops.exp(0.5 * log_var)", "ops.exp(log_var)", "model", "moments"
    ),
    "frozen noise": Bug("model", EPS, EPS.replace("seed=seed", "seed=7"), "model", "noise"),
    "one noise for the whole batch": Bug(
        "model",
        EPS,
        EPS.replace("ops.shape(mean)", "ops.shape(mean[:1])"),
        "model",
        "noise_differs",
    ),
    "no gradient through the mean": Bug(
        "model",
        "return mean + ops.exp(0.5",
        "return ops.stop_gradient(mean) + ops.exp(0.5",
        "model",
        "reparameterised",
    ),
    "a sample where the posterior mean is meant": Bug(
        "model",
        "self.decode(self.encode(x)[0], apply",
        "self.decode(self.reparameterize(*self.encode(x)), apply",
        "model",
        "predict_is",
    ),
    "new noise at each evaluation": Bug(
        "model", "None if training else EVALUATION_SEED", "None", "model", "new_noise"
    ),
    # the reconstruction term
    "reconstruction: mean for sum": Bug(
        "losses", "-ops.sum(log_prob", "-ops.mean(log_prob", "losses", "sum_for_each"
    ),
    "sigmoid twice": Bug(
        "likelihoods",
        "return x * parameters",
        "return x * ops.sigmoid(parameters)",
        "likelihoods",
        "bernoulli",
    ),
    "Gaussian without its normaliser": Bug(
        "likelihoods",
        "standardised**2) - log_sigma",
        "standardised**2)",
        "likelihoods",
        "fixed_sigma",
    ),
    "ReLU on the decoder's last layer": Bug(
        "networks", CONV_END, f'{CONV_END}, activation="relu"', "networks", "activation"
    ),
    # the bound and the loop
    "mean of the logs for the log of the mean": Bug(
        "losses",
        "return total - math.log(k)",
        "return total - k * math.log(k)",
        "bounds",
        "tighter or chunks",
    ),
    "weights without q": Bug("losses", " - log_posterior(eps, log_var)", "", "bounds", "tighter"),
    "beta forgotten": Bug(
        "model",
        "losses.elbo(reconstruction, kl, self.beta)",
        "losses.elbo(reconstruction, kl)",
        "model",
        "loss_is_reconstruction",
    ),
    "example weights on one term only": Bug(
        "model",
        "reconstruction, kl = weight * reconstruction, weight * kl",
        "reconstruction = weight * reconstruction",
        "model",
        "weights_scale or weight_of_zero",
    ),
    "warm-up that never begins": Bug(
        "training", "epoch / self.epochs", "epoch // self.epochs", "training", "warm_up_raises"
    ),
    "warm-up that ends at 1": Bug(
        "training", "end if now == last else now", "1.0", "training", "warm_up_ends"
    ),
    "no scaling of the loss": Bug(
        "training", "optimizer.scale_loss(loss)", "loss", "training", "scal"
    ),
    "noise that ignores the seed": Bug(
        "training", "assign([self.seed, epoch])", "assign([0, epoch])", "training", "seed"
    ),
    "early stopping that begins anew": Bug(
        "training",
        "        if memory:\n",
        "        if False:\n",
        "training",
        "early_stopping_is_resumed",
    ),
    # what passes in silence
    "a score that is NaN": Bug(
        "scores/base", "if wrong.any():", "if False:", "scores", "not_finite"
    ),
    "an infinite KL far out": Bug(
        "model", "ops.minimum(log_var, LARGEST_LOG_VAR)", "log_var", "scores", "bounded"
    ),
    "log q(z) without its half": Bug(
        "losses", "- 0.5 * ops.sum(log_var", "- ops.sum(log_var", "losses", "log_posterior"
    ),
    "a range that no pipeline looks at": Bug(
        "batches",
        "(low >= 0) & (high <= 1) | ~finite",
        "low >= low",
        "batches",
        "late_batch and values",
    ),
    "a mask that is dropped": Bug(
        "checks",
        "isinstance(x, np.ma.MaskedArray)",
        "False",
        "promises",
        "errors and gaussian and relative",
    ),
    "a loss that nobody uses": Bug(
        "batches",
        "if loss is not None or loss_weights is not None:",
        "if False:",
        "batches",
        "ones_own",
    ),
    "the last batch left out": Bug(
        "batches", "for batch in x:", "for batch in x.take(2):", "batches", "all_of"
    ),
    # what is shared, or stale
    "one score object in two detectors": Bug(
        "detector/state",
        "scores.get(score).copy()",
        "scores.get(score)",
        "detector",
        "changed_later",
    ),
    "a refused calibration that counts": Bug(
        "detector/state",
        "score = score.copy()",
        "pass",
        "promises",
        "refused and gaussian and latent",
    ),
    "a calibration of other weights": Bug(
        "detector/state",
        "if weights != self.weights:",
        "if False:",
        "promises",
        "retrained and gaussian and kl",
    ),
    "graphs that know what was learned before": Bug(
        "scores/base", 'self.__dict__.pop("_graphs", None)', "pass", "scores", "fitted_again"
    ),
    "graphs of other arguments": Bug(
        "scores/base",
        "(pixels, str(self.arguments()), sigma,",
        "(pixels, sigma,",
        "scores",
        "counts",
    ),
    "graphs that keep models alive": Bug(
        "scores/base",
        "self._compile(weakref.ref(vae), pixels)",
        "self._compile(lambda: vae, pixels)",
        "scores",
        "alive",
    ),
    # what is usual
    "a fusion that counts twice what its parts share": Bug(
        "scores/fusion",
        "(1 - SHRINKAGE) * correlation +",
        "0 * correlation +",
        "scores",
        "whitened_sum",
    ),
    "a fusion that sees one side": Bug(
        "scores/fusion", "below * deviations, dev", "0 * deviations, dev", "scores", "whitened_sum"
    ),
    "what is usual, told by images that the parts know": Bug(
        "scores/fusion",
        "Logarithms(self.scores).of(vae, held_out,",
        "Logarithms(self.scores).of(vae, images,",
        "scores",
        "whitened_sum",
    ),
    "a choice by the worst": Bug(
        "scores/fusion", "best = min(mistakes", "best = max(mistakes", "scores", "auto_keeps_the"
    ),
    "a fusion that is tried on what it has learned": Bug(
        "scores/fusion", "usual_of(logs[0, ~tried])", "usual_of(logs[0])", "scores", "auto_tries"
    ),
    "an image that is patched with itself": Bug(
        "scores/pseudo", "images[np.roll(order, 1)]", "images[order]", "scores", "pseudo"
    ),
    "training images that nobody uses": Bug(
        "detector/state",
        "(held_out,) if trained_on is None else (trained_on, held_out)",
        "(held_out,)",
        "detector",
        "training_images",
    ),
    "a mean that counts what is outside the image": Bug(
        "scores/errors",
        "sums / ops.reshape(",
        "sums / size + 0 * ops.reshape(",
        "scores",
        "local_mean",
    ),
    "residuals in the table's own units": Bug(
        "scores/errors",
        "vae.standardise(x) - vae.likelihood.mean(vae.decode(vae.encode(x)[0]))",
        "x - vae.reconstruct(x)",
        "columns",
        "scikit_learn",
    ),
    "a constant column divided by nothing": Bug(
        "networks", "scaler.scale_)", "scaler.var_**0.5)", "columns", "constant"
    ),
    "a scale that each fit makes anew": Bug(
        "model",
        "not (self.columns is None or self.columns.adapted)",
        "self.columns is not None",
        "columns",
        "later_fit",
    ),
    "a large number in float16": Bug(
        "model", "self.autocast = False", "pass", "columns", "precision"
    ),
    "shares of the row alone": Bug(
        "scores/distances", "by_row + by_residual", "by_row", "scores", "joint"
    ),
    # the detector's data
    "columns by position": Bug(
        "frames", "names == tuple(columns)", "len(names) == len(columns)", "fit", "names_and_index"
    ),
    "an array in the place of named columns": Bug(
        "detector/inputs",
        "if self.names is not None and len(form.data_shape) == 1",
        "if False and len(form.data_shape) == 1",
        "fit",
        "no_names",
    ),
    "the score of the first model alone": Bug(
        "detector/state",
        "np.exp(np.log(scores + LEAST).mean(axis=1))",
        "scores[:, 0]",
        "fit",
        "geometric_mean",
    ),
    "a point that is judged by the next window": Bug(
        "detector/evaluation",
        "np.concatenate([np.full(missing, nothing[name]), values])",
        "np.concatenate([values, np.full(missing, nothing[name])])",
        "fit",
        "window_that_ends",
    ),
    "digits that float32 rounds away": Bug(
        "detector/inputs", "if len(fine):", "if False:", "fit", "not_for"
    ),
    # the detector's file
    "a checksum without the models": Bug(
        "saving",
        "for name in sorted(members):",
        'for name in sorted(n for n in members if "model" not in n):',
        "saving",
        "checksum",
    ),
    "one temporary name for a folder": Bug(
        "saving",
        'f".{target.name}.{uuid.uuid4().hex}.part"',
        '"detector.part"',
        "saving",
        "many_who_save",
    ),
    "a temporary file that stays": Bug(
        "saving", "temporary.unlink()", "pass", "saving", "save_that_fails"
    ),
    "a threshold taken on trust": Bug(
        "detector/state",
        "if saved.shape != limits.shape or not",
        "if False and not",
        "saving",
        "what_a_message",
    ),
    "compressed parts": Bug(
        "saving",
        "if any(info.compress_type != zipfile.ZIP_STORED",
        "if False and any(info.compress_type != zipfile.ZIP_STORED",
        "saving",
        "grow",
    ),
    # the diagnosis
    "a diagnosis that changes the model": Bug(
        "diagnose/subject", "variable.assign(value)", "pass", "diagnose", "left_as_it_was"
    ),
    "a diagnosis of any KL": Bug(
        "diagnose/__init__", 'formula != "KL"', "False", "diagnose", "bug_is_found"
    ),
    "a diagnosis that forgets what is meant": Bug(
        "diagnose/__init__", "weight / it.beta if", "weight if", "diagnose", "beta_that_is_meant"
    ),
    "a diagnosis of one batch": Bug(
        "diagnose/__init__", "batch > 1e-3", "False", "diagnose", "bug_is_found"
    ),
    "a diagnosis that is too sure": Bug(
        "diagnose/__init__", "form in COINS or it.beta == 0", "True", "diagnose", "other_units"
    ),
    # figures
    "p-values of the calibration alone": Bug(
        "thresholds",
        "return (1 + at_least) / (len(calibration) + 1)",
        "return at_least / len(calibration)",
        "thresholds",
        "p_values",
    ),
    "p-values that count ties as below": Bug(
        "thresholds",
        'np.searchsorted(np.sort(calibration), scores, side="left")',
        'np.searchsorted(np.sort(calibration), scores, side="right")',
        "thresholds",
        "p_values",
    ),
    "a false-positive rate that skips ties": Bug(
        "detector/evaluation", ", drop_intermediate=False", "", "evaluation", "fpr_at"
    ),
    "90 % intervals sold as 95 %": Bug(
        "detector/evaluation", "[0.025, 0.975]", "[0.05, 0.95]", "evaluation", "intervals"
    ),
    "one colour for all": Bug(
        "scores/errors",
        "axis=tuple(range(1, len(x.shape))), keepdims",
        "axis=(1, 2), keepdims",
        "scores",
        "colours",
    ),
    # outside the library
    "a NaN passes an exported graph": Bug(
        "detector/export", "is_anomaly | ~usable", "is_anomaly", "export", "refuses and nan"
    ),
    "an equal score does not count in an exported p-value": Bug(
        "detector/export", ">= scores[:, c, None]", "> scores[:, c, None]", "export", "equal_score"
    ),
    "a half-written file of scores": Bug(
        "saving", "temporary.replace(target)", "pass", "command", "scores_are and npz"
    ),
}


# What `diagnose` says of those that can be seen from outside: words of its report. The others are
# in importance weights, in the loop, in scores, detectors and files, or far from all data; two
# never come so far, since the library itself refuses maps for codes and one noise for a batch.
DIAGNOSED = {
    "sigmoid, then used as logits": "within 0..1, as after a sigmoid",
    "variance never regularised": "mean**2, without the variance",
    "noise for a known batch size only": "sampling fails in a graph",
    "KL: mean for sum": "a mean over latents",
    "KL: no half": "no half",
    "KL: clamped to zero": "the KL term has no effect",
    "KL: wrong sign in the bound": "the wrong sign",
    "KL: prior and posterior swapped": "prior and posterior swapped",
    "KL: log-variance taken for a log-deviation": "log_var taken for log sigma",
    "log-variance used as sigma": "log_var is used as the deviation",
    "variance used as sigma": "exp(log_var) is used as the deviation",
    "frozen noise": "the noise is frozen",
    "no gradient through the mean": "no gradient reaches mean",
    "a sample where the posterior mean is meant": "another score each time",
    "reconstruction: mean for sum": "a mean over x",
    "sigmoid twice": "the loss prefers dark outputs",
    "Gaussian without its normaliser": "the loss takes the data for noise",
    "ReLU on the decoder's last layer": "as by a ReLU",
    "beta forgotten": "beta is 1, expected 0.5",
}

# Where the bugs are tried: processes forked from one that has imported all this, which takes long
SKLEARN = [f"sklearn.{part}" for part in ("covariance", "metrics", "datasets", "neighbors")]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [*("tensorflow", "keras", "matplotlib.pyplot", "hypothesis", "jsonschema"), *SKLEARN]
)


class Outcome(NamedTuple):
    """pytest's exit status and what it printed."""

    status: int
    output: str


def run(folder: Path, files: list[str], only: str) -> Outcome:
    """Those unit tests on the library in `folder`, in a process of their own."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "--disable-plugin-autoload"]
    paths = [f"tests/test_{file}.py" for file in files]
    arguments = ["-c", "/dev/null", f"--rootdir={folder}", *options, "-k", only, *paths]
    output = folder / "output.txt"
    process = FORKS.Process(target=forked, args=(folder, arguments, output))
    process.start()
    process.join()
    return Outcome(process.exitcode, output.read_text())


def forked(folder: Path, arguments: list[str], output: Path) -> None:
    """What the new process does: all it prints goes into a file."""
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    gc.freeze()  # what is imported already is no garbage: pytest collects three times
    status = pytest.main(arguments)
    sys.stdout.flush()
    os._exit(status)  # nothing of the parent's is to be done here


@pytest.fixture
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library and its unit tests in a folder whose name no `only` picks, with all in it."""
    folder = tmp_path_factory.mktemp("0")
    shutil.copytree(ROOT / "vae_lib", folder / "vae_lib")
    shutil.copytree(ROOT / "tests" / "unit", folder / "tests")
    return folder


def test_an_unchanged_copy_passes(copy: Path) -> None:
    """Of each file what is about its last bug: nothing fails for being in a copy."""
    picked = {bug.tests: bug.only for bug in BUGS.values()}
    only = " or ".join(f"(test_{tests} and ({words}))" for tests, words in picked.items())
    result = run(copy, sorted(picked), only)
    assert result.status == 0, result.output


def put_in(bug: Bug, copy: Path) -> None:
    path = copy / "vae_lib" / f"{bug.file}.py"
    source = path.read_text()
    assert source.count(bug.right) == 1, f"{bug.right!r} is not in {bug.file}.py once"
    path.write_text(source.replace(bug.right, bug.wrong))


@pytest.mark.parametrize("name", DIAGNOSED)
def test_is_diagnosed(name: str, copy: Path) -> None:
    put_in(BUGS[name], copy)
    result = run(copy, ["diagnose"], "librarys_own")
    assert result.status == 1 and DIAGNOSED[name] in result.output, result.output


@pytest.mark.parametrize("name", BUGS)
def test_is_killed(name: str, copy: Path) -> None:
    bug = BUGS[name]
    put_in(bug, copy)
    result = run(copy, [bug.tests], bug.only)
    assert result.status == 1, f"{name} survived:\n{result.output}"
    print(next(line for line in result.output.splitlines() if line.startswith("FAILED")))
