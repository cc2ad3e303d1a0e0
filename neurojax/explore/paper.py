"""What every page is written on: one HTML document with its style and scripts in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any


def filled(title: str, told: str, kind: str, source: str, data: Mapping[str, Any]) -> str:
    """A page of a `kind`, which has its own HTML and script; `source` are equations, JavaScript."""
    parts = {
        "TITLE": escape(title),
        "DESCRIPTION": escape(told),
        "STYLE": content("paper.css"),
        "BODY": content(f"{kind}.html"),
        "ENGINE": source.replace("</", "<\\/"),
        "DATA": json.dumps(data).replace("</", "<\\/"),
        "SCRIPT": content("tools.js") + content(f"{kind}.js"),
    }
    text = content("paper.html")
    for key, value in parts.items():
        text = text.replace(f"%{key}%", value.rstrip())
    return text


def content(name: str) -> str:
    """A file of this room."""
    return resources.files("neurojax.explore").joinpath(name).read_text(encoding="utf-8")
