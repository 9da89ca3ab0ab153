"""The demo's text encoder: CLIP's layout, two layers deep, over a closed vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attending import attend
from .captions import WORDS

LENGTH = 77
WIDTH = 128
LAYERS = 2
HEADS = 4
START, END = len(WORDS), len(WORDS) + 1  # as in CLIP: the sentence's end is also its padding
VOCABULARY = len(WORDS) + 2

# the same facts in the words of CLIP's configuration, as ComfyUI reads it
CLIP_CONFIG = {
    "architectures": ["CLIPTextModel"],
    "hidden_act": "quick_gelu",
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "max_position_embeddings": LENGTH,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "projection_dim": WIDTH,
    "eos_token_id": END,
    "vocab_size": VOCABULARY,
}


def words_of(text: str) -> list[str]:
    """The prompt's words; one that the model never met is named, with those it knows."""
    words = text.lower().replace(",", " ").replace(".", " ").split()
    for word in words:
        if word not in WORDS:
            raise ValueError(
                f"The demo model doesn't know the word {word!r}; it knows: {', '.join(WORDS)}."
            )
    return words


def tokens_of(text: str) -> list[int]:
    """Token ids `(77,)`: start, words, end, and the end again as padding."""
    ids = [WORDS.index(word) for word in words_of(text)]
    if len(ids) > LENGTH - 2:
        raise ValueError(
            f"The prompt has {len(ids)} words; the demo model reads {LENGTH - 2}: shorten it."
        )
    return [START, *ids, *[END] * (LENGTH - 1 - len(ids))]


class Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.position_embedding = nn.Embedding(LENGTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        mixed = attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), HEADS, causal=True)
        return self.out_proj(mixed)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.self_attn, self.mlp = SelfAttention(), MLP()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))


class TextModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = Encoder()
        self.final_layer_norm = nn.LayerNorm(WIDTH)


class TextEncoder(nn.Module):
    """Token ids `(B, 77)` to vectors `(B, 77, 128)`."""

    def __init__(self) -> None:
        super().__init__()
        self.text_model = TextModel()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.text_model.embeddings(tokens)
        for layer in self.text_model.encoder.layers:
            x = layer(x)
        return self.text_model.final_layer_norm(x)

    def encode(self, *texts: str) -> Tensor:
        device = self.text_model.embeddings.token_embedding.weight.device
        return self(torch.tensor([tokens_of(text) for text in texts], device=device))
