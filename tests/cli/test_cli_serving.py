"""The commands for deployments, endpoints and predictions against a server that speaks the contract."""

from __future__ import annotations

import re
from pathlib import Path


def test_what_deploy_and_promote_warn_of(run, world) -> None:
    assert "Warning" not in run("deploy", "sentiment-zh", "--endpoint", "sentiment").err
    told = {"code": "labels_new", "params": {"former": "sentiment-zh:1", "new": "neutral"}, "message": "the labels differ: new are neutral"}
    world.warnings = [told]
    for words in (("deploy", "sentiment-zh:2", "--endpoint", "sentiment"), ("model", "promote", "sentiment-zh:2", "production")):
        done = run(*words)
        assert (done.status, done.err) == (0, "Warning: the labels differ: new are neutral\n")
        done = run(*words, "--json")
        assert (done.json()["warnings"], done.err) == ([told], "")


def test_deploy_endpoint_rollback_undeploy(run, world) -> None:
    done = run("deploy", "sentiment-zh@production", "--endpoint", "sentiment")
    assert "is ready" in done.out and "curl" in done.out
    assert "sentiment-zh:1" in run("endpoint", "list").out
    assert run("endpoint", "show", "sentiment", "--json").json()["state"] == "ready"
    assert "is ready" in run("rollback", "sentiment", "--no-wait").out
    again = run("rollback", "sentiment", "--to", "sentiment-zh:1")
    assert "rolled back already" in again.out
    assert world.rollbacks == [{"to": None, "expected": "dep-seen"}, {"to": "sentiment-zh:1", "expected": "dep-seen"}]
    world.lingers = 2
    gone = run("undeploy", "sentiment", "--no-wait")
    assert "is stopping" in gone.out
    assert "its counters" in gone.err, "it says what goes with it"
    assert run("undeploy", "sentiment", "--json").json() == {"endpoint": "sentiment", "state": "stopped"}
    assert world.lingers < 0, "it says so once the endpoint answers no more"


def test_endpoint_set_and_what_is_told_of_long_texts(run, world) -> None:
    assert run("endpoint", "set", "sentiment", "--long-text", "window", "--cache", "600", "--json").json()["cache_ttl_s"] == 600
    shown = run("endpoint", "show", "sentiment").out
    assert "long texts are read in windows" in shown and "answers are kept for 600 s" in shown
    assert run("endpoint", "set", "sentiment").status == 2, "nothing to set"
    assert run("endpoint", "set", "sentiment", "--long-text", "cut").status == 2
    run("deploy", "sentiment-zh", "--endpoint", "sentiment", "--long-text", "truncate")
    assert world.deployments[-1]["long_text"] == "truncate"
    assert "text 2 was too long and has been cut" in run("predict", "sentiment", "好", "坏" * 60, "--truncate").err
    assert "text 1 was too long and has been read in 3 windows" in run("predict", "sentiment", "坏" * 60, "--window").err


def test_an_endpoint_tells_how_it_is_deployed(run, world) -> None:
    world.endpoint_settings |= {"replicas": 1, "isolation": "shared", "idle_s": 90.0, "draft": "reader"}
    shown = run("endpoint", "show", "sentiment").out
    assert re.search(r"isolation\s+shared", shown) and re.search(r"draft model\s+reader", shown)
    assert "sleeps after" not in shown, "with a replica it never does"
    world.endpoint_settings["replicas"] = 0
    assert re.search(r"sleeps after \(s\)\s+90", run("endpoint", "show", "sentiment").out)
    world.endpoint_settings["idle_s"] = 0.0
    assert re.search(r"sleeps after \(s\)\s+only when others need the memory", run("endpoint", "show", "sentiment").out)


def test_a_trial_is_begun_shown_and_ended(run, world) -> None:
    assert "answers 10 % of the calls" in run("deploy", "sentiment-zh:2", "--endpoint", "sentiment", "--canary", "10").out
    shown = run("endpoint", "show", "sentiment").out
    assert all(part in shown for part in ("canary sentiment-zh:2", "on trial", "1,080", "neg 25 %")), shown
    assert "serves from now on" in run("endpoint", "promote", "sentiment", "--no-wait").out
    assert "copies of 100 %" in run("deploy", "sentiment-zh:2", "--endpoint", "sentiment", "--shadow", "100").out
    assert run("endpoint", "abort", "sentiment", "--json").json()["state"] == "stopped"
    assert run("endpoint", "abort", "sentiment").status == 4


def test_scale(run, world) -> None:
    assert "2-4 replicas" in run("scale", "sentiment", "--min", "2", "--max", "4").out
    assert run("scale", "sentiment", "--min", "3", "--json").json()["max_replicas"] == 3


def test_a_failed_deployment(run, world) -> None:
    world.deploy_end = "failed"
    done = run("deploy", "sentiment-zh", "--endpoint", "sentiment")
    assert (done.status, "not enough memory" in done.err) == (1, True)


def test_predict_shows_vectors_entities_and_rankings(run, world) -> None:
    done = run("predict", "vectors", "abc", "-p", "dimensions=2")
    assert re.search(r"abc\s+\+3\.0000\s+-1\.0000\s+2\s+3\.162", done.out)
    assert run("predict", "vectors", "abc", "--json").json() == [3.0, -1.0, 0.5, 0.25]
    done = run("predict", "names", "Ada lives here", "-p", "aggregation_strategy=simple")
    assert re.search(r"Ada lives here\s+Ada\s+PER\s+97\.0 %\s+0–3", done.out)
    done = run("predict", "ranker", "a", "abc", "ab", "--query", "which?", "--top-k", "2")
    assert re.search(r"abc\s+1\.0000.*ab\s+0\.5000", done.out, re.DOTALL)
    assert run("predict", "ranker", "a", "--query", "which?", "--json").json() == [{"index": 0, "score": 1.0}]
    assert run("predict", "vectors", "abc", "-p", "dimensions").status == 2


def test_predict_has_each_text_judged_beside_another(run, world) -> None:
    done = run("predict", "aspects", "cold soup", "kind waiter", "--pair", "waiter")
    assert re.search(r"cold soup\s+neg.*kind waiter\s+pos", done.out, re.DOTALL)
    assert run("predict", "aspects", "kind waiter", "--pair", "waiter", "--json").json() == [{"label": "pos", "score": 0.9}]
    for other in ("--query", "--question"):
        done = run("predict", "aspects", "x", "--pair", "waiter", other, "y")
        assert (done.status, "--query, --question and --pair" in done.err.replace("\n", " ")) == (2, True)


def test_predict_asks_a_question_about_each_text(run, world) -> None:
    done = run("predict", "reader", "it is Ada", "nobody", "--question", "Who is it?")
    assert re.search(r"it is Ada\s+Ada\s+90\.0 %\s+6–9", done.out)
    assert re.search(r"nobody\s+no answer\s+90\.0 %", done.out)
    assert run("predict", "reader", "it is Ada", "--question", "Who?", "--json").json()["answer"] == "Ada"
    assert run("predict", "reader", "x", "--question", "Who?", "--query", "Who?").status == 2
    done = run("predict", "reader", "nobody", "it is Ada", "--question", "Who is it?", "--documents")
    assert re.search(r"Who is it\?\s+Ada\s+90\.0 %\s+6–9 \(1\)", done.out)
    assert run("predict", "reader", "x", "--documents").status == 2


def test_predict_shows_what_was_written(run, world) -> None:
    done = run("predict", "muse", "abc", "de", "-p", "max_new_tokens=2")
    assert re.search(r"abc\s+cb …", done.out)
    assert re.search(r"de\s+ed +\n", done.out)


def test_predict_fills_masks(run, world) -> None:
    done = run("predict", "blanks", "the [MASK] sat", "a [MASK] and a [MASK]")
    assert re.search(r"the \[MASK\] sat\s+cat\s+90\.0 %.*dog 5\.0 %", done.out)
    assert len(re.findall(r"cat\s+90\.0 %", done.out)) == 3


def test_predict_texts_file_and_json(run, world, tmp_path: Path) -> None:
    done = run("predict", "sentiment", "质量很好", "太坏了")
    assert re.search(r"质量很好\s+pos\s+90\.0 %", done.out)
    assert run("predict", "sentiment", "好", "--json", "--top-k", "1").json() == [{"label": "pos", "score": 0.9}]
    file = tmp_path / "texts.txt"
    file.write_text("\ufeff好\n\n" + "坏\n" * 149, encoding="utf-8")
    answers = run("predict", "sentiment", "--file", str(file), "--json").json()
    assert len(answers) == 150
    assert answers[0][0]["label"] == "pos"
    assert run("predict", "sentiment").status == 2
    assert run("predict", "sentiment", "--file", str(tmp_path / "none")).status == 2


def test_predict_reads_the_encodings_that_dataset_add_reads(run, world, tmp_path: Path) -> None:
    gbk, lines = tmp_path / "gbk.txt", "质量很好，下次还来\n质量太差，不会再来\n"
    gbk.write_bytes(lines.encode("gbk"))
    for options in ([], ["--encoding", "gb18030"]):
        shown = run("predict", "sentiment", "--file", str(gbk), *options).out
        assert "质量很好，下次还来" in shown and "质量太差，不会再来" in shown
    gbk.write_bytes("好好好好好好好\n".encode() + b"\xff\n")
    broken = run("predict", "sentiment", "--file", str(gbk), "--encoding", "utf-8")
    assert (broken.status, "gbk.txt" in broken.err, "line 2: these bytes are not utf-8" in broken.err) == (2, True, True), broken.err
    assert "there is no encoding" in run("predict", "sentiment", "--file", str(gbk), "--encoding", "klingon").err
