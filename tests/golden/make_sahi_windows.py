"""Writes sahi_windows.json: where SAHI cuts pictures, by its own `get_slice_bboxes`.

    pip download sahi==0.12.8 --no-deps && unzip sahi-*.whl sahi/slicing.py
    python make_sahi_windows.py sahi/slicing.py

The function is taken out of the file and run by itself, so that SAHI's dependencies are not needed.
"""

import ast
import json
import pathlib
import sys

# height, width, tile, overlap
CASES = [
    (1, 1, 800, 0.2),
    (799, 800, 800, 0.2),
    (800, 800, 800, 0.2),
    (801, 800, 800, 0.2),
    (800, 801, 800, 0.25),
    (1000, 2000, 800, 0.25),
    (1400, 1400, 800, 0.25),
    (1401, 1399, 800, 0.25),
    (2000, 37, 800, 0.0),
    (1600, 1600, 800, 0.0),
    (512, 512, 256, 0.5),
    (511, 1025, 256, 0.9),
    (700, 900, 100, 0.29),  # 0.29 * 100 is a little less than 29
    (333, 777, 97, 0.1),
    (333, 777, 97, 1 / 3),
    (4000, 6000, 640, 0.2),
    (4000, 6000, 1333, 0.15),
    (20000, 20000, 2000, 0.2),
    (20000, 20000, 800, 0.25),
    (100, 130, 32, 0.9),
]


def sahis_function(path):
    tree = ast.parse(pathlib.Path(path).read_text())
    found = [node for node in tree.body if getattr(node, "name", "") == "get_slice_bboxes"]
    names = {}
    future = ast.parse("from __future__ import annotations").body
    module = ast.Module(body=future + found, type_ignores=[])
    exec(compile(ast.fix_missing_locations(module), path, "exec"), names)
    return names["get_slice_bboxes"]


def main():
    function = sahis_function(sys.argv[1])
    cases = []
    for height, width, tile, overlap in CASES:
        windows = function(height, width, tile, tile, False, overlap, overlap)
        cases.append(
            {"height": height, "width": width, "size": tile, "overlap": overlap, "windows": windows}
        )
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    pathlib.Path(__file__).with_name("sahi_windows.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases,", sum(len(case["windows"]) for case in cases), "windows")


if __name__ == "__main__":
    main()
