"""The house: how many modules stand at the root, which way imports run, and through which doors."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.helpers import ROOT

PACKAGE = "asteroid_slicq"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / PACKAGE).rglob("*.py"))
}
ROOMS = {name for name, path in FILES.items() if path.name == "__init__.py"}
# Each imports from those below it alone; those of a line not from one another.
LAYERS = """
    asteroid_slicq __main__ conversion oracles plot
    cli
    jobs demo
    hub
    plotting evaluation
    models
    filterbank losses wiener separation data
    transform audio hearing
    registration vocabulary files processes catalogue
"""
LAYER = {name: i for i, line in enumerate(LAYERS.split("\n")) for name in line.split()}
# A documented path, the entry point, and what only one command needs, and not for its help.
OPEN = {
    f"{PACKAGE}.{module}"
    for module in ("data.datasets", "cli.program", "hub.publishing", "data.sampled.track")
}


def imports(name: str) -> Iterator[tuple[str, str]]:
    """Modules of the package that a module imports, anywhere in it, and what from them."""
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield (module, "") if module in FILES else (str(node.module), alias.name)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


EDGES = [
    (a, b, name)
    for a in FILES
    for b, name in imports(a)
    if b in FILES and (b, name) != (PACKAGE, "__version__")
]


def room(module: str) -> str:
    return max((r for r in ROOMS if f"{module}.".startswith(f"{r}.")), key=len)


def layer(module: str) -> int:
    return LAYER[(module.split(".") * 2)[1]]


def test_every_room_has_a_layer_and_few_modules_stand_at_the_root():
    at_root = {name.removeprefix(f"{PACKAGE}.").split(".")[0] for name in FILES}
    assert at_root == LAYER.keys()
    assert len(list((ROOT / PACKAGE).glob("*.py"))) <= 8


def test_imports_run_one_way():
    wrong = [
        (a, b)
        for a, b, _ in EDGES
        if a.split(".")[1:2] != b.split(".")[1:2] and layer(a) >= layer(b)
    ]
    assert not wrong


def test_imports_run_in_no_circle():
    graph = {name: {b for a, b, _ in EDGES if a == name} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_the_composer_knows_nothing_of_recordings():
    assert not {(a, b) for a, b, _ in EDGES if ".data.procedural" in a and ".data.sampled" in b}


def test_rooms_are_entered_by_their_doors():
    wrong = [
        (a, b)
        for a, b, _ in EDGES
        if a.split(".")[1:2] != b.split(".")[1:2] and b not in ROOMS | OPEN and room(b) != PACKAGE
    ]
    assert not wrong


def is_private(path: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in path.split("."))


def test_what_has_an_underscore_stays_in_its_room():
    modules = [(a, b) for a, b, name in EDGES if room(a) != room(b) and is_private(f"{b}.{name}")]
    assert not modules


def test_docstrings_name_the_thing():
    firsts = {
        name: (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        for name, path in FILES.items()
    }
    asking = re.compile(r"(How|What|Where|Which|Who|When|Why|Are|Is|Does|Do) ")
    assert not {name for name, first in firsts.items() if not first or asking.match(first)}
