"""Logs whose lines were made one by one: the command's, to the byte, or a refusal."""

import pickle
import shutil
import subprocess
import sys

import pytest

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS
from retinanet import Detector, Listing, LogLine, RetinaNetError, verify, write_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(PHOTO, folder / "b.png")
    (folder / "a.png").write_bytes(PHOTO.read_bytes()[:3000])
    (folder / "notes.md").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def lines(detector, folder):
    listing = Listing(folder)
    return [LogLine.create(detector, path, name) for path, name in zip(listing.paths, listing.names)]


def test_a_listing_is_the_commands(folder):
    listing = Listing(folder)
    assert listing.names == ["a.png", "b.png"] and len(listing) == 2
    assert listing.paths == [str(folder.resolve() / name) for name in listing.names]
    with pytest.raises((ValueError, RetinaNetError), match="no/such"):
        Listing(folder / "no/such")
    with pytest.raises(RetinaNetError, match="empty"):
        Listing()


def test_a_line_has_the_answer_or_the_error(lines):
    broken, found = lines
    assert broken.image == "a.png" and broken.detections is None and "a.png" in broken.error
    assert found.error is None and found.detections.digest == PUBLISHED_DIGEST
    again = pickle.loads(pickle.dumps(found))
    assert again.to_json() == found.to_json() and again.detections.digest == PUBLISHED_DIGEST
    for text in ("", "{}", found.to_json()[:-5], found.to_json().replace('"image"', '"picture"', 1)):
        with pytest.raises(ValueError, match="no line for a log"):
            LogLine.from_json(text)


def test_the_log_is_the_commands_to_the_byte(detector, folder, lines, tmp_path):
    theirs, ours = tmp_path / "theirs.jsonl", tmp_path / "ours.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "retinanet", "batch", folder, "--weights", WEIGHTS]
        + ["--out", tmp_path / "results.jsonl", "--receipts", theirs],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done
    # As lines or as their text.
    summary = write_log(ours, detector, Listing(folder), [lines[0].to_json(), lines[1]])
    assert ours.read_bytes() == theirs.read_bytes()
    assert done.stdout.startswith(summary.head) and (summary.images, summary.failed) == (2, 1)
    result = verify(ours, head=summary.head)
    assert result.same and summary.head in result.report
    assert subprocess.run([sys.executable, "-m", "retinanet", "verify", ours]).returncode == 0
    # A log that does not hold is a verdict; one of other images differs.
    with pytest.raises(ValueError, match="no hash"):
        verify(ours, head="abc")
    assert not verify(ours, head=summary.head[::-1])
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(PHOTO, moved / name)
    assert not verify(ours, images=moved)
    ours.write_text(ours.read_text().replace('"bytes":3000', '"bytes":3001'))
    assert "was changed" in verify(ours).report and not verify(ours)


def test_lines_that_do_not_fit_are_refused_and_nothing_is_written(detector, folder, lines, tmp_path):
    listing, out = Listing(folder), tmp_path / "log.jsonl"
    broken, found = lines
    other = Detector(WEIGHTS, score_threshold=0.5)
    foreign = LogLine.create(other, folder / "b.png", "b.png")
    for given, part in (
        ([found, broken], "order of the list"),
        ([broken], "none about \"b.png\""),
        ([broken, found, found], "one image more"),
        ([broken, foreign], "configuration"),
    ):
        with pytest.raises(RetinaNetError, match="cannot be part") as raised:
            write_log(out, detector, listing, given)
        assert part in str(raised.value), raised.value
        assert not out.exists()
    for given in ([broken, None], [broken, 7], None, 7):
        with pytest.raises(TypeError):
            write_log(out, detector, listing, given)

    def failing():
        yield broken
        raise KeyError("from the caller")

    with pytest.raises(KeyError, match="from the caller"):
        write_log(out, detector, listing, failing())
    assert not out.exists()
    write_log(out, detector, listing, lines)
    with pytest.raises(RetinaNetError, match="there already"):
        write_log(out, detector, listing, lines)
    assert write_log(out, detector, listing, lines, overwrite=True).images == 2
