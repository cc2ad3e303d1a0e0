"""Text of an NMODL file to its syntax tree. Nothing in the text is executed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.syntax import NmodlError

_REACTION = re.compile(r"^[ \t]*~[^(\n]*", re.MULTILINE)
_STOICHIOMETRY = re.compile(r"(?<![\w.\]])(\d+)[ \t]+(?=[A-Za-z_])")
"""The 3 of ~ 3 na + pump <-> pumpna."""

LONGEST = 1_000_000
"""Characters that a file may have."""

_APART = re.compile(
    r"(?P<comment>\bCOMMENT\b.*?(?:\bENDCOMMENT\b|\Z))"
    r"|(?P<verbatim>\bVERBATIM\b.*?(?:\bENDVERBATIM\b|\Z))"
    r"|(?P<line>[:?][^\n]*)"
    r"|(?P<title>^[ \t]*TITLE\b[^\n]*)"
    r"|(?P<string>\"[^\"\n]*\")"
    r"|(?P<include>\bINCLUDE\b[ \t]*\"[^\"\n]*\")"
    r"|(?P<switch>\b(?:UNITSOFF|UNITSON|THREADSAFE|PROTECT|MUTEXLOCK|MUTEXUNLOCK)\b)",
    re.DOTALL | re.MULTILINE,
)


def read_tree(text: str, folder: Path | None = None) -> s.File:
    """The syntax tree of an NMODL text. INCLUDE reads files of `folder` only.

    Raises NmodlError, with the line, for a text that is no NMODL.
    """
    if len(text) > LONGEST:
        raise NmodlError(f"{len(text)} characters: expected at most {LONGEST}")
    text = _included(text, folder, 0)
    plain, title, comments, c_code = _taken_apart(text)
    file = _parsed(plain)
    file.title, file.comments, file.c_code = title, comments, c_code
    if not file.name:
        raise NmodlError("no SUFFIX or POINT_PROCESS in a NEURON block: is this an NMODL file?")
    return file


def _included(text: str, folder: Path | None, depth: int) -> str:
    """The text with what it INCLUDEs in it, on the same line."""

    def replace(match: re.Match[str]) -> str:
        if match.lastgroup != "include":
            return match[0]
        line = text.count("\n", 0, match.start()) + 1
        name = match[0].split('"')[1]
        path = (folder or Path()) / name
        beside = folder is not None and path.resolve().parent == folder.resolve()
        if depth >= 5 or not beside or not path.is_file():
            raise NmodlError(
                f'INCLUDE "{name}": no such file beside this one; put it there, or its text here',
                line,
            )
        more = _included(text_of(path), folder, depth + 1)
        return _taken_apart(more)[0].replace("\n", " ").replace("VERBATIM", "")

    return _APART.sub(replace, text)


def text_of(path: Path) -> str:
    """The text of a file: UTF-8, or else as old files are, Latin-1."""
    data = path.read_bytes()[: LONGEST + 1]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff").rstrip("\x1a \n")


def _taken_apart(text: str) -> tuple[str, str, dict[int, str], dict[int, str]]:
    """The text without comments and C code, the title, the comments and the C code by line."""
    title, comments, c_code = "", dict[int, str](), dict[int, str]()

    def replace(match: re.Match[str]) -> str:
        nonlocal title
        kind, found = match.lastgroup, match[0]
        if kind in ("string", "include"):
            return found
        line = text.count("\n", 0, match.start()) + 1
        blank = "\n" * found.count("\n")
        if kind == "title":
            title = title or found.strip().removeprefix("TITLE").strip()
        elif kind == "line":
            comments[line] = found[1:].strip()
        elif kind == "comment":
            if not found.endswith("ENDCOMMENT"):
                raise NmodlError("COMMENT without ENDCOMMENT", line)
            comments[line] = found.removeprefix("COMMENT").removesuffix("ENDCOMMENT").strip()
        elif kind == "verbatim":
            if not found.endswith("ENDVERBATIM"):
                raise NmodlError("VERBATIM without ENDVERBATIM", line)
            c_code[line] = found.removeprefix("VERBATIM").removesuffix("ENDVERBATIM").strip()
            return "VERBATIM " + blank
        return " " + blank

    plain = _APART.sub(replace, text)
    plain = _REACTION.sub(lambda found: _STOICHIOMETRY.sub(r"\1*", found[0]), plain)
    return plain, title, comments, c_code


@cache
def _grammar() -> Any:
    try:
        from lark import Lark

        from neurojax.model.nmodl.builder import Builder
    except ImportError:
        raise ImportError('reading .mod files needs lark: pip install "neurojax[nmodl]"') from None
    grammar = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=Builder())


def _parsed(text: str) -> s.File:
    from lark import exceptions as wrong

    try:
        return _grammar().parse(text)
    except wrong.UnexpectedCharacters as error:
        if error.char == "%":
            said = "unexpected '%': a template of neuroConstruct? put values in its placeholders"
            raise NmodlError(said, error.line) from None
        raise NmodlError(f"unexpected {error.char!r}", error.line) from None
    except wrong.UnexpectedToken as error:
        if error.token.type == "$END":
            last = text.rstrip().count("\n") + 1
            raise NmodlError("the file ends inside a block: is a } missing?", last) from None
        raise NmodlError(f"unexpected {str(error.token)!r}", error.line) from None
