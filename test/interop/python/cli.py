"""The reference's ``aster`` command, its nodes on 127.0.0.1 only (see ``loopback.py``). Arguments are the command's."""

import sys

import loopback  # noqa: F401  (replaces what makes nodes)
from aster_cli.main import main

if __name__ == "__main__":
    sys.argv[0] = "aster"
    sys.exit(main())
