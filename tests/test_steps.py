"""Progress on standard error: bars on a terminal, a plain line now and then in a pipe, nothing when asked."""

from __future__ import annotations

import io
import sys

import pytest

from haqc.steps import PLAIN_S, Steps, progress


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def plain(steps: Steps, clock: Clock) -> Steps:
    """The steps of a pipe at a clock of the test's."""
    return Steps(steps.bars, is_plain=steps.is_plain, now_s=clock)


@pytest.mark.parametrize("quiet", [True, False])
def test_a_quick_command_says_nothing_in_a_pipe(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress(quiet) as steps:
        step = plain(steps, Clock()).step("search", total=2)
        step.advance(note="best 79.1 %")
        step.advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_long_command_says_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with progress(False) as real:
        steps = plain(real, clock)
        search, tune = steps.step("search: ddpg", total=48), steps.step("fine-tune [bold]", total=1000)
        for _ in range(12):
            clock.seconds += PLAIN_S / 4
            search.advance(2, "best 83.4 %")
        tune.advance(250)
        clock.seconds += PLAIN_S
        tune.advance(250)
        clock.seconds += PLAIN_S
        search.advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "search: ddpg 8/48 best 83.4 %",
        "search: ddpg 16/48 best 83.4 %",
        "search: ddpg 24/48 best 83.4 %",
        "fine-tune [bold] 500/1000 1 min left",  # the second quarter took 30 seconds
        "search: ddpg 25/48 best 83.4 %",
    ]


def test_a_quiet_command_says_nothing_however_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with progress(True) as real:
        step = plain(real, clock).step("search", total=4)
        clock.seconds += 10 * PLAIN_S
        step.advance()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "spent_s", "done", "said"),
    [
        (11, 30.0, 5, "30 s left"),
        (11, 1.0, 5, ""),
        (None, 30.0, 5, ""),
        (11, 30.0, 10, ""),
        (11, 30.0, 0, ""),
        (11, 600.0, 1, "1 h 30 min left"),
    ],
)
def test_the_time_left_follows_from_the_pace(total: int | None, spent_s: float, done: int, said: str) -> None:
    clock = Clock()
    with progress(False) as real:
        step = plain(real, clock).step("tune", total=total)
        clock.seconds += 1000.0  # of preparation, such as what a reconstruction tries before it begins
        step.advance(0, "")
        step.advance(1)
        assert real.bars.tasks[0].fields["note"] == ""
        clock.seconds += spent_s
        step.advance(done)
        assert real.bars.tasks[0].fields["note"] == said


def test_progress_on_a_terminal_goes_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with progress(False) as steps:
        step = steps.step("search [bold]", total=60)
        step.advance(2, note="best 79.1 %\x1b[2J")
        print("a result")
    assert "search [bold]" in stream.getvalue()
    assert "2/60" in stream.getvalue()
    assert "best 79.1 %\\u001b[2J" in stream.getvalue()
    assert capsys.readouterr().out == "a result\n"


def test_a_search_fits_a_line_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    with progress(False) as steps:
        steps.step("search: ddpg", total=48).advance(24, "best 83.42 % · 59 min left · 4.1/5.2 mean bits")
    assert "best 83.42 % · 59 min left · 4.1/5.2 mean bits" in stream.getvalue()


def test_progress_is_quiet_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(True) as steps:
        steps.step("search", total=1).advance()
    assert stream.getvalue() == ""
