"""Relative links and anchors of the book's Markdown, and the addresses of its repository."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from notebook_files import read

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|href=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
SLUG = r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-]"
ADDRESSES = (
    re.compile(rf"colab\.research\.google\.com/github/({SLUG})/blob/"),
    re.compile(rf"git\+https://github\.com/({SLUG})"),
    re.compile(rf"git clone (?:--\S+ )*https://github\.com/({SLUG})"),
    re.compile(
        rf"^ *(?:source_repository|repository-code|Repository)\s*[:=] *\"?https://github\.com/({SLUG})",
        re.M,
    ),
)


def markdown(path: Path) -> str:
    """The Markdown of a page or a notebook, without code blocks."""
    if path.suffix == ".ipynb":
        cells = read(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors of headings, as GitHub names them, of `(label)=` lines and `id` attributes."""
    found = set(re.findall(r"^\(([\w-]+)\)=", text, re.MULTILINE))
    found |= set(re.findall(r"\bid=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken(path: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    problems = []
    for groups in LINK.findall(markdown(path)):
        link = groups[0] or groups[1]
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            problems.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(markdown(target)):
            problems.append(f"{link}: {target.name} has no such heading")
    return problems


def addresses(text: str) -> set[str]:
    """Every OWNER/REPOSITORY that a text names as this book's own."""
    return {name.removesuffix(".git") for pattern in ADDRESSES for name in pattern.findall(text)}
