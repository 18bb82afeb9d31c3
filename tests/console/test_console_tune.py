"""A search's page: its trials as a table that is asked for anew while it runs."""

from __future__ import annotations

from hanlin.console.views import JobView

STUDY = {
    "metric": "accuracy", "space": {"rate": {"min": 0.001, "max": 0.1}}, "pruner": "asha", "seed": 0, "seconds": 3.0,
    "importance": {"rate": 1.0},
    "trials": [
        {"number": 0, "state": "complete", "value": 0.9, "options": {"rate": 0.001}, "evaluations": [0.9], "seconds": 2, "is_usual": True},
        {"number": 1, "state": "complete", "value": 0.93, "options": {"rate": 0.0123456}, "evaluations": [0.93], "seconds": 1.0},
        {"number": 2, "state": "failed", "value": None, "options": {"rate": 0.1}, "evaluations": [], "seconds": 1.0,
         "reason": {"code": "diverged", "params": {"value": "<b>", "step": 7}}},
    ],
}  # fmt: skip


def test_trials_are_shown_while_they_come(member, port) -> None:
    port.jobs.append(JobView("job-8", "tune", "running", "sentiment-zh", result={"study": STUDY}))
    page = member.get("/console/jobs/job-8").text
    assert 'hx-get="/console/jobs/job-8/trials"' in page
    table = member.get("/console/jobs/job-8/trials").text
    assert table.strip() in page
    assert "0.0123" in table
    assert "Best 0.9300, without a search 0.9000" in table
    assert "became &lt;b&gt; at step 7" in table


def test_a_search_that_ended_is_not_asked_for_anew_and_one_without_trials_shows_none(member, port) -> None:
    port.jobs.append(JobView("job-8", "tune", "succeeded", result={"study": STUDY}))
    assert "hx-get" not in member.get("/console/jobs/job-8").text.partition('id="live"')[2]
    for result in ({}, {"study": "gone"}, {"study": {"metric": 1}}):
        port.jobs[-1] = JobView("job-8", "tune", "queued", result=result)
        assert "<table" not in member.get("/console/jobs/job-8/trials").text


def test_an_unknown_search_is_not_found(member) -> None:
    assert member.get("/console/jobs/job-9/trials").status_code == 404
