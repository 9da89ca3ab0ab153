"""The bench itself: checkpoints load as what they are, and make finite pictures."""

from __future__ import annotations

import pytest
from checkpoints import SHAPES
from graphs import sampled


@pytest.mark.parametrize(
    ("name", "family", "prediction"),
    [("sd1", "SD15", "EPS"), ("sd2", "SD20", "V_PREDICTION"), ("sdxl", "Segmind_Vega", "EPS")],
)
def test_a_checkpoint_is_known_for_what_it_is(host, checkpoints, name, family, prediction) -> None:
    (model, _, _) = host.CheckpointLoaderSimple().load_checkpoint(checkpoints[name])
    assert type(model.model.model_config).__name__ == family
    assert model.model.model_type.name == prediction


@pytest.mark.parametrize("name", SHAPES)
def test_a_checkpoint_samples(server, checkpoints, name: str) -> None:
    outputs = server.run(sampled(SHAPES[name]))
    assert outputs["digest"]["finite"] == [True]
