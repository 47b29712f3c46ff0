"""`make audit` asks of every file of pins, and says in one sentence what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notebook_files import ROOT
from weekly import FILES, audit

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
UNREACHED = "The service that knows vulnerabilities could not be reached: "


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
    assert audit(pip_audit(words)) == f"{UNREACHED}nothing was checked."
    assert capsys.readouterr().out == ""


def test_a_service_that_goes_away_half_way(pip_audit) -> None:
    sentence = audit(pip_audit(SOUND, oldest=TRACEBACK))
    assert sentence == f"{UNREACHED}nothing after requirements.txt was checked."
