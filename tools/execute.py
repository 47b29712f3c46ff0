"""Run chapters anew and write their outputs back: `make execute CHAPTER=04`.

What is written is stable. Outputs that say the same as the old ones, within nbval's tolerance,
are kept as they were, pictures included, unless the chapter's code has changed since or `--fresh`
is given. A chapter that fails, or is interrupted, stays as it was.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import logging
import os
import platform
import sys
from pathlib import Path

import nbformat

from notebook_files import PACKAGES, code_cells, find, fingerprint, read, write_text
from run_chapter import ChapterError, run
from stable_notebook import LONGEST, attach_result, keep_old_outputs, normalise, record_run_time


def versions() -> dict[str, str]:
    """Of Python and of the packages that the outputs come from, for the status page."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | packages


def execute(path: Path, fresh: bool) -> None:
    """Run one chapter and write it back."""
    old = read(path)
    new = copy.deepcopy(old)
    print(path.stem, flush=True)
    seconds = run(new, path.parent)
    if seconds > LONGEST:
        raise ChapterError(f"it took {seconds:.0f} s, and {LONGEST} s are allowed")

    normalise(new)
    code = fingerprint(new)
    same_code = old.metadata.get("executed") == code
    changed = keep_old_outputs(new, old) if same_code and not fresh else len(code_cells(new))
    new.metadata["executed"] = code
    new.metadata["versions"] = versions()
    attach_result(new)
    record_run_time(new, seconds)
    text = nbformat.writes(new, indent=1) + "\n"
    if text == path.read_text(encoding="utf-8"):
        print(f"  {seconds:5.1f} s  done, nothing changed", flush=True)
    else:
        write_text(path, text)
        print(f"  {seconds:5.1f} s  written, with new outputs in {changed} cells", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="numbers, such as 04; all when none is given")
    parser.add_argument("--fresh", action="store_true", help="take every new output and figure")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    failed = 0
    for path in find(options.chapters):
        try:
            execute(path, options.fresh)
        except ChapterError as error:
            failed += 1
            print(f"{path.stem} failed and stays as it was: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            # asyncio would report the abandoned cell, whose kernel is dead by now
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            print(f"\nInterrupted: {path.stem} stays as it was.", file=sys.stderr)
            return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
