"""What a worker finds in its environment."""

from __future__ import annotations

from hanlin.serving.surroundings import SPIN_COUNT, environment_of


def test_no_secret_goes_along_and_threads_are_bounded() -> None:
    found = environment_of({"PATH": "/bin", "HANLIN_KEY": "hl_x", "DATABASE_URL": "x", "OMP_NUM_THREADS": "64"}, threads=2)
    assert (found["PATH"], found["OMP_NUM_THREADS"]) == ("/bin", "2")
    assert not {"HANLIN_KEY", "DATABASE_URL"} & found.keys()


def test_torch_spins_briefly_unless_it_was_said_how_long() -> None:
    assert environment_of({}, threads=1)["GOMP_SPINCOUNT"] == SPIN_COUNT
    assert environment_of({"GOMP_SPINCOUNT": "7"}, threads=1)["GOMP_SPINCOUNT"] == "7"
