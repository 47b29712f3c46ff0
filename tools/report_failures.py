"""Say in the repository's issues which weekly checks failed: one issue a check, never two.

Runs in .github/workflows/weekly.yml with `gh`, and with the standard library only. From the
environment: NEEDS, the results of the jobs as GitHub gives them (`toJSON(needs)`), and
GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, which together are the address of the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

CHECKS = {
    "newest": (
        "Weekly check: the newest releases",
        "`make test` failed with the newest releases of everything that the book uses. "
        "Try `make lock UPGRADE=1` and `make test`.",
    ),
    "colab": (
        "Weekly check: Colab's versions",
        "The notebooks failed with the versions that Colab has now. Try `make test-colab`.",
    ),
    "audit": (
        "Weekly check: known vulnerabilities",
        "`make audit` failed: a package of the lock has a known vulnerability, or could not be "
        "checked. If a fixed version is out, `make lock UPGRADE=1` takes it.",
    ),
}


def failed(needs: str) -> list[str]:
    """The jobs that did not succeed; ValueError for one that has no issue of its own."""
    results = {name: job["result"] for name, job in json.loads(needs).items()}
    if unknown := sorted(results.keys() - CHECKS.keys()):
        raise ValueError(f"NEEDS must name jobs among {sorted(CHECKS)}, not {unknown}")
    return [name for name, result in results.items() if result not in ("success", "skipped")]


def gh(*arguments: str, words: str | None = None) -> str:
    """What `gh` prints; CalledProcessError if it fails."""
    command = ["gh", *arguments]
    return subprocess.run(
        command, input=words, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def report(title: str, body: str) -> str:
    """Comment on the oldest open issue of this very title, or open one; return its address."""
    listed = gh("issue", "list", "--state=open", "--limit=1000", "--json=number,title")
    numbers = [issue["number"] for issue in json.loads(listed) if issue["title"] == title]
    if numbers:
        return gh("issue", "comment", str(min(numbers)), "--body-file=-", words=body)
    return gh("issue", "create", f"--title={title}", "--body-file=-", words=body)


def main() -> None:
    repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    run = f"{repository}/actions/runs/{os.environ['GITHUB_RUN_ID']}"
    for name in failed(os.environ["NEEDS"]):
        title, words = CHECKS[name]
        print(f"{title}: {report(title, f'{words}{chr(10) * 2}The run: {run}').strip()}")


if __name__ == "__main__":
    sys.exit(main())
