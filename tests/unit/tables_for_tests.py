"""A table with a rule, a category and missing values, and rows that break it."""

from __future__ import annotations

import numpy as np
import pandas as pd

QUICK = {"epochs": 1, "hidden": (4,), "latent_dim": 2, "early_stopping": False}


def rows(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Rows whose income follows from age, with a colour for the young and one for the old."""
    rng = np.random.RandomState(seed)
    z = rng.randn(n)
    columns = {
        "age": 40 + 10 * z,
        "income": 2000 + 500 * z + 30 * rng.randn(n),
        "colour": np.where(z > 0, "red", "blue"),
        "noise": rng.randn(n),
    }
    table = pd.DataFrame(columns, index=[f"row {i}" for i in range(n)])
    table.loc[table.index[::9], "noise"] = np.nan
    return table


def strange_rows() -> pd.DataFrame:
    """Three rows that are usual but for one cell each."""
    table = rows(4, seed=1)
    table.loc["row 0", "income"] = 5000.0
    table.loc["row 1", "colour"] = "green"
    table.loc["row 2", "age"] = np.nan
    return table.iloc[:3]
