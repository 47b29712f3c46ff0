"""The weekly checks open one issue each, and comment on it from then on: with a false `gh`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from notebook_files import ROOT
from weekly import CHECKS, failed

# Keeps the issues in a file, and does what the true one does with these arguments. Its first line
# cannot name an interpreter in a folder with a space.
GH = """\
#!/usr/bin/env python3
import json, pathlib, sys
store = pathlib.Path({store!r})
issues = json.loads(store.read_text())
flags = dict(word[2:].split("=", 1) for word in sys.argv if word.startswith("--"))
if sys.argv[1:3] == ["issue", "list"]:
    assert flags == {{"state": "open", "limit": "1000", "json": "number,title"}}
    print(json.dumps([{{"number": i["number"], "title": i["title"]}} for i in issues if i["open"]]))
    sys.exit()
assert flags.pop("body-file") == "-"
if sys.argv[1:3] == ["issue", "create"]:
    number, comments = len(issues) + 1, [sys.stdin.read()]
    issues.append({{"number": number, "open": True, "comments": comments, **flags}})
elif sys.argv[1:3] == ["issue", "comment"]:
    number = int(sys.argv[3])
    issues[number - 1]["comments"].append(sys.stdin.read())
store.write_text(json.dumps(issues))
print(f"https://example.org/issues/{{number}}")
"""


class Repository:
    """A repository's issues, and the script run against them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "issues.json"
        self.store.write_text("[]")
        (folder / "gh").write_text(GH.format(store=str(self.store)))
        (folder / "gh").chmod(0o755)

    @property
    def issues(self) -> list[dict]:
        return json.loads(self.store.read_text())

    def run(self, number: int = 7, **results: str) -> subprocess.CompletedProcess:
        needs = {name: {"result": result, "outputs": {}} for name, result in results.items()}
        environment = os.environ | {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "NEEDS": json.dumps(needs),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "ada/anomalies",
            "GITHUB_RUN_ID": str(number),
        }
        command = [sys.executable, ROOT / "tools" / "weekly.py", "report"]
        return subprocess.run(command, env=environment, text=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_one_issue_a_check_however_often_it_fails(repository: Repository) -> None:
    assert repository.run(1, newest="failure", colab="success", audit="cancelled").returncode == 0
    assert repository.run(2, newest="failure", colab="success", audit="success").returncode == 0
    newest, audit = repository.issues
    assert (newest["title"], audit["title"]) == (CHECKS["newest"][0], CHECKS["audit"][0])
    assert [words.rpartition("/")[2] for words in newest["comments"]] == ["1", "2"]
    assert "https://github.com/ada/anomalies/actions/runs/1" in audit["comments"][0]


def test_a_closed_issue_and_a_longer_title_are_others(repository: Repository) -> None:
    title = CHECKS["colab"][0]
    others = [
        {"number": 1, "title": title, "open": False, "comments": []},
        {"number": 2, "title": f"{title}?", "open": True, "comments": []},
    ]
    repository.store.write_text(json.dumps(others))
    assert repository.run(colab="failure").returncode == 0
    assert [issue["title"] for issue in repository.issues[2:]] == [title]
    assert repository.issues[:2] == others


def test_nothing_is_said_of_a_success(repository: Repository) -> None:
    assert repository.run(newest="success", colab="skipped").returncode == 0
    assert repository.issues == []


def test_a_gh_that_fails_fails_the_job(repository: Repository) -> None:
    (repository.folder / "gh").write_text("#!/bin/sh\nexit 4\n")
    assert repository.run(newest="failure").returncode != 0


def test_every_weekly_job_has_its_issue() -> None:
    text = (ROOT / ".github" / "workflows" / "weekly.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["report"]["needs"] == list(CHECKS)
    assert set(jobs) == {*CHECKS, "report"}
    with pytest.raises(ValueError, match=r"NEEDS must name jobs among .* not \['tests'\]"):
        failed('{"tests": {"result": "failure"}}')
