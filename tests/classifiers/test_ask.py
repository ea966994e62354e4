"""Asking a server: what is sent, what its answers mean, retries, the cache, and servers that answer nonsense or nothing."""

import json
import math
import sqlite3
import threading
import time

import numpy as np
import pytest

from goldwash.classifiers import ask as asking
from goldwash.classifiers.ask import Answers, ask
from goldwash.classifiers.model_file import ModelError
from goldwash.filters import cache
from goldwash.filters.texts import Texts
from tests.support.servers import serving


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(asking, "PAUSE", 0.001)
    monkeypatch.setattr(asking, "LONGEST_PAUSE", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def reply(*tokens, status=200, **headers):
    """A server's answer with these likeliest tokens and their probabilities."""
    top = [{"token": token, "logprob": math.log(p) if p else -9999.0} for token, p in tokens]
    content = [{"token": top[0]["token"], "logprob": top[0]["logprob"], "top_logprobs": top}] if top else []
    body = {"choices": [{"message": {"content": "yes"}, "logprobs": {"content": content}}]}
    return status, json.dumps(body).encode(), headers


def plain(body, status=200, **headers):
    return status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers


def by_text(request):
    """Yes, the likelier the more often the text says gold."""
    if request["path"] == "/v1/models":
        return plain({"data": [{"id": "little-model"}]})
    text = request["body"]["messages"][0]["content"].split("###")[1]
    share = min(text.count("gold") / 10, 0.9)
    return reply((" Yes", share * 0.75), ("yes", share * 0.25), ("no", 1 - share))


def measured(address, texts):
    return ask(address, None).measure(Texts.of(texts), None)


def test_the_probability_of_yes_over_its_spellings():
    with serving(by_text) as server:
        found = measured(f"{server.url}/v1", ["gold " * 5, "mud", "", "  \n", "gold"])
    np.testing.assert_allclose(found, [0.5, 0.0, np.nan, np.nan, 0.1], atol=1e-9)
    assert [r["path"] for r in server.requests] == ["/v1/models", *["/v1/chat/completions"] * 3]
    body = server.requests[1]["body"]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("little-model", 1, 0)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "contain informative signal for pre-training" in body["messages"][0]["content"]
    assert "Authorization" not in server.requests[1]["headers"]


@pytest.mark.parametrize(
    ("tokens", "yes", "no"),
    [
        ([("yes", 0.7), ("no", 0.2)], 0.7, 0.2),
        ([("▁Yes", 0.3), ("ĠYES", 0.2), ("'yes'", 0.1), ("yes.", 0.05), ("No", 0.1)], 0.65, 0.1),
        ([("no", 0.999)], 0.0, 0.999),
        ([("yes", 1.0)], 1.0, 0.0),
        ([("yes", 0.7), ("Yes", 0.300001), ("no", 0.0)], 1.0, 0.0),
        ([("yesterday", 0.5), ("nothing", 0.4)], math.nan, math.nan),
        ([], math.nan, math.nan),
    ],
)  # fmt: skip
def test_what_tokens_mean(tokens, yes, no):
    body = {
        "choices": [
            {
                "logprobs": {
                    "content": [
                        {
                            "top_logprobs": json.loads(reply(("x", 1), *tokens)[1])["choices"][0]["logprobs"]["content"][0][
                                "top_logprobs"
                            ][1:]
                        }
                    ]
                }
            }
        ]
    }
    for answer, wanted in (("yes", yes), ("no", no)):
        found = asking.answer_in(body, "http://s", answer).probability
        assert found is None if math.isnan(wanted) else found == pytest.approx(wanted, abs=1e-9)


def test_a_rerun_asks_nothing():
    texts = [f"gold {'gold ' * (n % 4)} number {n}" for n in range(30)] + ["gold", "gold"]
    with serving(by_text) as server:
        first = measured(f"{server.url}/v1#model=a", texts)
        count = len(server.requests)
        assert count == 31  # equal texts are asked about once
        again = measured(f"{server.url}/v1#model=a&concurrency=2", texts[::-1])
        assert len(server.requests) == count
        np.testing.assert_array_equal(again, first[::-1])
        measured(f"{server.url}/v1#model=b", texts[:1])
        assert len(server.requests) == count + 1
    np.testing.assert_array_equal(measured(f"{server.url}/v1#model=a", texts), first)  # the server is gone


def test_another_prompt_or_label_is_another_question(tmp_path):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Is this about gold? ###{text}### yes or no")
    with serving(by_text) as server:
        address = f"{server.url}/v1#model=a"
        assert measured(address, ["gold"])[0] == pytest.approx(0.1)
        assert measured(f"{address}&prompt={prompt}", ["gold"])[0] == pytest.approx(0.1)
        assert ask(address, "no").measure(Texts.of(["gold"]), None)[0] == pytest.approx(0.9)
        measured(f"{address}&characters=2", ["gold"])
        assert len(server.requests) == 4
        assert server.requests[1]["body"]["messages"][0]["content"] == "Is this about gold? ###gold### yes or no"
        assert "###\ngo\n###" in server.requests[3]["body"]["messages"][0]["content"]
        one, two = ask(address, None), ask(f"{address}&prompt={prompt}", None)
    assert one.versions() != two.versions()
    assert one.versions() == ask(f"{address}&concurrency=3", None).versions()


def test_a_saved_question_asks_the_same(tmp_path):
    with serving(by_text) as server:
        made = ask(f"{server.url}/v1", "yes")
        made.save(str(tmp_path / "ask.json"))
        again = ask(str(tmp_path / "ask.json"), None)
        assert again == made
        assert again.versions() == made.versions()
        assert again.measure(Texts.of(["gold"]), None)[0] == pytest.approx(0.1)
        assert ask(str(tmp_path / "ask.json"), "yes") == made
        for address, label in ((tmp_path / "ask.json", "no"), (f"{tmp_path / 'ask.json'}#characters=9", None)):
            with pytest.raises(ModelError, match="holds a whole question, on 'yes': give no other label and no settings"):
                ask(str(address), label)


def test_the_key_is_sent_and_kept_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    with serving(by_text) as server:
        made = ask(f"{server.url}/v1#model=a", None)
        made.measure(Texts.of(["gold"]), None)
        made.save(str(tmp_path / "ask.json"))
    assert server.requests[0]["headers"]["Authorization"] == "Bearer sk-secret-key"
    assert "secret" not in (tmp_path / "ask.json").read_text() + str(made.versions())
    assert all(b"sk-secret" not in file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file())


def test_as_many_at_once_as_were_allowed():
    barrier = threading.Barrier(4, timeout=120)

    def slowly(request):
        barrier.wait()  # broken if fewer than four come together
        return by_text(request)

    with serving(slowly) as server:
        measured(f"{server.url}/v1#model=a&concurrency=4", [f"gold {n}" for n in range(8)])
    assert server.most_at_once == 4


@pytest.mark.parametrize(
    "fault",
    [
        lambda: plain(b"slow down", 429, **{"Retry-After": "0"}), lambda: plain(b"slow down", 429), lambda: plain(b"", 503),
        lambda: plain(b"oops", 500), lambda: None, lambda: plain(b"{", **{"Content-Length": "1000"}),
    ],
    ids=["429 with a pause", "429", "503", "500", "broken connection", "cut off"],
)  # fmt: skip
def test_faults_that_pass(fault):
    seen: dict[str, int] = {}

    def sometimes(request):
        text = request["body"]["messages"][0]["content"]
        seen[text] = seen.get(text, 0) + 1
        return fault() if seen[text] <= 2 else by_text(request)

    with serving(sometimes) as server:
        found = measured(f"{server.url}/v1#model=a", ["gold", "gold gold", "mud"])
    np.testing.assert_allclose(found, [0.1, 0.2, 0.0], atol=1e-9)
    assert len(server.requests) == 9


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda: plain(b"slow down", 429), r"answered 429 \(slow down\): it wants fewer requests, 7 times: give "),
        (lambda: None, r"no answer from http://127\.0\.0\.1:\d+/v1/chat/completions after 7 attempts .*is the server running"),
        (lambda: plain(b"who\x1b[31m?", 401), r"answered 401 \(who\\x1b\[31m\?\): put the key into \$OPENAI_API_KEY"),
        (lambda: plain(b"", 404), r"answered 404 .*expected the URL up to /v1, and a model that the server has"),
        (lambda: plain({"error": {"message": "max_tokens"}}, 400), r"answered 400 \(.*max_tokens"),
        (lambda: plain(b"<html>hello</html>"), r"answered '<html>hello</html>'; expected JSON"),
        (lambda: plain({"choices": []}), r"without log probabilities .*use a server that gives them"),
        (lambda: plain({"choices": [{"logprobs": None}]}), r"without log probabilities"),
        (lambda: plain([1, 2]), r"without log probabilities"),
        (lambda: plain({"choices": [{"logprobs": {"content": []}}]}), r"without log probabilities"),
        (lambda: plain(b'{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": NaN}]}]}}]}'),
         r"log probabilities that are nan or above 0"),
        (lambda: plain(b'{"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": 3.0}]}]}}]}'),
         r"log probabilities that are nan or above 0"),
        (lambda: plain(b"", 302, Location="http://127.0.0.1:1/"), r"no answer|answered 302"),
    ],
    ids=["429", "broken", "401", "404", "400", "html", "no choices", "no logs", "list", "no content", "nan", "above", "302"],
)  # fmt: skip
def test_faults_that_stay(fault, message):
    with serving(lambda request: fault()) as server, pytest.raises(ModelError, match=message):
        measured(f"{server.url}/v1#model=a", ["gold"])


def test_nobody_there():
    with serving(by_text) as server:
        pass
    with pytest.raises(ModelError, match=r"no answer from http://127\.0\.0\.1:\d+/v1/models after 7 attempts"):
        ask(f"{server.url}/v1", None)


def test_answers_before_a_fault_are_kept():
    broken = threading.Event()

    def until(request):
        if broken.is_set() and "number 7 " in request["body"]["messages"][0]["content"]:
            time.sleep(0.05)
            return plain(b"no", 400)
        return by_text(request)

    texts = [f"gold number {n} " for n in range(12)]
    with serving(until) as server:
        broken.set()
        with pytest.raises(ModelError, match="answered 400"):
            measured(f"{server.url}/v1#model=a&concurrency=1", texts)
        assert len(server.requests) >= 8
        broken.clear()
        measured(f"{server.url}/v1#model=a&concurrency=1", texts)
    assert len(server.requests) == 12 + 1  # the one that failed is asked about twice


def test_texts_without_a_usable_answer_have_no_score_and_are_asked_again():
    def odd(request):
        return reply(("maybe", 0.9)) if "odd" in request["body"]["messages"][0]["content"] else by_text(request)

    with serving(odd) as server:
        address = f"{server.url}/v1#model=a"
        for _ in range(2):
            found = measured(address, ["gold", "odd", "gold gold"])
            np.testing.assert_allclose(found, [0.1, np.nan, 0.2], atol=1e-9)
        assert len(server.requests) == 4
        assert np.isnan(measured(address, ["odd one", "odd two"])).all()


def test_a_server_that_never_says_yes_or_no():
    with (
        serving(lambda _: reply(("\x1b]0;hi\x07", 0.6), ("The", 0.3))) as server,
        pytest.raises(ModelError, match=r"said neither yes nor no to any of 4 texts; its likeliest tokens were '\\x1b.*The"),
    ):
        measured(f"{server.url}/v1#model=a", ["a", "b", "c", "d"])


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"data": [{"id": "a"}, {"id": "b\x1b"}]}, r"has 2 models \(a, b\\x1b\): name one with #model=NAME"),
        ({"data": []}, r"has 0 models \(none\)"),
        ({"error": "what?"}, r"does not list its models: name one"),
        ([], r"does not list its models"),
    ],
)
def test_a_server_of_several_models(models, message):
    with serving(lambda _: plain(models)) as server, pytest.raises(ModelError, match=message):
        ask(f"{server.url}/v1", None)


@pytest.mark.parametrize(
    ("address", "label", "message"),
    [
        ("ftp://a/v1", None, "is no server: expected http://HOST:PORT/v1"),
        ("http://me:secret@a.example/v1", None, r"http://\*\*\*@a.example/v1 has a password in it"),
        ("http:///v1", None, "is no server"),
        ("http://[::1/v1", None, r"http://\[::1/v1 is no server: expected http://HOST:PORT/v1"),
        ("http://a.example:http/v1", None, "is no server: expected http://HOST:PORT/v1"),
        ("http://a.example:99999/v1", None, "is no server: expected http://HOST:PORT/v1"),
        ("http://a.example/v1#model=", None, "'model=' is no setting; expected model=… or prompt=…"),
        ("http://a.example/v1#mode=b", None, "'mode=b' is no setting"),
        ("http://a.example/v1#model=b&concurrency=0", None, "concurrency is 0; expected a number above 0"),
        ("http://a.example/v1#model=b&concurrency=x", None, "concurrency is 'x'; expected a whole number"),
        ("http://a.example/v1#model=b", "maybe", "the label is 'maybe'; expected yes or no"),
        ("http://a.example/v1#prompt=nowhere.txt", None, "the prompt nowhere.txt cannot be read"),
        ("nowhere.json", None, "nowhere.json is neither a URL nor a question"),
    ],
)
def test_addresses_that_cannot_be(address, label, message):
    with pytest.raises(ModelError, match=message):
        ask(address, label)


@pytest.mark.parametrize("text", ["no place", "{text} and {text}", "{ text }"])
def test_a_prompt_has_one_place_for_the_text(tmp_path, text):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(ModelError, match="expected once"):
        ask(f"http://a.example/v1#model=b&prompt={tmp_path / 'p.txt'}", None)


def test_a_broken_cache_says_the_cure(tmp_path):
    (tmp_path / "cache").mkdir()
    assert cache.cache_home() == tmp_path / "cache"
    (tmp_path / "cache" / "answers.sqlite").write_bytes(b"no database" * 100)
    with (
        pytest.raises(ModelError, match=r"answers cannot be kept in .*answers\.sqlite .*delete that file if it is broken"),
        Answers(),
    ):
        pass


def test_the_cache_is_shared_by_processes():
    with Answers() as one, Answers() as other:
        one.put(b"a", 0.25)
        assert other.get([b"a", b"b"]) == {b"a": 0.25}
        other.put(b"a", 0.5)
        other.put(b"b", 1.0)
        assert one.get([b"b", b"a"]) == {b"a": 0.5, b"b": 1.0}
    with sqlite3.connect(Answers().place) as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (2,)
    file.close()
