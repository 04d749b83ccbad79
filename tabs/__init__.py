"""What the browser shows; no torch here, ever. Importing this package imports Gradio, the quick way."""

from tabs._quick_gradio import import_gradio

import_gradio()  # before any module below says `import gradio`
