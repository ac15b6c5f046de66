"""The house: how many modules stand at the root, which way imports run, and through which doors."""

import ast
from collections.abc import Iterator

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
    hub
    plotting evaluation
    models
    filterbank losses wiener separation data
    transform audio
    registration vocabulary files
"""
LAYER = {name: i for i, line in enumerate(LAYERS.split("\n")) for name in line.split()}
# A documented path, and the entry point.
OPEN = {f"{PACKAGE}.data.datasets", f"{PACKAGE}.cli.program"}


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


EDGES = [(a, b, name) for a in FILES for b, name in imports(a) if b in FILES]


def room(module: str) -> str:
    return max((r for r in ROOMS if f"{module}.".startswith(f"{r}.")), key=len)


def layer(module: str) -> int:
    return LAYER[(module.split(".") * 2)[1]]


def test_every_room_has_a_layer_and_few_modules_stand_at_the_root():
    at_root = {name.removeprefix(f"{PACKAGE}.").split(".")[0] for name in FILES}
    assert at_root <= LAYER.keys()
    assert len(list((ROOT / PACKAGE).glob("*.py"))) <= 8


def is_private(path: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in path.split("."))


def test_what_has_an_underscore_stays_in_its_room():
    modules = [(a, b) for a, b, name in EDGES if room(a) != room(b) and is_private(f"{b}.{name}")]
    assert not modules
