"""How far two answers of `retinanet detect --json` on the same images are from each other.

    retinanet detect --score-threshold 0.3 --json strict.json PHOTOS
    retinanet detect --score-threshold 0.3 --mode fast --json fast.json PHOTOS
    python detections.py strict.json fast.json

A detection of the first is matched with the one of its label in the second whose box is nearest, if no corner
is more than two pixels away.
"""

import argparse
import json
from pathlib import Path

NEAR = 2.0


def distance(a, b):
    """The largest difference of two boxes' coordinates, in pixels."""
    return max(abs(x - y) for x, y in zip(a["box"], b["box"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    args = parser.parse_args()
    first, second = (json.loads(path.read_text()) for path in (args.first, args.second))
    others = {image["image"]: image["detections"] for image in second}
    counts = [sum(len(image["detections"]) for image in images) for images in (first, second)]
    scores, corners = [0.0], [0.0]
    print(f"detections: {counts[0]} and {counts[1]}")
    for image in first:
        for found in image["detections"]:
            same = [other for other in others[image["image"]] if other["label_id"] == found["label_id"]]
            nearest = min(same, key=lambda other: distance(found, other), default=None)
            if nearest is None or distance(found, nearest) > NEAR:
                there = "none" if nearest is None else f"nearest {distance(found, nearest):.1f} px away"
                print(f"unmatched: {image['image']}, score {found['score']:.3f}, {there}")
                continue
            scores.append(abs(found["score"] - nearest["score"]))
            corners.append(distance(found, nearest))
    print(f"matched: {len(scores) - 1}, worst score change {max(scores):.4f}, worst corner {max(corners):.2f} px")


if __name__ == "__main__":
    main()
