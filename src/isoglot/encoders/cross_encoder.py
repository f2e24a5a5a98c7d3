"""Open a cross-encoder, which takes a query and a passage together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.core.arguments import check_kind, check_whole
from isoglot.core.errors import InputError
from isoglot.encoders.devices import require_device
from isoglot.encoders.hub_access import require_hub
from isoglot.encoders.loading import failure, retries_told_once
from isoglot.encoders.model_locks import OPENING
from isoglot.encoders.model_names import locate
from isoglot.encoders.options import LEAST

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_HEADLESS = ("Model", "ForMaskedLM", "ForPreTraining")  # suffixes of architectures' names


def load_cross_encoder(
    name: str | Path, *, device: str | None = None, length: int | None = None, trust_remote_code: bool = False
) -> CrossEncoder:
    """Open a cross-encoder with one output.

    Args:
        name: a local folder, or a Hub id (`id` or `id@revision`).
        device: such as `cpu` or `cuda`; chosen by torch when None.
        length: maximum tokens per pair; the model's own when None.
        trust_remote_code: run Python code that comes with the model.

    Raises:
        InputError: no such model or device, a model with several outputs, or one without a scoring head.
    """
    from sentence_transformers import CrossEncoder

    check_kind("cross-encoder", name, (str, Path), "a folder or a Hub id")
    check_kind("trust_remote_code", trust_remote_code, bool, "True or False")
    if length is not None:
        check_whole("length", length, LEAST, "tokens")
    require_device(device)
    path, revision = locate(str(name), what="cross-encoder")
    try:
        require_hub(path, revision)
        with OPENING, retries_told_once(f"cross-encoder {name}", path):
            model = CrossEncoder(
                path, revision=revision, device=device, max_length=length, trust_remote_code=trust_remote_code
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cross-encoder {name}: cannot be loaded ({failure(error, path)})") from error
    named = getattr(model.config, "architectures", None) or []
    if any(kind.endswith(_HEADLESS) for kind in named):
        # Its scores would come from randomly initialised weights.
        raise InputError(f"cross-encoder {name}: {named[0]} has no head that scores pairs, so it is no cross-encoder")
    if model.num_labels != 1:
        raise InputError(f"cross-encoder {name}: has {model.num_labels} outputs; expected one relevance score")
    return model
