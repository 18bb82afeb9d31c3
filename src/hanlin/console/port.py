"""What the pages need to know: one narrow door; the values that come through it are in `views.py` and `views_data.py`.

Pages import these files only; `adapter.py` fills the door from `control/` and the dataplane, tests fill it with a fake.
Knows no HTTP and no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hanlin.console.views import EndpointSettings, EndpointView, JobEventView, JobView, ModelView
from hanlin.console.views_data import DatasetView, DownloadView
from hanlin.console.views_play import Prediction, Tell, WritingCall
from hanlin.types import KeyId, Principal


class ConsolePort(Protocol):
    """The platform as the pages see it. Every call but `classify` and `write` may block; all raise HanlinError."""

    def authenticate(self, key: str) -> Principal:
        """Who holds this key. Raises Unauthenticated."""
        ...

    def resume(self, key_id: KeyId) -> Principal:
        """Who holds the key of this id, now. Raises Unauthenticated once it is revoked or expired (within 1 s)."""
        ...

    def list_models(self, principal: Principal) -> Sequence[ModelView]:
        """Every model of the team."""
        ...

    def get_model(self, principal: Principal, name: str) -> ModelView:
        """One model with all its versions. Raises NotFound."""
        ...

    def list_datasets(self, principal: Principal) -> Sequence[DatasetView]:
        """Every dataset of the team."""
        ...

    def get_dataset(self, principal: Principal, name: str) -> DatasetView:
        """One dataset with all its versions. Raises NotFound."""
        ...

    def list_endpoints(self, principal: Principal) -> Sequence[EndpointView]:
        """Every endpoint of the team."""
        ...

    def get_endpoint(self, principal: Principal, name: str) -> EndpointView:
        """One endpoint. Raises NotFound."""
        ...

    def configure_endpoint(self, principal: Principal, name: str, settings: EndpointSettings) -> bool:
        """Changes what differs from `settings`; whether its model is started anew for that. Raises NotFound, InvalidInput, Conflict."""
        ...

    def list_jobs(self, principal: Principal, limit: int) -> Sequence[JobView]:
        """Newest first."""
        ...

    def get_job(self, principal: Principal, job_id: str) -> JobView:
        """One job. Raises NotFound."""
        ...

    def job_events(self, principal: Principal, job_id: str, after: int) -> Sequence[JobEventView]:
        """Events with `seq > after`, in order."""
        ...

    def job_file(self, principal: Principal, job_id: str, which: str) -> DownloadView:
        """The results (`output`) or errors (`errors`) of a batch. Raises NotFound."""
        ...

    def picture(self, principal: Principal, model: str, version: int, name: str, language: str) -> bytes:
        """The SVG called `name`, in `language` where it can be had. Raises NotFound."""
        ...

    def card(self, principal: Principal, model: str, version: int, language: str) -> str:
        """The model card in Markdown."""
        ...

    async def classify(
        self, principal: Principal, endpoint: str, text: str, language: str, *, query: str = "", pair: str = ""
    ) -> Prediction:
        """One text through the very path that every other caller takes; refusals speak `language`.

        Args:
            query: what the lines of the text are held against, for an endpoint that ranks.
            pair: what the text is judged beside, for an endpoint that takes pairs; may be empty.
        """
        ...

    async def write(self, principal: Principal, call: WritingCall, *, language: str, tell: Tell) -> None:
        """What an endpoint writes, told as it comes: the events of OpenAI's chat completions, or of its completions.

        Cancelling the wait cancels the work. What fails before anything was told is raised, later failures are the last event.

        Raises:
            HanlinError: as the doors of these calls; InvalidInput also for a call whose answer is not wanted in parts.
        """
        ...
