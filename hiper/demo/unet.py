"""Stable Diffusion's UNet, small: the same modules under the same names, so that ComfyUI's own
UNetModel loads these weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attending import attend
from .latents import CHANNELS

WIDTH = 64
MULTIPLIERS = (1, 2)
BLOCKS = (1, 1)  # residual blocks a level
HEADS = 4
CONTEXT = 128

# the same facts in the words of ComfyUI's UNetModel
COMFY_CONFIG = {
    "image_size": 32,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "model_channels": WIDTH,
    "num_res_blocks": list(BLOCKS),
    "channel_mult": MULTIPLIERS,
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": CONTEXT,
    "num_heads": HEADS,
    "num_head_channels": -1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
}

Watch = Callable[[Tensor, Tensor, int], None]
Context = Tensor | tuple[Tensor, Tensor]  # what keys and values are made of, where they differ


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Cosines and sines of the timestep at falling frequencies, `(B, width)`."""
    half = width // 2
    frequency = torch.exp(
        -math.log(10000) * torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    )
    angle = timesteps[:, None].float() * frequency[None]
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, entering: int, leaving: int, time: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, entering), nn.SiLU(), nn.Conv2d(entering, leaving, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, leaving))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, leaving),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(leaving, leaving, 3, padding=1),
        )
        same = entering == leaving
        self.skip_connection = nn.Identity() if same else nn.Conv2d(entering, leaving, 1)

    def forward(self, x: Tensor, time: Tensor, context: Context, watch: Watch | None) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    """Attention of the picture `(B, HW, C)` to the prompt `(B, T, context)`, or to itself."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Identity())

    def forward(self, x: Tensor, context: Context, watch: Callable | None = None) -> Tensor:
        keys, values = context if isinstance(context, tuple) else (context, context)
        q, k, v = self.to_q(x), self.to_k(keys), self.to_v(values)
        if watch is not None:
            watch(q, k)
        return self.to_out(attend(q, k, v, HEADS))


class GEGLU(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width)
        self.ff = FeedForward(width)
        self.attn2 = CrossAttention(width, CONTEXT)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, context: Context, watch: Callable | None) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context, watch)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width)])
        self.proj_out = nn.Linear(width, width)

    def forward(self, x: Tensor, time: Tensor, context: Context, watch: Watch | None) -> Tensor:
        height = x.shape[-2]
        y = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))
        seen = None if watch is None else lambda q, k: watch(q, k, height)
        y = self.transformer_blocks[0](y, context, seen)
        return x + self.proj_out(y).transpose(1, 2).unflatten(2, x.shape[-2:])


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, *_) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, *_) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Entrance(nn.Conv2d):
    def forward(self, x: Tensor, *_) -> Tensor:
        return super().forward(x)


class UNet(nn.Module):
    """x_t `(B, 12, H, W)`, timestep `(B,)` and prompt `(B, T, 128)` to the model's prediction."""

    def __init__(self) -> None:
        super().__init__()
        time = 4 * WIDTH
        self.time_embed = nn.Sequential(nn.Linear(WIDTH, time), nn.SiLU(), nn.Linear(time, time))
        width, skips = WIDTH, [WIDTH]
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([Entrance(CHANNELS, WIDTH, 3, padding=1)])]
        )
        for level, multiplier in enumerate(MULTIPLIERS):
            for _ in range(BLOCKS[level]):
                block = [ResBlock(width, multiplier * WIDTH, time)]
                width = multiplier * WIDTH
                self.input_blocks.append(nn.ModuleList([*block, SpatialTransformer(width)]))
                skips.append(width)
            if level + 1 < len(MULTIPLIERS):
                self.input_blocks.append(nn.ModuleList([Downsample(width)]))
                skips.append(width)
        self.middle_block = nn.ModuleList(
            [ResBlock(width, width, time), SpatialTransformer(width), ResBlock(width, width, time)]
        )
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(MULTIPLIERS))):
            for index in range(BLOCKS[level] + 1):
                block = [ResBlock(width + skips.pop(), multiplier * WIDTH, time)]
                width = multiplier * WIDTH
                block.append(SpatialTransformer(width))
                if level > 0 and index == BLOCKS[level]:
                    block.append(Upsample(width))
                self.output_blocks.append(nn.ModuleList(block))
        self.out = nn.Sequential(
            nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, CHANNELS, 3, padding=1)
        )

    def forward(
        self, x: Tensor, timestep: Tensor, context: Context, watch: Watch | None = None
    ) -> Tensor:
        time = self.time_embed(timestep_embedding(timestep, WIDTH).to(x.dtype))
        skips = []
        for block in self.input_blocks:
            for part in block:
                x = part(x, time, context, watch)
            skips.append(x)
        for part in self.middle_block:
            x = part(x, time, context, watch)
        for block in self.output_blocks:
            x = torch.cat([x, skips.pop()], dim=1)
            for part in block:
                x = part(x, time, context, watch)
        return self.out(x)
