"""The programs that docs/python.md shows: they are those files, and print what it says."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import ASSETS, PHOTO, WEIGHTS

ROOT = ASSETS.parents[1]
EXAMPLES = Path(__file__).parents[1] / "examples"
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["infer_torchvision.py", "infer_retinanet.py"])
def test_the_page_shows_the_file(name):
    program = (EXAMPLES / name).read_text().split('"""', 2)[2].strip()
    assert f"```python\n{program}\n```" in PAGE
    compile(program, name, "exec")


def test_the_program_prints_what_the_page_says_and_draws(tmp_path):
    out = tmp_path / "found.png"
    call = [sys.executable, EXAMPLES / "infer_retinanet.py", PHOTO, "person", out, WEIGHTS]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (said,) = re.findall(r"```text\n(person .*?)```", PAGE, re.DOTALL)
    assert done.stdout == said
    # The page's picture is JPEG of an older run: near, not equal.
    shown = np.asarray(Image.open(ROOT / "docs" / "images" / "python_before_after.jpg"))[:, 512:].astype(int)
    drawn = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert np.abs(shown - drawn).mean() < 4


def test_the_program_before_gives_the_same_masks():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    sys.path[:0] = [str(EXAMPLES), str(ROOT / "tests" / "golden")]
    import infer_retinanet
    import infer_torchvision
    from models import demo

    model, _ = demo()
    tensors = {name: tensor.float() for name, tensor in safetensors.load_file(WEIGHTS).items()}
    model.load_state_dict(tensors, strict=False)
    image = Image.open(PHOTO).convert("RGB")
    boxes, scores, theirs = infer_torchvision.infer_on_image(
        model.eval(), ["__background__", "person"], image, "person", 0.3
    )
    found, masks = infer_retinanet.infer_on_image(infer_retinanet.load(WEIGHTS), image, "person", 0.3)
    assert len(masks) > 2 and (masks == theirs).all()
    assert np.abs(found["boxes"] - boxes.numpy()).max() < 1e-3
    assert torch.allclose(torch.from_numpy(found["scores"]), scores, atol=1e-5)
