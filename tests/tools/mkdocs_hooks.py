"""What the documentation's site needs besides mkdocs: diagrams and colours made at build time, nothing from other hosts."""

import re

import mermaidx
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter
from pymdownx.superfences import SuperFencesException

# What a browser would fetch by itself while it shows a page; links are for the reader to follow.
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^\s\"'>]+", re.IGNORECASE)
drawn = 0


class NotDrawn(SuperFencesException, PluginError):
    """A diagram has a mistake: the one base gets through the extension that asks for the drawing, the other ends the build."""


def diagram(source, language, css_class, options, md, **kwargs):
    """A fenced block of Mermaid as an SVG; one that Mermaid cannot read fails the build."""
    global drawn
    drawn += 1
    try:
        svg = mermaidx.render(source).svg()
    except RuntimeError as error:
        raise NotDrawn("a diagram cannot be drawn: %s\n%s" % (error, source)) from error
    # Every drawing calls itself the same, and its style sheet is for that name: several share a page.
    return '<figure class="diagram">%s</figure>' % svg.replace("my-svg", "diagram-%d" % drawn)


def on_config(config):
    fence = {"name": "mermaid", "class": "mermaid", "format": diagram}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files, config):
    """Adds the style sheet of the code's colours, light and dark."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="monokai").get_style_defs("[data-bs-theme=dark] .highlight")
    files.append(File.generated(config, "assets/pygments.css", content=light + "\n" + dark))
    return files


def on_post_page(output, page, config):
    """Refuses a page that would fetch something from another host."""
    found = FETCHED.search(output)
    if found and not found.group().startswith(('<link rel="canonical"', "<link rel=canonical")):
        raise PluginError("%s would fetch from another host: %s" % (page.file.src_path, found.group()))
    return output
