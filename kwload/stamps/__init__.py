"""What a weight file was made of, written beside it: manifests, checksums, and fingerprints of the code of layers."""
