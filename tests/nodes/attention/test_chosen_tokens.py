"""Which tokens the viewer's mask, overlay and first map are of, all together and one by one."""

from __future__ import annotations

import pytest
import torch
from support.checkpoints import SD1
from support.comfyui_server import Server
from support.graphs import WIDGETS, latent, node, prompts
from support.tiny_unets import picture, text, tiny_unet

MASK, OVERLAY, STRIP, MASKS, OVERLAYS = 1, 2, 4, 6, 7
TAILS = "hiper_tails"


@pytest.fixture
def look(host):
    """The viewer as ComfyUI runs it, on 77 columns of which the last five are a tail."""
    from hiper.prompts.placement import TailMark

    cls = host.NODE_CLASS_MAPPINGS["HiPerAttentionViewer"].PREPARE_CLASS_CLONE(None)
    model = tiny_unet()

    def run(tokens: str = "", tail: int = 5, mask: str = "soft", batch: int = 1):
        marks = {TAILS: (TailMark(77 - tail, tail),)} if tail else {}
        with torch.inference_mode():
            return cls.execute(
                model=model,
                conditioning=text(77, 1, **marks),
                latent=picture(batch=batch),
                timestep=100.0,
                tokens=tokens,
                mask=mask,
            )

    return run


@pytest.mark.parametrize("kind", ["soft", "binary"])
def test_each_token_has_the_mask_that_it_has_alone(look, kind: str) -> None:
    out = look("3, hiper 2", mask=kind, batch=2).args
    assert len(out[MASKS]) == len(out[OVERLAYS]) == 4
    for place, token in enumerate(("3", "hiper 2")):
        alone = look(token, mask=kind, batch=2).args
        assert torch.equal(out[MASKS][place::2], alone[MASK])
        assert torch.equal(out[OVERLAYS][place::2], alone[OVERLAY])


def test_without_a_choice_it_is_the_tail_or_so_many_tokens(look) -> None:
    assert len(look().args[MASKS]) == 5
    assert len(look(tail=0).args[MASKS]) == 32


def test_the_first_map_is_that_of_the_mask(look) -> None:
    for tokens, first in (("", [72, 73, 74, 75, 76]), ("3, hiper 2", [2, 73])):
        (payload,) = look(tokens).ui["hiper_maps"]
        assert payload["first"] == first and payload["problem"] == ""


def test_each_token_of_the_widget_has_the_name_that_chooses_it(look) -> None:
    (payload,) = look().ui["hiper_maps"]
    names = [token["choice"] for token in payload["tokens"]]
    assert names[:2] == ["1", "2"] and names[-1] == "hiper 5"


@pytest.mark.parametrize(
    ("tokens", "tail", "sentence"),
    [
        ("dog", 5, "connect a CLIP and give the prompt as labels."),
        ("tail", 0, "put Compose HiPer Conditioning before it, or choose words."),
    ],
)
def test_a_choice_that_is_not_there_leaves_the_maps_and_withholds_the_mask(
    look, tokens: str, tail: int, sentence: str
) -> None:
    out = look(tokens, tail)
    (payload,) = out.ui["hiper_maps"]
    assert payload["problem"].endswith(sentence) and len(payload["problem"]) < 300
    assert payload["first"] == look("", tail).ui["hiper_maps"][0]["first"]
    assert payload["problem"] in out.args[5]
    for withheld in (MASK, OVERLAY, STRIP, MASKS, OVERLAYS):
        assert out.args[withheld].message == payload["problem"]


def test_who_is_wired_to_a_mask_that_is_not_there_is_told(server: Server, checkpoints) -> None:
    """The viewer itself still shows its maps, and the rest of the graph runs."""
    graph = prompts(SD1) | {"picture": latent()}
    graph["view"] = node(
        "HiPerAttentionViewer",
        model=["loader", 0],
        conditioning=["source", 0],
        latent=["picture", 0],
        **(WIDGETS | {"tokens": "cat"}),
    )
    graph["mask"] = node("MaskToImage", mask=["view", 1])
    graph["see"] = node("PreviewImage", images=["mask", 0])
    prompt_id = server.queue(graph)
    found = server.wait(prompt_id)["outputs"]
    assert found["view"]["hiper_maps"] and "see" not in found
    (said,) = (error["exception_message"] for error in server.soon("execution_error", prompt_id))
    assert "asks for 'cat'" in said
