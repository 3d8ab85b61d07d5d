"""Makes the small checkpoints in tests/golden/checkpoints (run with PyTorch and numpy installed).

They cover both .pth containers, the element types, strided and shared storages, and hostile files.
Files in the pre-2020 container differ from run to run in their storages' names, which are addresses.
Every element of a `ramp` tensor is (i * 37 % 101 - 50) / 64, which the Rust tests compute again.
"""

import collections
import io
import os
import pickle
import struct
import sys
import zipfile

import torch

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkpoints")


def ramp(*shape, dtype=torch.float32):
    count = 1
    for side in shape:
        count *= side
    return torch.tensor([(i * 37 % 101 - 50) / 64 for i in range(count)], dtype=dtype).reshape(shape)


def save(obj, name, **options):
    torch.save(obj, os.path.join(OUT, name), **options)


def write(name, data):
    with open(os.path.join(OUT, name), "wb") as out:
        out.write(data)


def good():
    shared = ramp(24)
    state = collections.OrderedDict(
        full=ramp(2, 3, 4),
        half=ramp(5, dtype=torch.float16),
        brain=ramp(5, dtype=torch.bfloat16),
        double=ramp(3, dtype=torch.float64),
        scalar=torch.tensor(7, dtype=torch.int64),
        empty=torch.zeros(0, 3),
        transposed=ramp(3, 4).t(),
        channels_last=ramp(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        every_other=ramp(9)[1::2],
        shared_start=shared[:6].view(2, 3),
        shared_rest=shared[6:],
        parameter=torch.nn.Parameter(ramp(4)),
    )
    for kind, zipped in (("zip", True), ("legacy", False)):
        save(state, f"{kind}.pth", _use_new_zipfile_serialization=zipped)
        nested = {"epoch": 3, "best": 0.5, "model": {"module.a": ramp(2)}, "optimizer": {"m": ramp(7)}}
        save(nested, f"{kind}_nested.pth", _use_new_zipfile_serialization=zipped)
    save({"a": ramp(3)}, "zip_protocol_4.pth", pickle_protocol=4)
    # A directory entry as long as the zip64 record behind the directory.
    assert len("name_of_21_characters") == 21
    save({"a": ramp(3)}, "name_of_21_characters.pth")
    torch.serialization.set_crc32_options(False)
    save({"a": ramp(3)}, "zip_no_checksums.pth")
    torch.serialization.set_crc32_options(True)


class Foreign:
    def __reduce__(self):
        return os.system, ("touch /tmp/executed",)


class Persistent(pickle.Pickler):
    """Writes whatever a test wants as storages."""

    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Stored) else None


class Stored:
    def __init__(self, *id):
        self.id = id


class Tensor:
    def __init__(self, storage, *rest):
        self.arguments = (storage, *rest, False, collections.OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


def dumps(obj):
    out = io.BytesIO()
    Persistent(out, protocol=2).dump(obj)
    return out.getvalue()


def zipped(name, entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for entry, data in entries.items():
            archive.writestr(zipfile.ZipInfo(entry), data, compress_type=method)
    write(name, out.getvalue())


def tensor(start=0, shape=(2,), strides=(1,), elements=2, key="0"):
    stored = Stored("storage", torch.FloatStorage, key, "cpu", elements)
    return Tensor(stored, start, shape, strides)


def hostile():
    save({"a": ramp(2), "b": Foreign()}, "foreign.pth")
    save({"a": ramp(2), "b": Foreign()}, "foreign_legacy.pth", _use_new_zipfile_serialization=False)
    data = struct.pack("<2f", 1.0, 2.0)
    plain = dumps({"a": tensor()})

    def variant(name, obj, storage=data, **more):
        zipped(name, {"x/data.pkl": dumps(obj), "x/data/0": storage, **more})

    variant("bad_outside.pth", {"a": tensor(start=1)})
    variant("bad_huge_shape.pth", {"a": tensor(shape=(2**62, 8), strides=(1, 1))})
    variant("bad_negative.pth", {"a": tensor(shape=(-2,))})
    variant("bad_repeated.pth", {"a": tensor(shape=(2**40,), strides=(0,))})
    variant("bad_short_storage.pth", {"a": tensor()}, storage=data[:6])
    variant("bad_missing_storage.pth", {"a": tensor(key="9")})
    many = {f"a{i}": tensor(shape=(1024,), elements=1024) for i in range(100)}
    variant("bad_many_shares.pth", many, storage=bytes(4096))
    variant("bad_big_endian.pth", {"a": tensor()}, **{"x/byteorder": b"big"})
    variant("bad_no_tensors.pth", {"a": 1})
    variant("bad_two_states.pth", {"model": {"a": tensor()}, "state_dict": {"a": tensor()}})
    zipped("bad_compressed.pth", {"x/data.pkl": plain, "x/data/0": bytes(8)}, zipfile.ZIP_DEFLATED)
    zipped("bad_no_pickle.pth", {"x/other": b""})
    zipped("bad_two_pickles.pth", {"x/data.pkl": plain, "y/data.pkl": plain})
    zipped("bad_nesting.pth", {"x/data.pkl": b"\x80\x02" + b"(" * 5000})
    # A list holding itself, and a dict under its own key.
    zipped("bad_cycle.pth", {"x/data.pkl": b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s."})


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    torch.manual_seed(0)
    good()
    hostile()
    sys.stdout.write(f"wrote {len(os.listdir(OUT))} files\n")
