"""The house: which folder may import which, how large its files and functions are."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "sklearn_l2rw"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
MODULES = [name for name in FILES if not name.endswith("__init__.py")]
ROOMS = sorted({name.split("/")[0] for name in FILES if "/" in name})
MAY_IMPORT: dict[str, set[str]] = {
    "nested": set(),
    "meta_gradient": {"nested"},
    "data": {"nested"},
    "targets": {"data", "nested"},
    "training": {"data", "meta_gradient", "targets", "nested"},
    "estimators": {"training", "targets", "meta_gradient", "data", "nested"},
    "inspection": {"targets", "data", "nested"},
}
AT_THE_DOOR = {"__init__.py", "nested.py", "py.typed"}
MAX_LINES, MAX_BODY = 400, 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def room_of(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


def tree_of(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(), name)


def is_file(parts: list[str]) -> str | None:
    """The file of a module of the package, if there is one of that name."""
    path = "/".join(parts)
    for candidate in (f"{path}.py", f"{path}/__init__.py".lstrip("/")):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def imports(name: str) -> tuple[set[str], set[str]]:
    """Files of the package, and top names of other packages, that a file imports anywhere."""
    package = name.split("/")[:-1]
    own: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [[*str(node.module).split("."), alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= len(package) + 1, f"{name} imports from outside of the package"
            start = ["sklearn_l2rw", *package[: len(package) + 1 - node.level]]
            middle = node.module.split(".") if node.module else []
            names = [[*start, *middle, alias.name] for alias in node.names]
        else:
            continue
        for parts in names:
            if parts[0] != "sklearn_l2rw":
                others.add(parts[0])
                continue
            found = is_file(parts[1:]) or is_file(parts[1:-1])
            assert found, f"{name} imports {'.'.join(parts)}, which is not there"
            own.add(found)
    return own, others


IMPORTS = {name: imports(name) for name in FILES}


def test_every_folder_has_its_rule() -> None:
    assert set(ROOMS) <= set(MAY_IMPORT)


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__.py"])
def test_direction_of_imports(name: str) -> None:
    allowed = {room_of(name), *MAY_IMPORT[room_of(name)]}
    wrong = sorted(file for file in IMPORTS[name][0] if room_of(file) not in allowed)
    assert wrong == [], f"{name} may import from {sorted(allowed)}, and imports {wrong}"


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) == "meta_gradient"])
def test_the_mathematics_needs_torch_alone(name: str) -> None:
    foreign = IMPORTS[name][1] - {"torch", "__future__"} - set(sys.stdlib_module_names)
    assert foreign == set()


def test_no_circle_of_files() -> None:
    """Files whose imports are all known are taken away, until none is left."""
    left = {name: IMPORTS[name][0] - {name} for name in FILES}
    while left:
        free = [name for name, own in left.items() if not own & left.keys()]
        assert free, f"a circle of imports among {sorted(left)}"
        for name in free:
            del left[name]


def test_few_files_at_the_door() -> None:
    found = {
        p.name for p in ROOT.iterdir() if p.is_file() and p.suffix in {".py", ".typed", ".pyi"}
    }
    assert found <= AT_THE_DOOR


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_says_in_a_sentence_what_it_is(room: str) -> None:
    tree = tree_of(f"{room}/__init__.py")
    docstring = ast.get_docstring(tree)
    assert docstring
    assert docstring.endswith(".")
    assert docstring.count(". ") == docstring.count("\n\n") == 0
    assert len(tree.body) == 1  # and nothing else


@pytest.mark.parametrize("name", MODULES)
def test_a_file_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree_of(name))


@pytest.mark.parametrize("name", FILES)
def test_size_of_files(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= MAX_LINES


def body_length(function: Function) -> int:
    """Lines of a function's body, from the first after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", FILES)
def test_size_of_functions(name: str) -> None:
    functions = [node for node in ast.walk(tree_of(name)) if isinstance(node, Function)]
    long = {f.name: body_length(f) for f in functions if body_length(f) > MAX_BODY}
    assert long == {}


# The rules themselves


def test_imports_are_found_in_all_their_forms() -> None:
    own, others = IMPORTS["__init__.py"]
    assert "estimators/classifier.py" in own
    assert others == {"importlib"}
    assert len(set().union(*(found for found, _ in IMPORTS.values()))) > len(MODULES) / 2


def test_body_is_counted_without_its_docstring() -> None:
    source = (
        'def f():\n    """One.\n\n    Two.\n    """\n    a = (\n        1\n    )\n    return a\n'
    )
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert body_length(function) == 4
