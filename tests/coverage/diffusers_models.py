"""Tiny diffusers models as factories of ``python:`` sources: the published blocks, a few channels wide.

Each returns (model, inputs): ``zooport port python:diffusers_models:unet2d_condition -o DIR``, with this folder on
PYTHONPATH and the extra ``upstream`` installed. Weights are seeded; one float step stands for the timestep, because a
pipeline passes what its scheduler computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from zoo.inputs import InputSpec

Made = tuple[torch.nn.Module, Mapping[str, Any]]
STEPS = InputSpec("timestep", "int64", ("batch",), "tokens", high=1000)


class Decoder(torch.nn.Module):
    """``decode`` of an autoencoder, which its ``forward`` (encode, sample, decode) does not give alone."""

    def __init__(self, autoencoder: torch.nn.Module) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.autoencoder.decode(latents).sample


class Encoder(torch.nn.Module):
    """The moments of ``encode``: what is drawn from them is a pipeline's business."""

    def __init__(self, autoencoder: torch.nn.Module) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        return self.autoencoder.encode(sample).latent_dist.parameters


# -- UNets ---------------------------------------------------------------------------------------------------------


def unet2d() -> Made:
    """DDPM's UNet."""
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8, attention_head_dim=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return model, {"sample": torch.zeros(2, 3, 16, 16), "timestep": STEPS}


def _condition(**more: Any) -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8, cross_attention_dim=24,
        attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **more,
    )  # fmt: skip


def unet2d_condition() -> Made:
    """Stable Diffusion 1's UNet."""
    return _condition(), {
        "sample": torch.zeros(2, 4, 16, 16),
        "timestep": STEPS,
        "encoder_hidden_states": torch.zeros(2, 7, 24),
    }


def unet2d_condition_xl() -> Made:
    """Stable Diffusion XL's UNet: linear projections, and the conditions of ``added_cond_kwargs``."""
    model = _condition(
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16, transformer_layers_per_block=(1, 2),
    )  # fmt: skip
    return model, {
        "sample": torch.zeros(2, 4, 16, 16),
        "timestep": STEPS,
        "encoder_hidden_states": torch.zeros(2, 7, 24),
        "added_cond_kwargs": {"text_embeds": torch.zeros(2, 16), "time_ids": torch.zeros(2, 6)},
    }


# -- transformers --------------------------------------------------------------------------------------------------


def dit() -> Made:
    """DiT: classes and steps through adaptive norms."""
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        patch_size=2, num_embeds_ada_norm=1000, attention_bias=True, norm_num_groups=4,
    )  # fmt: skip
    return model, {
        "hidden_states": torch.zeros(2, 4, 8, 8),
        "timestep": STEPS,
        "class_labels": InputSpec("class_labels", "int64", ("batch",), "tokens", high=1000),
    }


def pixart() -> Made:
    """PixArt: one adaptive norm for all blocks, and a caption."""
    from diffusers import PixArtTransformer2DModel

    model = PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        patch_size=2, cross_attention_dim=16, caption_channels=24, norm_num_groups=4, use_additional_conditions=False,
    )  # fmt: skip
    return model, {
        "hidden_states": torch.zeros(2, 4, 8, 8),
        "encoder_hidden_states": torch.zeros(2, 7, 24),
        "timestep": STEPS,
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
    }


def sd3() -> Made:
    """Stable Diffusion 3's joint attention."""
    from diffusers import SD3Transformer2DModel

    model = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=24, caption_projection_dim=32, pooled_projection_dim=16,
        pos_embed_max_size=16, qk_norm="rms_norm",
    )  # fmt: skip
    return model, {
        "hidden_states": torch.zeros(2, 4, 16, 16),
        "encoder_hidden_states": torch.zeros(2, 7, 24),
        "pooled_projections": torch.zeros(2, 16),
        "timestep": STEPS,
    }


def flux() -> Made:
    """FLUX: double and single blocks with rotary positions."""
    from diffusers import FluxTransformer2DModel

    model = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=24, pooled_projection_dim=16, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    grid = torch.stack(torch.meshgrid(torch.zeros(1), torch.arange(4.0), torch.arange(4.0), indexing="ij"), -1)
    return model, {
        "hidden_states": torch.zeros(2, 16, 16),
        "encoder_hidden_states": torch.zeros(2, 5, 24),
        "pooled_projections": torch.zeros(2, 16),
        "timestep": InputSpec("timestep", "float32", ("batch",), mean=0.5, std=0.25),
        "guidance": InputSpec("guidance", "float32", ("batch",), mean=3.5),
        "img_ids": InputSpec("img_ids", "float32", (grid.numel() // 3, 3), mean=2.0),
        "txt_ids": InputSpec("txt_ids", "float32", (5, 3)),
    }


def wan() -> Made:
    """Wan: video, rotary positions over time, height and width."""
    from diffusers import WanTransformer3DModel

    model = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=32,
        ffn_dim=32, num_layers=2, rope_max_seq_len=32,
    )  # fmt: skip
    return model, {
        "hidden_states": torch.zeros(2, 4, 2, 8, 8),
        "timestep": STEPS,
        "encoder_hidden_states": torch.zeros(2, 6, 16),
    }


# -- autoencoders --------------------------------------------------------------------------------------------------


def _autoencoder() -> torch.nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32), norm_num_groups=8, latent_channels=4, sample_size=32, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip


def autoencoder_kl_decoder() -> Made:
    """Stable Diffusion's decoder of latents."""
    return Decoder(_autoencoder()), {"latents": torch.zeros(2, 4, 16, 16)}


def autoencoder_kl_encoder() -> Made:
    """Stable Diffusion's encoder into the moments of latents."""
    return Encoder(_autoencoder()), {"sample": torch.zeros(2, 3, 32, 32)}


def autoencoder_tiny() -> Made:
    """TAESD's decoder."""
    from diffusers import AutoencoderTiny

    model = AutoencoderTiny(
        encoder_block_out_channels=(16, 16), decoder_block_out_channels=(16, 16), num_encoder_blocks=(1, 2),
        num_decoder_blocks=(2, 1),
    )  # fmt: skip
    return Decoder(model), {"latents": torch.zeros(2, 4, 16, 16)}
