"""Pages of HTML that need no other file and load nothing: skeleton, style, escaping, pictures inside.

A strict policy (Content-Security-Policy) lets only the page's own style and script run, by their SHA-256, and
only pictures inside the page be shown: a file name or tag that became markup after all could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8
from longexpo_cli.errors import OutputError
from longexpo_cli.logs import printable

_HERE = Path(__file__).parent
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not tab and line feed
_QUALITIES = (82, 70, 55, 40)  # of a JPEG, from which on it is taken when it is small enough


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is written as it is; plain text is escaped."""

    text: str

    def __add__(self, other: Markup) -> Markup:
        return Markup(self.text + other.text)


Content = str | int | float | Markup


def escape(content: Content) -> str:
    r"""Return content as HTML: text escaped, also inside quotes, control characters and odd bytes as \xe9."""
    if isinstance(content, Markup):
        return content.text
    shown = printable(str(content))
    return html.escape(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", shown), quote=True)


def tag(name: str, /, *content: Content, **attributes: str | int | float | bool) -> Markup:
    """Return an element with its content escaped; class_ is "class", a_b "a-b", True an attribute alone."""
    words = [name]
    for key, value in attributes.items():
        if value is not False:
            key_name = key.rstrip("_").replace("_", "-")
            words.append(key_name if value is True else f'{key_name}="{escape(value)}"')
    opened = f"<{' '.join(words)}>"
    if name in ("img", "input", "meta", "br"):
        return Markup(opened)
    return Markup(f"{opened}{''.join(escape(part) for part in content)}</{name}>")


GENERATOR = tag("meta", name="generator", content="longexpo")  # by which a page of longexpo is known


def joined(parts: Sequence[Markup]) -> Markup:
    """Return elements one after the other."""
    return Markup("".join(part.text for part in parts))


def name(text: str) -> Markup:
    """Return a file name; its direction of writing does not change the text around it."""
    return tag("bdi", text)


def link(path: str, *content: Content) -> Markup:
    """Return a link to a file, by its path from the page; bytes that are no UTF-8 stay as they are."""
    return tag("a", *content, href=quote(path.encode("utf-8", "surrogateescape")))


def page(title: str, *body: Content, script: bool = False) -> str:
    """Return a whole page; script adds what moves sliders and copies text."""
    css = (_HERE / "page.css").read_text("utf-8")
    code = (_HERE / "page.js").read_text("utf-8") if script else ""
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(css)}; base-uri 'none'; form-action 'none'"
    )
    policy += f"; script-src {_digest(code)}" if code else ""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        GENERATOR,
        tag("title", title),
        Markup(f"<style>{css}</style>"),
    ]
    main = tag("main", tag("h1", title), *body)
    end = Markup(f"<script>{code}</script>") if code else Markup("")
    document = tag("html", tag("head", *head), tag("body", main, end), lang="en")
    return f"<!doctype html>\n{document.text}\n"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def shrunk(pixels: npt.NDArray[Any], side_px: int) -> npt.NDArray[Any]:
    """Return a picture H W C with at most side_px pixels on its longer side, area by area; or as it is."""
    import cv2

    scale = side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def encoded(pixels: Array8, kind: str, quality: int = _QUALITIES[0]) -> bytes:
    """Return a picture H W 3 as a file, kind being ".png" or ".jpg"; OutputError when that fails."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == ".jpg" else []
    done, data = cv2.imencode(kind, np.ascontiguousarray(pixels[..., ::-1]), options)
    if not done:
        raise OutputError(f"a picture of {pixels.shape[1]}x{pixels.shape[0]} pixels cannot be encoded")
    return data.tobytes()


def png(pixels: Array8, alt: str) -> Markup:
    """Return a picture H W 3 inside the page, its pixels as they are; alt says what it shows."""
    return _image(encoded(pixels, ".png"), "png", pixels, alt)


def jpeg(pixels: Array8, alt: str, most_bytes: int) -> Markup:
    """Return a picture H W 3 inside the page as a JPEG of at most so many bytes, or of the least quality."""
    for quality in _QUALITIES:
        data = encoded(pixels, ".jpg", quality)
        if len(data) <= most_bytes:
            break
    return _image(data, "jpeg", pixels, alt)


def _image(data: bytes, kind: str, pixels: Array8, alt: str) -> Markup:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag("img", src=source, alt=alt, width=pixels.shape[1], height=pixels.shape[0])
