"""Builds the HTML book, warnings being errors, and says where to open it.

python tools/build_book.py
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "_build" / "html"


def build() -> int:
    """The exit status of the build.  Old pages go first: they would keep figures that are no longer made."""
    shutil.rmtree(PAGES, ignore_errors=True)
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n", "--keep-going", "-q"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        print(result.stdout)
    return result.returncode


def main() -> int:
    start = time.perf_counter()
    if build():
        print("The book was not built: see the warnings above, each of which counts as an error.")
        return 1
    print(f"The book was built in {time.perf_counter() - start:.0f} s. Open it in a browser:")
    print(f"  {(PAGES / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
