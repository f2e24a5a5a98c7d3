"""What a device can compute, and with which precision."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError, first_line

Precision = Literal["auto", "bf16", "fp32", "int8"]
TrainPrecision = Literal["auto", "bf16", "fp32"]


def require_device(device: str | None, what: str = "device") -> None:
    """Check that torch can compute on a device.

    Args:
        device: its name; None for torch's default.
        what: name of the argument, for the message.

    Raises:
        InputError: it cannot, or no such device exists.
    """
    import torch

    if device is not None:
        check_kind(what, device, str, "a name such as 'cpu' or 'cuda:1'")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with support for the device
        raise InputError(f"{what} {device}: not usable here ({first_line(error)})") from error


def fast_bf16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 matrices in hardware."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.startswith("cpu"):
        there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return bool(there) and products_of_bf16()
    return False


def products_of_bf16() -> bool:
    """Return whether oneDNN multiplies bfloat16 matrices on this processor; settings can restrict its instructions."""
    import torch

    told = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return told is not None and bool(told())


def fast_int8(device: str) -> bool:
    """Return whether the device multiplies int8 matrices in hardware, and torch supports it."""
    import torch

    there = device.startswith("cpu") and hasattr(torch.ops.onednn, "qlinear_pointwise")
    instructions = ("avx512_vnni", "avx_vnni", "amx_int8")
    return there and any(torch.cpu.get_capabilities().get(name) for name in instructions) and _exact_int8()


@cache
def _exact_int8() -> bool:
    """Return whether oneDNN's int8 products are exact: restricted to older instructions, it adds in 16 bits."""
    import torch

    size, inputs, weight = 64, 255, 127
    packed = torch.ops.onednn.qlinear_prepack(torch.full((size, size), weight, dtype=torch.int8), None)
    given = torch.full((1, size), inputs, dtype=torch.uint8)
    weights = (packed, torch.ones(size), torch.zeros(size, dtype=torch.int64), None)
    found = torch.ops.onednn.qlinear_pointwise(given, 1.0, 0, *weights, 1.0, 0, torch.float32, "none", [], "")
    return bool((found == size * inputs * weight).all())


def resolve_precision(precision: str, device: str) -> Literal["bf16", "fp32", "int8"]:
    """Return the precision to use, replacing `auto` by the best one that is fast on the device.

    Raises:
        InputError: an unknown precision, or int8 on a device without int8 instructions.
    """
    if precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    if precision == "int8" and not fast_int8(device):
        raise InputError(
            f"precision int8: {device} has no 8-bit dot products (VNNI), or ONEDNN_MAX_CPU_ISA excludes them; expected "
            "bf16, fp32 or auto"
        )
    for known in ("bf16", "fp32", "int8"):
        if precision == known:
            return known
    raise InputError(f"precision {precision!r}: expected one of {', '.join(get_args(Precision))}")
