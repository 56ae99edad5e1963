"""What the pages and docstrings need to be a site; read by mkdocs (mkdocs.yml)."""

import logging
import re
from pathlib import Path

LOG = logging.getLogger("mkdocs.site_hooks")  # a warning fails a strict build
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown, page, config, files):
    """Links that lead out of docs/ name the file of the repository, which must be there."""
    docs = Path(config["docs_dir"])
    here = (docs / page.file.src_uri).parent

    def named(found):
        text, target, _ = found.groups()
        place = (here / target).resolve()
        if place.is_relative_to(docs.resolve()):
            return found[0]
        name = place.relative_to(docs.resolve().parent).as_posix()
        if not place.exists():
            LOG.warning("%s links to %s, which is not there", page.file.src_uri, name)
        return text if text.strip("`") == name else f"{text} (`{name}`)"

    return LINK.sub(named, markdown)


def on_page_content(html, page, config, files):
    """Roles in docstrings, as :class:`~condense.x.Y`, are the name."""
    return re.sub(r":\w+:<code>~?([\w.]+)</code>", r"<code>\1</code>", html)
