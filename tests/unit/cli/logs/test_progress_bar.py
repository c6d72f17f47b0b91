"""The line that moves at the bottom of a terminal."""

import io
import os
import re
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli.logs.build_log import BuildLog, Style
from lifecycle.cli.logs.progress_bar import ProgressBar

ERASE = "\r\x1b[2K"


class Terminal(io.StringIO):
    """What was written, and what is on the screen in the end."""

    def screen(self):
        return [line.rpartition(ERASE)[2] for line in self.getvalue().split("\n")]

    def drawings(self):
        return [part for part in re.split(r"\r\x1b\[2K|\n", self.getvalue()) if part]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


@pytest.fixture
def bar(terminal, clock):
    return ProgressBar(terminal, shown=True, clock=clock)


def test_work_that_is_soon_done_is_not_shown(bar, clock, terminal):
    for done in range(100):
        clock.now = done * 0.0049
        bar("task", done, 100)
    bar("task", 100, 100)
    assert terminal.getvalue() == ""


def test_lasting_work_shows_its_share_and_goes_when_it_is_done(bar, clock, terminal):
    bar("packing a", 0, 4_000_000)
    clock.now = 0.6
    bar("packing a", 1_000_000, 4_000_000)
    assert terminal.screen() == ["    #####...............  25%  1.0 MB of 4.0 MB  packing a"]
    bar("packing a", 4_000_000, 4_000_000)
    assert terminal.screen() == [""]


def test_work_of_unknown_size_shows_how_much_is_done(bar, clock, terminal):
    bar("packing a", 0, None)
    clock.now = 0.6
    bar("packing a", 1_500_000, None)
    assert terminal.screen() == ["    1.5 MB  packing a"]


def test_several_tasks_share_the_line(bar, clock, terminal):
    bar("packing a", 0, 1000)
    bar("packing b", 0, 3000)
    bar("packing c", 0, 4000)
    clock.now = 0.6
    bar("packing c", 2000, 4000)
    assert terminal.screen() == ["    #####...............  25%  2.0 kB of 8.0 kB  packing a and 2 more"]
    bar("packing a", 1000, 1000)
    clock.now = 0.8
    bar("packing b", 100, 3000)
    assert terminal.screen()[0].endswith("packing b and 1 more")


def test_the_line_is_drawn_ten_times_a_second_at_most(bar, clock, terminal):
    for step in range(5001):
        clock.now = step / 1000
        bar("task", step, 10_000)
    assert 30 <= len(terminal.drawings()) <= 46


def test_what_others_write_stands_above_the_line(bar, clock, terminal):
    for step in range(1, 11):
        clock.now = step
        bar("task", step, 100)
        with bar.above():
            terminal.write(f"line {step}\n")
    assert terminal.screen() == [*(f"line {step}" for step in range(1, 11)), ""]
    assert "task" in terminal.getvalue()


def test_a_task_that_never_ends_goes_with_the_log(bar, clock, terminal):
    bar("task", 0, 10)
    clock.now = 1
    bar("task", 1, 10)
    bar.close()
    assert terminal.screen() == [""]


@given(st.text(min_size=1), st.integers(1, 200), st.integers(0, 10**15), st.none() | st.integers(1, 10**15))
def test_the_line_fits_the_terminal_whatever_it_says(task, columns, done, total):
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar(terminal, shown=True, clock=clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        bar(task, -1, total)
        clock.now = 1
        bar(task, done, total)
    assert all(len(drawing) < columns and drawing.isprintable() for drawing in terminal.drawings())


def test_threads_do_not_tear_the_line(terminal):
    bar = ProgressBar(terminal, shown=True, clock=iter(range(10**6)).__next__)

    def work(name):
        for done in range(200):
            bar(name, done, 200)
            with bar.above():
                terminal.write(f"{name} {done}\n")
        bar(name, 200, 200)

    threads = [threading.Thread(target=work, args=(f"task-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(terminal.screen()) == sorted(["", *(f"task-{n} {done}" for n in range(4) for done in range(200))])


def test_a_terminal_that_went_away_stops_nothing(clock):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # noqa: PTH123  # a descriptor
        bar = ProgressBar(stream, shown=True, clock=clock)
        bar("task", 0, 10)
        clock.now = 1
        bar("task", 1, 10)
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


def test_the_bar_is_for_terminals_and_for_people(monkeypatch):
    reader, writer = os.openpty()
    seen = {}
    with open(writer, "w") as terminal, io.StringIO() as file:  # noqa: PTH123  # a descriptor
        logs = {}
        for style in Style:
            for term in ("xterm", "dumb", ""):
                for stream in (terminal, file):
                    monkeypatch.setenv("TERM", term)
                    monkeypatch.setattr("sys.stderr", stream)
                    logs[style, term, stream is terminal] = BuildLog(style)
        for log in logs.values():
            log.progress("task", 0, 10)
        time.sleep(0.6)
        for key, log in logs.items():
            log.progress("task", 1, 10)
            os.write(writer, b".")
            seen[key] = b"task" in os.read(reader, 1000)
        assert file.getvalue() == ""
    os.close(reader)
    assert {key for key, is_shown in seen.items() if is_shown} == {
        (Style.NORMAL, "xterm", True),
        (Style.VERBOSE, "xterm", True),
    }
