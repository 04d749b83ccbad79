"""Pictures: text to image, image to image, inpainting, ControlNet, and what is laid over a model for them."""
