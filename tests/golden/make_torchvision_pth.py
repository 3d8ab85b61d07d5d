"""Writes torchvision-sized checkpoints, random weights, in every container and spelling, to a folder.

They are too large to keep. Check them with

    RETINANET_TORCHVISION_PTH=FOLDER cargo test --workspace --test weights
"""

import hashlib
import json
import os
import re
import sys

import torch
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2


def digest(state):
    """sha256 over name and f32 bytes of every tensor but the step counters, by name."""
    out = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith("num_batches_tracked"):
            out.update(name.encode())
            out.update(state[name].contiguous().numpy().tobytes())
    return out.hexdigest()


def old_names(name):
    name = re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.", name)
    return re.sub(r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.", r"\1.", name)


def mirror_names(name):
    for pattern, text in [
        (r"^backbone\.body\.", "backbone."),
        (r"^backbone\.fpn\.inner_blocks\.(\d)\.0\.", lambda m: f"fpn.lateral{int(m[1]) + 3}."),
        (r"^backbone\.fpn\.layer_blocks\.(\d)\.0\.", lambda m: f"fpn.output{int(m[1]) + 3}."),
        (r"^backbone\.fpn\.extra_blocks\.", "fpn."),
        (r"^head\.(\w+_head)\.conv\.(\d)\.0\.", r"\1.conv.\2."),
        (r"^head\.", ""),
    ]:
        name = re.sub(pattern, text, name)
    return name


def main(folder):
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(0)
    v1 = retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    v2 = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None).state_dict()
    expected = {}

    def save(name, state, original, zipped):
        path = os.path.join(folder, name)
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        expected[name] = digest(original)

    old = {old_names(name): tensor for name, tensor in v1.items()}
    mirror = {mirror_names(name): tensor for name, tensor in v1.items() if "num_batches" not in name}
    mirror |= {"backbone.fc.weight": torch.zeros(1000, 2048), "backbone.fc.bias": torch.zeros(1000)}
    save("v2_zip.pth", v2, v2, True)
    save("v2_legacy.pth", v2, v2, False)
    save("v1_old_names_legacy.pth", old, v1, False)
    save("v1_mirror_names.pth", mirror, v1, True)
    save("v1_data_parallel.pth", {"model": {f"module.{k}": t for k, t in v1.items()}}, v1, True)
    with open(os.path.join(folder, "expected.json"), "w") as out:
        json.dump(expected, out, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
