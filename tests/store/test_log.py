"""The log on a bad day: what no encoder takes, a disk that is full, a process that has only just begun a call."""

import resource
import signal
from contextlib import contextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.call.events import DigitPressed, ToolEnded
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.store.log import LogWriter
from gateway.store.log_lines import Closed, Entry, Header, Note, read_log

HEADER = Header("c1", "CA1", "desk", "hash", "0", 0.0, 0.0, Policy("desk"), {})
END = EndReason("success", "done")


@contextmanager
def largest_file(size):
    """Let no file grow beyond so many bytes, as a full disk would; part of a write may still fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def close(log):
    log.close(9.0, END, {"usage": {}, "turns": []})


def test_a_call_is_on_record_before_the_writer_had_its_turn(tmp_path):
    writer = LogWriter(tmp_path)
    log = writer.open(HEADER)
    log.begin()
    assert [type(line) for line in read_log(log.path)] == [Header]
    log.append(0.5, DigitPressed("1"), [])
    close(log)
    log.begin()
    writer.start()
    writer.stop()
    log.begin()
    assert [type(line) for line in read_log(log.path)] == [Header, Entry, Closed]


def test_what_is_no_text_becomes_text_and_nobody_else_s_log_suffers(tmp_path):
    writer = LogWriter(tmp_path)
    broken, odd, other = (writer.open(replace(HEADER, call_id=name)) for name in "abc")
    broken.note(0.1, "impossible", {"value": object()})
    odd.append(0.1, ToolEnded("find", "half a pair: \ud83d", "t\udc00"), [])
    odd.note(0.2, "note", {"\ud83d": ["\ud83d", 1, None]})
    other.append(0.1, DigitPressed("1"), [])
    for log in (broken, odd, other):
        close(log)
    with capture_logs() as told:
        writer.start()
        writer.stop()
    assert [line["event"] for line in told] == ["line-not-logged"]
    [_, entry, note, _] = read_log(odd.path)
    assert isinstance(entry, Entry)
    assert entry.event == ToolEnded("find", "half a pair: ?", "t?")
    assert isinstance(note, Note)
    assert note.details == {"?": ["?", 1, None]}
    assert [type(line) for line in read_log(other.path)] == [Header, Entry, Closed]
    assert [type(line) for line in read_log(broken.path)] == [Header, Closed]
    assert writer.failures == 1


@pytest.mark.parametrize("room", [0, 20, 150])
def test_a_disk_that_was_full_leaves_no_half_a_line(tmp_path, room):
    writer = LogWriter(tmp_path)
    log = writer.open(HEADER)
    log.begin()
    for number in range(10):
        log.append(float(number), DigitPressed("1"), [])
    with largest_file(log.path.stat().st_size + room), capture_logs():
        writer._flush(log)
    assert writer.failures == 1
    log.append(11.0, DigitPressed("2"), [])
    close(log)
    writer.start()
    writer.stop()
    lines = list(read_log(log.path))
    assert [line.event for line in lines if isinstance(line, Entry)] == [DigitPressed("2")]
    assert isinstance(lines[-1], Closed)
