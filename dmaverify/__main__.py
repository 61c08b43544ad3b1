"""`python -m dmaverify`: the same as the command."""

import sys

from dmaverify.cli import main

if __name__ == "__main__":
    sys.exit(main())
