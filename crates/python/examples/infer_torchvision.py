"""Before: masks of one label in a photo, with torchvision.

    python infer_torchvision.py photo.jpg person found.png
"""

import sys

import numpy as np
import torch
from PIL import Image
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights, retinanet_resnet50_fpn_v2
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks


def load():
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    weights = RetinaNet_ResNet50_FPN_V2_Weights.DEFAULT
    return retinanet_resnet50_fpn_v2(weights=weights).eval(), weights.meta["categories"]


def infer_on_image(model, categories, image, label, threshold=0.5):
    with torch.no_grad():
        found = model([pil_to_tensor(image).float() / 255])[0]
    wanted = (found["labels"] == categories.index(label)) & (found["scores"] > threshold)
    boxes, scores = found["boxes"][wanted], found["scores"][wanted]
    masks = np.zeros((len(boxes), image.height, image.width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = True
    return boxes, scores, masks


def draw(image, boxes, scores, masks, label):
    picture = draw_segmentation_masks(pil_to_tensor(image), torch.from_numpy(masks), alpha=0.35)
    captions = [f"{label} {score:.2f}" for score in scores]
    return to_pil_image(draw_bounding_boxes(picture, boxes, captions, width=3))


if __name__ == "__main__":
    path, label, out = sys.argv[1:]
    model, categories = load()
    image = Image.open(path).convert("RGB")
    boxes, scores, masks = infer_on_image(model, categories, image, label)
    for box, score, mask in zip(boxes, scores, masks):
        print(f"{label} {score:.4f} at {box.tolist()}: {mask.sum()} pixels")
    draw(image, boxes, scores, masks, label).save(out)
