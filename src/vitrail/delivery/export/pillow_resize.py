"""Pillow's resize with antialiasing and a centre crop, inside a network: the same 8-bit pixels, for any size of image.

Pillow (`src/libImaging/Resample.c`) weights the input pixels under each output pixel by its filter, rounds the weights
to 22 bits after the point, and rounds to 8 bits after each of its two passes. The horizontal pass is first, since 13.0
except if the height shrinks by more than twice what the width does; both orders are computed here. Its weights are
double, which OpenVINO on a CPU does not have, and one wrong bit in a weight can change a pixel. So here every number is
a whole one below 2^24, which float32 holds exactly: fractions are lists of digits to the base 256, from the whole part
down. What follows are the rules of schoolbook arithmetic, and a weight is that of exact arithmetic, rounded once.

Letters: H rows and W columns of the image, S sides (columns and rows), P pixels of a side of the crop, T taps: the
input pixels that an output pixel may depend on.
"""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitrail.backbones import Preprocessing

BASE, DIGITS = 256, 7  # digits after the point: 56 bits, more than a double has
WEIGHT_BITS = 22  # PRECISION_BITS of Resample.c
MOST_SCALE = 24  # the short side of an image may be this many times the resize
MOST_PIXELS = 1 << 24
LONGEST_STRIP = 64  # as `backbones.preprocess` has it: longer strips are cut there first
REACH = {"bilinear": 1, "bicubic": 2}  # of the filter, in input pixels at scale 1
UNDERRATED = 8.0  # by which a first quotient is too small, more than its rounding

Digits = list[Tensor]


class PillowResize(nn.Module):
    """`pixel_HWC` in 8 bits to `pixel_1PPC` in 8 bits, and whether the image is within the limits."""

    place_P: Tensor
    tap_T: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.resize, self.crop = float(preprocessing.resize), preprocessing.crop
        self.cubic = preprocessing.interpolation == "bicubic"
        self.reach = REACH[preprocessing.interpolation] * MOST_SCALE + 1
        self.register_buffer("place_P", torch.arange(preprocessing.crop, dtype=torch.float32))
        self.register_buffer("tap_T", torch.arange(-self.reach, self.reach + 1, dtype=torch.float32))

    def forward(self, pixel_HWC: Tensor) -> tuple[Tensor, Tensor]:
        """The crop, and a bool that is False for an image whose pixels would be wrong."""
        image_HWC = pixel_HWC.float()
        column_W, row_H = torch.zeros_like(image_HWC[0, :, 0]), torch.zeros_like(image_HWC[:, 0, 0])
        columns, rows = torch.ones_like(column_W).sum(), torch.ones_like(row_H).sum()
        short, long = torch.minimum(columns, rows), torch.maximum(columns, rows)
        out_columns, out_rows = (_divide(self.resize * side, short)[0] for side in (columns, rows))
        columns_W3P = self._weigh(columns, out_columns, column_W)
        rows_H3P = self._weigh(rows, out_rows, row_H)
        across_HCP = _pass(image_HWC.permute(0, 2, 1), columns_W3P)
        down_WCP = _pass(image_HWC.permute(1, 2, 0), rows_H3P)
        across_first_PPC = _pass(across_HCP.permute(1, 2, 0), rows_H3P).permute(2, 1, 0)
        down_first_PPC = _pass(down_WCP.permute(1, 2, 0), columns_W3P).permute(1, 2, 0)
        fewer_rows = rows - out_rows
        down_first = (fewer_rows > 0) & (fewer_rows > 2 * (columns - out_columns))
        fits = (short <= MOST_SCALE * self.resize) & (long <= LONGEST_STRIP * short) & (columns * rows <= MOST_PIXELS)
        crop_PPC = torch.where(down_first, down_first_PPC, across_first_PPC)
        return crop_PPC.unsqueeze(0).to(torch.uint8), fits

    def _weigh(self, side: Tensor, out: Tensor, pixel_S: Tensor) -> Tensor:
        """The weight of each input pixel of a side in each output pixel, S x 3P: its digits to the base 256."""
        double = 2 * out
        place_P1 = (torch.round((out - self.crop) / 2) + self.place_P).unsqueeze(1)
        centre_P1, rest_P1 = _multiply_and_divide(2 * place_P1 + 1, side, double)
        # Twice the distance of a tap from the centre, in units of an output pixel's share of an input pixel.
        distance_PT = (out * (2 * self.tap_T + 1) - rest_P1).abs()
        tap_PT = centre_P1 + self.tap_T
        value = self._filter(distance_PT, 2 * torch.maximum(side, out))
        inside_PT = ((tap_PT >= 0) & (tap_PT < side)).float()
        value = [digit_PT * inside_PT for digit_PT in value]
        weight_PT = _share(value, [digit_PT.sum(dim=1, keepdim=True) for digit_PT in value])
        digits = _split(weight_PT)
        taps = self.reach
        padded_S = functional.pad(pixel_S, (taps, taps))
        empty_PS = padded_S.unsqueeze(0) + torch.zeros_like(place_P1)
        # A tap outside the image has the weight 0, and a place in the padding.
        index_PT = torch.clamp(tap_PT + taps, min=torch.zeros_like(side), max=side + 2 * taps - 1).long()
        weight_PS = [empty_PS.scatter_add(1, index_PT, digit_PT)[:, taps:-taps] for digit_PT in digits]
        return torch.cat(weight_PS).T

    def _filter(self, distance_PT: Tensor, unit: Tensor) -> Digits:
        """The filter at distance / unit, as Pillow's `bilinear_filter` and twice its `bicubic_filter`."""
        whole_PT, rest_PT = _divide(distance_PT, unit)
        t = [torch.clamp(whole_PT, max=2.0)]
        for _ in range(DIGITS):
            digit_PT, rest_PT = _divide(rest_PT * BASE, unit)
            t.append(digit_PT)
        near_PT, far_PT = (whole_PT == 0).float(), (whole_PT == 1).float()
        if not self.cubic:
            return _carry([near_PT - t[0] * near_PT, *(-digit_PT * near_PT for digit_PT in t[1:])])
        square = _multiply(t, t)
        cube = _multiply(square, t)
        digits = [
            near_PT * (3 * c - 5 * s) + far_PT * (5 * s - c - 8 * x) for x, s, c in zip(t, square, cube, strict=True)
        ]
        return _carry([digits[0] + 2 * near_PT + 4 * far_PT, *digits[1:]])


def _divide(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Quotient and remainder of whole numbers, of which x and the quotient times y are below 2^24."""
    quotient = torch.floor(x / y)
    rest = x - quotient * y
    step = (rest >= y).float() - (rest < 0).float()  # the division was rounded
    return quotient + step, rest - step * y


def _multiply_and_divide(u: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Quotient and remainder of u a / b, where u a may be above 2^24 and 256 b may not."""
    high, low = _divide(u, torch.full_like(u, BASE))
    quotient, rest = _divide(a, b)
    first, left = _divide(high * rest, b)
    second, left = _divide(left * BASE, b)
    third, last = _divide(low * rest, b)
    more, rest = _divide(left + last, b)
    return u * quotient + first * BASE + second + third + more, rest


def _carry(digits: Digits) -> Digits:
    """The same number with digits from 0 to 255, but for the first, which has the sign."""
    carried, over = [], torch.zeros_like(digits[-1])
    for digit in reversed(digits[1:]):
        total = digit + over
        over = torch.floor(total / BASE)
        carried.append(total - BASE * over)
    return [digits[0] + over, *reversed(carried)]


def _multiply(a: Digits, b: Digits) -> Digits:
    """The product, with as many digits as `a`."""
    count = len(a)
    sums = [sum((a[i] * b[k - i] for i in range(k + 1)), torch.zeros_like(a[0])) for k in range(count)]
    return _carry(sums)


def _share(value: Digits, total: Digits) -> Tensor:
    """2^22 value / total, rounded to a whole number."""
    total = _carry(total)
    quotient = torch.floor(_number(value) / _number(total) * 2**WEIGHT_BITS) - UNDERRATED
    # What is left of 2^22 value, in digits from 256^2 down: 2^22 is 64 256^2.
    scaled = [64 * digit for digit in value]
    left = [x - y for x, y in zip(scaled, _times(_split(quotient), total), strict=True)]
    rest = _carry(left)
    more = torch.floor(_number(rest, BASE**2) / _number(total))
    whole = [torch.zeros_like(more), torch.zeros_like(more), *total[:-2]]
    rest = [2 * (x - more * y) - y for x, y in zip(rest, whole, strict=True)]
    return quotient + more + (_carry(rest)[0] >= 0).float()


def _times(three: Digits, total: Digits) -> Digits:
    """The product of a whole number of three digits and a fraction, in digits from 256^2 down."""
    padded = [torch.zeros_like(total[0])] * 2 + total
    return [
        sum((three[i] * padded[k + 2 - i] for i in range(3)), torch.zeros_like(three[0])) for k in range(len(total))
    ]


def _split(number: Tensor) -> Digits:
    """The three digits of a whole number; the first has the sign."""
    upper = torch.floor(number / BASE)
    first = torch.floor(upper / BASE)
    return [first, upper - BASE * first, number - BASE * upper]


def _number(digits: Digits, unit: float = 1.0) -> Tensor:
    """What digits come to, rounded."""
    return reduce(lambda total, digit: total / BASE + digit, reversed(digits)) * unit


def _pass(pixel_XCS: Tensor, weight_SP: Tensor) -> Tensor:
    """One pass of the resize along the last axis, rounded to 8 bits as Pillow does: X x C x P."""
    high, middle, low = (pixel_XCS @ weight_SP).chunk(3, dim=-1)
    first, _, _ = _carry([high, middle, low])
    # A half is added, and 22 bits are cut off; the lower digits cannot carry.
    return torch.clamp(torch.floor((first + 2 ** (WEIGHT_BITS - 17)) / 2 ** (WEIGHT_BITS - 16)), 0.0, 255.0)
