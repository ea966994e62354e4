"""Every kind of log, as its trainer prints it, and logs that are broken."""

from pathlib import Path

import pytest

from goldwash.evidence.curves.logs import Curve, Hints, read_curve
from goldwash.evidence.errors import EvidenceError


def curve(tmp_path: Path, text: str, name: str = "run.log", hints: Hints | None = None) -> Curve:
    (tmp_path / name).write_text(text)
    return read_curve(str(tmp_path / name), hints)


NANOCHAT = """Total batch size 1,000 => gradient accumulation steps: 1
Number of parameters: 73,531,392 (scaling: 60,000,000)
Step 00000 | Validation bpb: 3.300000
step 00000/00003 (0.00%) | loss: 10.400000 | lrm: 1.00 | dt: 5.00ms | tok/sec: 1,000 | epoch: 1 pq: 0 | total time: 0.00m
step 00001/00003 (33.33%) | loss: 9.000000 | lrm: 0.50 | dt: 5.00ms | tok/sec: 1,000 | total time: 0.50m | eta: 0.1m
step 00002/00003 (66.67%) | loss: 8.000000 | lrm: 0.00 | dt: 5.00ms | tok/sec: 1,000 | total time: 1.50m
Step 00003 | Validation bpb: 1.200000
"""


def test_nanochat(tmp_path: Path) -> None:
    found = curve(tmp_path, NANOCHAT)
    assert (found.metric, found.parameters, found.finished) == ("bpb", 73531392, True)
    assert [(r.tokens, r.value) for r in found.records] == [(0, 3.3), (3000, 1.2)]
    assert found.records[-1].seconds == 90
    loss = curve(tmp_path, NANOCHAT, hints=Hints(metric="loss"))
    assert [(r.tokens, r.value) for r in loss.records] == [(1000, 10.4), (2000, 9), (3000, 8)]
    cut = curve(tmp_path, "\n".join(NANOCHAT.splitlines()[:5]))
    assert cut.finished is False
    with pytest.raises(EvidenceError, match="--tokens-per-step"):
        curve(tmp_path, NANOCHAT.split("\n", 1)[1])


def nanotron(step: int, tokens: str, loss: str, lr: str = "0.0003") -> str:
    return (
        f"[default0]:11/29/2026 10:00:00 [INFO|DP=0|PP=0|TP=0|node]: iteration: {step} / 3000 | consumed_tokens: {tokens} | "
        f"elapsed_time_per_iteration_ms: 1.5K | tokens_per_sec: 350K | global_batch_size: 256 | "
        f"lm_loss: {loss} | lr: {lr} | model_tflops_per_gpu: 99 | hardware_tflops_per_gpu: 99 | grad_norm: 1.1\n"
    )


def test_nanotron_prints_three_digits_and_the_steps_count(tmp_path: Path) -> None:
    found = curve(tmp_path, nanotron(2498, "1.31G", "3.21") + nanotron(2499, "1.31G", "3.20") + nanotron(2500, "1.31G", "3.19"))
    assert [r.value for r in found.records] == [3.21, 3.2, 3.19]
    assert [r.tokens for r in found.records] == pytest.approx([2498 * 524000, 2499 * 524000, 2500 * 524000])
    assert found.records[-1].seconds == pytest.approx(2500 * 1.5)
    assert found.finished is False
    exact = curve(tmp_path, nanotron(2500, "1.31G", "3.2"), hints=Hints(tokens_per_step=524288))
    assert exact.records[0].tokens == 2500 * 524288


def openlm(samples: int, loss: str, lr: str, epoch: int = 0) -> str:
    return (
        f"2026-11-29,10:00:00 | INFO | Train Epoch: {epoch} [{samples:>5}/10000 ({samples // 100}%)] Loss: {loss} "
        f"Data (t): 0.001 Batch (t): 1.500, 1000.0/s, 125.0/s/gpu LR: {lr} \n"
    )


def test_openlm(tmp_path: Path) -> None:
    text = (
        "2026-11-29 |   seq_len: 2048\n"
        + openlm(100, "9.100", "0.003000")
        + openlm(10000, "3.2", "0.00003", 0)
        + openlm(10000, "3.1", "0.00003", 1)
    )
    found = curve(tmp_path, text)
    assert [(r.tokens, r.value) for r in found.records] == [(204800, 9.1), (20480000, 3.2), (40960000, 3.1)]
    assert found.finished is True
    assert curve(tmp_path, "seq_len: 2048\n" + openlm(100, "9.1", "0.003")).finished is False
    with pytest.raises(EvidenceError, match="--sequence-length"):
        curve(tmp_path, openlm(100, "9.1", "0.003"))
    assert curve(tmp_path, openlm(100, "9.1", "0.003"), hints=Hints(sequence_length=10)).records[0].tokens == 1000


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    lines = [{"step": 1, "val_loss": 4.0}, {"step": 2, "val_loss": 3.0}]
    csv = curve(tmp_path, "step,val_loss,tokenizer\n1,4.0,gpt2\n2,3.0,gpt2\n", "a.csv", Hints(tokens_per_step=10))
    jsonl = curve(tmp_path, "\n".join(str(x).replace("'", '"') for x in lines), "a.jsonl", Hints(tokens_per_step=10))
    assert csv.records == jsonl.records
    assert (csv.tokenizer, csv.metric) == ("gpt2", "validation")


def test_a_resumed_run_replaces_what_it_repeats(tmp_path: Path) -> None:
    found = curve(tmp_path, "tokens,loss\n10,5\n20,4\n30,9\n20,3.9\n30,3.5\n", "a.csv")
    assert [(r.tokens, r.value) for r in found.records] == [(10, 5), (20, 3.9), (30, 3.5)]
    assert found.replaced == 2


def test_a_diverged_run_is_counted(tmp_path: Path) -> None:
    assert curve(tmp_path, "tokens,loss\n10,5\n20,nan\n30,inf\n", "a.csv").diverged == 2
    with pytest.raises(EvidenceError, match="diverged"):
        curve(tmp_path, "tokens,loss\n10,nan\n", "a.csv")


def test_a_schedule_by_its_learning_rate(tmp_path: Path) -> None:
    decayed = curve(tmp_path, "tokens,loss,lr\n10,5,0.1\n20,4,1\n30,3,0.1\n", "a.csv")
    running = curve(tmp_path, "tokens,loss,lr\n10,5,0.1\n20,4,1\n30,3,0.9\n", "a.csv")
    assert (decayed.finished, running.finished) == (True, False)
    assert curve(tmp_path, "tokens,loss\n10,5\n", "a.csv").finished is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("hello\nworld\n", "no known log"),
        ("step,loss\n1,2\n", "--tokens-per-step"),
        ("x,loss\n1,2\n", "neither tokens nor step"),
        ("tokens,loss\n1,two\n", "record 1: loss: expected a number, found 'two'"),
        ("tokens,loss\n-1,2\n", "at least zero"),
        ("tokens,loss\n1,-2\n", "above zero"),
        ("tokens,loss,tokenizer\n1,2,a\n2,1,b\n", "2 tokenizers"),
        ('{"tokens": 1, "loss": 2}\n{"tokens"', "line 2: expected JSON"),
        ('{"tokens": 1}\n', "found no loss"),
    ],
)
def test_logs_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        curve(tmp_path, text, "a.txt")


def test_a_log_that_is_absent() -> None:
    with pytest.raises(EvidenceError, match="cannot read a log"):
        read_curve("nowhere.csv")


@pytest.mark.parametrize("name", [None, "train.log", "below/model.bin"])
def test_a_folder_without_events(tmp_path: Path, name: str | None) -> None:
    if name is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("step 1")
    with pytest.raises(EvidenceError, match=r"is a folder without TensorBoard's events: give a log's file"):
        read_curve(str(tmp_path))


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "run"))
    for step, loss in ((1, 4.0), (2, 3.0)):
        values = [
            Summary.Value(tag="train/loss", simple_value=loss),
            Summary.Value(tag="train/tokens", simple_value=step * 100.0),
        ]
        writer.add_event(Event(step=step, wall_time=1000.0 + step, summary=Summary(value=values)))
    writer.close()
    found = read_curve(str(tmp_path / "run"))
    assert [(r.tokens, r.value, r.seconds) for r in found.records] == [(100, 4, 0), (200, 3, 1)]
