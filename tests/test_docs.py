"""Code blocks of the README and the documentation, each of which runs alone.

A comment ``<!-- not run: reason -->`` before a block exempts it, and so does one that ``.ci/run``
looks for; the commands in it are parsed all the same.
"""

import json
import pkgutil
import re
import shlex
import subprocess
import sys

import pytest
import soundfile
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.cli.program import parse
from tests.helpers import ROOT, environment, numpy_noise

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CARD = ROOT / "asteroid_slicq" / "models" / "xumx_slicq" / "weights" / "README.md"
OTHERS = [CARD, *sorted((ROOT / "recipes").glob("**/*.md"))]  # whose commands take hours
BLOCK = re.compile(r"(?ms)^(?:<!-- (not run|ci): [^\n]* -->\n)?```(\w+)\n(.*?)^```")


def blocks(language: str, run: bool):
    found = [
        pytest.param(block, id=f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start())}")
        for page in (PAGES if run else [*PAGES, *OTHERS])
        for text in [page.read_text()]
        for block in BLOCK.finditer(text)
    ]
    chosen = [p for p in found if p.values[0][2] == language and not (run and p.values[0][1])]
    return pytest.mark.parametrize("text", [pytest.param(p.values[0][3], id=p.id) for p in chosen])


@pytest.fixture
def home(folder):
    """What a reader has: a song, an album and a model."""
    (folder / "album").mkdir()
    for path in ("song.wav", "album/one.wav"):
        soundfile.write(folder / path, numpy_noise(22050, 2, scale=0.1), 44100)
    model = XUMXSliCQ(hidden_channels=(2, 2), transform={"n_bins": 14, "f_min_hz": 150.0})
    torch.save(model.serialize(), folder / "my_model.pth")
    return folder


@pytest.mark.slow
@blocks("python", run=True)
def test_python_runs(text, home):
    exec(compile(text, "block", "exec"), {"__name__": "__main__"})


@blocks("bash", run=False)
def test_commands_have_these_options(text):
    for command in re.split(r"&&|\n", text.replace("\\\n", " ")):
        words = shlex.split(re.split(r"[<>]", command)[0], comments=True)
        if words[:1] == ["asteroid-slicq"] and "--help" not in words:
            parse(words[1:])


@pytest.mark.slow
@blocks("bash", run=True)
def test_bash_runs(text, home):
    functions = f'python() {{ {sys.executable} "$@"; }}\n'
    functions += 'asteroid-slicq() { python -m asteroid_slicq "$@"; }\n'
    subprocess.run(
        ["bash", "-euc", functions + text], check=True, cwd=home, env=environment(), timeout=3600
    )


@pytest.mark.parametrize(("page", "room"), [("house", ""), ("transform", ".transform")])
def test_names_in_backticks_exist(page, room):
    names = re.findall(r"`([a-z_]+(?:\.\w+)+)`", (ROOT / f"docs/{page}.md").read_text())
    assert len(names) >= 8
    for name in names:
        pkgutil.resolve_name(f"asteroid_slicq{room}.{name}")


def texts():
    """All pages, notebooks too, each without its code."""
    paths = [*PAGES, ROOT / "CONTRIBUTING.md", *(ROOT / "recipes").glob("**/*.md")]
    for path in [*paths, *(ROOT / "docs").glob("*/*.ipynb"), *(ROOT / "docs").glob("*/*.md")]:
        text = path.read_text()
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
            text = "\n\n".join("".join(cell["source"]) for cell in cells)
        yield path, re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)


def test_links_lead_to_files_and_headings():
    known = {path.resolve(): text for path, text in texts()}
    wrong = []
    for path, text in known.items():
        for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
            aim = (path.parent / target).resolve() if target else path
            headings = re.findall(r"(?m)^#+ (.*)", known.get(aim, ""))
            slugs = {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}
            if not aim.exists() or (anchor and anchor not in slugs):
                wrong.append((str(path.relative_to(ROOT)), target, anchor))
    assert len(known) > 15
    assert not wrong


def test_every_recipe_has_a_page():
    site = (ROOT / "docs" / "site.py").read_text()
    recipes = {path.parent for path in (ROOT / "recipes").glob("**/run.sh")}
    assert len(recipes) >= 4
    assert not [path for path in recipes if f'"{path.relative_to(ROOT)}/README.md"' not in site]
