"""The edge server and the cloud behind it: admission, queues, batches, workers, load reports."""
