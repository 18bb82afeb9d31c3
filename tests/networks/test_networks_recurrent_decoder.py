"""RNN, LSTM and GRU that write: torch's modules on the same weights, the equations, and the state in the place of all that was read."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hanlin.networks.config import RECURRENT_WRITERS, NetworkConfig
from hanlin.networks.loading import build_generator
from hanlin.networks.recurrent_decoder import RecurrentDecoder, RecurrentState

CLOSE = {"atol": 1e-5, "rtol": 0.0}
THEIRS = {"hanlin-rnn-decoder": nn.RNN, "hanlin-lstm-decoder": nn.LSTM, "hanlin-gru-decoder": nn.GRU}
ROWS = [[5], [3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 9], [29, 2, 17, 2]]


def network_of(kind: str, **changes: object) -> RecurrentDecoder:
    torch.manual_seed(7)
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": 2, **changes}
    network = build_generator(NetworkConfig(kind, 30, **sizes)).eval()  # type: ignore[arg-type]
    assert isinstance(network, RecurrentDecoder)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) * 0.4)
    return network


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    return tuple(torch.tensor([row + [0] * (longest - len(row)) for row in part]) for part in (rows, [[1] * len(row) for row in rows]))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", RECURRENT_WRITERS)
def test_it_is_torchs_modules_on_the_same_weights(kind: str) -> None:
    network = network_of(kind)
    theirs = THEIRS[kind](16, 16, num_layers=2, batch_first=True)
    theirs.load_state_dict(
        {f"{name[:-1]}{number}": weight for number, layer in enumerate(network.layers) for name, weight in layer.state_dict().items()}
    )
    ids = torch.randint(30, (3, 25), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        hidden = theirs(nn.functional.embedding(ids, network.tokens.weight) * network.scale)[0]
        expected = nn.functional.linear(hidden, network.tokens.weight, network.output.bias)
        torch.testing.assert_close(network(ids, torch.ones_like(ids)), expected, **CLOSE)


@pytest.mark.parametrize("kind", RECURRENT_WRITERS)
def test_the_equations_say_the_same(kind: str) -> None:
    network = network_of(kind)
    readable = RecurrentDecoder(network.config, is_readable=True).eval()
    readable.load_state_dict(network.state_dict())
    ids, mask = padded(ROWS)
    with torch.inference_mode():
        torch.testing.assert_close(network(ids, mask), readable(ids, mask), **CLOSE)
        (one, first), (other, second) = network.start(ids, mask), readable.start(ids, mask)
        torch.testing.assert_close(first, second, **CLOSE)
        torch.testing.assert_close(network.read(ids[:, :2], one), readable.read(ids[:, :2], other), **CLOSE)
    for layer, same in zip(one.layers, other.layers, strict=True):
        for part, alike in zip(layer, same, strict=True):
            torch.testing.assert_close(part, alike, **CLOSE)


@pytest.mark.parametrize("kind", RECURRENT_WRITERS)
def test_a_token_at_a_time_is_the_whole_at_once(kind: str) -> None:
    network = network_of(kind)
    ids = torch.randint(30, (3, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, state = network(ids, torch.ones_like(ids)), RecurrentState([])
        pieces = [network.read(ids[:, a:b], state) for a, b in [(0, 5), (5, 7), *((n, n + 1) for n in range(7, 20))]]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)


@pytest.mark.parametrize("kind", RECURRENT_WRITERS)
def test_rows_of_many_lengths_end_in_the_state_they_end_in_alone(kind: str) -> None:
    network = network_of(kind)
    with torch.inference_mode():
        state, scores = network.start(*padded(ROWS))
        state = state.pick(torch.tensor([2, 0, 0, 1, 3]))  # rows may go, move and come twice
        after = network.read(torch.full((5, 1), 4), state)
        for place, number in enumerate([2, 0, 0, 1, 3]):
            alone = network(torch.tensor([[*ROWS[number], 4]]), torch.ones(1, len(ROWS[number]) + 1, dtype=torch.long))[0]
            torch.testing.assert_close(scores[number], alone[-2], **CLOSE)
            torch.testing.assert_close(after[place, 0], alone[-1], **CLOSE)


def test_in_bf16_it_is_near() -> None:
    ids, mask = padded(ROWS)
    for kind in RECURRENT_WRITERS:
        network = network_of(kind)
        with torch.inference_mode():
            exact = network.start(ids, mask)[1]
            rough = network.to(torch.bfloat16).start(ids, mask)[1].float()
        assert 0 < (rough - exact).abs().max() < 0.2 * exact.abs().max()
