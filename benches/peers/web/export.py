"""The bundled checkpoint's network as torchvision has it, for ONNX Runtime Web: writes network.onnx, the photo as the network's
input (input.f32, input.json) and torchvision's logits of it (logits.f32) into a folder.

    python export.py FOLDER
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import models  # noqa: E402

ASSETS = ROOT / "examples" / "assets"


class Network(torch.nn.Module):
    """Backbone, feature pyramid and heads: what takes the time."""

    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def forward(self, image):
        found = self.head(list(self.backbone(image).values()))
        return found["cls_logits"], found["bbox_regression"]


def main(folder):
    model, _ = models.demo()
    model.load_state_dict(load_file(ASSETS / "person_r18.safetensors"))
    model.eval()
    photo = torch.from_numpy(numpy.array(Image.open(ASSETS / "astronaut.png").convert("RGB")))
    image = model.transform([photo.permute(2, 0, 1) / 255])[0].tensors
    network = Network(model).eval()
    with torch.inference_mode():
        logits, _ = network(image)
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(network, (image,), folder / "network.onnx", dynamo=True, external_data=False, verbose=False)
    (folder / "input.f32").write_bytes(image.numpy().astype("<f4").tobytes())
    (folder / "logits.f32").write_bytes(logits.numpy().astype("<f4").tobytes())
    (folder / "input.json").write_text(json.dumps(list(image.shape)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
