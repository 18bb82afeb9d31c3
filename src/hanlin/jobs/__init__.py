"""The queue of background work: submit, claim under a lease, report progress, finish, cancel.

It does not know what a kind of job does, nor how processes are started.
"""

from hanlin.jobs.progress import ProgressWriter
from hanlin.jobs.queue import JobQueue
from hanlin.jobs.values import Job, JobEvent, JobProgress

__all__ = ["Job", "JobEvent", "JobProgress", "JobQueue", "ProgressWriter"]
