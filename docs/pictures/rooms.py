"""Draw rooms.svg, the rooms of the package and the imports between them: python docs/pictures/rooms.py [--check].

Floors come from the layers contract in pyproject.toml, arrows from the import graph (grimp), sentences from the rooms'
own docstrings. Without an argument it also prints how many rooms, floors and arrows there are.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_suffix(".svg")
WIDTH, FLOOR, BOX, GAP, LEFT = 860, 84, 52, 26, 24
STYLE = """
  svg { font-family: system-ui, sans-serif; color: #1f2328; background: #ffffff }
  .room { fill: #eef4fb; stroke: #0072b2 } .name { font-weight: 600; font-size: 15px } .says { font-size: 11.5px }
  .arrow { fill: none; stroke: #b6bec8 } .near { stroke: #0072b2; stroke-width: 1.6 }
"""


def floors() -> list[list[str]]:
    """Rooms by floor, from the top."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return [[room.split(".")[1] for room in layer.split(" : ")] for layer in contract[0]["layers"]]


def arrows() -> Counter[tuple[str, str]]:
    """How many imports go from one room to another."""
    graph = grimp.build_graph("isoglot", exclude_type_checking_imports=True)
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for target in graph.find_modules_directly_imported_by(module):
            rooms = tuple([*name.split("."), "isoglot"][1] for name in (module, target))
            if rooms[0] != rooms[1]:
                found[rooms] += 1
    return found


def sentence(room: str) -> str:
    """What a room does, as its docstring says."""
    tree = ast.parse((ROOT / "src" / "isoglot" / room / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").splitlines()[0]


def draw(rows: list[list[str]], between: Counter[tuple[str, str]]) -> str:
    """The picture as SVG: a row of boxes a floor, a line an arrow (blue to the next floor, grey further down)."""
    place: dict[str, tuple[float, float, float]] = {}
    for floor, rooms in enumerate(rows):
        width = (WIDTH - 2 * LEFT - GAP * (len(rooms) - 1)) / len(rooms)
        for number, room in enumerate(rooms):
            place[room] = (LEFT + number * (width + GAP), 16 + floor * FLOOR, width)
    level = {room: floor for floor, rooms in enumerate(rows) for room in rooms}
    ends: Counter[str] = Counter(a for a, _ in between) + Counter(b for _, b in between)
    used: Counter[str] = Counter()
    lines, boxes = [], []

    def port(room: str) -> float:
        used[room] += 1
        x, _, width = place[room]
        return x + width * used[room] / (ends[room] + 1)

    for a, b in sorted(between, key=lambda pair: (level[pair[0]], level[pair[1]], pair)):
        kind = "arrow near" if level[b] - level[a] == 1 else "arrow"
        top, bottom = place[a][1] + BOX, place[b][1]
        x, y = port(a), port(b)
        bend = (bottom - top) / 2
        lines.append(
            f'<path class="{kind}" marker-end="url(#head)" d="M{x:.0f} {top:.0f} C{x:.0f} {top + bend:.0f} '
            f'{y:.0f} {bottom - bend:.0f} {y:.0f} {bottom - 3:.0f}"><title>{a} uses {b}</title></path>'
        )
    for room, (x, y, width) in place.items():
        boxes.append(
            f'<rect class="room" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="6"/>'
            f'<text class="name" x="{x + 12:.0f}" y="{y + 22:.0f}">{room}</text>'
            f'<text class="says" x="{x + 12:.0f}" y="{y + 40:.0f}">{escape(sentence(room).replace("`", ""))}</text>'
        )
    height = 16 + FLOOR * len(rows)
    head = '<marker id="head" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="The rooms of isoglot and the imports between them">\n'
        f"<style>{STYLE}</style>\n<defs>{head}<path d='M0 0L6 3L0 6z' fill='#8c959f'/></marker></defs>\n"
        + "\n".join([*lines, *boxes])
        + "\n</svg>\n"
    )


def main() -> int:
    """Write the picture, or with --check say whether it is what the code is."""
    rows = floors()
    rooms = {room for row in rows for room in row}
    between = Counter({pair: count for pair, count in arrows().items() if set(pair) <= rooms})
    picture = draw(rows, between)
    if "--check" in sys.argv[1:]:
        same = PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == picture
        if not same:
            print(f"{PICTURE.name} is not what the code is: python docs/pictures/rooms.py", file=sys.stderr)
        return 0 if same else 1
    PICTURE.write_text(picture, encoding="utf-8")
    folders = [path.name for path in (ROOT / "src" / "isoglot").iterdir() if (path / "__init__.py").is_file()]
    print(f"{len(folders)} rooms, {len(rows)} floors, {len(between)} arrows ({sum(between.values())} imports)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
