"""The weekly checks: what `make audit` asks and says, and one issue for each check that fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from notebook_files import ROOT
from weekly import CHECKS, FILES, audit, failed

SOUND = "echo 'No known vulnerabilities found' >&2"
VULNERABLE = """\
echo 'Found 1 known vulnerability in 1 package' >&2
echo 'keras 3.10.0 CVE-2025-1 3.11.0  # or: requests.exceptions.Timeout'
exit 1"""
NOT_LISTED = (
    "echo 'ERROR: absl-py: Dependency not found on PyPI and could not be audited' >&2; exit 1"
)
TRACEBACK = """\
echo 'Traceback (most recent call last):' >&2
echo 'requests.exceptions.ProxyError: Max retries exceeded with url: /pypi/absl-py/json' >&2
exit 1"""
SERVER_ERROR = "echo 'pip_audit._service.interface.ServiceError' >&2; exit 1"
TIMEOUT = 'echo "ERROR: Could not connect to PyPI\'s vulnerability feed" >&2; exit 1'


@pytest.fixture
def pip_audit(tmp_path: Path):
    """A false pip-audit that notes its arguments; what it does for a file, and else."""

    def write(otherwise: str, **cases: str) -> Path:
        lines = [f"  *{name}*)\n{what}\n;;" for name, what in cases.items()]
        program = tmp_path / "pip-audit"
        program.write_text(
            f"#!/bin/sh\necho \"$*\" >> '{tmp_path}/calls'\n"
            + 'for last; do :; done\ncase "$last" in\n'
            + "\n".join([*lines, f"  *)\n{otherwise}\n;;", "esac\n"])
        )
        program.chmod(0o755)
        return program

    return write


def test_every_file_of_pins_is_read(pip_audit, tmp_path: Path) -> None:
    pinned = {
        path.relative_to(ROOT).as_posix()
        for folder in (ROOT, ROOT / "benchmarks")
        for path in folder.glob("requirements*.txt")
    }
    assert set(FILES) == pinned
    assert audit(pip_audit(SOUND)) == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[-1] for call in calls] == list(FILES)
    assert all("--strict" in call for call in calls)


@pytest.mark.parametrize("name", FILES)
def test_hashes_are_asked_for_where_there_are_some(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = re.findall(r"^[A-Za-z].*", text, re.MULTILINE)
    # --no-deps and --disable-pip take exact versions only
    assert lines and all(re.match(r"[\w.-]+==\d", line) for line in lines)
    assert ("--hash=" in text) == (FILES[name] == "--require-hashes")


def test_a_vulnerability_is_shown_and_the_other_files_are_read_too(pip_audit, capsys) -> None:
    sentence = audit(pip_audit(SOUND, oldest=VULNERABLE))
    assert sentence == "Vulnerable, or not to be checked: requirements-oldest.txt."
    shown = capsys.readouterr().out
    assert "keras 3.10.0 CVE-2025-1" in shown
    assert shown.count("No known vulnerabilities found") == len(FILES) - 1


def test_a_package_that_cannot_be_checked_is_a_failure(pip_audit, capsys) -> None:
    assert audit(pip_audit(NOT_LISTED)).endswith(f"{', '.join(FILES)}.")
    assert "absl-py" in capsys.readouterr().out


@pytest.mark.parametrize("words", [TRACEBACK, SERVER_ERROR, TIMEOUT])
def test_a_service_out_of_reach_is_one_line(pip_audit, capsys, words: str) -> None:
    unreached = "The service that knows vulnerabilities could not be reached: "
    assert audit(pip_audit(words)) == f"{unreached}nothing was checked."
    assert capsys.readouterr().out == ""
    sentence = audit(pip_audit(SOUND, oldest=words))  # it goes away half way
    assert sentence == f"{unreached}nothing after requirements.txt was checked."


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
