"""Ask which pinned packages have known vulnerabilities: `make audit`.

Runs pip-audit, beside whose Python this stands, on each file of pins; standard library only.
"""

from __future__ import annotations

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
FOUND = re.compile(r"^Found \d+ known vulnerabilit", re.MULTILINE)


def main(program: Path = PIP_AUDIT) -> int | str:
    """Print what pip-audit says of each file; return 0, or a sentence on what is not sound."""
    checked, failed = [], []
    for name, pins in FILES.items():
        command = [program, *OPTIONS, pins, "--requirement", name]
        done = subprocess.run(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode and not FOUND.search(done.stdout) and UNREACHABLE.search(done.stdout):
            what = f"nothing after {checked[-1]} was checked" if checked else "nothing was checked"
            return f"The service that knows vulnerabilities could not be reached: {what}."
        print(f"{name}\n{done.stdout}", flush=True)
        checked.append(name)
        failed += [name] if done.returncode else []
    return f"Vulnerable, or not to be checked: {', '.join(failed)}." if failed else 0


if __name__ == "__main__":
    sys.exit(main())
