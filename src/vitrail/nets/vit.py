"""The Vision Transformer and its successors: DeiT, DINO, DeiT-III and DINOv2.

Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv:2010.11929 (figure 1, equations 1-4, table 1). DeiT
(arXiv:2012.12877) and DINO (arXiv:2104.14294) are the same network, trained differently. DeiT-III (arXiv:2204.07118)
and DINOv2 (arXiv:2304.07193) scale what a block adds (LayerScale, arXiv:2103.17239); the largest DINOv2 has a gated MLP
(SwiGLU, arXiv:2002.05202); registers are tokens that only give the network room (arXiv:2309.16588).
Parameters carry timm's names, so the field's weights load as they are.

Letters: B images, C channels, H rows, W columns; L tokens (the class token first, then G registers, then the patches
row by row), D width, A attention heads, E width of one head (D = A * E), F width of the MLP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from vitrail.nets.positions import Grid, PositionRule, resize_positions

Pooling = Literal["cls", "mean"]
Activation = Literal["gelu", "gelu_tanh"]

LAYER_NORM_EPS = 1e-6  # flax's default, kept by timm and DeiT; torch's own 1e-5 gives other features
LAYER_SCALE_START = 1e-5  # timm's for DINOv2; no file of weights leaves it there
INIT_STD = 0.02  # of a truncated normal, for every linear layer, as DeiT trains them

GELU_FORMS: dict[Activation, Literal["none", "tanh"]] = {
    "gelu": "none",  # exact, by erf: how timm, torch and transformers run ViT and DeiT
    "gelu_tanh": "tanh",  # JAX's default, with which Google's own code trained and runs its weights
}


@dataclass(frozen=True, slots=True)
class VitSize:
    """Width D, number of blocks, attention heads A and MLP of one size."""

    width: int
    depth: int
    heads: int
    mlp_width: int | None = None  # F; None is 4 * D
    gated_mlp: bool = False  # SwiGlu instead of Mlp

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"A width must be a multiple of the heads; got width {self.width}, heads {self.heads}.")

    @property
    def hidden(self) -> int:
        """F, the hidden units of every MLP."""
        return self.mlp_width or 4 * self.width


VIT_SIZES = {
    "mini": VitSize(128, 6, 4),  # ours: the embedded backbone, for images of 32 x 32
    "Ti": VitSize(192, 12, 3),  # arXiv:2012.12877, table 1
    "S": VitSize(384, 12, 6),  # the same
    "B": VitSize(768, 12, 12),  # arXiv:2010.11929, table 1
    "L": VitSize(1024, 24, 16),
    "H": VitSize(1280, 32, 16),
    "g": VitSize(1536, 40, 24, mlp_width=4096, gated_mlp=True),  # arXiv:2304.07193, table 17
}


@dataclass(frozen=True, slots=True)
class VitForm:
    """What a paper changed in the ViT."""

    layer_scale: bool = False  # scale what each block adds
    registers: int = 0  # G
    # Whether the class token has a row of its own, the first, in the table of positions. Else positions are added to
    # the patches before class token and registers are joined to them.
    class_has_position: bool = True


VIT_FORMS = {
    "ViT": VitForm(),  # DeiT and DINO too
    "DeiT-III": VitForm(layer_scale=True, class_has_position=False),
    "DINOv2": VitForm(layer_scale=True),
    # Meta's file gives the class token a position; timm has added it to the token itself, which is the same.
    "DINOv2 with registers": VitForm(layer_scale=True, registers=4, class_has_position=False),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class VitConfig:
    """Everything that a Vision Transformer is built from; ValueError if its sizes do not divide."""

    size: VitSize = VIT_SIZES["S"]
    form: VitForm = VIT_FORMS["ViT"]
    patch: int = 16  # side of a patch in pixels
    image_size: int = 224  # rows and columns, in pixels, of the image that the table of positions is for
    classes: int = 1000  # outputs of `head`; 0 leaves it out, and `forward` gives the feature
    positions: PositionRule = "bicubic-antialias"  # how the table is brought to an image of another size
    pooling: Pooling = "cls"
    activation: Activation = "gelu"
    norm_eps: float = LAYER_NORM_EPS

    def __post_init__(self) -> None:
        if self.image_size % self.patch:
            raise ValueError(
                f"The image size of a ViT must be a multiple of the patch; got image {self.image_size}, patch "
                f"{self.patch}."
            )


class PatchEmbed(nn.Module):
    """Cut the image into squares and project each to a token: one convolution whose stride is its size."""

    def __init__(self, patch: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch, bias=bias)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """One token a patch, without the class token."""
        map_BDHW: Tensor = self.proj(image_BCHW)
        return map_BDHW.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Every token takes the mean of the values of all tokens, weighted by softmax(query . key / sqrt(E))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens, in the same order."""
        # One matrix holds query, key and value in this order, and each of them its heads: (3, A, E).
        # (A, 3, E) has the same shape, loads as well and is wrong.
        qkv_BL3AE: Tensor = self.qkv(token_BLD).unflatten(-1, (3, self.heads, -1))
        query_BALE, key_BALE, value_BALE = (part_BLAE.transpose(1, 2) for part_BLAE in qkv_BL3AE.unbind(dim=2))
        mixed_BALE = scaled_dot_product_attention(query_BALE, key_BALE, value_BALE)  # divides by sqrt(E)
        mixed_BLD: Tensor = self.proj(mixed_BALE.transpose(1, 2).flatten(2))
        return mixed_BLD


def gelu(activation: Activation) -> nn.GELU:
    """A GELU in the form of this name."""
    return nn.GELU(approximate=GELU_FORMS[activation])


class Mlp(nn.Module):
    """Two linear layers with a GELU between, for each token alone."""

    def __init__(self, width: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = activation
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens."""
        token_BLF: Tensor = self.act(self.fc1(token_BLD))
        output_BLD: Tensor = self.fc2(token_BLF)
        return output_BLD


class SwiGlu(nn.Module):
    """An MLP in which one half of the hidden units says how much of the other half passes (SwiGLU)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * hidden)  # the gate first, then what passes; DINOv2 calls it w12
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens."""
        gate_BLF, value_BLF = self.fc1(token_BLD).chunk(2, dim=-1)
        output_BLD: Tensor = self.fc2(silu(gate_BLF) * value_BLF)
        return output_BLD


class LayerScale(nn.Module):
    """A factor for each of the D numbers that a block adds; small at first, so that depth comes in gently."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), LAYER_SCALE_START))

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The scaled tokens."""
        return token_BLD * self.gamma


class Block(nn.Module):
    """Attention, then MLP, each on normalised tokens and added to its input (equations 2 and 3)."""

    def __init__(self, width: int, heads: int, mlp: nn.Module, *, layer_scale: bool, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width) if layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = mlp
        self.ls2 = LayerScale(width) if layer_scale else nn.Identity()

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The tokens after this block."""
        attended_BLD: Tensor = token_BLD + self.ls1(self.attn(self.norm1(token_BLD)))
        output_BLD: Tensor = attended_BLD + self.ls2(self.mlp(self.norm2(attended_BLD)))
        return output_BLD


class VisionTransformer(nn.Module):
    """Image to tokens, a stack of blocks, one token out.

    The feature is the class token after the final norm (`pooling="cls"`), or the mean of the patch
    tokens and then a norm of its own, `fc_norm` (`pooling="mean"`): norm(mean) is not mean(norm).
    """

    def __init__(self, config: VitConfig) -> None:
        """Build the network with random weights, in training mode."""
        super().__init__()
        size, form, eps = config.size, config.form, config.norm_eps
        width, side, mean = size.width, config.image_size // config.patch, config.pooling == "mean"
        self.pooling, self.positions = config.pooling, config.positions
        self.class_has_position, self.prefix = form.class_has_position, 1 + form.registers
        self.patch, self.grid = config.patch, (side, side)
        self.patch_embed = PatchEmbed(config.patch, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.reg_token = nn.Parameter(torch.zeros(1, form.registers, width)) if form.registers else None
        self.pos_embed = nn.Parameter(torch.zeros(1, form.class_has_position + side * side, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                size.heads,
                SwiGlu(width, size.hidden) if size.gated_mlp else Mlp(width, size.hidden, gelu(config.activation)),
                layer_scale=form.layer_scale,
                norm_eps=eps,
            )
            for _ in range(size.depth)
        )
        self.norm = nn.Identity() if mean else nn.LayerNorm(width, eps=eps)
        self.fc_norm = nn.LayerNorm(width, eps=eps) if mean else nn.Identity()
        self.head = nn.Linear(width, config.classes) if config.classes else nn.Identity()
        self._initialise()

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The logits of the pretraining classes, `logit_BC`."""
        logit_BC: Tensor = self.head(self.forward_features(image_BCHW))
        return logit_BC

    def forward_features(self, image_BCHW: Tensor) -> Tensor:
        """One vector an image, `feature_BD`: what the classifier sees."""
        return self.forward_pooled(image_BCHW, (self.pooling,))

    def forward_pooled(self, image_BCHW: Tensor, poolings: Sequence[Pooling]) -> Tensor:
        """The features of several poolings side by side, `feature_BD` with D = poolings * width, from one pass."""
        token_BLD = self.forward_tokens(image_BCHW)
        pooled_BD = {"cls": token_BLD[:, 0], "mean": token_BLD[:, self.prefix :].mean(dim=1)}
        return torch.cat([self.fc_norm(pooled_BD[pooling]) for pooling in poolings], dim=-1)

    def forward_tokens(self, image_BCHW: Tensor) -> Tensor:
        """All tokens after the last block and the final norm, `token_BLD`: class token, registers, patches.

        The sides of the image should be multiples of the patch; pixels beyond the last full patch are ignored.
        """
        token_BLD = self._embed(self.patch_embed(image_BCHW), self._grid_of(image_BCHW))
        for block in self.blocks:
            token_BLD = block(token_BLD)
        normed_BLD: Tensor = self.norm(token_BLD)
        return normed_BLD

    def _embed(self, patch_BLD: Tensor, grid: Grid) -> Tensor:
        """Give the patches their positions, and join class token and registers to them (equation 1)."""
        images = patch_BLD.shape[0]
        class_B1D = self.cls_token.expand(images, -1, -1)
        register_BGD = () if self.reg_token is None else (self.reg_token.expand(images, -1, -1),)
        own, position_1LD = self.pos_embed.tensor_split((int(self.class_has_position),), dim=1)
        patch_BLD = patch_BLD + resize_positions(position_1LD, self.grid, grid, self.positions)
        if self.class_has_position:
            class_B1D = class_B1D + own
        return torch.cat((class_B1D, *register_BGD, patch_BLD), dim=1)

    def _grid_of(self, image_BCHW: Tensor) -> Grid:
        rows, columns = image_BCHW.shape[2:]
        return int(rows) // self.patch, int(columns) // self.patch  # int: a tracer would hand out tensors

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=INIT_STD)
        nn.init.normal_(self.cls_token, std=INIT_STD)
        if self.reg_token is not None:
            nn.init.normal_(self.reg_token, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INIT_STD)
                nn.init.zeros_(module.bias)
