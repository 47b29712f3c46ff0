"""The README's example runs as it is printed, and finds anomalies."""

from __future__ import annotations

import re

from sklearn.metrics import roc_auc_score

from notebook_files import ROOT


def test_the_example_separates_normal_from_anomalous() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    names: dict = {}
    exec(example, names)
    assert roc_auc_score(names["is_anomaly"], names["score"]) > 0.8
