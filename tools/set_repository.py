"""Sets the repository's address everywhere, from its one place in pyproject.toml.

    python tools/set_repository.py https://github.com/OWNER/NAME     set it
    python tools/set_repository.py --unset                           remove it
    python tools/set_repository.py --check                           does everything agree?

With an address the book has launch buttons, chapters have a Colab badge and install the package when
they are run where it is missing, README and CITATION.cff have links.  Without one, all that is absent.
No output of a chapter changes.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
SETTING = re.compile(r'(?m)^repository = "(.*)"$')
BADGE = re.compile(r"(?m)^\[!\[Open in Colab\].*\n(?:\n)?")
INSTALL = re.compile(r"(?m)\Aimport importlib\.util\n\nif not importlib.*\n    %pip install .*\n\n")


def current(root: Path) -> str:
    """The address in pyproject.toml; empty until it is set."""
    match = SETTING.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert match is not None, "pyproject.toml has no [tool.rfcore] repository"
    return match[1]


def without_install(source: str) -> str:
    """A code cell without the lines that install the package."""
    return INSTALL.sub("", source)


def region(text: str, begin: str, end: str, content: str) -> str:
    """The text with what stands between two marker lines replaced."""
    pattern = re.compile(rf"(?ms)^{re.escape(begin)}\n.*?^{re.escape(end)}$")
    assert pattern.search(text), f"the lines {begin!r} and {end!r} are missing"
    return pattern.sub(lambda _: f"{begin}\n{content}{end}", text)


def config(text: str, url: str) -> str:
    """_config.yml: the buttons at the top of each page."""
    text = re.sub(r"(?m)^(  use_repository_button: ).*$", rf"\g<1>{'true' if url else 'false'}", text)
    keys = (
        f'repository:\n  url: {url}\n  path_to_book: ""\n  branch: main\n'
        "launch_buttons:\n  notebook_interface: jupyterlab\n  binderhub_url: https://mybinder.org\n"
        "  colab_url: https://colab.research.google.com\n  thebe: false\n"
    )
    begin = "# What follows is written by tools/set_repository.py."
    return region(text, begin, "# End of what is written.", keys if url else "")


def citation(text: str, url: str) -> str:
    """CITATION.cff: where the code lives."""
    text = re.sub(r"(?m)^repository-code: .*\n", "", text)
    return re.sub(r"(?m)^(version: .*\n)", rf"\1repository-code: {url}\n", text) if url else text


def readme(text: str, url: str) -> str:
    """README.md: badges, and how to get the book."""
    links = ""
    if url:
        owner, name = ADDRESS.fullmatch(url).groups()  # type: ignore[union-attr]
        binder = f"https://mybinder.org/v2/gh/{owner}/{name}/main?urlpath=lab/tree/chapters"
        links = (
            f"[![tests]({url}/actions/workflows/tests.yml/badge.svg)]({url}/actions) "
            f"[open in Binder]({binder}) · [the book online](https://{owner}.github.io/{name}/)\n\n"
            f"    git clone {url} && cd {name}\n"
        )
    return region(text, "<!-- repository -->", "<!-- end of repository -->", links)


def chapter(text: str, url: str, name: str) -> str:
    """A notebook: the badge under its title, the install lines in its first code cell."""
    notebook = json.loads(text)
    first = {
        kind: next(c for c in notebook["cells"] if c["cell_type"] == kind) for kind in ("markdown", "code")
    }
    title = BADGE.sub("", "".join(first["markdown"]["source"]))
    code = without_install("".join(first["code"]["source"]))
    if url:
        owner, repository = ADDRESS.fullmatch(url).groups()  # type: ignore[union-attr]
        colab = f"https://colab.research.google.com/github/{owner}/{repository}/blob/main/chapters/{name}"
        badge = f"[![Open in Colab](../assets/colab-badge.svg)]({colab})\n\n"
        title = re.sub(
            r"(?m)(^# .*\n\n?)", lambda match: match[1].rstrip("\n") + "\n\n" + badge, title, count=1
        )
        code = (
            'import importlib.util\n\nif not importlib.util.find_spec("rfcore"):\n'
            f"    %pip install -q git+{url}\n\n{code}"
        )
    first["markdown"]["source"] = title.splitlines(keepends=True)
    first["code"]["source"] = code.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def generated(root: Path, url: str) -> dict[Path, str]:
    """Every file that depends on the address, as it should read."""
    makers = {"_config.yml": config, "CITATION.cff": citation, "README.md": readme}
    files = {
        root / name: make((root / name).read_text(encoding="utf-8"), url) for name, make in makers.items()
    }
    for path in sorted(root.glob("chapters/*.ipynb")):
        files[path] = chapter(path.read_text(encoding="utf-8"), url, path.name)
    settings = root / "pyproject.toml"
    files[settings] = SETTING.sub(f'repository = "{url}"', settings.read_text(encoding="utf-8"))
    return files


def out_of_date(root: Path, url: str) -> list[Path]:
    """The files that do not read as the address asks."""
    return [path for path, text in generated(root, url).items() if path.read_text(encoding="utf-8") != text]


def apply(root: Path, url: str) -> list[Path]:
    """Writes what differs, and says which files that was."""
    texts = generated(root, url)
    changed = out_of_date(root, url)
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description="Set the repository's address everywhere.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("url", nargs="?", help="https://github.com/OWNER/NAME")
    choice.add_argument("--unset", action="store_true", help="remove the address")
    choice.add_argument("--check", action="store_true", help="change nothing; fail if files disagree")
    arguments = parser.parse_args()
    if arguments.check:
        wrong = out_of_date(ROOT, current(ROOT))
        for path in wrong:
            print(f"{path.relative_to(ROOT)} does not agree with the address in pyproject.toml")
        return 1 if wrong else 0
    url = ""
    if not arguments.unset:
        match = ADDRESS.fullmatch(arguments.url)
        if match is None:
            parser.error(f"url = {arguments.url!r} is not allowed: https://github.com/OWNER/NAME")
        url = f"https://github.com/{match[1]}/{match[2]}"
    for path in apply(ROOT, url):
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
