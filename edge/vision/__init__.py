"""From the bytes of one image to what is in it: decoding, detection, naming, embeddings."""
