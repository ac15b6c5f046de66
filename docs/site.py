"""Hooks of MkDocs: pages from elsewhere in the repository, notebooks, links in docstrings."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "index.md": "README.md",
    "default_model.md": "asteroid_slicq/models/xumx_slicq/weights/README.md",
    "recipes/common.md": "recipes/musdb18hq/common/README.md",
    "recipes/xumx_slicq.md": "recipes/musdb18hq/xumx_slicq/README.md",
    "recipes/bandsplit.md": "recipes/musdb18hq/bandsplit/README.md",
    "recipes/mixin.md": "recipes/musdb18hq/mixin/README.md",
    "recipes/comparison.md": "recipes/comparison/README.md",
    "recipes/free_stems.md": "recipes/free_stems/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site, and the files of the repository that they are."""

EXAMPLES = [f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.py"))]
"""Programs of the repository that have a page of their own."""

NOTEBOOKS = [f"docs/notebooks/{path.name}" for path in sorted((ROOT / "docs").glob("*/*.ipynb"))]
"""Executed notebooks, each of which becomes a page: its text, its code, and what that printed."""

_PAGES = {source: page for page, source in SOURCES.items()}
_PAGES |= {program: program.replace(".py", ".md") for program in EXAMPLES}
_PAGES |= {path: path[5:].replace(".ipynb", ".md") for path in NOTEBOOKS}
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#]+)(#[^)]*)?\)")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([\w.]+)`")


def on_files(files, config):
    """Add the pages that lie outside the folder of the documentation."""
    for page, source in SOURCES.items():
        text = (ROOT / source).read_text()
        content = _LINK.sub(lambda link, at=(page, source): _relink(link, *at), text)
        files.append(File.generated(config, page, content=content))
    for program in EXAMPLES:
        content = f"# {Path(program).name}\n\n```python\n{(ROOT / program).read_text()}```\n"
        files.append(File.generated(config, _PAGES[program], content=content))
    for path in NOTEBOOKS:
        text, pictures = _notebook(path)
        files.append(File.generated(config, _PAGES[path], content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, name, content=picture))
    return files


def _notebook(path: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by their paths on the site."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    heading = ""
    for cell in json.loads((ROOT / path).read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = next(iter(re.findall(r"(?m)^#+ (.*)", source)), heading)
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
        for output in cell["outputs"]:
            if picture := output.get("data", {}).get("image/png"):
                name = f"{Path(path).stem}_{len(pictures) + 1}.png"
                pictures[f"notebooks/{name}"] = base64.b64decode(picture)
                parts.append(f"![{heading}]({name})")
    text = "\n\n".join(parts)
    text = _LINK.sub(lambda link: _relink(link, _PAGES[path], path), text)
    return f"{text}\n\n[The notebook of this page]({Path(path).name})\n", pictures


def on_page_markdown(markdown, page, config, files):
    """Mend the links of pages of the documentation to what lies outside its folder."""
    path = page.file.src_uri
    if path in _PAGES.values():
        return markdown
    return _LINK.sub(lambda link: _relink(link, path, f"docs/{path}"), markdown)


def _relink(link: re.Match[str], page: str, source: str) -> str:
    """The link as seen from its page; its text alone where it leads out of the site."""
    text, path, anchor = link.groups("")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    target = _PAGES.get(target) or (target[5:] if target.startswith("docs/") else None)
    if target is None:
        return text
    return f"[{text}]({os.path.relpath(target, posixpath.dirname(page) or '.')}{anchor})"


class Docstrings(griffe.Extension):
    """Links for the roles of Sphinx where their target is on the site; sections of doctests."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            inside = obj if obj.is_class or obj.is_module else obj.parent

            def link(role: re.Match[str]) -> str:
                name = role[1]
                path = name if "." in name else f"{inside.path}.{name}"
                return f'<autoref optional identifier="{path}">`{name}`</autoref>'

            text = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(link, text)
