"""Real VAE bugs, put into a copy of the library one by one: an ordinary test must find each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
EPS = "keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seed)"
CONV_END = 'padding="same", name="parameters"'


class Bug(NamedTuple):
    """In `file`, `right` becomes `wrong`; the tests in test_<`tests`>.py must see it."""

    file: str
    right: str
    wrong: str
    tests: str


BUGS = {
    # the tutorial's own
    "no Flatten before the heads": Bug(
        "networks", "layers.Flatten()(x), lat", "x, lat", "networks"
    ),
    "sigmoid, then used as logits": Bug(
        "networks", CONV_END, f'{CONV_END}, activation="sigmoid"', "networks"
    ),
    "variance never regularised": Bug(
        "losses", "ops.expm1(log_var) - log_var", "ops.zeros_like(log_var)", "losses"
    ),
    "log p(z) with the wrong sign": Bug(
        "losses", "return -0.5 * ops.sum(terms", "return 0.5 * ops.sum(terms", "bounds"
    ),
    "log p(z) without its half": Bug(
        "losses", "return -0.5 * ops.sum(terms", "return -ops.sum(terms", "bounds"
    ),
    "log q(z) without its log-variance": Bug(
        "losses", "math.log(2 * math.pi) + log_var +", "math.log(2 * math.pi) +", "bounds"
    ),
    "noise for a known batch size only": Bug(
        "model", EPS, EPS.replace("ops.shape(mean)", "tuple(mean.shape)"), "model"
    ),
    # the KL term
    "KL: mean for sum": Bug("losses", "0.5 * ops.sum(mean**2", "0.5 * ops.mean(mean**2", "losses"),
    "KL: no half": Bug("losses", "0.5 * ops.sum(mean**2", "ops.sum(mean**2", "losses"),
    "KL: clamped to zero": Bug(
        "model", "return losses.kl_divergence(", "return 0.0 * losses.kl_divergence(", "model"
    ),
    "KL: wrong sign in the bound": Bug(
        "losses", "-(reconstruction + beta * kl)", "-(reconstruction - beta * kl)", "losses"
    ),
    "KL: prior and posterior swapped": Bug(
        "losses",
        "mean**2 + (ops.expm1(log_var) - log_var)",
        "(mean**2 + 1) * ops.exp(-log_var) + log_var - 1",
        "losses",
    ),
    "KL: log-variance taken for a log-deviation": Bug(
        "losses", "ops.expm1(log_var) - log_var", "ops.expm1(2 * log_var) - 2 * log_var", "losses"
    ),
    # the noise
    "log-variance used as sigma": Bug("model", "ops.exp(0.5 * log_var) *", "log_var *", "model"),
    "variance used as sigma": Bug("model", "ops.exp(0.5 * log_var)", "ops.exp(log_var)", "model"),
    "frozen noise": Bug("model", EPS, EPS.replace("seed=seed", "seed=7"), "model"),
    "one noise for the whole batch": Bug(
        "model", EPS, EPS.replace("ops.shape(mean)", "ops.shape(mean[:1])"), "model"
    ),
    "no gradient through the mean": Bug(
        "model",
        "return mean + ops.exp(0.5",
        "return ops.stop_gradient(mean) + ops.exp(0.5",
        "model",
    ),
    "a sample where the posterior mean is meant": Bug(
        "model",
        "self.decode(self.encode(x)[0], apply",
        "self.decode(self.reparameterize(*self.encode(x)), apply",
        "model",
    ),
    "new noise at each evaluation": Bug(
        "model", "None if training else EVALUATION_SEED", "None", "model"
    ),
    # the reconstruction term
    "reconstruction: mean for sum": Bug(
        "losses", "-ops.sum(log_prob", "-ops.mean(log_prob", "losses"
    ),
    "sigmoid twice": Bug(
        "likelihoods", "return x * parameters", "return x * ops.sigmoid(parameters)", "likelihoods"
    ),
    "Gaussian without its normaliser": Bug(
        "likelihoods", "standardised**2) - self.log_sigma", "standardised**2)", "likelihoods"
    ),
    "ReLU on the decoder's last layer": Bug(
        "networks", CONV_END, f'{CONV_END}, activation="relu"', "networks"
    ),
    # the bound and the loop
    "mean of the logs for the log of the mean": Bug(
        "losses", "return total - math.log(k)", "return total - k * math.log(k)", "bounds"
    ),
    "weights without q": Bug("losses", " - log_normal(z, mean, log_var)", "", "bounds"),
    "beta forgotten": Bug(
        "model",
        "losses.elbo(reconstruction, kl, self.beta)",
        "losses.elbo(reconstruction, kl)",
        "model",
    ),
    "example weights on one term only": Bug(
        "model",
        "reconstruction, kl = weight * reconstruction, weight * kl",
        "reconstruction = weight * reconstruction",
        "model",
    ),
    "warm-up that never begins": Bug(
        "training", "epoch / self.epochs", "epoch // self.epochs", "training"
    ),
}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """The unit tests on the library in `folder`."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval"]
    skip = [
        "-k",
        "not (two_devices or uninterrupted or xla or mixed_precision)",
    ]  # slow, and not needed
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={folder}", *options, *skip]
        + [f"tests/test_{word}.py" for word in words],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The library and its unit tests in a folder of their own."""
    shutil.copytree(ROOT / "vae_lib", tmp_path / "vae_lib")
    shutil.copytree(ROOT / "tests" / "unit", tmp_path / "tests")
    return tmp_path


def test_an_unchanged_copy_passes(copy: Path) -> None:
    result = run(copy, "losses", "bounds", "networks")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", BUGS)
def test_is_killed(name: str, copy: Path) -> None:
    bug = BUGS[name]
    path = copy / "vae_lib" / f"{bug.file}.py"
    source = path.read_text()
    assert source.count(bug.right) == 1, f"{bug.right!r} is not in {bug.file}.py once"
    path.write_text(source.replace(bug.right, bug.wrong))
    result = run(copy, bug.tests)
    assert result.returncode == 1, f"{name} survived:\n{result.stdout}{result.stderr}"
    print(next(line for line in result.stdout.splitlines() if line.startswith("FAILED")))
