"""Teaching a pipeline to draw: Stable Diffusion 1.x, 2.x and XL, by LoRA or in full."""
