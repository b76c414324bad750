"""Where recordings are kept: a folder, and an object store over its real protocol (moto's server speaks S3)."""

import os
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import obstore
import pytest

from gateway.audio.wav import read_channels
from gateway.call.commands import Hear
from gateway.call.events import CallerAudio, StreamStarted
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.errors import SettingsError
from gateway.store.log import LogWriter
from gateway.store.log_lines import Entry, Header, read_log
from gateway.store.recording.shelf import Recordings
from tests.s3 import bucket, s3_server

SOUND = "/wEC" * 53 + "/w=="


def record(recordings: Recordings, call_id: str, frames: int = 100) -> None:
    recorder = recordings.record(call_id)
    recorder.take(_frames(SOUND, frames))
    recorder.take([("closed", 1.0, EndReason("success", "x"), {})])


def leave(recordings: Recordings, call_id: str, frames: int) -> None:
    """Leave a recording as a process does that dies."""
    recorder = recordings.record(call_id)
    recorder.take(_frames(SOUND, frames))
    assert recorder._file is not None
    recorder._file.close()


def age(folder: Path) -> None:
    """Have it been long since recordings were written, so that nobody takes their calls up any more."""
    for path in folder.glob("*.wav"):
        os.utime(path, (0, 0))


def _frames(sound: str, frames: int) -> list[tuple[Any, ...]]:
    lines: list[tuple[Any, ...]] = [("event", 1, 0.0, StreamStarted("MZ", 1), [], ())]
    return lines + [("event", n, n / 50, CallerAudio(sound, 160, n * 20), [], ()) for n in range(frames)]


def eventually(what: object) -> None:
    assert callable(what)
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with a bucket called calls."""
    with s3_server(tmp_path_factory.mktemp("moto")) as address:
        yield address


def test_a_folder_of_its_own(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "unused", (tmp_path / "calls of today").as_uri())
    recordings.start()
    record(recordings, "call-1")
    assert recordings.find("call-2") is None
    kept = recordings.find("call-1")
    assert kept is not None
    assert kept.size == 58 + 100 * 320
    assert kept.read(0, 4) == b"RIFF"
    assert (tmp_path / "calls of today" / "call-1.wav").stat().st_size == kept.size
    assert recordings.delete("call-1")
    assert recordings.find("call-1") is None
    assert not recordings.delete("call-1")
    recordings.stop()


@pytest.mark.slow
def test_recordings_of_calls_that_are_over_move_to_the_store(tmp_path: Path, s3: str) -> None:
    before = Recordings(tmp_path)
    before.start()
    record(before, "left-by-a-crash")
    age(tmp_path)
    recordings = Recordings(tmp_path, bucket(s3))
    recordings.start()
    live = recordings.record("live")
    live.take(
        [("event", 1, 0.0, StreamStarted("MZ", 1), [], ()), ("event", 2, 0.1, CallerAudio(SOUND, 160, 0), [], ())]
    )
    record(recordings, "over", frames=5000)
    eventually(lambda: [path.stem for path in tmp_path.glob("*.wav")] == ["live"])
    for name, size in (("over", 58 + 5000 * 320), ("left-by-a-crash", 58 + 100 * 320), ("live", 58 + 320)):
        kept = recordings.find(name)
        assert kept is not None
        assert kept.size == size
        assert kept.read(8, 16) == b"WAVEfmt "
        assert len(kept.read(size - 10, size + 10)) == 10
    assert recordings.find("never") is None
    assert recordings.delete("over")
    assert recordings.find("over") is None
    assert not recordings.delete("over")
    live.take([("closed", 1.0, EndReason("success", "x"), {})])
    recordings.stop()
    assert not list(tmp_path.glob("*.wav"))


@pytest.mark.slow
def test_what_cannot_be_uploaded_stays_and_is_tried_again(tmp_path: Path, s3: str) -> None:
    recordings = Recordings(tmp_path, bucket(s3).replace("s3://calls", "s3://not-there-yet"))
    recordings.start()
    record(recordings, "call-1")
    eventually(lambda: recordings.failures >= 1)
    assert recordings.find("call-1") is not None
    httpx2.put(f"{s3}/not-there-yet")
    eventually(lambda: not list(tmp_path.glob("*.wav")))
    assert recordings.find("call-1") is not None
    recordings.stop()


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["stored", "stored, and the answer is lost"])
def test_what_is_erased_while_it_is_uploaded_does_not_stay_in_the_store(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    recordings = Recordings(tmp_path, bucket(s3))
    put, deleted = obstore.put, threading.Event()

    def slowly(store: Any, name: str, file: Path, **options: Any) -> Any:
        """Put the object, and have the recording erased before anybody knows that it is there."""
        put_at = put(store, name, file, **options)
        if not deleted.is_set():
            assert recordings.delete("call-1")
            deleted.set()
            put(store, name, b"RIFF", **options)  # what was on its way arrives after the erasure
            if answer != "stored":
                raise OSError("no answer")
        return put_at

    monkeypatch.setattr(obstore, "put", slowly)
    recordings.start()
    record(recordings, "call-1")
    assert deleted.wait(20)
    recordings.stop()
    assert recordings.find("call-1") is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_erased_while_a_process_that_died_uploaded_it_does_not_stay_in_the_store(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = obstore.put

    def dies(store: Any, name: str, file: Path, **options: Any) -> None:
        content = file.read_bytes()
        assert Recordings(tmp_path, bucket(s3)).delete("call-1")  # by another process
        put(store, name, content, **options)
        raise SystemExit  # ends the thread there and then

    monkeypatch.setattr(obstore, "put", dies)
    recordings = Recordings(tmp_path, bucket(s3))
    recordings.start()
    record(recordings, "call-1")
    recordings.stop()
    assert recordings.find("call-1") is not None
    monkeypatch.undo()
    again = Recordings(tmp_path, bucket(s3))
    again.start()
    again.stop()
    assert again.find("call-1") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_a_crash_left_is_uploaded_when_nobody_writes_it_nor_may_take_it_up(tmp_path: Path, s3: str) -> None:
    before = Recordings(tmp_path)
    before.start()
    leave(before, "just-lost", 50)
    leave(before, "long-lost", 50)
    age(tmp_path)
    os.utime(tmp_path / "just-lost.wav")
    living = before.record("written")  # by a process that lives
    living.take(_frames(SOUND, 50))
    os.utime(tmp_path / "written.wav", (0, 0))
    recordings = Recordings(tmp_path, bucket(s3))
    recordings.start()
    eventually(lambda: not (tmp_path / "long-lost.wav").exists())
    recordings.stop()
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["just-lost", "written"]
    living.take([("closed", 1.0, EndReason("success", "x"), {})])
    age(tmp_path)
    recordings = Recordings(tmp_path, bucket(s3))
    recordings.start()
    recordings.stop()
    assert not list(tmp_path.iterdir())
    for name in ("just-lost", "long-lost", "written"):
        kept = recordings.find(name)
        assert kept is not None
        assert kept.size == 58 + 50 * 320


def test_a_call_that_another_process_takes_up_is_recorded_on(tmp_path: Path) -> None:
    before = Recordings(tmp_path)
    before.start()
    leave(before, "call-1", 50)
    kept = before.find("call-1")
    assert kept is not None
    first = read_channels(kept.read(0, kept.size))[0]
    assert len(first) == 50 * 160
    again = Recordings(tmp_path)
    recorder = again.record("call-1")
    recorder.take(_frames("AAEC" * 53 + "AA==", 10))
    recorder.take([("note", 0.3, "recording-masked", {"seconds": 0.1})])
    recorder.take([("closed", 1.0, EndReason("success", "x"), {})])
    caller = read_channels(kept.read(0, kept.size))[0]
    assert caller[: len(first)] == first
    assert caller[len(first) :] == (b"\x00\x01\x02" * 53 + b"\x00") * 5 + b"\xff" * 5 * 160


@pytest.mark.slow
def test_what_a_crash_left_of_a_call_that_goes_on_is_not_uploaded_before_its_end(tmp_path: Path, s3: str) -> None:
    before = Recordings(tmp_path)
    before.start()
    leave(before, "goes-on", 50)
    record(before, "over")
    age(tmp_path)
    recordings = Recordings(tmp_path, bucket(s3))
    recorder = recordings.record("goes-on")
    recordings.start()
    eventually(lambda: [path.stem for path in tmp_path.glob("*.wav")] == ["goes-on"])
    recorder.take(_frames(SOUND, 10))
    recorder.take([("closed", 1.0, EndReason("success", "x"), {})])
    recordings.stop()
    kept = recordings.find("goes-on")
    assert kept is not None
    assert kept.size == 58 + 60 * 320
    assert not list(tmp_path.glob("*.wav"))


def test_frames_are_in_the_recording_before_their_run_is_whole(tmp_path: Path) -> None:
    recordings, logs = Recordings(tmp_path / "recordings"), LogWriter(tmp_path / "calls")
    logs.folder.mkdir()
    header = Header("call-1", "CA1", "desk", "hash", "1", 0.0, 0.0, Policy("desk"), {})
    call_log = logs.open(header, [recordings.record("call-1")])
    call_log.append(0.0, StreamStarted("MZ", 1), [])
    sounds = [b64encode(bytes([number]) * 160).decode() for number in range(30)]
    for number, sound in enumerate(sounds):
        call_log.append(number / 50, CallerAudio(sound, 160, number * 20), [Hear(sound, 160)])
        if number in {4, 7, 28}:
            logs._flush(call_log)
            kept = recordings.find("call-1")
            assert kept is not None
            caller, _ = read_channels(kept.read(0, kept.size))
            assert caller == b"".join(bytes([each]) * 160 for each in range(number + 1))
    call_log.close(1.0, EndReason("success", "x"), {"usage": {}, "turns": []})
    logs._flush(call_log)
    call_log.let_go()
    frames = [line.event for line in read_log(call_log.path) if isinstance(line, Entry)][1:]
    assert [frame.timestamp_ms for frame in frames if isinstance(frame, CallerAudio)] == [*range(0, 600, 20)]


def test_ids_are_no_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no call's id"):
        Recordings(tmp_path).find("../secret")


def test_an_address_that_makes_no_sense_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GATEWAY_RECORDINGS_URL: "):
        Recordings(tmp_path, "ftp://somewhere/else")


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    recordings = Recordings(tmp_path / "file")
    recorder = recordings.record("call-1")
    recorder.take(
        [("event", 1, 0.0, StreamStarted("MZ", 1), [], ()), ("event", 2, 0.1, CallerAudio(SOUND, 160, 0), [], ())]
    )
    assert recorder.failed
    assert recordings.failures == 1
    recorder.take([("closed", 1.0, EndReason("success", "x"), {})])
