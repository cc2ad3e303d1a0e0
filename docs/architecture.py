"""Draw the rooms of neurojax and who imports whom, from the imports themselves: architecture.svg.

    python docs/architecture.py

A room is a file or folder of the package. It stands one floor above the highest room that it
imports, the ground below. An arrow is an import; one that other arrows imply is left out, and so
are the doors: `neurojax/__init__.py`, which hands on names of all rooms, and `__main__.py`.
"""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[1] / "neurojax"
PICTURE = Path(__file__).with_name("architecture.svg")

WIDTH, HEIGHT, GAP, FLOOR, MARGIN = 200, 92, 28, 140, 24
DOORS = {"neurojax", "__main__"}
INK, FAINT, PAPER, BOX = "#1f2a37", "#8795a6", "#ffffff", "#eef3f8"


# -- what the code says ----------------------------------------------------------------------------
def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    return {_dotted(path): path for path in sorted(ROOT.rglob("*.py"))}


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports() -> dict[str, set[str]]:
    """What each module imports of this project, at its top or inside a function.

    Raises ValueError for a relative import.
    """
    known = modules()
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        own = found.setdefault(module, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                own |= {a.name for a in node.names if a.name.split(".")[0] == "neurojax"}
            elif isinstance(node, ast.ImportFrom):
                if node.level:
                    raise ValueError(f"{module}: relative import in line {node.lineno}")
                if node.module and node.module.split(".")[0] == "neurojax":
                    for alias in node.names:
                        inner = f"{node.module}.{alias.name}"
                        own.add(inner if inner in known else node.module)
    return found


def room_of(module: str) -> str:
    """The room that a module belongs to; the public names are the room "neurojax"."""
    return module.split(".")[1] if "." in module else module


def between_rooms() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    graph: dict[str, set[str]] = {}
    for module, others in imports().items():
        here = room_of(module)
        graph.setdefault(here, set()).update(room_of(o) for o in others)
        graph[here].discard(here)
    return graph


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """The rooms of each floor, the ground first. Raises ValueError for a circle of imports."""
    level: dict[str, int] = {}

    def visit(room: str, path: tuple[str, ...]) -> int:
        if room in path:
            raise ValueError(f"a circle of imports: {' -> '.join((*path, room))}")
        if room not in level:
            level[room] = max((visit(r, (*path, room)) + 1 for r in graph[room]), default=0)
        return level[room]

    for room in graph:
        visit(room, ())
    return [sorted(r for r in level if level[r] == k) for k in range(max(level.values()) + 1)]


def without_implied(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without arrows that a longer way implies."""

    def reach(room: str) -> set[str]:
        return graph[room].union(*(reach(r) for r in graph[room]))

    return {
        room: {r for r in below if not any(r in reach(o) for o in below - {r})}
        for room, below in graph.items()
    }


def says(room: str) -> str:
    """What a room is, from its first line."""
    folder = ROOT / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
    name, _, rest = first.partition(": ")
    return rest if name == room and rest else first


# -- the picture -----------------------------------------------------------------------------------
def picture() -> str:
    """The rooms on their floors, with arrows, as SVG."""
    graph = {k: v - DOORS for k, v in between_rooms().items() if k not in DOORS}
    rows = floors(graph)
    widest = max(map(len, rows))
    whole = 2 * MARGIN + widest * WIDTH + (widest - 1) * GAP
    tall = 2 * MARGIN + (len(rows) - 1) * FLOOR + HEIGHT
    at: dict[str, tuple[float, float]] = {}
    for k, row in enumerate(rows):
        left = (whole - len(row) * WIDTH - (len(row) - 1) * GAP) / 2

        def over(room: str) -> float:  # a room stands over those that it imports
            below = [at[r][0] for r in graph[room] if r in at]
            return sum(below) / max(len(below), 1)

        for j, room in enumerate(sorted(row, key=over)):
            at[room] = left + j * (WIDTH + GAP), MARGIN + (len(rows) - 1 - k) * FLOOR
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {tall}" '
        f'width="{whole}" height="{tall}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{FAINT}"/></marker></defs>',
        f'<rect width="{whole}" height="{tall}" fill="{PAPER}"/>',
    ]
    for room, below in sorted(without_implied(graph).items()):
        lines += [_arrow(at[room], at[other]) for other in sorted(below)]
    for room, (x, y) in sorted(at.items()):
        lines += _box(room, x, y)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    x, y = above[0] + WIDTH / 2, above[1] + HEIGHT
    to_x, to_y = below[0] + WIDTH / 2, below[1] - 3
    bend = (to_y - y) / 2
    return (
        f'<path d="M{x:g} {y:g}C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}" '
        f'fill="none" stroke="{FAINT}" stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _box(room: str, x: float, y: float) -> list[str]:
    name = f"{room}{'/' if (ROOT / room).is_dir() else '.py'}"
    lines = [
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{BOX}" '
        f'stroke="{FAINT}"/>',
        f'<text x="{x + 10:g}" y="{y + 20:g}" font-size="15" font-weight="bold" fill="{INK}">'
        f"{escape(name)}</text>",
    ]
    for k, line in enumerate(wrap(says(room), 34)[:4]):
        lines.append(
            f'<text x="{x + 10:g}" y="{y + 38 + 15 * k:g}" font-size="11" fill="{INK}">'
            f"{escape(line)}</text>"
        )
    return lines


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    for number, row in reversed(list(enumerate(floors(between_rooms()), 1))):
        print(f"floor {number}: {', '.join(row)}")
