"""The workflows of .github pass their linters, hold few rights, and call commands that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from notebook_files import ROOT
from set_repository import declared, set_repository

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROGRAMS = Path(sys.executable).parent  # where pip put the linters
LINTERS = {
    # Without the programs that a machine may have or lack
    "actionlint": ["-shellcheck=", "-pyflakes=", "-no-color"],
    # Without a network, and every remark counts
    "zizmor": ["--offline", "--pedantic", "--strict-collection", "--no-progress", "--color=never"],
}
SOUND = {path.name: path.read_text(encoding="utf-8") for path in WORKFLOWS}
JOBS = [
    pytest.param(job, id=f"{file}-{name}")
    for file, text in SOUND.items()
    for name, job in yaml.safe_load(text)["jobs"].items()
]
MAY_WRITE = {
    ("test.yml", "publish"): {"pages", "id-token"},
    ("weekly.yml", "report"): {"issues"},
}


def lint(linter: str, folder: Path) -> subprocess.CompletedProcess:
    files = sorted(folder.rglob("*.yml"))
    if linter == "actionlint":
        files = [path for path in files if path.parent.name == "workflows"]
    command = [PROGRAMS / linter, *LINTERS[linter], *files]
    return subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.parametrize("linter", LINTERS)
def test_the_linters_find_nothing(linter: str) -> None:
    result = lint(linter, ROOT / ".github")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("linter", "old", "new", "complaint"),
    [
        ("actionlint", "needs: [test, oldest,", "needs: [test, older,", "older"),
        ("actionlint", "steps.deployment.outputs", "steps.deploy.outputs", "deploy"),
        ("actionlint", "timeout-minutes: 15", "timeout-minuets: 15", "timeout-minuets"),
        ("zizmor", "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7", "unpinned-uses"),
        ("zizmor", "run: make book", "run: echo ${{ github.head_ref }}", "template-injection"),
        ("zizmor", "permissions:\n  contents: read\n", "permissions: write-all\n", "permissions"),
    ],
)
def test_the_linters_can_fail(
    tmp_path: Path, linter: str, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / ".github" / "workflows" / "test.yml"
    path.parent.mkdir(parents=True)
    assert old in SOUND["test.yml"]
    path.write_text(SOUND["test.yml"].replace(old, new), encoding="utf-8")
    result = lint(linter, tmp_path / ".github")
    assert result.returncode != 0 and complaint in result.stdout, result.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_only_two_jobs_may_write(path: Path) -> None:
    workflow = yaml.safe_load(SOUND[path.name])
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        rights = {right for right, kind in job.get("permissions", {}).items() if kind != "read"}
        assert rights == MAY_WRITE.get((path.name, name), set())
    assert "secrets." not in SOUND[path.name]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_keeps_no_token_and_calls_what_exists(job: dict) -> None:
    assert 0 < job["timeout-minutes"] <= 90
    checkouts = [step for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    for target in re.findall(r"^make ([a-z-]+)", commands, re.MULTILINE):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), f"make {target}"
    for tool in re.findall(r"tools/\w+\.py", commands):
        assert (ROOT / tool).is_file()


def test_the_examples_take_ten_minutes_at_most() -> None:
    steps = yaml.safe_load(SOUND["test.yml"])["jobs"]["examples"]["steps"]
    (step,) = [step for step in steps if step.get("run") == "make test-examples"]
    assert step["timeout-minutes"] == 10


def test_every_python_of_the_readme_is_tested() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    oldest, newest = map(int, re.search(r"Python 3\.(\d+) to 3\.(\d+)", readme).groups())
    promised = {f"3.{minor}" for minor in range(oldest, newest + 1)}
    legs = yaml.safe_load(SOUND["test.yml"])["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert {leg["python"] for leg in legs if leg["os"] == "ubuntu-latest"} == promised
    assert [leg["python"] for leg in legs if leg["os"] == "macos-latest"] == [f"3.{newest}"]
    assert [leg["python"] for leg in legs if leg.get("keeps_site")] == [f"3.{newest}"]


def test_no_page_is_published_before_the_address_is_set(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".github").mkdir()
    shutil.copy(ROOT / ".github" / "workflows" / "test.yml", tmp_path / ".github")

    def check() -> subprocess.CompletedProcess:
        workflow = yaml.safe_load((tmp_path / ".github" / "test.yml").read_text(encoding="utf-8"))
        (script,) = [step["run"] for step in workflow["jobs"]["publish"]["steps"] if "run" in step]
        github = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ada/anomalies"}
        command = ["bash", "-e", "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | github, text=True, stdout=subprocess.PIPE
        )

    set_repository("https://github.com/OWNER/REPOSITORY", tmp_path)
    unset = check()
    assert unset.returncode == 1
    assert "make repository URL=https://github.com/ada/anomalies" in unset.stdout
    set_repository("https://github.com/ada/anomalies", tmp_path)
    assert declared(tmp_path) == "ada/anomalies"
    assert check().returncode == 0


def test_dependabot_watches_what_is_not_held_back() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["book"]
    free = {re.match(r"[\w-]+", line)[0] for line in asked if not re.search("==|<", line)}
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    (pip,) = [part for part in config["updates"] if part["package-ecosystem"] == "pip"]
    assert {rule["dependency-name"] for rule in pip["allow"]} == free
    assert all((ROOT / path).is_file() for path in pip["exclude-paths"])
