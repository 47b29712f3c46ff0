"""One style sheet for the whole site, without the rules that no page can use.

The theme links eleven sheets, half a megabyte, most of it for components that the book does not
have. A rule goes when each of its selectors names a class or an id that stands in no page and in no
script: everything that a script could still switch on stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import tinycss2
from tinycss2.ast import AtRule, Node, QualifiedRule

LINK = re.compile(r'<link (?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"]+)"[^>]*>\s*')
NAMED = re.compile(r"[.#](-?[A-Za-z_](?:[\w-]|\\.)*)")
WORD = re.compile(r"[A-Za-z_-][\w-]*")
NOT = re.compile(r":not\((?:[^()]|\([^()]*\))*\)")  # what must be absent may well be absent
NAME = "book-all.css"


def words(files: list[Path]) -> set[str]:
    return {word for file in files for word in WORD.findall(file.read_text(encoding="utf-8"))}


def selectors(prelude: str) -> list[str]:
    """The parts of a selector list: commas inside brackets do not part it."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(prelude):
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append(prelude[start:place])
            start = place + 1
    return [*parts, prelude[start:]]


def usable(selector: str, known: set[str]) -> bool:
    names = NAMED.findall(NOT.sub("", selector))
    return all(name.replace("\\", "") in known for name in names)


def reduce(rules: list[Node], known: set[str]) -> str:
    """The text of the rules whose selectors can still match something."""
    kept = []
    for rule in rules:
        if isinstance(rule, QualifiedRule):
            alive = [s for s in selectors(tinycss2.serialize(rule.prelude)) if usable(s, known)]
            if alive:
                body = tinycss2.serialize(rule.content).strip()
                kept.append(f"{','.join(s.strip() for s in alive)}{{{body}}}")
        elif isinstance(rule, AtRule) and rule.at_keyword in ("media", "supports"):
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            if body := reduce(inner, known):
                kept.append(
                    f"@{rule.at_keyword} {tinycss2.serialize(rule.prelude).strip()}{{{body}}}"
                )
        elif isinstance(rule, AtRule) and rule.at_keyword != "charset":
            kept.append(rule.serialize())
    return "\n".join(kept)


def rebased(css: str, sheet: Path, folder: Path) -> str:
    """Addresses that are relative to a sheet, made relative to the folder of the new one."""

    def move(match: re.Match) -> str:
        address = match[1].strip("'\"")
        if urlsplit(address).scheme:
            return match[0]
        target = (sheet.parent / urlsplit(address).path).resolve()
        return f"url({target.relative_to(folder.resolve()).as_posix()})"

    return re.sub(r"url\(([^)]+)\)", move, css)


def parse(sheet: Path, static: Path) -> list[Node]:
    """The rules of a sheet, those that it imports in their place."""
    css = rebased(sheet.read_text(encoding="utf-8"), sheet, static)
    rules = []
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if isinstance(rule, AtRule) and rule.at_keyword == "import":
            address = next(token.value for token in rule.prelude if token.type in ("string", "url"))
            rules += parse((sheet.parent / address).resolve(), static)
        else:
            rules.append(rule)
    return rules


def bundle(site: Path, pages: list[Path]) -> None:
    """Write the one sheet, and link it from each page in place of all others."""
    static = site / "_static"
    sheets: dict[Path, None] = {}
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    for page, html in texts.items():
        for address in LINK.findall(html):
            sheet = (page.parent / urlsplit(address).path).resolve()
            # the addresses of 404.html start at the root of a host
            if not {"fontawesome", "sphinx-thebe.css"} & set(sheet.parts) and address[0] != "/":
                sheets[sheet] = None
    known = words([*pages, *static.rglob("*.js")])
    rules = [rule for sheet in sheets for rule in parse(sheet, static)]
    (static / NAME).write_text(reduce(rules, known), encoding="utf-8")
    for page, html in texts.items():
        up = LINK.search(html)[1].partition("_static/")[0]
        head, end, body = html.partition("</head>")
        link = f'<link rel="stylesheet" href="{up}_static/{NAME}"/>\n'
        page.write_text(LINK.sub("", head) + link + end + body, encoding="utf-8")
