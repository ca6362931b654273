"""A baseline of the evaluation: a frame-stacked U-Net that denoises pixels, in the manner of DIAMOND."""
