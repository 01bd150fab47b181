"""Sphinx's settings. `docs/build.py` collects the pages and builds the site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from minicnn.version import __version__

project = "minicnn"
author = "The minicnn developers"
copyright = "The minicnn developers, MIT licence"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "equations",
    "reference",
    "sources",
]
suppress_warnings = [
    "config.cache",  # of the list of names, which is made anew each time
    "ref.python",  # a type such as Comparison in a signature, which two modules have
]

# pages
myst_enable_extensions = ["dollarmath", "deflist", "html_image"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # notebooks come with their outputs
nb_merge_streams = True
copybutton_exclude = ".linenos, .gp, .go"

# the reference
default_role = "code"
smartquotes_action = "D"  # dashes only: "same" is a value to type
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
maximum_signature_line_length = 90
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # so that arguments that share their words stay together
napoleon_custom_sections = [("Attributes", "params_style")]
toc_object_entries_show_parents = "hide"

# how it looks
html_theme = "furo"
html_title = "minicnn"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["minicnn.css"]
html_copy_source = False
html_show_search_summary = False  # a browser lets no page read other files
pygments_dark_style = "monokai"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}
