"""The weekly checks: known vulnerabilities, and an issue for each check that fails.

`make audit` asks which pinned packages have known vulnerabilities: `audit` runs pip-audit, beside
whose Python this stands, on each file of pins. `report` says in the repository's issues which
checks failed, one issue per check, never two. It runs in .github/workflows/weekly.yml with `gh`.
From the environment: NEEDS, the results of the jobs as GitHub gives them (`toJSON(needs)`), and
GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, which together are the address of the run.

Both need the standard library only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP_AUDIT = Path(sys.executable).with_name("pip-audit")
FILES = {
    "requirements.txt": "--require-hashes",
    "requirements-oldest.txt": "--require-hashes",
    "benchmarks/requirements.txt": "--no-deps",  # exact pins, without hashes
    "benchmarks/requirements-alone.txt": "--no-deps",
}
# Without --strict it is content when it can check nothing
OPTIONS = ["--strict", "--disable-pip", "--progress-spinner=off", "--cache-dir=.work/audit-cache"]
UNREACHABLE = re.compile(r"requests\.exceptions\.\w+|ServiceError|Could not connect to")
VULNERABLE = re.compile(r"^Found \d+ known vulnerabilit", re.MULTILINE)
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


def audit(program: Path = PIP_AUDIT) -> int | str:
    """Print what pip-audit says of each file; return 0, or a sentence on what is not sound."""
    checked, unsound = [], []
    for name, pins in FILES.items():
        command = [program, *OPTIONS, pins, "--requirement", name]
        done = subprocess.run(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        vulnerable = VULNERABLE.search(done.stdout)
        if done.returncode and not vulnerable and UNREACHABLE.search(done.stdout):
            what = f"nothing after {checked[-1]} was checked" if checked else "nothing was checked"
            return f"The service that knows vulnerabilities could not be reached: {what}."
        print(f"{name}\n{done.stdout}", flush=True)
        checked.append(name)
        unsound += [name] if done.returncode else []
    return f"Vulnerable, or not to be checked: {', '.join(unsound)}." if unsound else 0


def failed(needs: str) -> list[str]:
    """The jobs that did not succeed; ValueError for one that has no issue of its own."""
    results = {name: job["result"] for name, job in json.loads(needs).items()}
    if unknown := sorted(results.keys() - CHECKS.keys()):
        raise ValueError(f"NEEDS must name jobs among {sorted(CHECKS)}, not {unknown}")
    return [name for name, result in results.items() if result not in ("success", "skipped")]


def gh(*arguments: str, words: str | None = None) -> str:
    """What `gh issue …` prints; CalledProcessError if it fails."""
    command = ["gh", "issue", *arguments]
    return subprocess.run(
        command, input=words, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def comment_or_open(title: str, body: str) -> str:
    """Comment on the oldest open issue of this very title, or open one; return its address."""
    listed = gh("list", "--state=open", "--limit=1000", "--json=number,title")
    numbers = [issue["number"] for issue in json.loads(listed) if issue["title"] == title]
    if numbers:
        return gh("comment", str(min(numbers)), "--body-file=-", words=body)
    return gh("create", f"--title={title}", "--body-file=-", words=body)


def report() -> None:
    repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    run = f"{repository}/actions/runs/{os.environ['GITHUB_RUN_ID']}"
    for name in failed(os.environ["NEEDS"]):
        title, words = CHECKS[name]
        print(f"{title}: {comment_or_open(title, f'{words}{chr(10) * 2}The run: {run}').strip()}")


if __name__ == "__main__":
    sys.exit({"audit": audit, "report": report}[sys.argv[1]]())
