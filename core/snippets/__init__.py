"""Every result shows its code: the plain Python and the `curl` that give the same result."""

from core.snippets.curl import curl_snippet
from core.snippets.panel import snippets_markdown
from core.snippets.python import python_snippet
from core.snippets.table import TableJob, table_markdown, table_parameters

__all__ = [
    "TableJob",
    "curl_snippet",
    "python_snippet",
    "snippets_markdown",
    "table_markdown",
    "table_parameters",
]
