"""Trained codes at a cut of any network: contract, the kinds, and their artefacts on disk."""
