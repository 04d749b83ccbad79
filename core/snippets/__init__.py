"""Every result shows its code: the plain Python and the `curl` that give the same result."""

from core.snippets.curl import curl_snippet
from core.snippets.diffusion import picture_python
from core.snippets.evaluation import EvaluatedClassifier, evaluation_markdown
from core.snippets.imaging import pictures_markdown
from core.snippets.panel import snippets_markdown
from core.snippets.picture_calls import PictureCode
from core.snippets.python import python_snippet
from core.snippets.table import TableJob, table_markdown, table_parameters

__all__ = [
    "EvaluatedClassifier",
    "PictureCode",
    "TableJob",
    "curl_snippet",
    "evaluation_markdown",
    "picture_python",
    "pictures_markdown",
    "python_snippet",
    "snippets_markdown",
    "table_markdown",
    "table_parameters",
]
