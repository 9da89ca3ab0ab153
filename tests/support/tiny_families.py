"""A small configuration of every family, with the text that its encoder gives.

Widths of text are the real ones, so that a conditioning is told apart as a real one is.
"""

from __future__ import annotations

import torch

from support.tiny_models import Text, Tiny

UNET = {
    "image_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1],
    "channel_mult": (1,),
    "transformer_depth": [1],
    "transformer_depth_output": [1, 1],
    "transformer_depth_middle": 1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
}
FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 32,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}
FLUX2 = FLUX | {
    "in_channels": 128,
    "out_channels": 128,
    "vec_in_dim": None,
    "context_in_dim": 15360,
    "axes_dim": [4, 4, 4, 4],
    "patch_size": 1,
    "qkv_bias": False,
    "txt_ids_dims": [3],
    "global_modulation": True,
    "mlp_silu_act": True,
    "ops_bias": False,
    "default_ref_method": "index",
    "ref_index_scale": 10.0,
}
NEXT_DIT = {
    "patch_size": 2,
    "in_channels": 16,
    "n_layers": 1,
    "n_refiner_layers": 1,
    "qk_norm": True,
    "axes_dims": [4, 6, 6],
    "axes_lens": [64, 32, 32],
}
COSMOS = {
    "max_img_h": 16,
    "max_img_w": 16,
    "max_frames": 4,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 64,
    "concat_padding_mask": True,
    "crossattn_emb_channels": 1024,
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": True,
    "num_blocks": 2,
    "num_heads": 2,
    "use_adaln_lora": True,
    "adaln_lora_dim": 16,
    "rope_enable_fps_modulation": False,
}


def _small_adapter(model: torch.nn.Module) -> None:
    """Anima's adapter has its full size built in: the same class, smaller, takes its place."""
    import comfy.ops
    from comfy.ldm.anima.model import LLMAdapter

    network = model.diffusion_model
    network.llm_adapter = LLMAdapter(
        source_dim=1024,
        target_dim=1024,
        model_dim=64,
        num_layers=1,
        num_heads=2,
        dtype=network.dtype,
        operations=comfy.ops.disable_weight_init,
    ).requires_grad_(False)


V_PREDICTION = {"output_blocks.11.1.transformer_blocks.0.norm1.bias": (2,)}

TINY = {
    "SD 1.x": Tiny(
        "SD15",
        UNET | {"context_dim": 768, "use_linear_in_transformer": False},
        Text(768, 6, 77, 768),
    ),
    "SD 2.x": Tiny(
        "SD20",
        UNET | {"context_dim": 1024},
        Text(1024, 6, 77, 1024),
        weights=V_PREDICTION,
    ),
    "SDXL": Tiny(
        "SDXL",
        UNET | {"context_dim": 2048, "adm_in_channels": 2816, "num_classes": "sequential"},
        Text(2048, 6, 77, 1280),
    ),
    "SD 3": Tiny(
        "SD3",
        {
            "in_channels": 16,
            "patch_size": 2,
            "depth": 1,
            "num_blocks": 2,
            "input_size": None,
            "adm_in_channels": 2048,
            "context_embedder_config": {
                "target": "torch.nn.Linear",
                "params": {"in_features": 4096, "out_features": 64},
            },
            "pos_embed_scaling_factor": None,
            "pos_embed_max_size": 16,
            "num_patches": 256,
            "qk_norm": "rms",
            "x_block_self_attn_layers": [0],
        },
        Text(4096, 83, 154, 2048),
        channels=16,
    ),
    "Flux": Tiny("Flux", {"image_model": "flux"} | FLUX, Text(4096, 7, 256, 768), channels=16),
    "Ovis-Image": Tiny(
        "Flux",
        {"image_model": "flux"}
        | FLUX
        | {"context_in_dim": 2048, "vec_in_dim": None, "guidance_embed": False}
        | {"txt_ids_dims": [1, 2], "yak_mlp": True, "txt_norm": True},
        Text(2048, 30, 256, zero_padding=True),
        channels=16,
    ),
    "LongCat-Image": Tiny(
        "LongCatImage",
        {"image_model": "flux"}
        | FLUX
        | {"context_in_dim": 3584, "vec_in_dim": None, "guidance_embed": False}
        | {"txt_ids_dims": [1, 2]},
        Text(3584, 9, 9),
        channels=16,
    ),
    "Flux.2": Tiny(
        "Flux2", {"image_model": "flux2"} | FLUX2, Text(15360, 40, 40, mask=True), channels=128
    ),
    "Flux.2 Klein": Tiny(
        "Flux2",
        {"image_model": "flux2"} | FLUX2 | {"context_in_dim": 7680},
        Text(7680, 20, 512, mask=True),
        channels=128,
    ),
    "Chroma": Tiny(
        "Chroma",
        {
            name: value
            for name, value in FLUX.items()
            if name not in ("guidance_embed", "in_channels", "out_channels")
        }
        | {
            "image_model": "chroma",
            "in_channels": 64,
            "out_channels": 64,
            "in_dim": 64,
            "out_dim": 32,
            "hidden_dim": 32,
            "n_layers": 1,
            "vec_in_dim": None,
        },
        Text(4096, 9, 9),
        channels=16,
    ),
    "Z-Image": Tiny(
        "ZImage",
        {"image_model": "lumina2", "dim": 256, "n_heads": 16, "n_kv_heads": 16}
        | {"cap_feat_dim": 2560, "z_image_modulation": True, "time_scale": 1000.0}
        | {"pad_tokens_multiple": 32, "rope_theta": 256.0}
        | NEXT_DIT,
        Text(2560, 18, 18, mask=True),
        channels=16,
    ),
    "Lumina 2": Tiny(
        "Lumina2",
        {"image_model": "lumina2", "dim": 32, "n_heads": 2, "n_kv_heads": 1}
        | {"cap_feat_dim": 2304}
        | NEXT_DIT,
        Text(2304, 18, 18, mask=True),
        channels=16,
    ),
    "NewBie": Tiny(
        "Lumina2",
        {"image_model": "lumina2", "dim": 32, "n_heads": 2, "n_kv_heads": 1}
        | {"cap_feat_dim": 2560, "clip_text_dim": 1024}
        | NEXT_DIT,
        Text(2560, 18, 18, 1024, mask=True),
        channels=16,
    ),
    "OmniGen2": Tiny(
        "Omnigen2",
        {
            "image_model": "omnigen2",
            "hidden_size": 48,
            "in_channels": 16,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "num_attention_heads": 4,
            "num_kv_heads": 2,
            "multiple_of": 16,
            "axes_dim_rope": (4, 4, 4),
            "axes_lens": (64, 32, 32),
            "text_feat_dim": 2048,
            "timestep_scale": 1000.0,
        },
        Text(2048, 30, 30, mask=True),
        channels=16,
    ),
    "Krea 2": Tiny(
        "Krea2",
        {"image_model": "krea2", "features": 64, "heads": 4, "kvheads": 2, "layers": 1}
        | {"channels": 16, "txtlayers": 480, "txtdim": 64, "txtheads": 2, "txtkvheads": 2}
        | {"multiplier": 1},
        Text(30720, 5, 5),
        channels=16,
        size=(1, 8, 12),
    ),
    "Qwen-Image": Tiny(
        "QwenImage",
        {
            "image_model": "qwen_image",
            "in_channels": 64,
            "out_channels": 16,
            "num_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 3584,
            "axes_dims_rope": (4, 6, 6),
        },
        Text(3584, 11, 11),
        channels=16,
        size=(1, 8, 12),
    ),
    "PixArt": Tiny(
        "PixArtSigma",
        {
            "image_model": "pixart_sigma",
            "num_heads": 2,
            "patch_size": 2,
            "hidden_size": 32,
            "in_channels": 4,
            "depth": 1,
            "model_max_length": 300,
            "micro_condition": False,
            "pe_interpolation": 1,
        },
        Text(4096, 8, 8),
        size=(32, 40),
    ),
    "AuraFlow": Tiny(
        "AuraFlow",
        {"dim": 32, "n_layers": 2, "n_double_layers": 1, "n_heads": 2, "global_conddim": 32}
        | {"cond_seq_dim": 2048, "max_seq": 256},
        Text(2048, 7, 256, zero_padding=True),
    ),
    "HunyuanDiT": Tiny(
        "HunyuanDiT",
        {"image_model": "hydit", "depth": 2, "hidden_size": 64, "num_heads": 2}
        | {"text_states_dim_t5": 32, "mlp_ratio": 2.0},
        Text(
            1024,
            7,
            77,
            mask=True,
            extra={"conditioning_mt5xl": (1, 256, 32), "attention_mask_mt5xl": (1, 256)},
        ),
    ),
    "HiDream": Tiny(
        "HiDream",
        {
            "image_model": "hidream",
            "attention_head_dim": 16,
            "axes_dims_rope": [4, 6, 6],
            "caption_channels": [4096, 64],
            "max_resolution": [16, 16],
            "in_channels": 16,
            "out_channels": 16,
            "llama_layers": [0, 1],
            "num_attention_heads": 2,
            "num_layers": 1,
            "num_single_layers": 1,
            "patch_size": 2,
            "text_emb_dim": 2048,
        },
        Text(4096, 7, 128, 2048, extra={"conditioning_llama3": (1, 2, 12, 64)}),
        channels=16,
    ),
    "Anima": Tiny(
        "Anima",
        {"image_model": "anima"} | COSMOS,
        Text(1024, 9, 9, mask=True, extra={"t5xxl_ids": (8,), "t5xxl_weights": (8,)}),
        channels=16,
        size=(1, 8, 12),
        shrink=_small_adapter,
    ),
    "Cosmos Predict 2": Tiny(
        "CosmosT2IPredict2",
        {"image_model": "cosmos_predict2"} | COSMOS,
        Text(1024, 7, 512, mask=True, zero_padding=True),
        channels=16,
        size=(1, 8, 12),
    ),
    "SD 1.x inpainting": Tiny(
        "SD15",
        UNET | {"context_dim": 768, "use_linear_in_transformer": False, "in_channels": 9},
        Text(768, 6, 77, 768),
    ),
    "Flux inpainting": Tiny(
        "FluxInpaint",
        {"image_model": "flux"} | FLUX | {"in_channels": 96},
        Text(4096, 7, 256, 768),
        channels=16,
    ),
}

SD1_TEXT = TINY["SD 1.x"].text
# models that no subject can be learned on
REFUSED = {
    "SD 1.x without attention": Tiny(
        "SD15",
        UNET
        | {
            "context_dim": None,
            "use_spatial_transformer": False,
            "transformer_depth": [0],
            "transformer_depth_output": [0, 0],
            "transformer_depth_middle": -1,
        },
        SD1_TEXT,
    ),
    "Instruct-Pix2Pix": Tiny(
        "SD15_instructpix2pix",
        UNET | {"context_dim": 768, "use_linear_in_transformer": False, "in_channels": 8},
        SD1_TEXT,
    ),
    "Lotus": Tiny(
        "LotusD", UNET | {"context_dim": 1024, "adm_in_channels": 4}, TINY["SD 2.x"].text
    ),
}
