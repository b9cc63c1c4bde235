"""The command line: ``python -m rfcore``.  Results are files, progress goes to stderr."""

import sys

from rfcore._command_line import main

if __name__ == "__main__":
    sys.exit(main())
