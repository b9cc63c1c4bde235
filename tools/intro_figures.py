"""Makes the figure that opens the book: theory at d = infinity, one simulation, and two trained networks.

    python -m tools.intro_figures        writes chapters/intro-opening.html, in a few minutes

The page is text and embeds the file; `make run` makes it again, and tests compare.
"""

import sys
from pathlib import Path

from tools import opening, opening_page

PATH = Path(__file__).resolve().parent.parent / "chapters" / "intro-opening.html"


def refreshed(text: str, path: Path) -> bool:
    """Writes the text if it differs from the file, and says whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def main() -> int:
    text = opening_page.page(opening.payload()) + "\n"
    print(f"{PATH.name}: {'changed' if refreshed(text, PATH) else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
