"""Pictures of the built pages, as seen on a desktop and on a telephone, light and dark.

    python -m tools.screenshots FOLDER [--dark] [--pages DIR] [page ...]      page: chapters/08-bulks

Each page is cut into slices of at most 2000 pixels: FOLDER/08-bulks-phone-00.png and so on.
"""

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

from tools.browser import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, SETTLE, Device, Page, chromium

PAGES = Path(__file__).resolve().parent.parent / "_build" / "html"
SLICE = 2000
UNSTICK = ".bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary {position: static !important}"


def take(page: Page, html: Path, device: Device, folder: Path) -> int:
    """Writes the slices of one page; how many there are."""
    page.show_on(replace(device, height=SLICE))
    page.open(html.as_uri())
    page.run(f"document.head.insertAdjacentHTML('beforeend', '<style>{UNSTICK}</style>')")
    height = int(page.run("document.documentElement.scrollHeight"))
    count = math.ceil(height / SLICE)
    for k in range(count):
        if k == count - 1:
            page.show_on(replace(device, height=height - k * SLICE))
        page.run(f"window.scrollTo({{top: {k * SLICE}, behavior: 'instant'}}); {SETTLE}")
        (folder / f"{html.stem}-{device.name}-{k:02d}.png").write_bytes(page.picture())
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description="Take pictures of the built pages.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dark", action="store_true", help="dark colours instead of light ones")
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder of the built pages")
    parser.add_argument("page", nargs="*", help="default: all pages")
    arguments = parser.parse_intermixed_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    devices = (DESKTOP_DARK, PHONE_DARK) if arguments.dark else (DESKTOP, PHONE)
    wanted = [arguments.pages / f"{name}.html" for name in arguments.page]
    pages = wanted or [arguments.pages / "intro.html", *sorted(arguments.pages.glob("chapters/*.html"))]
    with chromium() as page:
        for html in pages:
            slices = [take(page, html.resolve(), device, arguments.folder) for device in devices]
            print(f"{html.stem}: {sum(slices)} pictures", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
