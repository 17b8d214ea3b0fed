"""What models are made of: pretrained ways down, their weights, and from logits to a mask."""
