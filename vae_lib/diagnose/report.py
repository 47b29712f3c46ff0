"""The report, and every problem that it may name."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import NamedTuple

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
        found = [
            (f"{f.sure}: {f.check}", f"{f.problem} ({f.evidence}); chapter {f.chapter}")
            for f in self.findings
        ]
        return [*found, *self.facts.items(), *(("not looked at", text) for text in self.skipped)]

    def __repr__(self) -> str:
        head = f"{len(self.findings) or 'no'} finding{'s' * (len(self.findings) != 1)}"
        return "\n".join([head, *(f"  {word}: {text}" for word, text in self.rows())])

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th>{html.escape(word)}</th><td>{html.escape(text)}</td></tr>"
            for word, text in self.rows()
        )
        return f'<table class="dataframe">{"".join(cells)}</table>'  # a class themes know
