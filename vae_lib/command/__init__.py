"""The command line: files in, a CSV file out, and an exit status that a script can go by.

0: done. 1: done, with anomalies, if `--fail-on-anomaly` was asked for. 2: what was given is wrong:
the last line on stderr says why, and nothing was written. 130: interrupted.
"""

from .cli import main

__all__ = ["main"]
