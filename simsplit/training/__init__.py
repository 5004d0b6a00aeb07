"""One resumable loop (``train.train``), objectives, recipes (``recipe.Recipe``) and cards."""
