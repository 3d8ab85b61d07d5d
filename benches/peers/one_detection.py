"""torchvision's side of one_detection.rs: one detection from a cold start.

    python one_detection.py WEIGHTS.pth PHOTO [THREADS]
"""

import sys

import torch
from PIL import Image
from torchvision.models.detection import retinanet_resnet50_fpn_v2
from torchvision.transforms.functional import pil_to_tensor


def main():
    weights, photo, *threads = sys.argv[1:]
    if threads:
        torch.set_num_threads(int(threads[0]))
    model = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    image = pil_to_tensor(Image.open(photo).convert("RGB")).float() / 255
    with torch.inference_mode():
        found = model([image])[0]
    for label, score, box in zip(found["labels"][:1], found["scores"], found["boxes"]):
        print(label.item(), f"{score.item():.4f}", box.tolist(), flush=True)


if __name__ == "__main__":
    main()
