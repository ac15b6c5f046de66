"""Hooks of MkDocs: pages from elsewhere in the repository, and links in docstrings."""

from __future__ import annotations

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
    "recipes/mixin.md": "recipes/musdb18hq/mixin/README.md",
    "recipes/free_stems.md": "recipes/free_stems/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site, and the files of the repository that they are."""

_PAGES = {source: page for page, source in SOURCES.items()}
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#]+)(#[^)]*)?\)")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([\w.]+)`")


def on_files(files, config):
    """Add the pages that lie outside the folder of the documentation."""
    for page, source in SOURCES.items():
        text = (ROOT / source).read_text()
        content = _LINK.sub(lambda link, at=(page, source): _relink(link, *at), text)
        files.append(File.generated(config, page, content=content))
    return files


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
