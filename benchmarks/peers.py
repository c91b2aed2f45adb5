"""The same work by others: a plain timm loop, and transformers' image-feature-extraction pipeline.

Rates are from the arrival of the first batch, so that no peer pays for starting its workers or for warming up.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tests.references import timm, timm_config, torchvision
from torch.utils.data import DataLoader, Dataset

from benchmarks.report import RESNET50
from vitrail.backbones import BackboneSpec, find_card
from vitrail.backbones.weights.safetensors import read_safetensors

BATCH, WORKERS = 32, 2


class Files(Dataset):  # type: ignore[type-arg]
    """Images of a list of files, transformed."""

    def __init__(self, files: Sequence[Path], transform: object) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> torch.Tensor:
        with Image.open(self.files[place]) as image:
            return self.transform(image.convert("RGB"))  # type: ignore[operator, no-any-return]


def timm_loop(spec: BackboneSpec, files: Sequence[Path], *, bf16: bool) -> tuple[float, np.ndarray]:
    """Images a second of timm's model behind a DataLoader of two workers, and its features."""
    model = timm().create_model(spec.name, pretrained=False)
    model.load_state_dict(read_safetensors(spec.file))
    model.reset_classifier(0)
    model.eval()
    transform = timm().data.create_transform(**timm_config(spec.name), is_training=False)
    torch.set_num_threads(WORKERS)
    features, begun = [], 0.0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for image_BCHW in DataLoader(Files(files, transform), batch_size=BATCH, num_workers=WORKERS):
            begun = begun or time.perf_counter()
            features.append(model(image_BCHW).float().numpy())
    return len(files) / (time.perf_counter() - begun), np.concatenate(features)


def transformers_loop(name: str, files: Sequence[Path]) -> float:
    """Images a second of transformers' pipeline on a network of the same size, with random weights."""
    torchvision()  # which transformers imports
    from transformers import BitImageProcessorPil, ResNetConfig, ResNetModel, ViTConfig, ViTImageProcessorPil, ViTModel
    from transformers import pipeline as transformers_pipeline

    card = find_card(name)
    side, prepared = card.preprocessing.crop, card.preprocessing
    if name == RESNET50:
        model = ResNetModel(ResNetConfig()).eval()
        processor = BitImageProcessorPil(
            size={"shortest_edge": prepared.resize}, crop_size={"height": side, "width": side}
        )
    else:
        width = card.feature_width
        config = ViTConfig(hidden_size=width, intermediate_size=4 * width, num_attention_heads=width // 64)
        model, processor = ViTModel(config).eval(), ViTImageProcessorPil(size={"height": side, "width": side})
    torch.set_num_threads(WORKERS)
    extract = transformers_pipeline(
        "image-feature-extraction", model=model, image_processor=processor, framework="pt", batch_size=BATCH
    )
    extract([str(file) for file in files[:BATCH]])
    begun = time.perf_counter()
    extract([str(file) for file in files])
    return len(files) / (time.perf_counter() - begun)
