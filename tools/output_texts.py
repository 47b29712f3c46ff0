"""What of a cell's outputs is compared: streams as wholes, words and numbers without pictures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

FIGURE_TEXT = re.compile(r"<(?:Figure|\S*\.Figure) .*>", re.DOTALL)
PICTURES = {"image/png", "image/jpeg", "image/svg+xml", "application/pdf"}


def coalesce(outputs: Iterable[Mapping]) -> list[dict]:
    """Join the chunks of each stream: where a flush falls is chance."""
    joined: list[dict] = []
    streams: dict[str, dict] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            joined.append(dict(output))
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            streams[output["name"]] = dict(output)
            joined.append(streams[output["name"]])
    return joined


def without_stderr(outputs: Iterable[Mapping]) -> list[Mapping]:
    return [output for output in outputs if output.get("name") != "stderr"]


def output_text(output: Mapping) -> str:
    """All that an output says in words and numbers, without the pictures."""
    return "\n".join(texts(output).values())


def kind_of(output: Mapping) -> str:
    if "data" in output:
        return f"{output['output_type']}({', '.join(sorted(output['data']))})"
    return output.get("name", output["output_type"])  # of a stream, or "error"


def texts(output: Mapping) -> dict[str, str]:
    """What of an output is compared, by kind."""
    if output["output_type"] == "stream":
        return {output["name"]: output["text"]}
    if output["output_type"] == "error":
        return {"error": f"{output['ename']}: {output['evalue']}"}
    found = {}
    for kind, content in output["data"].items():
        text = "".join(content) if isinstance(content, list) else str(content)
        beside_picture = PICTURES & output["data"].keys() and FIGURE_TEXT.fullmatch(text)
        if kind not in PICTURES and not beside_picture:
            found[kind] = _strip_tags(text) if kind == "text/html" else text
    # A kind that one side drops as "beside a picture" must not be missing on the other.
    return {kind: found.get(kind, "") for kind in output["data"] if kind not in PICTURES}


def _strip_tags(text: str) -> str:
    text = re.sub(r"<(style|script)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]+>", " ", text))
