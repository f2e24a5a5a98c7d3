"""What a device can compute, and in which precision."""

from __future__ import annotations

from typing import Literal

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError

Precision = Literal["auto", "bf16", "fp32"]


def require_device(device: str | None, what: str = "device") -> None:
    """Check that torch can compute on a device.

    Args:
        device: its name; None for the one that torch takes.
        what: the argument that named it.

    Raises:
        InputError: it cannot, or there is none of that name.
    """
    import torch

    if device is not None:
        check_kind(what, device, str, "a name such as 'cpu' or 'cuda:1'")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise InputError(f"{what} {device}: not usable here ({str(error).splitlines()[0]})") from error


def fast_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.startswith("cpu"):
        there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return bool(there) and products_of_bf16()
    return False


def products_of_bf16() -> bool:
    """Whether oneDNN multiplies bfloat16 matrices on this processor; it may be told to leave instructions unused."""
    import torch

    told = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return told is not None and bool(told())


def resolve_precision(precision: str, device: str) -> Literal["bf16", "fp32"]:
    """Turn `auto` into what the device does well.

    Raises:
        InputError: an unknown precision.
    """
    if precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    if precision in ("bf16", "fp32"):
        return "bf16" if precision == "bf16" else "fp32"
    raise InputError(f"precision {precision!r}: expected one of auto, bf16, fp32")
