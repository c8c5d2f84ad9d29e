"""The command `python -m synthetic_data`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
