"""How outputs and jobs look in a notebook: HTML that contains the files themselves.

A notebook shows what its cell ends with, by the methods `_repr_png_` and `_repr_html_` of
[IPython](https://ipython.readthedocs.io/en/stable/config/integrating.html). It stores the HTML, so
that the files are still there when the service no longer has them.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from atelier.client.views import JobView, OutputView

LARGEST = 32 * 2**20  # bytes of the files of one cell; the browser and the notebook hold them
UNPLAYABLE = {"audio/midi"}  # by browsers
ELEMENTS = {
    "image": '<img src="{source}" alt="{label}">',
    "audio": '<audio controls src="{source}"></audio>',
    "video": '<video controls loop muted src="{source}"></video>',
}

Read = Callable[[], bytes]


def is_png(output: OutputView[Any]) -> bool:
    """Whether a notebook can show its bytes as they are."""
    return output.content_type == "image/png" and output.size <= LARGEST


def output_html(output: OutputView[Any], read: Read, limit: int = LARGEST) -> str:
    """Returns an output's text, picture, or player. `read` fetches the file, if that is needed.

    For a file of more than `limit` bytes, or that no browser plays, the HTML names it instead.
    """
    if output.text is not None:
        title = f"<h4>{escape(output.title)}</h4>" if output.title else ""
        return f'{title}<div style="white-space: pre-wrap">{escape(output.text)}</div>'
    label = escape(repr(output))
    element = element_of(output)
    if element is None:
        return f"<code>{label}</code>"
    if output.size > limit:
        return f"<code>{label}</code> {output.size / 2**20:.0f} MiB are not shown; save() writes it"
    data = b64encode(read()).decode("ascii")
    return element.format(source=f"data:{escape(output.content_type)};base64,{data}", label=label)


def element_of(output: OutputView[Any]) -> str | None:
    """Returns the HTML element that shows such a file, None if a browser has none."""
    kind = output.content_type.partition("/")[0]
    return None if output.content_type in UNPLAYABLE else ELEMENTS.get(kind)


def job_html(job: JobView[Any], outputs: Iterable[tuple[OutputView[Any], Read]]) -> str:
    """Returns the job's status and all of its outputs, up to LARGEST bytes."""
    lines = [f"<code>{escape(repr(job))}</code>"]
    if job.error is not None:
        lines.append(escape(job.error.message))
    elif not job.ended:
        lines.append(f"{job.progress.value:.0%}")
    limit = LARGEST
    for output, read in outputs:
        lines.append(output_html(output, read, limit))
        if element_of(output) is not None and output.text is None and output.size <= limit:
            limit -= output.size
    return "".join(f"<div>{line}</div>" for line in lines)
