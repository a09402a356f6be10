"""The controller's memory of its deployments: what was decided survives whatever ends the controller."""
