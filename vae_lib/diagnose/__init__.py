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

from ..checks import check_seed, is_real
from . import checks
from .report import Diagnosis, Finding
from .subject import Subject

__all__ = ["Diagnosis", "Finding", "diagnose"]


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
        checks.run(it)
    return it.report
