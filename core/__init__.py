"""The house without its windows: everything Atelier can do, with no Gradio in sight."""
