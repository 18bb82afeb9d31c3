"""The SDK by example: from a file to a service, and many calls at once. Type-checked with the project.

Run it beside `hanlin up`, where the server's packages are installed: its reviews come out of the package that the demo takes them from.
"""

from __future__ import annotations

from pathlib import Path

from hanlin.client import AsyncHanlin, Hanlin, JobEvent, Prediction
from hanlin.errors import HanlinError, InvalidInput, Overloaded


def show(event: JobEvent) -> None:
    """Print one line of a job's story."""
    print(event.message or f"{event.step}/{event.total} {event.metrics}")


def reviews() -> Path:
    """A file of about 3,000 real English reviews, fetched once."""
    from hanlin.datasets.bundled import reviews_en

    return reviews_en(Path("build/packages")) / "reviews-en.jsonl"


def road(file: Path) -> None:
    """Dataset, training, compression, deployment, call."""
    with Hanlin() as hanlin:
        hanlin.jobs.wait(hanlin.datasets.add("reviews", file, task="text-classification").id)
        job = hanlin.jobs.submit("train", {"dataset": "reviews", "model": "lstm", "name": "mood", "options": {"epochs": 3}})
        hanlin.jobs.wait(job.id, on_event=show)
        job = hanlin.jobs.submit("compress", {"model": "mood", "budget": 0.5, "target": "latency"})
        for event in hanlin.jobs.stream(job.id):
            show(event)
        version = hanlin.models.resolve("mood")
        hanlin.models.promote("mood", "production", version.number)
        hanlin.deployments.wait(hanlin.deployments.create("mood@production", "mood"))
        answer: Prediction = hanlin.classify("mood", "The food was wonderful")
        print(answer.label, answer.score, answer.by_label())


def careful(hanlin: Hanlin, text: str) -> str | None:
    """Errors are classes; a bad text is told apart from a busy server."""
    try:
        return hanlin.classify("mood", text).label
    except InvalidInput as error:
        print(error.code, error.message, error.next_step)
    except Overloaded as error:
        print("busy; again in", error.retry_after_s)
    except HanlinError as error:
        print(error.family, error.code)
    return None


async def many(texts: list[str]) -> list[Prediction]:
    """Thousands of texts, in order; how many requests are in flight follows the server."""
    async with AsyncHanlin() as hanlin:
        return [answer async for answer in hanlin.map("mood", texts)]


if __name__ == "__main__":
    road(reviews())
