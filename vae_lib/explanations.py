"""Which columns of a row made its score: what would it be, were one of them as usual?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

CANDIDATES = 5  # usual values that are tried for each column
ROWS = 65536  # of one call of the score


def usual_values(rows: np.ndarray, sources: Sequence[str], candidates: int = CANDIDATES):
    """Values (candidates, features) of normal rows (n, features), for each source by itself.

    Features of one source, such as those of one category, belong together. The values are those of
    rows: of one feature its quantiles, of several as often as they come.
    """
    sources = np.asarray(sources)
    at = ((np.arange(candidates) + 0.5) / candidates * len(rows)).astype(int)
    usual = np.empty((candidates, rows.shape[1]), rows.dtype)
    for source in dict.fromkeys(sources):
        block = rows[:, sources == source]
        usual[:, sources == source] = block[np.lexsort(block.T[::-1])[at]]
    return usual


def shares(
    score: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    usual: np.ndarray,
    sources: Sequence[str],
) -> np.ndarray:
    """How much of each row's score a source made: (n, different sources), in order of appearance.

    A counterfactual, whatever the score: one source at a time takes each of its usual values, and
    what counts is how far the score falls at best. A row's shares sum to 1; they are all 0 where
    nothing lowers the score.
    """
    sources, before = np.asarray(sources), score(rows)
    names = list(dict.fromkeys(sources))
    falls = np.zeros((len(rows), len(names)))
    block = max(1, ROWS // len(usual))
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        for i, name in enumerate(names):
            changed = np.repeat(rows[part][None], len(usual), axis=0)
            changed[:, :, sources == name] = usual[:, None, sources == name]
            after = score(changed.reshape(-1, rows.shape[1])).reshape(len(usual), -1)
            falls[part, i] = np.maximum(before[part] - after.min(axis=0), 0)
    sums = falls.sum(axis=1, keepdims=True)
    return falls / np.where(sums > 0, sums, 1)
