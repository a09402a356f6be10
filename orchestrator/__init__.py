"""dsdeploy: one DeepSpeed wheel per kind of host, on all hosts or on none, proved op by op."""
