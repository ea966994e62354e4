"""A server that refuses for minutes, in a test's own time: what is waited out, within which caps, and what is final."""

import contextlib
import errno
import http.server
import logging
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from goldwash.errors import GoldwashError
from goldwash.filters import cache
from goldwash.pipeline.storage import patience
from goldwash.pipeline.storage.downloads import local_copy, worth_another_request
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives
from goldwash.pipeline.storage.patience import Clock, Manners, patiently, user_agent
from goldwash.pipeline.storage.retry import exhausted


class Quick(Clock):
    """A clock that jumps where others wait."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000_000.0, list[float]()

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def jitter(self) -> float:
        return 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Quick:
    quick = Quick()
    monkeypatch.setattr(patience, "CLOCK", quick)
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    cache._home.cache_clear()
    return quick


class Moody(http.server.BaseHTTPRequestHandler):
    """Answers by the time since the first request: a list of (until, status), then the content."""

    clock: ClassVar[Quick]
    moods: ClassVar[list[tuple[float, int]]] = []
    retry_after: ClassVar[str] = ""
    began: ClassVar[float] = -1.0
    agents: ClassVar[set[str]] = set()
    times: ClassVar[list[float]] = []
    CONTENT = b"crawl-data/CC-MAIN-2024-10/a.warc.gz\n"

    def _answer(self, body: bool) -> None:
        own, now = type(self), self.clock.time()
        own.agents.add(self.headers.get("User-Agent", ""))
        own.times.append(now)
        if own.began < 0:
            own.began = now
        status = next((status for until, status in own.moods if now - own.began < until), 200)
        self.send_response(status)
        if status == 200:
            self.send_header("Content-Length", str(len(self.CONTENT)))
        else:
            self.send_header("Content-Length", "0")
            if own.retry_after:
                self.send_header("Retry-After", own.retry_after)
        self.end_headers()
        if body and status == 200:
            self.wfile.write(self.CONTENT)

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(clock: Quick) -> Iterator[str]:
    Moody.clock, Moody.moods, Moody.retry_after, Moody.began = clock, [], "", -1.0
    Moody.agents, Moody.times = set(), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def content(location: str) -> bytes:
    with local_copy(location) as path:
        return Path(path).read_bytes()


def test_two_minutes_of_403_and_five_of_503_are_waited_out(server: str, clock: Quick, caplog: pytest.LogCaptureFixture) -> None:
    Moody.moods = [(120, 403), (420, 503)]
    with caplog.at_level(logging.WARNING, "goldwash"):
        assert content(f"{server}/warc.paths") == Moody.CONTENT
    assert 420 <= clock.now - 1_000_000 <= 660
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(
        "the server answered 403; waiting and asking again for up to 60 min (GOLDWASH_PATIENCE=SECONDS)"
    )
    assert len(Moody.times) < 40


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 504])
def test_after_an_hour_a_refusal_is_final_and_has_a_cure(server: str, clock: Quick, status: int) -> None:
    Moody.moods = [(1e9, status)]
    with pytest.raises(DataError, match=rf"answered {status} for 60 min .*GOLDWASH_REQUESTS_AT_ONCE=1") as raised:
        content(f"{server}/warc.paths")
    assert 3600 <= clock.now - 1_000_000 <= 3700
    assert exhausted(raised.value)


@pytest.mark.parametrize("status", [401, 404, 410])
def test_other_answers_are_final_at_once(server: str, clock: Quick, status: int) -> None:
    Moody.moods = [(1e9, status)]
    with pytest.raises(DataError):
        content(f"{server}/warc.paths")
    assert clock.slept == []


def test_a_server_that_is_down_is_waited_for_and_is_not_a_missing_file(clock: Quick, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        with (
            caplog.at_level(logging.WARNING, "goldwash"),
            pytest.raises(DataError, match=r"no answer for 60 min \(GOLDWASH_PATIENCE=SECONDS\) .*Check the network"),
        ):
            content(f"http://127.0.0.1:{closed.getsockname()[1]}/warc.paths")
    assert 3600 <= clock.now - 1_000_000 <= 3700
    assert len(caplog.messages) == 1


def test_a_host_that_does_not_exist_is_final_at_once(clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataError, match=r"there is no such host .*Check the address"):
        content("http://no-such-host.example/warc.paths")
    assert clock.slept == []


class ProfileNotFound(Exception):
    """An error of botocore's name, of which "credential" is no part."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left on device"), ProfileNotFound("no profile 'lab'")])
def test_a_full_disk_and_missing_credentials_are_not_waited_out(clock: Quick, error: Exception) -> None:
    with pytest.raises(type(error)):
        patiently("s3://private/x", failing(1, error), worth_another_request)
    assert clock.slept == []


def test_retry_after_is_honoured(server: str, clock: Quick) -> None:
    Moody.moods, Moody.retry_after = [(100, 503)], "300"
    content(f"{server}/warc.paths")
    assert clock.slept == [300.0]


def test_retry_after_as_a_date_or_as_nonsense(server: str, clock: Quick) -> None:
    Moody.moods, Moody.retry_after = [(10, 429)], "Mon, 12 Jan 1970 13:56:40 GMT"  # 1,000,000 s + 10 min
    content(f"{server}/warc.paths")
    assert clock.slept == [600.0]
    Moody.began, Moody.retry_after = -1.0, "when I like"
    content(f"{server}/warc.paths")
    assert clock.slept[1:] == [1.0, 2.0, 4.0, 8.0]


def test_settings(server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_PATIENCE", "30")
    Moody.moods = [(1e9, 503)]
    with pytest.raises(DataError):
        content(f"{server}/warc.paths")
    assert clock.now - 1_000_000 == 30
    monkeypatch.setenv("GOLDWASH_PATIENCE", "long")
    with pytest.raises(ValueError, match="GOLDWASH_PATIENCE is 'long': expected a number") as raised:
        Manners.here()
    assert isinstance(raised.value, GoldwashError)  # a sentence for the user, not a bug in goldwash


def test_the_user_agent_names_goldwash_and_who_runs_it(server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_USER_AGENT", "mail@lab.example")
    content(f"{server}/warc.paths")
    assert Moody.agents == {user_agent()}
    assert user_agent().startswith("goldwash")
    assert user_agent().endswith(" (mail@lab.example)")


def test_no_more_than_so_many_per_second(server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_REQUESTS_PER_SECOND", "2")
    for _ in range(5):
        patiently(f"{server}/x", lambda: Moody.times.append(clock.now))
    assert [b - a for a, b in zip(Moody.times, Moody.times[1:], strict=False)] == [0.5] * 4


def _ask(server: str, done: Any) -> None:
    import urllib.request

    patience.CLOCK = Clock()
    for _ in range(3):
        patiently(f"{server}/x", lambda: urllib.request.urlopen(f"{server}/x").read())
    done.put(1)


def test_the_cap_is_shared_by_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_REQUESTS_AT_ONCE", "2")
    monkeypatch.setenv("GOLDWASH_REQUESTS_PER_SECOND", "1000")
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    cache._home.cache_clear()
    now, most, lock = [0], [0], threading.Lock()

    class Slow(Moody):
        def do_GET(self) -> None:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.05)
            with lock:
                now[0] -= 1
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        spawn = multiprocessing.get_context("fork")
        done = spawn.Queue()
        workers = [
            spawn.Process(target=_ask, args=(f"http://127.0.0.1:{httpd.server_port}", done)) for _ in range(5)
        ]  # fmt: skip
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        httpd.shutdown()
    assert [done.get(timeout=60) for _ in workers] == [1] * 5
    assert most[0] == 2


def test_a_pause_holds_for_the_other_processes_of_the_machine(
    server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDWASH_REQUESTS_AT_ONCE", "4")
    answers = [OSError("reset"), "first"]

    def ask() -> object:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise ConnectionError("reset") from answer
        return answer

    begun = list[float]()
    assert patiently(f"{server}/x", ask) == "first"
    patiently(f"{server}/y", lambda: begun.append(clock.now))
    assert begun[0] >= 1_000_001


def test_a_clock_that_went_back_does_not_block(server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_REQUESTS_AT_ONCE", "1")
    folder = patience._folder(server.removeprefix("http://"))
    (folder / "turn").write_text(repr(clock.now + 1e7))
    patiently(f"{server}/x", lambda: None)
    assert clock.slept == []


class SlowDown(Exception):
    """An error as botocore's ``ClientError`` for S3's SlowDown."""

    def __init__(self, status: int, retry_after: str = "") -> None:
        super().__init__("An error occurred (SlowDown): Please reduce your request rate.")
        headers = {"retry-after": retry_after} if retry_after else {}
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}


SlowDown.__module__ = "botocore.exceptions"


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [times]

    def ask() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "answer"

    return ask


def test_a_store_that_asks_to_slow_down(clock: Quick) -> None:
    assert patiently("s3://commoncrawl/x", failing(9, SlowDown(503))) == "answer"
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]
    clock.slept.clear()
    assert patiently("s3://commoncrawl/x", failing(1, SlowDown(503, "7"))) == "answer"
    assert clock.slept == [7.0]


def test_a_bucket_s_pause_holds_for_the_other_processes_and_it_has_no_cap(clock: Quick) -> None:
    class Told(Exception): ...

    def pausing() -> str:
        raise SlowDown(503, "300")

    def stop(seconds: float) -> None:
        raise Told

    sleep, clock.sleep = clock.sleep, stop  # type: ignore[method-assign]
    with contextlib.suppress(Told):  # as if the process died in its pause
        patiently("s3://crawl/a", pausing)
    clock.sleep = sleep  # type: ignore[method-assign]
    assert patiently("s3://other/a", lambda: "answer") == "answer"
    assert clock.slept == []
    assert patiently("s3://crawl/b", lambda: "answer") == "answer"
    assert clock.slept == [300.0]
    for _ in range(50):
        patiently("s3://crawl/b", lambda: "answer")
    assert clock.slept == [300.0]


def test_caps_that_are_set_hold_for_buckets_too(clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_REQUESTS_PER_SECOND", "2")
    began = clock.time()
    for _ in range(5):
        patiently("s3://crawl/b", lambda: "answer")
    assert clock.time() - began == pytest.approx(2.0)


def test_a_store_that_refuses_is_final(clock: Quick) -> None:
    with contextlib.suppress(SlowDown):
        patiently("s3://private/x", failing(1, SlowDown(403)))
    assert clock.slept == []


def test_a_crawl_s_own_lists(server: str, clock: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_COMMON_CRAWL", server)
    asked = list[str]()

    def serve(self: Moody) -> None:
        asked.append(self.path)
        self._answer(self.command == "GET")

    monkeypatch.setattr(Moody, "do_GET", serve)
    for name in ("CC-MAIN-2024-10,kind=robotstxt", "CC-SUPPLEMENTAL-2026-22", "CC-NEWS-2024-03", "CC-MAIN-2024-10,kind=wet"):
        assert len(find_archives([name])) == 1
    assert sorted(set(asked)) == [
        "/crawl-data/CC-MAIN-2024-10/robotstxt.paths.gz", "/crawl-data/CC-MAIN-2024-10/wet.paths.gz",
        "/crawl-data/CC-NEWS/2024/03/warc.paths.gz", "/crawl-data/CC-SUPPLEMENTAL-2026-22/warc.paths.gz",
    ]  # fmt: skip
    with pytest.raises(DataError, match="kind is 'robots'; expected warc, wet, wat, robotstxt"):
        find_archives(["CC-MAIN-2024-10,kind=robots"])
