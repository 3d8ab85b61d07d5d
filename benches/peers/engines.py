"""The engines, each a function (threads, cache folder) -> a function that runs the network once.

All of them run torchvision's retinanet_resnet50_fpn_v2 without pre- and post-processing, on the same random
weights and the same input, and answer its logits and box regressions as arrays.
"""

from contextlib import nullcontext
from pathlib import Path

import numpy as np

SHAPE = (1, 3, 800, 1088)


def network():
    """Backbone, FPN and heads as one module."""
    import torch
    from torchvision.models.detection import retinanet_resnet50_fpn_v2

    class Network(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.backbone, self.head = model.backbone, model.head

        def forward(self, images):
            outputs = self.head(list(self.backbone(images).values()))
            return outputs["cls_logits"], outputs["bbox_regression"]

    torch.manual_seed(0)
    model = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_var.fill_(2.0)  # or activations grow from block to block
    return Network(model).eval()


def images():
    return np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)


def onnx_file(cache):
    """The network as an ONNX file, exported once."""
    import torch

    path = Path(cache) / f"retinanet_resnet50_fpn_v2-torch{torch.__version__}.onnx"
    if not path.exists():
        unfinished = path.with_suffix(".unfinished.onnx")
        torch.onnx.export(
            network(), (torch.from_numpy(images()),), unfinished, dynamo=True, external_data=False, verbose=False
        )
        unfinished.rename(path)
    return path


def torch_engine(threads, channels_last, bf16):
    import torch

    torch.set_num_threads(threads)
    model, x = network(), torch.from_numpy(images())
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    precision = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()

    def run():
        with torch.inference_mode(), precision:
            return [y.float().numpy() for y in model(x)]

    return run


def torch_f32(threads, cache):
    return torch_engine(threads, channels_last=False, bf16=False)


def torch_f32_channels_last(threads, cache):
    return torch_engine(threads, channels_last=True, bf16=False)


def torch_bf16_channels_last(threads, cache):
    return torch_engine(threads, channels_last=True, bf16=True)


def onnxruntime_f32(threads, cache):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_file(cache), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images()}
    return lambda: session.run(None, feed)


def openvino_engine(threads, cache, precision):
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(onnx_file(cache)), "CPU", settings).create_infer_request()
    x = images()
    return lambda: list(request.infer([x]).values())


def openvino_f32(threads, cache):
    return openvino_engine(threads, cache, "f32")


def openvino_bf16(threads, cache):
    return openvino_engine(threads, cache, "bf16")


ENGINES = {
    "PyTorch eager f32": torch_f32,
    "PyTorch channels_last f32": torch_f32_channels_last,
    "PyTorch channels_last bf16 autocast": torch_bf16_channels_last,
    "ONNX Runtime f32": onnxruntime_f32,
    "OpenVINO f32": openvino_f32,
    "OpenVINO bf16": openvino_bf16,
}
