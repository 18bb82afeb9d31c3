"""Which texts are asked next, again, or no more: with plain integers for texts' answers and a clock of our own."""

from __future__ import annotations

import pytest

from hanlin import errors
from hanlin.client.board import MAX_LONE_FAILURES, Board, Piece
from hanlin.client.pace import Pace


def new_board(*, most: int = 8, patience_s: float = 60.0, most_groups: int = 3) -> Board[str]:
    return Board(Pace(most), lambda attempt, error: error.retry_after_s or 2.0**attempt, patience_s=patience_s, most_groups=most_groups)


def taken(board: Board[str], now_s: float = 0.0) -> Piece[str]:
    piece = board.take(now_s)
    assert piece is not None
    return piece


def test_groups_are_released_in_order() -> None:
    board = new_board()
    board.add(0, ["a", "b"])
    board.add(2, ["c"])
    first, second = taken(board), taken(board)
    board.answered(second, ["C"])
    assert board.release() is None
    board.answered(first, ["A", "B"])
    released = [board.release(), board.release()]
    assert [(group.start, group.results()) for group in released if group] == [(0, ["A", "B"]), (2, ["C"])]
    assert board.is_empty


def test_memory_is_bounded() -> None:
    board = new_board(most_groups=2)
    board.add(0, ["a"])
    assert board.has_room
    board.add(1, ["b"])
    assert not board.has_room


def test_no_more_are_in_flight_than_the_pace_allows() -> None:
    board = new_board(most=1)
    board.add(0, ["a"])
    board.add(1, ["b"])
    first = taken(board)
    assert (board.take(0.0), board.wait_s(0.0)) == (None, None)
    board.answered(first, ["A"])
    assert taken(board).texts() == ["b"]


def test_a_refused_text_does_not_take_its_neighbours_with_it() -> None:
    board = new_board()
    board.add(10, ["a", "", "c", None, "e\ud800"])
    piece = taken(board)
    assert piece.texts() == ["a", "", "c"]
    board.failed(piece, errors.InvalidInput("empty_text", index=1), 0.0)
    board.answered(taken(board), ["A", "C"])
    group = board.release()
    assert group is not None
    a, empty, c, null, surrogate = group.results()
    assert (a, c) == ("A", "C")
    codes = [(error.code, error.params["index"]) for error in (empty, null, surrogate) if isinstance(error, errors.HanlinError)]
    assert codes == [("empty_text", 1), ("invalid_inputs", 13), ("invalid_unicode", 14)]


def test_a_group_of_which_nothing_can_be_sent_is_done_at_once() -> None:
    board = new_board()
    board.add(0, [None, 7])
    assert board.take(0.0) is None
    assert board.release() is not None


def test_too_large_a_request_is_halved() -> None:
    board = new_board()
    board.add(0, ["a", "b", "c"])
    board.failed(taken(board), errors.InvalidInput("too_many_values", limit=2), 0.0)
    assert board.is_too_large
    halves = [taken(board), taken(board)]
    assert [piece.texts() for piece in halves] == [["a"], ["b", "c"]]
    board.failed(halves[0], errors.InvalidInput("body_too_large", limit=1), 0.0)
    board.answered(halves[1], ["B", "C"])
    group = board.release()
    assert group is not None and isinstance(group.results()[0], errors.InvalidInput)


def test_a_server_that_is_too_slow_for_a_request_gets_smaller_ones() -> None:
    board = new_board()
    board.add(0, [str(row) for row in range(32)])
    board.failed(taken(board), errors.DeadlineExceeded("answer_too_late"), 0.0)
    assert board.is_too_large
    for _ in range(2):
        half = taken(board, 1.0)
        assert len(half.texts()) == 16
        board.failed(half, errors.Overloaded("queue_full", retry_after_s=1.0), 1.0)
    assert board.take(1.5) is None
    assert (len(taken(board, 2.0).texts()), board.pace.limit) == (8, 1)


def test_a_text_that_the_engine_fails_at_is_found() -> None:
    board = new_board()
    texts = ["a", "b", "poison", "d"]
    board.add(0, texts)
    now_s, asked = 0.0, 0
    while (group := board.release()) is None:
        now_s += 10
        piece = taken(board, now_s)
        asked += 1
        if "poison" in piece.texts():
            board.failed(piece, errors.EngineFailed("model_output_invalid"), now_s)
        else:
            board.answered(piece, [text.upper() for text in piece.texts()])
    assert [answer if isinstance(answer, str) else answer.family for answer in group.results()] == ["A", "B", "EngineFailed", "D"]
    assert asked == 6


def test_a_broken_engine_is_not_asked_a_million_times() -> None:
    board = new_board(most_groups=1000)
    for row in range(MAX_LONE_FAILURES + 1):
        board.add(row, ["a"])
    with pytest.raises(errors.EngineFailed):
        for now_s in range(1000):
            board.failed(taken(board, float(now_s)), errors.EngineFailed("model_output_invalid"), float(now_s))


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    board = new_board()
    board.add(0, ["a"])
    board.failed(taken(board), errors.Overloaded("queue_full", retry_after_s=3.0), 1.0)
    assert board.wait_s(1.0) == 3.0
    assert board.take(3.9) is None
    assert taken(board, 4.0).attempt == 1


def test_while_the_server_is_away_nothing_is_sent_and_patience_ends() -> None:
    board = new_board(patience_s=5.0)
    board.add(0, ["a"])
    board.add(1, ["b"])
    first = taken(board)
    board.failed(first, errors.NotReady("server_unreachable", url="x", retry_after_s=2.0), 0.0)
    assert board.wait_s(0.0) == 2.0  # the other one waits too
    again = taken(board, 4.0)
    board.failed(again, errors.NotReady("connection_cut"), 4.0)
    with pytest.raises(errors.NotReady):
        board.failed(taken(board, 9.0), errors.NotReady("connection_cut"), 9.0)


def test_patience_begins_anew_after_a_good_answer() -> None:
    board = new_board(patience_s=5.0)
    board.add(0, ["a"])
    board.add(1, ["b"])
    board.failed(taken(board), errors.Overloaded("queue_full", retry_after_s=1.0), 0.0)
    board.answered(taken(board, 4.0), ["x"])
    board.failed(taken(board, 9.0), errors.Overloaded("queue_full"), 9.0)
    assert not board.is_empty


@pytest.mark.parametrize(
    "error",
    [errors.NotFound("endpoint_not_found"), errors.Unauthenticated("key_refused"), errors.QuotaExceeded("quota_used"),
     errors.InvalidInput("unknown_parameter")],
)  # fmt: skip
def test_what_concerns_all_texts_ends_the_whole(error) -> None:
    board = new_board()
    board.add(0, ["a"])
    with pytest.raises(type(error)):
        board.failed(taken(board), error, 0.0)
