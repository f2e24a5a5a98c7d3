"""Translate with sequence-to-sequence models from transformers: Marian (opus-mt), NLLB, M2M100, MADLAD, mBART."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, MissingPackageError, first_line
from isoglot.curation.language_model.answer_cache import AnswerStore, key_of
from isoglot.curation.translation.language_codes import model_codes
from isoglot.encoders.hub_access import require_hub
from isoglot.languages.codes import known_code
from isoglot.languages.sentences import segments

_TOKENS_A_BATCH = 2048
_ADDED = 8  # tokens for the language, and for the beginning and end of a text
_T5 = ("t5", "mt5", "umt5")
_WITHOUT_SPACES = {"zh", "ja", "th", "lo", "km", "my", "zh-Hant", "yue", "wuu"}


class Seq2Seq:
    """Translates texts sentence by sentence, in batches of about 2,048 tokens.

    Args:
        name: a folder, or a Hub id (`id@revision`).
        store: cache for the translation of every sentence.
        device: such as `cpu` or `cuda`; chosen by torch when None.
        beams: number of beams of the search; 1 is greedy.

    Attributes:
        keeps_lines: whether the tokenizer preserves line breaks; those of models for single sentences do not.
        translated: number of texts translated, without those found in the cache.

    Raises:
        InputError: there is no such model, or it is not a supported sequence-to-sequence model.
        MissingPackageError: the tokenizer needs a package that is not installed.
    """

    def __init__(
        self,
        name: str,
        store: AnswerStore,
        *,
        device: str | None = None,
        beams: int = 4,
    ) -> None:
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        path, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
        try:
            require_hub(path, revision or None)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path, revision=revision or None)
            model: Any = AutoModelForSeq2SeqLM.from_pretrained(path, revision=revision or None)
        except ImportError as error:
            raise MissingPackageError(f"{name}: its tokenizer needs another package ({first_line(error)})") from error
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{name}: not a sequence-to-sequence model ({first_line(error)}); give a folder or Hub id such as "
                "facebook/nllb-200-distilled-600M, or the address of an endpoint"
            ) from error
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(chosen).eval()
        self.name, self._store, self._beams = name, store, beams
        self._limit = min(getattr(self._model.config, "max_position_embeddings", 512) or 512, 512)
        self._codes = self._language_codes()
        whole = self._tokenizer("a\na", add_special_tokens=False)["input_ids"]
        self.keeps_lines = "\n" in self._tokenizer.decode(whole)
        self.translated = 0

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Return the translations of texts, in order.

        Long texts are split into sentences, translated one by one, because these models are trained on sentences.

        Raises:
            InputError: the model does not know one of the languages.
        """
        pieces = [[part for piece in _sentences(text, source) for part in self._fitting(piece)] for text in texts]
        known = self._translated([piece for own in pieces for piece in own], source, target)
        between = "" if target in _WITHOUT_SPACES else " "
        return [between.join(known[piece].strip() for piece in own) for own in pieces]

    def translate_whole(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Return the translations of texts without splitting these; they have to fit into `room` tokens.

        Raises:
            InputError: the model does not know one of the languages.
        """
        known = self._translated(texts, source, target)
        return [known[text].strip() for text in texts]

    @property
    def room(self) -> int:
        """The most tokens of a text that fit into one input, not counting those that the tokenizer adds."""
        return self._limit - _ADDED

    def length(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self._tokenizer.tokenize(text))

    def code(self, lang: str, *, target: bool = True) -> str:
        """Return the model's code for one of our languages; empty if the model translates only one language pair.

        A code with a script, such as `zh-Hant`, falls back to the language's main code as a source, not as a target.

        Raises:
            InputError: the model does not know the language.
        """
        if not self._codes:
            return ""
        found = self._codes.get(lang) or (None if target else self._codes.get(lang.split("-")[0]))
        if found is None:
            raise InputError(f"{self.name}: does not know {lang!r}; its languages are {', '.join(sorted(self._codes))}")
        return found

    def _translated(self, texts: Sequence[str], source: str, target: str) -> dict[str, str]:
        """Return a dict from texts to translations, cached or new."""
        kind = self._model.config.model_type
        self._refuse_other_pair(source, target)
        # Marian and MADLAD take only the target language.
        src, trg = "" if kind in ("marian", *_T5) else self.code(source, target=False), self.code(target)
        keys = {text: key_of(self.name, str(self._beams), source, target, text) for text in dict.fromkeys(texts)}
        known = {text: self._store.get(key) for text, key in keys.items()}
        missing = sorted((text for text, found in known.items() if found is None), key=len, reverse=True)
        for batch in self._batches(missing):
            answers = self._generate(batch, src, trg)
            self._store.put(zip((keys[text] for text in batch), answers, strict=True))
            known.update(zip(batch, answers, strict=True))
            self.translated += len(batch)
        return {text: str(found) for text, found in known.items()}

    def _fitting(self, text: str) -> list[str]:
        """Split a sentence into parts that fit into one input, recursively, at the space nearest to the middle."""
        # No token is shorter than a byte, so the tokens of most sentences need not be counted.
        if len(text.encode(errors="replace")) <= self.room or self.length(text) <= self.room:
            return [text]
        middle = len(text) // 2
        blanks = [at for at, letter in enumerate(text) if letter.isspace()]
        at = min(blanks, key=lambda at: abs(at - middle), default=middle)
        halves = (text[:at].strip(), text[at:].strip())
        return [part for half in halves if half for part in self._fitting(half)] if all(halves) else [text]

    def _refuse_other_pair(self, source: str, target: str) -> None:
        """Raise InputError if the model translates only one language pair, given by its tokenizer, and not this one."""
        named = (getattr(self._tokenizer, "source_lang", None), getattr(self._tokenizer, "target_lang", None))
        own = tuple(known_code(str(code)) for code in named if code)
        if not self._codes and len(own) == 2 and all(own) and own != (source, target):
            raise InputError(f"{self.name}: translates {own[0]} into {own[1]}, not {source} into {target}")

    def _language_codes(self) -> dict[str, str]:
        """Return a dict from our codes to the model's; empty for a model of one language pair."""
        kind = self._model.config.model_type
        tokenizer = self._tokenizer
        if kind == "marian":
            own = [code.strip("<>") for code in getattr(tokenizer, "supported_language_codes", None) or ()]
        elif kind in _T5:
            own = [piece[2:-1] for piece in tokenizer.get_vocab() if piece.startswith("<2") and piece.endswith(">")]
            if not model_codes(own):
                raise InputError(f"{self.name}: a {kind} without tokens such as <2de>; MADLAD models have them")
        else:
            own = [piece.strip("_") for piece in self._special_tokens()]
            if not model_codes(own):
                raise InputError(f"{self.name}: a {kind} model whose tokenizer names no languages")
        return model_codes(own)

    def _special_tokens(self) -> list[str]:
        tokenizer = self._tokenizer
        named = list(getattr(tokenizer, "lang_code_to_token", {}) or getattr(tokenizer, "lang_code_to_id", {}) or {})
        return named or [*map(str, tokenizer.all_special_tokens), *map(str, tokenizer.get_added_vocab())]

    def _generate(self, texts: list[str], src: str, trg: str) -> list[str]:
        import torch

        kind, tokenizer = self._model.config.model_type, self._tokenizer
        forced: dict[str, Any] = {}
        if kind == "marian" and trg:
            texts = [f">>{trg}<< {text}" for text in texts]
        elif kind in _T5:
            texts = [f"<2{trg}> {text}" for text in texts]
        elif kind != "marian":
            tokenizer.src_lang = src
            forced["forced_bos_token_id"] = self._language_id(trg)
        limit = self._limit
        inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=limit)
        inputs = inputs.to(self._model.device)
        inputs.pop("token_type_ids", None)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        with torch.inference_mode():
            made = self._model.generate(
                **inputs, **forced, num_beams=self._beams, max_new_tokens=min(limit - 1, _most(max(lengths)))
            )
        # Truncate each by its own length, so that it does not depend on its batch; the last token may be forced.
        cut = [own[: _most(length)] for own, length in zip(made.tolist(), lengths, strict=True)]
        return [str(text) for text in tokenizer.batch_decode(cut, skip_special_tokens=True)]

    def _language_id(self, code: str) -> int:
        if hasattr(self._tokenizer, "get_lang_id"):
            return int(self._tokenizer.get_lang_id(code))
        return int(self._tokenizer.convert_tokens_to_ids(code))

    def _batches(self, texts: list[str]) -> list[list[str]]:
        """Split texts, longest first, into batches of at most about _TOKENS_A_BATCH tokens."""
        batches: list[list[str]] = []
        size = 0
        for text in texts:
            if not batches or len(batches[-1]) >= size:
                batches.append([])
                size = max(1, _TOKENS_A_BATCH // max(1, len(self._tokenizer.tokenize(text))))
            batches[-1].append(text)
        return batches


def _most(length: int) -> int:
    """Return the maximum number of tokens of a translation, given those of the source."""
    return 2 * length + 16


def _sentences(text: str, lang: str) -> list[str]:
    if len(text.encode()) < 200:
        return [text]
    return [sentence.strip() for sentence in segments(text, lang) if sentence.strip()] or [text]
