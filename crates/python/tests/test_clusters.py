"""The examples on a local Ray cluster and with Daft: one file, whatever the workers. `test.sh --all` installs both."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS

ray = pytest.importorskip("ray", reason="ray is not installed: test.sh --all installs it")
EXAMPLES = str(Path(__file__).parents[1] / "examples")
sys.path.insert(0, EXAMPLES)
import ray_folder  # noqa: E402

IMAGES = 12


@pytest.fixture(scope="module", autouse=True)
def cluster():
    environment = {"env_vars": {"PYTHONPATH": EXAMPLES}}
    ray.init(
        num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20, runtime_env=environment
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"))
    shutil.copy(PHOTO, folder / "astronaut.png")
    (folder / "more").mkdir()
    for number in range(IMAGES - 2):
        Image.fromarray(pixels[7 * number :, : 512 - 11 * number]).save(folder / "more" / f"{number:02}.png")
    (folder / "damaged.png").write_bytes(PHOTO.read_bytes()[:3000])
    return folder


def run(folder, out, workers, batch_size, engine=ray_folder, receipts=None):
    table = engine.detect_folder(
        folder, out, workers=workers, batch_size=batch_size, weights=WEIGHTS, threads=1, receipts=receipts
    )
    return table, out.read_bytes()


@pytest.fixture(scope="module")
def batch(folder, tmp_path_factory):
    """What the command says of the folder: its lines by name, the log's head, the log."""
    out = tmp_path_factory.mktemp("batch")
    results, log = out / "results.jsonl", out / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "retinanet", "batch", folder, "--weights", WEIGHTS, "--out", results, "--receipts", log],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "1 of 12 images failed" in done.stderr, done
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {row["image"]: row for row in rows}, done.stdout.split()[0], log.read_bytes()


def test_workers_and_batches_change_no_byte(folder, tmp_path):
    table, expected = run(folder, tmp_path / "1-1.parquet", 1, 1)
    rows = {row["path"]: row for row in table.to_pylist()}
    assert len(rows) == IMAGES and list(rows) == sorted(rows)
    assert rows["astronaut.png"]["digest"] == PUBLISHED_DIGEST
    assert "damaged.png" in rows["damaged.png"]["error"] and rows["damaged.png"]["digest"] == ""
    for workers, batch_size in ((2, 4), (4, 1), (2, 16)):
        assert run(folder, tmp_path / f"{workers}-{batch_size}.parquet", workers, batch_size)[1] == expected


def test_digests_from_python_ray_and_the_command_are_equal(folder, batch, detector, tmp_path):
    commands, _, _ = batch
    table, _ = run(folder, tmp_path / "found.parquet", 2, 4)
    rows = table.to_pylist()
    assert [row["path"] for row in rows] == list(commands)
    for row in rows:
        if row["error"]:
            assert commands[row["path"]]["error"] == row["error"]
            continue
        assert row["digest"] == commands[row["path"]]["digest"] == detector(folder / row["path"]).digest


def test_the_logs_head_is_that_of_the_command(folder, batch, tmp_path, capsys):
    _, head, log = batch
    expected = run(folder, tmp_path / "without.parquet", 2, 4)[1]
    written = tmp_path / "log.jsonl"
    for workers, batch_size in ((1, 1), (1, 16), (2, 4), (4, 1), (4, 16)):
        out = tmp_path / f"{workers}-{batch_size}.parquet"
        # The table does not depend on whether there is a log.
        assert run(folder, out, workers, batch_size, receipts=written)[1] == expected
        assert capsys.readouterr().out == f"{head}  {written}\n"
        assert written.read_bytes() == log
    done = subprocess.run([sys.executable, "-m", "retinanet", "verify", written, "--head", head], capture_output=True)
    assert done.returncode == 0, done


def test_a_killed_worker_changes_no_byte(folder, batch, tmp_path):
    _, _, log = batch
    expected = run(folder, tmp_path / "whole.parquet", 2, 1)[1]
    killed = []

    def kill():
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for process in Path("/proc").iterdir():
                try:
                    name = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                # Ray names a worker after what it runs.
                if b"ray::" in name and b"Find" in name:
                    time.sleep(0.5)
                    os.kill(int(process.name), signal.SIGKILL)
                    killed.append(int(process.name))
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    found = run(folder, tmp_path / "killed.parquet", 2, 1, receipts=tmp_path / "log.jsonl")[1]
    killer.join()
    assert killed, "no worker was seen to be killed"
    assert found == expected
    assert (tmp_path / "log.jsonl").read_bytes() == log


def test_daft_writes_the_same_bytes(folder, batch, tmp_path, monkeypatch):
    pytest.importorskip("daft", reason="daft is not installed: test.sh --all installs it")
    import daft_folder

    monkeypatch.delenv("PYTHONPATH", raising=False)
    expected = run(folder, tmp_path / "ray.parquet", 2, 4)[1]
    for workers, batch_size in ((1, 1), (2, 4), (2, 16)):
        out, log = tmp_path / f"daft-{workers}-{batch_size}.parquet", tmp_path / "log.jsonl"
        assert run(folder, out, workers, batch_size, daft_folder, receipts=log)[1] == expected
        assert log.read_bytes() == batch[2]
