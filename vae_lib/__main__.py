"""`python -m vae_lib score FILE --detector three.detector`: see `command`."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
