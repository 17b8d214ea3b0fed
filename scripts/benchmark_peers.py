"""Train one network of another library by that library's own recipe, and predict the test photos.

    python scripts/benchmark_peers.py train smp-lite0 --data DATA_ROOT --run FOLDER --epochs 20
    python scripts/benchmark_peers.py test smp-lite0 --data DATA_ROOT --run FOLDER

scripts/benchmark.py runs these commands and compares the masks with ours; needs
`pip install -e '.[benchmark]'`. What all peers share with ours: the files, how photos are read and
kept in memory, bf16 where the processor computes it, channels_last, and how logits become masks at
the photo's own size. They train on all photos of the split `train` and keep their last weights.

Sources of the recipes:
* github.com/qubvel-org/segmentation_models.pytorch, examples/camvid_segmentation_multiclass.ipynb
  (MIT): Adam at 2e-4 along a cosine to 1e-5, step by step; Dice loss; flip, shift and scale by
  half, crop, perspective, noise, light, blur.
* github.com/Project-MONAI/tutorials, 2d_segmentation/torch/unet_training_dict.py (Apache-2.0): a
  U-Net of 16 to 256 channels with two residual units a level, Adam at 1e-3, four crops around
  foreground and background of each of two pictures, windows slid over the picture to predict it.
* The plain recipe for a pretrained network: AdamW along one cycle (Smith and Topin 2017, arXiv
  1708.07120), cross entropy + Dice, random resized crops, flips and colours.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from camera_trapinator import IGNORE, InputError
from camera_trapinator.command.arguments import ScriptParser, same_checkout, user_path
from camera_trapinator.data.cache import open_cache
from camera_trapinator.data.loading import to_tensor
from camera_trapinator.data.manifest import read_classes, read_manifest
from camera_trapinator.data.masks import write_mask
from camera_trapinator.data.photos import read_photo
from camera_trapinator.dataset import CameraTrapDataset
from camera_trapinator.networks.encoders import build_encoder
from camera_trapinator.networks.prediction import largest_class
from camera_trapinator.networks.weights import pretrained_weights
from camera_trapinator.training.sampler import CurriculumSampler
from camera_trapinator.utils import (
    choose_device,
    choose_precision,
    exit_on_bad_input,
    seed_everything,
)

IMAGENET = ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))  # mean and spread on a 0..255 scale
LITE = ((127.0,) * 3, (128.0,) * 3)  # what EfficientNet-Lite0 was trained with
BYTES = ((0.0,) * 3, (255.0,) * 3)  # to 0..1
MARGIN = {tv_tensors.Image: 0, tv_tensors.Mask: IGNORE}  # what lies beyond the photo


class Recipe(NamedTuple):
    """All in which one peer differs from another."""

    net: nn.Module
    input: tuple[tuple, tuple]  # mean and spread of the photos it wants
    size: int  # height and width of a training picture
    working_scale: int  # long side of the photo that the picture is cut from
    batch_size: int  # photos in a step
    augment: Callable  # (image, mask) -> one training picture, or several
    criterion: Callable  # (logits float32, masks int64) -> loss
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None  # asked after each step
    predict: Callable  # normalised photo (1, 3, h, w) -> logits (1, C, h', w') of the whole photo


# --------------------------------------------------------------------------------- the recipes


def smp_example(num_classes: int, steps: int) -> Recipe:
    """The multi-class example of segmentation_models_pytorch, at the size that ours has.

    The example takes crops of 320 pixels and 575 steps of 32 photos; few minutes on a CPU allow
    that many steps at 192 pixels and 16 photos.
    """
    import segmentation_models_pytorch as smp

    net = smp.Unet("resnet34", encoder_weights=None, classes=num_classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4)
    augment = Augment([
        v2.RandomHorizontalFlip(0.5),
        v2.RandomAffine(0, translate=(0.1, 0.1), scale=(0.5, 1.5), fill=MARGIN),
        v2.RandomCrop(192, pad_if_needed=True, fill=MARGIN),
        v2.RandomPerspective(0.2, p=0.5, fill=MARGIN),
        v2.ColorJitter(0.2, 0.2, 0.2, 0.05),
        v2.RandomApply([v2.GaussianBlur(3)], p=0.3),
        v2.RandomApply([v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                        v2.GaussianNoise(sigma=0.03),
                        v2.ToDtype({tv_tensors.Image: torch.uint8, "others": None}, scale=True)],
                       p=0.2),
    ])
    return Recipe(net, IMAGENET, 192, 192, 16, augment,
                  smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=IGNORE),
                  optimizer,
                  torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=1e-5),
                  Padded(net))


def smp_plain(num_classes: int, steps: int, pretrained: bool) -> Recipe:
    """segmentation_models_pytorch's U-Net on EfficientNet-Lite0 with the plain recipe."""
    import segmentation_models_pytorch as smp

    net = smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, classes=num_classes)
    if pretrained:
        load_lite0(net.encoder)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    augment = Augment([
        v2.RandomResizedCrop(192, scale=(0.4, 1.0), ratio=(3 / 4, 4 / 3)),
        v2.RandomHorizontalFlip(0.5),
        v2.ColorJitter(0.3, 0.3, 0.3, 0.05),
    ])
    dice = smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=IGNORE)

    def criterion(logits: Tensor, masks: Tensor) -> Tensor:
        return F.cross_entropy(logits, masks, ignore_index=IGNORE) + dice(logits, masks)

    return Recipe(net, LITE, 192, 320, 8, augment, criterion, optimizer,
                  torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps),
                  Stretched(net, 192))


def monai_tutorial(num_classes: int, steps: int) -> Recipe:
    """MONAI's two-dimensional tutorial, with three channels in and all classes out.

    Its crops are three quarters of the picture (96 of 128 pixels), and so are these. Animals stand
    upright: pictures are mirrored, not turned as in the tutorial, and their light varies. Dice loss
    with cross entropy is what MONAI takes for several classes. It knows no ignored pixels: they
    count as background.
    """
    from monai import losses
    from monai.inferers import sliding_window_inference
    from monai.networks.nets import UNet

    net = UNet(spatial_dims=2, in_channels=3, out_channels=num_classes,
               channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)
    loss = losses.DiceCELoss(to_onehot_y=True, softmax=True)

    def criterion(logits: Tensor, masks: Tensor) -> Tensor:
        return loss(logits, masks.where(masks != IGNORE, 0)[:, None])

    def predict(x: Tensor) -> Tensor:
        return sliding_window_inference(x, (192, 192), 4, net)

    return Recipe(net, BYTES, 192, 256, 2, MonaiCrops(192, 4), criterion,
                  torch.optim.Adam(net.parameters(), 1e-3), None, predict)


def build(name: str, num_classes: int, steps: int) -> Recipe:
    """The recipe of a peer for a training of so many steps. Raises InputError if its library is
    not installed."""
    try:
        if name == "smp-resnet34-scratch":
            return smp_example(num_classes, steps)
        if name in ("smp-lite0", "smp-lite0-scratch"):
            return smp_plain(num_classes, steps, pretrained=name == "smp-lite0")
        return monai_tutorial(num_classes, steps)
    except ImportError as error:
        raise InputError(f"{name}: {error}; pip install -e '.[benchmark]'") from None


def load_lite0(encoder: nn.Module) -> None:
    """Give timm's EfficientNet-Lite0 the weights that ours begins with.

    Both have the same layers in the same order; timm's is cut off before the last one, which
    classifies. That both compute the same is checked on random pixels.
    """
    ours = build_encoder("efficientnet_lite0")
    state = pretrained_weights("efficientnet_lite0", "imagenet")
    ours.load_state_dict(state)
    body = [value for key, value in state.items() if not key.startswith("head.")]
    encoder.load_state_dict(dict(zip(encoder.state_dict(), body, strict=True)))
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, got = ours.eval()(x)[:-1], encoder.eval()(x)[1:-1]
    for mine, theirs in zip(wanted, got, strict=True):
        if not torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3):
            raise RuntimeError("timm's tf_efficientnet_lite0 computes other features than ours")


class Augment:
    """torchvision's transforms for image and mask together."""

    def __init__(self, transforms: list):
        self.transforms = v2.Compose(transforms)

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        image, mask = self.transforms(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


class MonaiCrops:
    """`number` crops of a photo, as likely around the foreground as around the background."""

    def __init__(self, size: int, number: int):
        from monai import transforms

        both = ["image", "mask"]
        self.transforms = transforms.Compose([
            transforms.SpatialPadd(both, (size, size)),
            transforms.RandCropByPosNegLabeld(both, label_key="mask", spatial_size=(size, size),
                                              pos=1, neg=1, num_samples=number),
            transforms.RandFlipd(both, prob=0.5, spatial_axis=1),
            transforms.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5)),
        ])

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # The dataset seeds torch for each draw; MONAI has a generator of its own.
        self.transforms.set_random_state(int(torch.randint(2**31, ())))
        crops = self.transforms({"image": image.float(),
                                 "mask": mask.where(mask != IGNORE, 0)[None]})
        return (torch.stack([crop["image"].as_tensor() for crop in crops]),
                torch.stack([crop["mask"].as_tensor()[0] for crop in crops]))


class Padded:
    """Logits of a photo as it is, padded to a multiple of 32 as the network needs it."""

    def __init__(self, net: nn.Module):
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return self.net(F.pad(x, (0, -width % 32, 0, -height % 32)))[..., :height, :width]


class Stretched:
    """Logits of a photo that is first stretched to a square."""

    def __init__(self, net: nn.Module, size: int):
        self.net, self.size = net, size

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True))


# ----------------------------------------------------------------------------- train and predict


def train(name: str, data_root: Path, run: Path, epochs: float, seed: int) -> None:
    """Train for so many passes over the photos, a fraction allowed; writes peer.pt, facts.json."""
    seed_everything(seed)
    device = choose_device()
    precision = choose_precision(device)
    manifest, classes, rows = read_data(data_root, "train")
    batch_size = build(name, len(classes), 2).batch_size
    steps_per_epoch = len(CurriculumSampler(len(rows), batch_size, seed))
    steps = max(2, round(epochs * steps_per_epoch))  # two, so that the time between them is known
    seed_everything(seed)
    recipe = build(name, len(classes), steps)
    net = recipe.net.to(device, memory_format=torch.channels_last)
    mean, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in recipe.input)
    dataset = CameraTrapDataset(manifest, data_root, recipe.working_scale, recipe.augment, rows,
                                cache=open_cache("ram", rows, recipe.working_scale, limit=8e9))
    sampler = CurriculumSampler(len(rows), batch_size, seed)  # hands each draw its seed
    loader = DataLoader(dataset, batch_sampler=sampler)
    run.mkdir(parents=True, exist_ok=True)
    print(f"run         {run}")
    net.train()
    done = pictures = 0
    while done < steps:
        sampler.set_epoch(done // steps_per_epoch)
        for images, masks, _ in loader:
            images = images.flatten(0, -4).to(device)  # MONAI gives several pictures a photo
            masks = masks.flatten(0, -3).to(device).long()
            x = ((images.float() - mean) / spread).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
                logits = net(x)
            loss = recipe.criterion(logits.float(), masks)
            recipe.optimizer.zero_grad()
            loss.backward()
            recipe.optimizer.step()
            if recipe.scheduler is not None:
                recipe.scheduler.step()
            done, pictures = done + 1, pictures + len(images)
            tenths = [10 * step // steps_per_epoch for step in (done - 1, done)]
            if tenths[0] < tenths[1] or done == steps:
                print(f"epoch {done / steps_per_epoch:.3f}/{steps / steps_per_epoch:.3f}  "
                      f"train loss {loss.item():.3f}")
            if done == steps:
                break
    torch.save(net.state_dict(), run / "peer.pt")
    (run / "facts.json").write_text(json.dumps({
        "input": recipe.size, "parameters": sum(weight.numel() for weight in net.parameters()),
        "photos_seen": pictures, "epochs": done / steps_per_epoch}), encoding="utf-8")


@torch.inference_mode()
def test(name: str, data_root: Path, run: Path) -> None:
    """Write run/masks/<photo>.png, at the photo's own size: the mean of the photo's logits and
    those of its mirror image."""
    device = choose_device()
    precision = choose_precision(device)
    manifest, classes, rows = read_data(data_root, "test")
    recipe = build(name, len(classes), 2)
    recipe.net.load_state_dict(torch.load(run / "peer.pt", map_location="cpu", weights_only=True))
    recipe.net.to(device, memory_format=torch.channels_last).eval()
    mean, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in recipe.input)
    for index in rows:
        file = manifest[int(index)].image
        photo = read_photo(data_root / file, recipe.working_scale)
        x = (to_tensor(photo.image)[None].to(device).float() - mean) / spread
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, precision.dtype, enabled=precision.autocast):
            logits = recipe.predict(x).float() + recipe.predict(x.flip(-1)).float().flip(-1)
        mask = largest_class(logits[0], (photo.height, photo.width))
        write_mask(run / "masks" / f"{file}.png", mask.cpu().numpy(),
                   [colour for _, colour in classes])


def read_data(data_root: Path, split: str):
    """The manifest, the classes, and which rows are of the split."""
    manifest = read_manifest(data_root / "manifest.csv")
    classes = read_classes(data_root / "classes.csv")
    return manifest, classes, np.flatnonzero(np.array(manifest.column("split")) == split)


def main() -> None:
    warnings.filterwarnings("ignore", module="monai")  # photos without an animal make it chatty
    parser = ScriptParser(__doc__)
    parser.add_argument("action", choices=("train", "test"))
    parser.add_argument("name", choices=("smp-resnet34-scratch", "smp-lite0-scratch", "smp-lite0",
                                         "monai-unet"))
    parser.add_argument("--data", type=user_path, required=True,
                        help="data root with a split column")
    parser.add_argument("--run", type=user_path, required=True, help="folder of weights and masks")
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.action == "train":
        train(arguments.name, arguments.data, arguments.run, arguments.epochs, arguments.seed)
    else:
        test(arguments.name, arguments.data, arguments.run)


if __name__ == "__main__":
    same_checkout(__file__)
    with exit_on_bad_input():
        main()
