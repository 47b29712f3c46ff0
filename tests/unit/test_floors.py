"""The library's floors: who may import whom, docstrings, and a silent import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vae_lib

FOLDER = Path(vae_lib.__file__).parent
FLOORS = {
    "__main__": 8,
    "command": 7,
    "live": 6,
    "stream": 6,
    "series": 0,
    "plots": 6,
    "sklearn": 6,
    "detector": 5,
    "diagnose": 5,
    "thresholds": 4,
    "explanations": 4,
    "scores": 3,
    "training": 3,
    "classes": 3,
    "linear": 3,
    "records": 0,
    "model": 2,
    "losses": 1,
    "batches": 0,
    "data": 1,
    "networks": 0,
    "likelihoods": 0,
    "checks": -2,
    "frames": -1,
    "saving": -1,
}
# Those of one file, and those of a folder: all files of the latter count as the module
MODULES = sorted(
    {file.relative_to(FOLDER).parts[0].removesuffix(".py") for file in FOLDER.rglob("*.py")}
    - {"__init__"}
)
each_module = pytest.mark.parametrize("module", MODULES)


def parse(module: str) -> list[ast.Module]:
    """The syntax trees of a module's files."""
    folder = FOLDER / module
    files = sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return [ast.parse(file.read_text(encoding="utf-8")) for file in files]


def imports(tree: ast.AST, home: int = 1) -> tuple[set[str], set[str]]:
    """The modules of vae_lib and the outside packages that a file imports, anywhere in it.

    `home` dots stand for vae_lib: one in its own folder, two in a folder below; fewer are a
    module's own files.
    """
    inside, outside = set(), set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if 0 < node.level < home:
                continue
            module = ".".join(filter(None, ["vae_lib" if node.level else "", node.module]))
            bare = module == "vae_lib"  # from . import data: the module is the imported name
            names = [f"{module}.{alias.name}" for alias in node.names] if bare else [module]
        for name in names:
            top, *rest = name.split(".")
            if top == "vae_lib":
                inside.add(rest[0] if rest else "vae_lib")
            else:
                outside.add(top)
    return inside, outside


@pytest.mark.parametrize(
    ("code", "inside", "outside"),
    [
        ("from . import data, losses", {"data", "losses"}, set()),
        ("from .model import VAE", {"model"}, set()),
        ("from vae_lib.model import VAE", {"model"}, set()),
        ("from vae_lib import plots", {"plots"}, set()),
        ("import vae_lib.model as m", {"model"}, set()),
        ("import vae_lib", {"vae_lib"}, set()),
        ("def f():\n    import tensorflow.data", set(), {"tensorflow"}),
        ("from numpy.random import rand", set(), {"numpy"}),
    ],
)
def test_the_reader_of_imports_sees_every_form(code, inside, outside):
    assert imports(ast.parse(code)) == (inside, outside)


def test_the_reader_of_imports_knows_a_folder():
    code = "from ..model import VAE\nfrom .base import Score\nfrom . import errors\nimport keras"
    assert imports(ast.parse(code), home=2) == ({"model"}, {"keras"})


def imports_of(module: str) -> tuple[set[str], set[str]]:
    """What all files of a module import."""
    home = 2 if (FOLDER / module).is_dir() else 1
    inside, outside = zip(*(imports(tree, home) for tree in parse(module)), strict=True)
    return set().union(*inside), set().union(*outside)


def test_there_is_something_to_check():
    assert {"data", "likelihoods", "losses", "model", "networks", "plots"} <= set(MODULES)
    assert "scores" in MODULES and len(parse("scores")) > 3


@each_module
def test_a_module_imports_only_from_floors_below(module):
    inside, _ = imports_of(module)
    assert module in FLOORS, f"{module} has no floor in this table"
    wrong = {other for other in inside if FLOORS.get(other, 99) >= FLOORS[module]}
    assert not wrong


@pytest.mark.parametrize("module", sorted({"live", "plots", "thresholds"} & set(MODULES)))
def test_figures_and_thresholds_need_no_other_module_and_no_tensorflow(module):
    inside, outside = imports_of(module)
    assert not inside
    assert not outside & {"keras", "tensorflow"}


def undocumented(tree: ast.AST, prefix: str) -> list[str]:
    """Public classes, functions and methods without a docstring."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{prefix}.{node.name}"
            if not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(name)
            if isinstance(node, ast.ClassDef):
                found += undocumented(node, name)
    return found


def test_the_search_for_docstrings_finds_a_bare_method():
    code = 'class A:\n    "doc"\n    def b(self): ...\n    def _c(self): ...\ndef d(): ...'
    assert undocumented(ast.parse(code), "m") == ["m.A.b", "m.d"]


@each_module
def test_everything_public_has_a_docstring(module):
    for tree in parse(module):
        assert ast.get_docstring(tree)
        assert undocumented(tree, module) == []


def test_all_names_what_there_is():
    assert sorted(vae_lib.__all__) == sorted(set(vae_lib.__all__))
    assert all(hasattr(vae_lib, name) for name in vae_lib.__all__)


def test_importing_prints_nothing_and_reads_no_data():
    code = "import sys, vae_lib; sys.exit('mlxtend' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
