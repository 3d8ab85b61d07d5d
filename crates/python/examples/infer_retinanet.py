"""After: masks of one label in a photo, with this package. A checkpoint of your own may be given.

    python infer_retinanet.py photo.jpg person found.png [weights.safetensors]
"""

import sys

from retinanet import Detector, retinanet_resnet50_fpn_v2


def load(weights=None):
    return Detector(weights) if weights else retinanet_resnet50_fpn_v2(weights="DEFAULT")


def infer_on_image(model, image, label, threshold=0.5):
    found = model(image).above(threshold).only(label)
    return found, found.masks(label)


if __name__ == "__main__":
    path, label, out, *weights = sys.argv[1:]
    found, masks = infer_on_image(load(*weights), path, label)
    for box, score, mask in zip(found["boxes"], found["scores"], masks):
        print(f"{label} {score:.4f} at {box.tolist()}: {mask.sum()} pixels")
    print("digest", found.digest)
    found.draw(path).save(out)
