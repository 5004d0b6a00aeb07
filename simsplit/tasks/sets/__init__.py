"""The data sets, one file per kind; `contract` says what each gives, `open_dataset` opens them."""
