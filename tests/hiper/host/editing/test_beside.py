"""Edits beside what else changes a model: a ControlNet, a LoRA, an embedding with two roles."""

from __future__ import annotations

import pytest
import torch
from support.tiny_edits import HALF, columns, edited, inverted, picture
from support.tiny_unets import CONTEXT, text, tiny_unet

pytestmark = pytest.mark.usefixtures("host")
OUTSIDE = ~HALF[0].bool()
PAINTED = {"from_source": False, "from_target": False, "painted": HALF}


def control_net(seed: int = 0):
    """ComfyUI's own ControlNet class for the tiny UNet, its weights random, its hint a picture."""
    import comfy.cldm.cldm
    import comfy.controlnet

    net = comfy.cldm.cldm.ControlNet(
        image_size=32,
        in_channels=4,
        model_channels=32,
        hint_channels=3,
        num_res_blocks=[1, 1],
        channel_mult=(1, 2),
        transformer_depth=[1, 1],
        transformer_depth_middle=1,
        num_heads=4,
        use_spatial_transformer=True,
        context_dim=CONTEXT,
        legacy=False,
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    device = torch.device("cpu")
    found = comfy.controlnet.ControlNet(net, load_device=device)
    hint = torch.rand(1, 3, 64, 96, generator=generator)
    return found.set_cond_hint(hint, 1.0, (0.0, 1.0))


def controlled(conditioning: list) -> list:
    control = {"control": control_net(), "control_apply_to_uncond": True}
    return [[prompt, options | control] for prompt, options in conditioning]


def with_lora(model):
    """Low-rank patches on every attention projection, as core's LoRA loader adds them, and what
    they add."""
    generator = torch.Generator().manual_seed(3)
    added = {}
    for name, weight in model.model.named_parameters():
        if "attn" in name and weight.ndim == 2:
            up = torch.randn(weight.shape[0], 2, generator=generator)
            down = torch.randn(2, weight.shape[1], generator=generator)
            added[name] = 0.1 * up @ down
    patched = model.clone()
    patches = {name: ("diff", (each,)) for name, each in added.items()}
    assert len(patched.add_patches(patches)) == len(added)
    return patched, added


def test_a_controlnet_steers_the_edit_inside_the_mask_alone() -> None:
    model = tiny_unet()
    found, own = inverted(model), columns(text(seed=7))
    plain, _ = edited(model, found, positive=own, **PAINTED)
    steered, _ = edited(model, found, positive=controlled(own), **PAINTED)
    assert not torch.equal(plain, steered)
    assert torch.equal(steered[..., OUTSIDE], picture()[..., OUTSIDE])


def test_a_controlnets_own_attention_is_not_taken_for_the_models(monkeypatch) -> None:
    from hiper.attention.identity import IdentityMap

    model, heard = tiny_unet(), []
    found, hear = inverted(model), IdentityMap.hear

    def counting(self, call, columns):
        heard.append(call.layer)
        hear(self, call, columns)

    monkeypatch.setattr(IdentityMap, "hear", counting)
    edited(model, found)
    plain = heard.copy()
    heard.clear()
    edited(model, found, positive=controlled(columns(text(seed=7))))
    assert heard == plain and plain


def test_a_lora_is_in_force_in_inversion_and_edit() -> None:
    model = tiny_unet()
    patched, added = with_lora(model)
    plain, _ = edited(model, inverted(model), **PAINTED)
    tuned, _ = edited(patched, inverted(patched), **PAINTED)
    assert not torch.equal(plain, tuned)
    assert torch.equal(tuned[..., OUTSIDE], picture()[..., OUTSIDE])
    baked = tiny_unet()
    for name, each in added.items():
        baked.model.get_parameter(name).data.add_(each)
    again, _ = edited(baked, inverted(baked), **PAINTED)
    assert torch.allclose(tuned, again, atol=1e-4)
